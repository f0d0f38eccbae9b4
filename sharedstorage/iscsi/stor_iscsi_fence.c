/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_fence.c - shutting other hosts' keys out, and reading keys.
 *
 * READ KEYS -> PREEMPT AND ABORT of each victim's key that is there -> READ KEYS shows none -> LUN
 * RESET, awaited, unless every key that may be of this LUN was answered GOOD for us. PREEMPT alone
 * is no barrier, and neither is a key that is gone: PREEMPT AND ABORT removes it first and is
 * answered when what it aborts has ended, so whoever finds it gone knows nothing about that.
 * Parses keys through stor_pr.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

static void fence_keys_read(struct stor_iscsi *d, struct stor_adm *a, void *arg);

static void fence_end(struct stor_iscsi *d, int rc, const char *words)
{
	struct stor_fence_job *j = d->fence;
	struct cm_err err = CM_ERR_INIT;

	if (rc)
		cm_err_set(&err, rc, "%s: %s", d->label, words);
	d->fence = j->after;
	if (d->fence) /* before the answer, which may bring another job */
		stor__adm_read_keys(d, fence_keys_read, NULL);
	if (j->done)
		j->done(rc, &err, j->arg);
	free(j);
}

static void fence_adm_failed(struct stor_iscsi *d, const struct stor_adm *a, const char *what)
{
	char words[64], all[128];

	if (a->cmd.status == STOR_CMD_LOST)
		return fence_end(d, CM_E_SAN_LOST, "the session broke while keys were shut out");
	stor__adm_words(a, words, sizeof words);
	snprintf(all, sizeof all, "%s: %s", what, words);
	fence_end(d, a->cmd.status == STOR_SCSI_CONFLICT ? CM_E_SAN_CONFLICT : CM_E_SAN_SENSE, all);
}

/*
 * How many keys are registered; -1: no answer, or ours is not among them, and the job has ended. Then a new session has to
 * register: nothing else may go out on this one for long that would be refused.
 */
static int fence_look(struct stor_iscsi *d, const struct stor_adm *a, uint64_t keys[ISCSI_KEYS])
{
	int n = stor__adm_keys(a, keys);

	if (n < 0) {
		fence_adm_failed(d, a, "READ KEYS");
		return -1;
	}
	for (int i = 0; i < n; i++)
		if (keys[i] == d->key)
			return n;
	stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: our key is not registered any more", d->label);
	fence_end(d, CM_E_SAN_CONFLICT, "our own key is gone: somebody shut us out");
	return -1;
}

/* --- after the last victim's key has gone ------------------------------------------------- */

static void fence_over(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	uint64_t keys[ISCSI_KEYS];

	(void)arg;
	if (fence_look(d, a, keys) >= 0)
		fence_end(d, 0, "");
}

static void fence_released(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)arg;
	if (a->cmd.status != STOR_SCSI_GOOD && a->cmd.status != STOR_SCSI_CONFLICT)
		return fence_adm_failed(d, a, "RELEASE");
	stor__adm_read_keys(d, fence_over, NULL);
}

/*
 * On a lock LUN the victim may have held the reservation: then we do now. Until its last write has ended nobody else
 * may have it.
 */
static void fence_release(struct stor_iscsi *d)
{
	if (d->guarded && d->fence->preempts)
		stor__adm_pr_out(d, STOR_PR_RELEASE, STOR_PR_WE, 0, fence_released, NULL);
	else
		stor__adm_read_keys(d, fence_over, NULL);
}

static void fence_reset_done(int rc, void *arg)
{
	struct stor_iscsi *d = arg;

	if (rc)
		return fence_end(d, rc, "the LUN RESET that ends the former owner's writes failed");
	fence_release(d);
}

static void fence_reset(struct stor_iscsi *d)
{
	const struct stor_fence_job *j = d->fence;
	bool needed = j->reset_needed;

	if (!j->done)
		return fence_end(d, 0, "");
	for (unsigned i = 0; i < j->nkeys; i++)
		needed |= j->keys[i].key && !j->keys[i].ended &&
			  stor_key_may_be_of(&j->keys[i], stor_dev_lun(&d->dev));
	if (!needed || cm_fault("iscsi_no_reset"))
		return fence_release(d);
	cm_info("%s: nobody saw the end of a former owner's session: LUN RESET", d->label);
	stor__iscsi_lun_reset(d, fence_reset_done, d);
}

/* --- one victim after the other ----------------------------------------------------------- */

