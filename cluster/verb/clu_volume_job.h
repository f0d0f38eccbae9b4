/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volume_job.h - one verb about a volume or a disk on it: from its arguments to its answer.
 * What the verbs differ in are rows (struct clu__volume_verb); the way is the same for all.
 *
 * Thread: [loop], but for what is marked [worker]: the metadata work of sharedstorage/ blocks, so
 * each job has a thread of its own. Ownership: a job ends with the answer to its request.
 */
#ifndef CLU_VOLUME_JOB_H
#define CLU_VOLUME_JOB_H

#include <json-c/json.h>
#include <pthread.h>

#include "proto/px_req.h"

struct clu__volume_job;
struct clu__witness;
struct stor_volume;

struct clu__volume_verb {
	bool makes; /* a volume that is not known yet, at the URL that is given */
	/* Arguments besides the names; NULL: none. */
	int (*args)(struct clu__volume_job *j, struct cm_err *err);
	/* [worker] Looks at the device as it is, before begin and before anything is written; what
	 * fails is in j->err. NULL: nothing. */
	void (*look)(struct clu__volume_job *j);
	/* Before the device is opened: goes on with clu__volume_job_open or _end. NULL: nothing. */
	void (*begin)(struct clu__volume_job *j);
	/* [worker] Before the volume is opened; NULL: nothing. What fails is in j->err. */
	int (*format)(struct clu__volume_job *j);
	/* [worker] What fails is in j->err. */
	void (*work)(struct clu__volume_job *j, struct stor_volume *vol);
	/* After work that succeeded: goes on with clu__volume_job_end. NULL: that at once. */
	void (*done)(struct clu__volume_job *j);
};

struct clu__volume_job {
	const struct clu__volume_verb *verb;
	struct clu_agent *agent;
	struct px_req *q; /* borrowed until the answer */
	char volume[64], disk[64], url[1024];
	char to[64]; /* new name of a disk; what of a volume to dump */
	uint64_t size_bytes, extent_bytes;
	bool thick, repair;
	bool sure; /* the operator says so */
	bool exclusive;		 /* nobody else may use the LUN: it is formatted */
	void *own;		 /* the verb's, freed with the job */
	char unfit[CM_ERR_TEXT]; /* the self-test's complaint */
	struct stor_dev *dev;
	struct json_object *doc; /* the answer */
	struct cm_err err;
	/* clu_volume_job.c's own */
	bool opened, threaded, looking;
	pthread_t thread;
	struct clu__witness *witness;
};

void clu__volume_job(struct px_req *q, void *agent, const struct clu__volume_verb *verb);
void clu__volume_job_open(struct clu__volume_job *j);
/* Answers with j->err, or with j->doc. */
void clu__volume_job_end(struct clu__volume_job *j);
/* The end of a job whose last step is the store's; a clu_pcmk_done_fn. */
void clu__volume_job_stored(int code, const struct cm_err *err, void *job);
/* [worker] The volume into the answer: a row's work. */
void clu__volume_info(struct clu__volume_job *j, struct stor_volume *vol);
/* An argument that goes to j->to. */
int clu__volume_job_to(struct clu__volume_job *j, const char *key, struct cm_err *err);

#endif
