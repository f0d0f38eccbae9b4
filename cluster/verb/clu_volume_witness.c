/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volume_witness.c - see clu_volume_witness.h. Each volume of the cluster's list is opened, one after the other,
 * until the one with the wanted id is there. Parses nothing.
 */
#include "config.h"

#include "cluster/verb/clu_volume_witness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/vm/clu_store.h"
#include "common/cm_loop.h"
#include "sharedstorage/stor_open.h"

#define WITNESS_FAIL_MS 10000u

struct listed {
	char name[64], url[1024];
	struct stor_uuid id; /* zero: not seen yet */
	bool failed;
};

struct clu__witness {
	struct cm_loop *loop;
	uint32_t io_timeout_ms;
	const char *but; /* while the list is made */
	struct listed *list;
	size_t n;
	/* the one that is open */
	struct stor_dev *dev;
	struct stor_volume *vol;
	/* the worker waits for the loop */
	const char *url;
	bool opening;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool said;
	struct cm_err err;
};

static void list_add(const char *name, const char *url, void *arg)
{
	struct clu__witness *w = arg;
	struct listed *l;

	if (strcmp(name, w->but) == 0)
		return;
	l = realloc(w->list, (w->n + 1) * sizeof *l);
	CM_ASSERT(l);
	w->list = l;
	l = &w->list[w->n++];
	memset(l, 0, sizeof *l);
	snprintf(l->name, sizeof l->name, "%s", name);
	snprintf(l->url, sizeof l->url, "%s", url);
}

struct clu__witness *clu__witness_new(struct clu_agent *a, const char *but)
{
	struct clu__witness *w = calloc(1, sizeof *w);

	CM_ASSERT(w);
	w->loop = a->loop;
	w->io_timeout_ms = a->conf->io_timeout_ms;
	w->but = but;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	clu_store_each_volume(a, list_add, w);
	return w;
}

void clu__witness_free(struct clu__witness *w)
{
	if (!w)
		return;
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w->list);
	free(w);
}

/* --- the worker and the loop ------------------------------------------------ */

static void witness_say(struct clu__witness *w)
{
	pthread_mutex_lock(&w->lock);
	w->said = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

static void witness_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	struct clu__witness *w = arg;

	(void)dev;
	if (!w->opening || (ev != STOR_EVENT_READY && ev != STOR_EVENT_FAILED))
		return;
	w->opening = false;
	if (ev == STOR_EVENT_FAILED)
		cm_err_set(&w->err, err->code, "%s", err->text);
	witness_say(w);
}

static void do_open(void *arg)
{
	struct clu__witness *w = arg;
	const struct stor_dev_opts opts = {.host_slot = STOR_SLOT_TOOL,
					   .fail_after_ms = WITNESS_FAIL_MS,
					   .io_timeout_ms = w->io_timeout_ms,
					   .event = witness_event,
					   .event_arg = w};

	w->opening = true;
	w->dev = stor_dev_open(w->loop, w->url, &opts, &w->err);
	if (!w->dev)
		witness_say(w);
}

static void closed(void *arg)
{
	witness_say(arg);
}

static void do_close(void *arg)
{
	struct clu__witness *w = arg;

	w->opening = false;
	stor_dev_close(w->dev, closed, w);
}

static void witness_run(struct clu__witness *w, cm_post_fn fn)
{
	w->said = false;
	CM_ASSERT(cm_loop_post(w->loop, fn, w) == 0);
	pthread_mutex_lock(&w->lock);
	while (!w->said)
		pthread_cond_wait(&w->wake, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void clu__witness_close(struct clu__witness *w)
{
	stor_volume_free(w->vol);
	w->vol = NULL;
	if (w->dev)
		witness_run(w, do_close);
	w->dev = NULL;
}

/* --- looking ------------------------------------------------------------------ */

static int witness_open(struct clu__witness *w, struct listed *l, struct cm_err *err)
{
	int rc;

	clu__witness_close(w);
	cm_err_clear(&w->err);
	w->url = l->url;
	witness_run(w, do_open);
	rc = w->err.code;
	if (rc == 0)
		rc = stor_volume_open(w->dev, &w->vol, &w->err);
	l->failed = rc != 0;
	if (rc == 0)
		l->id = stor_volume_id(w->vol);
	else
		cm_err_set(err, CM_E_DISK_CLAIMED, "volume %s cannot be looked at (%s)", l->name, w->err.text);
	return rc;
}

/* Opens the volume with that id; false: none is known to have it. */
static bool witness_find(struct clu__witness *w, const struct stor_uuid *home, struct cm_err *err)
{
	struct stor_uuid open = {{0}};

	if (w->vol)
		open = stor_volume_id(w->vol);
	if (w->vol && stor_uuid_equal(&open, home))
		return true;
	for (size_t i = 0; i < w->n; i++) {
		struct listed *l = &w->list[i];

		if (!stor_uuid_is_zero(&l->id) && !stor_uuid_equal(&l->id, home))
			continue;
		if (l->failed)
			cm_err_set(err, CM_E_DISK_CLAIMED, "volume %s cannot be looked at", l->name);
		else if (witness_open(w, l, err) == 0 && stor_uuid_equal(&l->id, home))
			return true;
	}
	return false;
}

int clu__witness_look(const struct stor_uuid *home, const struct stor_uuid *vm, struct stor_block *b,
		      struct cm_err *err, void *arg)
{
	struct clu__witness *w = arg;
	struct cm_err why = CM_ERR_INIT;

	if (witness_find(w, home, &why))
		return stor_volume_vm_owned(w->vol, vm, b, err);
	return cm_err_set(err, CM_E_DISK_CLAIMED, "%s",
			  why.code ? why.text : "no other volume of this cluster has that id");
}
