/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volume_make.c - `volume create`: makes a volume where there is nothing of value.
 *
 * First the list of volumes: a LUN or file that is one of them is refused, with --force too. Then
 * the device is opened (exclusively, unless --force: a host's key says that somebody uses it) and
 * looked at: data is refused, or with --force named in the answer and in the event; a VM that runs
 * there is refused always. Nothing was written so far. Then the target's self-test, which writes a
 * scratch sector, and the volume.
 *
 * Parses arguments of operators.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/verb/clu_verb_volume.h"
#include "cluster/verb/clu_volume_job.h"
#include "cluster/vm/clu_probe.h"
#include "cluster/vm/clu_store.h"
#include "sharedstorage/volume/stor_volguard.h"

/* A volume of the list. */
struct listed {
	char name[STOR_DISK_NAME], url[STOR_URL_MAX];
	struct stor_url at;
};

struct make {
	bool force;
	struct stor_found found;
	unsigned n;
	struct listed listed[];
};

/* --- the list ------------------------------------------------------------------ */

static void list_one(const char *name, const char *url, void *arg)
{
	struct clu__volume_job *j = arg;
	struct make *m = j->own, *more;
	struct listed one;

	if (stor_url_parse(url, &one.at, NULL))
		return; /* nobody can open it */
	snprintf(one.name, sizeof one.name, "%s", name);
	snprintf(one.url, sizeof one.url, "%s", url);
	more = realloc(m, sizeof *m + (m->n + 1) * sizeof one);
	CM_ASSERT(more);
	more->listed[more->n++] = one;
	j->own = more;
}

static int is_listed(struct clu__volume_job *j, const struct listed *l, const char *why,
		     struct cm_err *err)
{
	return cm_err_set(err, CM_E_VOL_LISTED, "%s is volume %s of this cluster (%s)%s", j->url, l->name,
			  l->url, why);
}

static bool same_file(const struct stor_url *a, const struct stor_url *b)
{
	struct stat s, t;

	return a->kind == STOR_URL_FILE && b->kind == STOR_URL_FILE && stat(a->path, &s) == 0 &&
	       stat(b->path, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static int args_create(struct clu__volume_job *j, struct cm_err *err)
{
	struct make *m = calloc(1, sizeof *m);
	struct stor_url u;

	CM_ASSERT(m);
	j->own = m;
	m->force = px_req_flag(j->q, "force");
	j->exclusive = !m->force;
	if (px_req_u64(j->q, "extent", 0, 1u << 20, 1u << 30, &j->extent_bytes, err) ||
	    stor_url_parse(j->url, &u, err))
		return err->code;
	clu_store_each_volume(j->agent, list_one, j);
	m = j->own;
	for (unsigned i = 0; i < m->n; i++)
		if (stor_url_same(&u, &m->listed[i].at) || same_file(&u, &m->listed[i].at))
			return is_listed(j, &m->listed[i], "", err);
	return 0;
}

/* --- the device as it is ----------------------------------------------------------- */

/* The same LUN by another way: it has the volume that is listed, or the LUN's serial number. */
static int look_listed(struct clu__volume_job *j)
{
	const struct make *m = j->own;
	uint32_t tags[STOR_DEV_LUNS];
	unsigned luns = stor_dev_luns(j->dev, tags);

	for (unsigned i = 0; i < m->n; i++) {
		const struct stor_url *at = &m->listed[i].at;

		if (!stor_uuid_is_zero(&at->volume_id) &&
		    stor_uuid_equal(&at->volume_id, &m->found.volume))
			return is_listed(j, &m->listed[i], "", &j->err);
		for (unsigned k = 0; k < luns && !m->force; k++)
			if (at->tag > 1 && at->tag == tags[k])
				return is_listed(j, &m->listed[i],
						 ": the LUNs have one serial number; --force if they are two",
						 &j->err);
	}
	return 0;
}

static void look_create(struct clu__volume_job *j)
{
	struct make *m = j->own;
	int rc = stor_volume_look(j->dev, &m->found, &j->err);

	rc = rc ? rc : look_listed(j);
	if (rc || !m->found.any)
		return;
	if (!m->force)
		cm_err_set(&j->err, CM_E_VOL_DATA, "on %s there is %s: %s--force destroys that", j->url,
			   m->found.words,
			   stor_uuid_is_zero(&m->found.volume) ? "" : "hvctl volume attach makes it known, ");
	else if (stor_volume_alive(j->dev, &j->err) == 0)
		clu_add_str(j->doc, "destroyed", m->found.words);
}

/* --- the target, and the volume ------------------------------------------------------ */

/* A target that cannot keep a shut-out host from the disks must not carry HA VMs: say so before
 * formatting it. */
static void create_probed(const struct stor_probe_report *r, const struct cm_err *err, void *arg)
{
	struct clu__volume_job *j = arg;

	if (!r)
		cm_err_set(&j->err, err->code, "%s", err->text);
	else if (!r->safe)
		cm_err_set(&j->err, CM_E_SAN_UNSAFE, "%s", r->refused);
	if (j->err.code) {
		clu__volume_job_end(j);
		return;
	}
	clu_add_str(j->doc, "protection", r->mode);
	clu__volume_job_open(j);
}

static void begin_create(struct clu__volume_job *j)
{
	clu_probe_url(j->agent, j->url, j->exclusive ? STOR_PROBE_ALONE : 0, create_probed, j);
}

static int format_create(struct clu__volume_job *j)
{
	return stor_volume_format(j->dev, j->volume, j->extent_bytes, &j->err);
}

/* From now on its URL says which volume it is. */
static void work_create(struct clu__volume_job *j, struct stor_volume *vol)
{
	struct stor_volume_info in;
	char url[sizeof j->url];

	if (stor_volume_info(vol, &in, &j->err) ||
	    stor_url_bind(j->url, &in.id, stor_dev_lun(j->dev), url, sizeof url, &j->err))
		return;
	memcpy(j->url, url, sizeof url);
	clu__volume_info(j, vol);
}

/* A new volume is announced to the cluster after it was made. */
static void create_done(struct clu__volume_job *j)
{
	const struct make *m = j->own;

	clu_event(j->agent->events, CLU_NOTICE, "volume-created", NULL, NULL, "volume %s on %s%s%s",
		  j->volume, j->url, m->found.any ? "; destroyed: " : "", m->found.words);
	clu_store_set_volume(j->agent, j->volume, j->url, clu__volume_job_stored, j);
}

void clu_verb_volume_create(struct px_req *q, void *agent)
{
	static const struct clu__volume_verb create = {.makes = true,
						       .args = args_create,
						       .look = look_create,
						       .begin = begin_create,
						       .format = format_create,
						       .work = work_create,
						       .done = create_done};

	clu__volume_job(q, agent, &create);
}
