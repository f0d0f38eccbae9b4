/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volwork.c - short blocking work on a cluster volume, as a tool and not as an owner of a VM:
 * the device lives on the loop, the work has a thread of its own. Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_volwork.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/vm/clu_store.h"
#include "common/cm_work.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_volume.h"

#define VOLWORK_FAIL_MS 10000u

struct volwork {
	struct clu_agent *agent;
	struct stor_dev *dev;
	bool opened;
	clu_volwork_fn work;
	clu_volwork_done_fn done;
	void *arg;
	struct cm_err err;
};

static void volwork_over(void *arg)
{
	struct volwork *w = arg;

	w->done(&w->err, w->arg);
	free(w);
}

static void volwork_close(void *arg)
{
	struct volwork *w = arg;

	if (w->dev)
		stor_dev_close(w->dev, volwork_over, w);
	else
		volwork_over(w);
}

static void volwork_main(void *arg)
{
	struct volwork *w = arg;
	struct stor_volume *vol = NULL;
	int rc = stor_volume_open(w->dev, &vol, &w->err);

	if (rc == 0) {
		w->work(vol, w->arg, &w->err);
		stor_volume_free(vol);
	} else {
		cm_err_set(&w->err, rc, "%s", cm_err_text(rc));
	}
}

static void volwork_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
			  void *arg)
{
	struct volwork *w = arg;

	(void)dev;
	if (w->opened || (ev != STOR_EVENT_READY && ev != STOR_EVENT_FAILED))
		return;
	w->opened = true;
	if (ev == STOR_EVENT_FAILED)
		cm_err_set(&w->err, err->code, "%s", err->text);
	else if (cm_work(w->agent->loop, volwork_main, volwork_close, w) == 0)
		return;
	cm_err_set(&w->err, CM_E_NO_MEMORY, "cannot start a thread");
	volwork_close(w);
}

void clu_volwork(struct clu_agent *a, const char *url, clu_volwork_fn work,
		 clu_volwork_done_fn done, void *arg)
{
	struct volwork *w = calloc(1, sizeof *w);
	struct stor_dev_opts opts = {.host_slot = STOR_SLOT_TOOL,
				     .fail_after_ms = VOLWORK_FAIL_MS,
				     .io_timeout_ms = a->conf->io_timeout_ms,
				     .event = volwork_event,
				     .event_arg = w};

	CM_ASSERT(w);
	*w = (struct volwork){.agent = a, .work = work, .done = done, .arg = arg};
	w->dev = stor_dev_open(a->loop, url, &opts, &w->err);
	if (!w->dev)
		cm_loop_defer(a->loop, volwork_over, w);
}

int clu_volwork_vm_url(struct clu_agent *a, const Hv__VmConfig *c, char *url, size_t cap,
		       struct cm_err *err)
{
	url[0] = '\0';
	return stor_name_valid(c->lease) ? clu_store_volume(a, c->lease, url, cap, err) : 0;
}