static void fence_preempted(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_fence_job *j = d->fence;

	(void)arg;
	if (!d->no_pa && stor__adm_is(a, STOR_KEY_ILLEGAL)) {
		cm_info("%s: no PREEMPT AND ABORT here: PREEMPT and LUN RESET instead", d->label);
		d->no_pa = true;
	} else if (a->cmd.status == STOR_SCSI_GOOD) {
		j->preempts++;
		j->reset_needed |= d->no_pa;
		for (unsigned i = 0; i < j->nkeys && !d->no_pa; i++)
			if (j->keys[i].key == j->victim)
				j->keys[i].ended = true;
	} else if (a->cmd.status != STOR_SCSI_CONFLICT) { /* a conflict: somebody else took it away */
		return fence_adm_failed(d, a, "PREEMPT");
	}
	stor__adm_read_keys(d, fence_keys_read, NULL);
}

static uint64_t fence_victim(const struct stor_fence_job *j, const uint64_t *keys, int n)
{
	for (int i = 0; i < n; i++)
		for (unsigned k = 0; k < j->nkeys; k++)
			if (keys[i] == j->keys[k].key)
				return keys[i];
	return 0;
}

static void fence_keys_read(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_fence_job *j = d->fence;
	uint64_t keys[ISCSI_KEYS];
	int n = fence_look(d, a, keys);

	(void)arg;
	if (n < 0)
		return;
	j->victim = fence_victim(j, keys, n);
	if (!j->victim)
		return fence_reset(d);
	if (++j->tries > 4 * j->nkeys)
		return fence_end(d, CM_E_SAN_UNSAFE,
				 "keys come back however often they are preempted");
	if (cm_fault("iscsi_preempt"))
		return fence_end(d, CM_E_SAN_LOST, "fault point");
	stor__adm_pr_out(d, d->no_pa ? STOR_PR_PREEMPT : STOR_PR_PREEMPT_ABORT,
			 d->guarded ? STOR_PR_WE : STOR_PR_WEAR, j->victim, fence_preempted, NULL);
}

struct fence_refusal {
	stor_fence_fn done;
	void *arg;
	int rc;
};

static void fence_refuse(void *arg)
{
	struct fence_refusal *r = arg;
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, r->rc, "keys cannot be shut out now");
	r->done(r->rc, &err, r->arg);
	free(r);
}

void stor__iscsi_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
		       stor_fence_fn done, void *arg)
{
	struct stor_iscsi *d = stor__iscsi_of(dev);
	struct stor_fence_job *j = calloc(1, sizeof *j);

	CM_ASSERT(j);
	if (!stor_dev_usable(dev) || !d->key) {
		struct fence_refusal *r = calloc(1, sizeof *r);

		CM_ASSERT(r);
		*r = (struct fence_refusal){done, arg, CM_E_SAN_LOST};
		free(j);
		cm_loop_defer(dev->loop, fence_refuse, r);
		return;
	}
	*j = (struct stor_fence_job){.keys = keys, .nkeys = nkeys, .done = done, .arg = arg};
	if (d->fence) { /* one after the other */
		struct stor_fence_job *last = d->fence;

		while (last->after)
			last = last->after;
		last->after = j;
		return;
	}
	d->fence = j;
	stor__adm_read_keys(d, fence_keys_read, NULL);
}

void stor__iscsi_fence_cancel(struct stor_dev *dev, void *arg)
{
	for (struct stor_fence_job *j = stor__iscsi_of(dev)->fence; j; j = j->after) {
		struct fence_refusal *r;

		if (!j->done || j->arg != arg)
			continue;
		r = calloc(1, sizeof *r);
		CM_ASSERT(r);
		*r = (struct fence_refusal){j->done, j->arg, -ECANCELED};
		cm_loop_defer(dev->loop, fence_refuse, r);
		j->done = NULL;
		j->keys = NULL;
		j->nkeys = 0;
	}
}

struct keys_job {
	stor_keys_fn done;
	void *arg;
};

static void keys_read(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct keys_job *j = arg;
	uint64_t keys[ISCSI_KEYS];
	int n = stor__adm_keys(a, keys);

	(void)d;
	j->done(n < 0 ? (a->cmd.status == STOR_CMD_LOST ? CM_E_SAN_LOST : CM_E_SAN_SENSE) : 0, keys,
		n < 0 ? 0 : (unsigned)n, j->arg);
	free(j);
}

void stor__iscsi_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	struct keys_job *j = malloc(sizeof *j);

	CM_ASSERT(j);
	*j = (struct keys_job){done, arg};
	stor__adm_read_keys(stor__iscsi_of(dev), keys_read, j);
}
