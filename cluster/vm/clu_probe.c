/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_probe.c - when the self-test of a target runs: for `volume check` and `host check`, before a
 * volume is made, and before the first VM start of this agent on a volume (then its good verdict is
 * remembered).
 *
 * Parses nothing. Thread: [loop].
 */
#include "config.h"

#include "cluster/vm/clu_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/vm/clu_store.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volfmt.h"

#define PROBE_URLS 9u /* of one VM: its disks' and the block's */

/* A volume that was found safe. */
struct clu_probed {
	struct clu_probed *next;
	char url[STOR_URL_MAX];
};

void clu_probed_free(struct clu_agent *a)
{
	struct clu_probed *p;

	while ((p = a->probed)) {
		a->probed = p->next;
		free(p);
	}
}

static bool probed_has(const struct clu_agent *a, const char *url)
{
	for (const struct clu_probed *p = a->probed; p; p = p->next)
		if (strcmp(p->url, url) == 0)
			return true;
	return false;
}

static void probed_add(struct clu_agent *a, const char *url)
{
	struct clu_probed *p = probed_has(a, url) ? NULL : calloc(1, sizeof *p);

	if (!p) /* known, or no memory: it is asked once more */
		return;
	snprintf(p->url, sizeof p->url, "%s", url);
	p->next = a->probed;
	a->probed = p;
}

static void probed_drop(struct clu_agent *a, const char *url)
{
	struct clu_probed **at = &a->probed, *p;

	while ((p = *at) && strcmp(p->url, url) != 0)
		at = &p->next;
	if (p) {
		*at = p->next;
		free(p);
	}
}

/* --- one volume ------------------------------------------------------------------------ */

struct probe_one {
	struct clu_agent *agent;
	char url[STOR_URL_MAX];
	clu_probe_fn done;
	void *arg;
	struct cm_err err;
};

static void one_done(int rc, const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct probe_one *p = arg;

	if (rc == 0 && r->safe)
		probed_add(p->agent, p->url);
	else if (rc == 0)
		probed_drop(p->agent, p->url);
	p->done(rc ? NULL : r, err, p->arg);
	free(p);
}

static void one_not_begun(void *arg)
{
	struct probe_one *p = arg;

	p->done(NULL, &p->err, p->arg);
	free(p);
}

void clu_probe_url(struct clu_agent *a, const char *url, unsigned flags, clu_probe_fn done,
		   void *arg)
{
	struct probe_one *p = calloc(1, sizeof *p);
	const struct stor_probe_cfg cfg = {.loop = a->loop,
					   .url = url,
					   .flags = flags,
					   .head_sectors = STOR_VOL_SUPERS,
					   .is_volume = stor_super_any,
					   .scratch_sector = STOR_VOL_SCRATCH_SECTOR,
					   .io_timeout_ms = a->conf->io_timeout_ms};

	CM_ASSERT(p);
	p->agent = a;
	p->done = done;
	p->arg = arg;
	snprintf(p->url, sizeof p->url, "%s", url);
	if (stor_probe_run(&cfg, one_done, p, &p->err))
		cm_loop_defer(a->loop, one_not_begun, p);
}

/* --- all volumes ----------------------------------------------------------------------- */

struct probe_name {
	char name[64], url[STOR_URL_MAX];
};

struct probe_all {
	struct clu_agent *agent;
	struct probe_name *volume;
	unsigned n, at;
	clu_probe_each_fn each;
	void (*done)(void *arg);
	void *arg;
};

static void all_add(const char *name, const char *url, void *arg)
{
	struct probe_all *p = arg;
	struct probe_name *more = realloc(p->volume, (p->n + 1) * sizeof *more);

	CM_ASSERT(more);
	p->volume = more;
	snprintf(more[p->n].name, sizeof more->name, "%s", name);
	snprintf(more[p->n++].url, sizeof more->url, "%s", url);
}

static void all_next(struct probe_all *p);

static void all_done_one(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct probe_all *p = arg;

	p->each(p->volume[p->at++].name, r, err, p->arg);
	all_next(p);
}

static void all_next(struct probe_all *p)
{
	if (p->at < p->n) {
		clu_probe_url(p->agent, p->volume[p->at].url, STOR_PROBE_VOLUME, all_done_one, p);
		return;
	}
	p->done(p->arg);
	free(p->volume);
	free(p);
}

void clu_probe_volumes(struct clu_agent *a, clu_probe_each_fn each, void (*done)(void *arg),
		       void *arg)
{
	struct probe_all *p = calloc(1, sizeof *p);

	CM_ASSERT(p);
	p->agent = a;
	p->each = each;
	p->done = done;
	p->arg = arg;
	clu_store_each_volume(a, all_add, p);
	all_next(p);
}

/* --- before a VM starts ------------------------------------------------------------------ */

struct probe_vm {
	struct clu_agent *agent;
	char url[PROBE_URLS][STOR_URL_MAX];
	unsigned n, at;
	void (*done)(const struct cm_err *err, void *arg);
	void *arg;
};

/* A volume on a LUN that was not found safe yet; a LUN that is a disk as a whole has no sector to
 * spare. */
static void vm_add(struct probe_vm *p, const char *text, bool whole_volume)
{
	char url[STOR_URL_MAX];
	struct stor_url u;

	if (stor_url_parse(text, &u, NULL) || u.kind != STOR_URL_ISCSI ||
	    (!u.disk[0] && !whole_volume))
		return;
	snprintf(url, sizeof url, "%.*s", (int)strcspn(text, "#"), text);
	if (probed_has(p->agent, url) || p->n == PROBE_URLS)
		return;
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->url[i], url) == 0)
			return;
	snprintf(p->url[p->n++], sizeof p->url[0], "%s", url);
}

static void vm_next(struct probe_vm *p);

static void vm_probed(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct probe_vm *p = arg;
	struct cm_err unsafe = CM_ERR_INIT;

	if (r && !r->safe) {
		cm_err_set(&unsafe, CM_E_SAN_UNSAFE, "%s: %s", p->url[p->at], r->refused);
		p->done(&unsafe, p->arg);
		free(p);
		return;
	}
	if (!r) /* no verdict; hvcore will say what the matter is, if it is one for it */
		cm_warning("%s: no self-test: %s", p->url[p->at], err->text);
	p->at++;
	vm_next(p);
}

static void vm_next(struct probe_vm *p)
{
	struct cm_err none = CM_ERR_INIT;

	if (p->at < p->n) {
		clu_probe_url(p->agent, p->url[p->at], STOR_PROBE_VOLUME, vm_probed, p);
		return;
	}
	p->done(&none, p->arg);
	free(p);
}

static void vm_begin(void *arg)
{
	vm_next(arg);
}

void clu__probe_vm(struct clu_agent *a, const Hv__VmConfig *c,
		   void (*done)(const struct cm_err *err, void *arg), void *arg)
{
	struct probe_vm *p = calloc(1, sizeof *p);

	CM_ASSERT(p);
	p->agent = a;
	p->done = done;
	p->arg = arg;
	vm_add(p, c->lease, true);
	for (size_t i = 0; i < c->n_disks; i++)
		vm_add(p, c->disks[i]->url, false);
	cm_loop_defer(a->loop, vm_begin, p);
}
