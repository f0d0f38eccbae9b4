/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volume_job.c - the way of a verb about a volume: names, device, a thread for the work, the
 * answer.
 *
 * Parses the names that operators give.
 */
#include "config.h"

#include "cluster/verb/clu_volume_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_member.h"
#include "cluster/verb/clu_volume_witness.h"
#include "cluster/vm/clu_store.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_volume.h"

static void job_free(void *arg)
{
	struct clu__volume_job *j = arg;

	clu__witness_free(j->witness);
	json_object_put(j->doc);
	free(j->own);
	free(j);
}

static void job_join(struct clu__volume_job *j)
{
	if (j->threaded)
		pthread_join(j->thread, NULL);
	j->threaded = false;
}

void clu__volume_job_end(struct clu__volume_job *j)
{
	job_join(j);
	if (j->err.code) {
		px_req_fail(j->q, &j->err);
	} else {
		clu_answer(j->q, j->doc);
		j->doc = NULL;
	}
	if (j->dev)
		stor_dev_close(j->dev, job_free, j);
	else
		cm_loop_defer(j->agent->loop, job_free, j);
}

void clu__volume_job_stored(int code, const struct cm_err *err, void *arg)
{
	struct clu__volume_job *j = arg;

	if (code)
		cm_err_set(&j->err, code, "%s", err->text);
	clu__volume_job_end(j);
}

/* --- the work, on its own thread -------------------------------------------- */

/* The device that was looked at is closed: on with the verb. */
static void job_looked(void *arg)
{
	struct clu__volume_job *j = arg;

	j->dev = NULL;
	j->opened = false;
	if (j->err.code)
		clu__volume_job_end(j);
	else if (j->verb->begin)
		j->verb->begin(j);
	else
		clu__volume_job_open(j);
}

static void job_posted(void *arg)
{
	struct clu__volume_job *j = arg;

	job_join(j);
	if (j->looking) {
		j->looking = false;
		stor_dev_close(j->dev, job_looked, j);
	} else if (!j->err.code && j->verb->done)
		j->verb->done(j);
	else
		clu__volume_job_end(j);
}

static void *job_thread(void *arg)
{
	struct clu__volume_job *j = arg;
	struct stor_volume *vol = NULL;

	if (j->looking)
		j->verb->look(j);
	else if ((!j->verb->format || j->verb->format(j) == 0) &&
		 stor_volume_open(j->dev, &vol, &j->err) == 0) {
		stor_volume_set_witness(vol, clu__witness_look, j->witness);
		j->verb->work(j, vol);
		stor_volume_free(vol);
	}
	clu__witness_close(j->witness);
	CM_ASSERT(cm_loop_post(j->agent->loop, job_posted, j) == 0);
	return NULL;
}

/* --- the device -------------------------------------------------------------- */

static void job_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
		      void *arg)
{
	struct clu__volume_job *j = arg;

	(void)dev;
	if (j->opened || (ev != (j->exclusive ? STOR_EVENT_EXCLUSIVE : STOR_EVENT_READY) &&
			  ev != STOR_EVENT_BUSY && ev != STOR_EVENT_FAILED))
		return;
	j->opened = true;
	if (ev != STOR_EVENT_READY && ev != STOR_EVENT_EXCLUSIVE) {
		cm_err_set(&j->err, err->code, "%s", err->text);
		clu__volume_job_end(j);
		return;
	}
	if (pthread_create(&j->thread, NULL, job_thread, j)) {
		cm_err_set(&j->err, -11, "cannot start a thread");
		clu__volume_job_end(j);
		return;
	}
	j->threaded = true;
}

void clu__volume_job_open(struct clu__volume_job *j)
{
	struct stor_dev_opts opts = {.host_slot = STOR_SLOT_TOOL,
				     .fail_after_ms = 10000,
				     .exclusive_to = j->exclusive ? 1 : 0,
				     .io_timeout_ms = j->agent->conf->io_timeout_ms,
				     .event = job_event,
				     .event_arg = j};

	if (!j->witness) /* a job may open its device twice */
		j->witness = clu__witness_new(j->agent, j->volume);
	j->dev = stor_dev_open(j->agent->loop, j->url, &opts, &j->err);
	if (!j->dev)
		clu__volume_job_end(j);
}

/* --- arguments ---------------------------------------------------------------- */

/* Names of the request into the job; CM_E_USAGE, CM_E_NO_DISK, CM_E_DISK_EXISTS. */
static int job_names(struct clu__volume_job *j, struct cm_err *err)
{
	const char *volume = px_req_arg(j->q, "volume"), *disk = px_req_arg(j->q, "disk"),
		   *url = px_req_arg(j->q, "url");
	struct stor_url u;
	int rc;

	if (disk) {
		rc = stor_url_parse(disk, &u, err);
		if (rc || u.kind != STOR_URL_VOLUME)
			return rc ? rc
				  : cm_err_set(err, CM_E_BAD_URL, "'%s' is not VOLUME/DISK", disk);
		snprintf(j->volume, sizeof j->volume, "%s", u.volume);
		snprintf(j->disk, sizeof j->disk, "%s", u.disk);
	} else if (!volume || !stor_name_valid(volume)) {
		return cm_err_set(err, CM_E_USAGE, "%s needs the name of a volume",
				  j->q->msg->verb);
	} else {
		snprintf(j->volume, sizeof j->volume, "%s", volume);
	}
	rc = clu_store_volume(j->agent, j->volume, j->url, sizeof j->url, NULL);
	if (!j->verb->makes)
		return rc ? clu_store_volume(j->agent, j->volume, j->url, sizeof j->url, err) : 0;
	if (rc == 0)
		return cm_err_set(err, CM_E_DISK_EXISTS, "a volume '%s' exists already (%s)",
				  j->volume, j->url);
	if (!url)
		return cm_err_set(err, CM_E_USAGE,
				  "volume create needs a URL: file:PATH or iscsi://host/iqn/lun");
	rc = stor_url_parse(url, &u, err);
	if (rc == 0 && (u.kind == STOR_URL_VOLUME || u.disk[0]))
		rc = cm_err_set(err, CM_E_BAD_URL,
				"a volume lies on a whole file or LUN, not on '%s'", url);
	return rc ? rc : stor_url_bind(url, &(struct stor_uuid){{0}}, 0, j->url, sizeof j->url, err);
}

int clu__volume_job_to(struct clu__volume_job *j, const char *key, struct cm_err *err)
{
	const char *to = px_req_arg(j->q, key);

	if (to && strlen(to) >= sizeof j->to)
		return cm_err_set(err, CM_E_BAD_VALUE, "'%.80s' is too long", to);
	snprintf(j->to, sizeof j->to, "%s", to ? to : "");
	return 0;
}

void clu__volume_job(struct px_req *q, void *agent, const struct clu__volume_verb *verb)
{
	struct clu__volume_job *j = calloc(1, sizeof *j);
	struct cm_err err = CM_ERR_INIT;

	CM_ASSERT(j);
	j->agent = agent;
	j->q = q;
	j->verb = verb;
	j->doc = json_object_new_object();
	if (clu_member_need_quorum(agent, &err) || job_names(j, &err) ||
	    (verb->args && verb->args(j, &err))) {
		px_req_fail(q, &err);
		job_free(j);
	} else if (verb->look) {
		j->looking = true;
		clu__volume_job_open(j);
	} else if (verb->begin) {
		verb->begin(j);
	} else {
		clu__volume_job_open(j);
	}
}
