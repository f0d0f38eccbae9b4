/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_adm.c - administrative commands: one buffer each, tried again while the target is busy
 * or has a unit attention pending. Parses data of the target through stor_scsi and stor_pr.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

#define ADM_TRIES    40
#define ADM_DELAY_MS 5

static bool adm_is_busy(const struct stor_adm *a)
{
	return a->cmd.status == STOR_SCSI_BUSY || a->cmd.status == STOR_SCSI_FULL;
}

static void adm_again(struct stor_adm *a)
{
	a->dev->ncmds++;
	stor__sess_send(a->dev->sess, &a->cmd);
}

/* Busy: asked again after a while, for 2 T. False: it has been that long. */
static bool adm_wait(struct stor_adm *a)
{
	struct stor_iscsi *d = a->dev;
	uint64_t now = cm_now_ns();

	if (!a->refused_ns)
		a->refused_ns = now;
	if (now - a->refused_ns > 2 * STOR_IO(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS)
		return false;
	TAILQ_INSERT_TAIL(&d->adm_waiting, a, link);
	if (!d->adm_delay.armed)
		cm_timer_arm_ms(&d->adm_delay, ADM_DELAY_MS);
	return true;
}

void stor__adm_delay_tick(struct cm_timer *timer, void *arg)
{
	struct stor_iscsi *d = arg;
	struct stor_adms old = TAILQ_HEAD_INITIALIZER(old);
	struct stor_adm *a;

	(void)timer;
	TAILQ_CONCAT(&old, &d->adm_waiting, link);
	while ((a = TAILQ_FIRST(&old))) {
		TAILQ_REMOVE(&old, a, link);
		adm_again(a);
	}
}

void stor__adm_down(struct stor_iscsi *d)
{
	struct stor_adm *a;

	cm_timer_disarm(&d->adm_delay);
	while ((a = TAILQ_FIRST(&d->adm_waiting))) {
		TAILQ_REMOVE(&d->adm_waiting, a, link);
		a->cmd.status = STOR_CMD_LOST;
		a->next(d, a, a->arg);
		free(a);
	}
}

static void adm_done(struct stor_cmd *cmd)
{
	struct stor_adm *a = CM_CONTAINER(cmd, struct stor_adm, cmd);
	struct stor_iscsi *d = a->dev;

	stor__iscsi_cmd_ended(d);
	/* RECOVERED ERROR and the like */
	if (cmd->status == STOR_SCSI_CHECK &&
	    stor__sense_done(stor__sense_class(cmd->status, cmd->key, cmd->asc, cmd->ascq)))
		cmd->status = STOR_SCSI_GOOD;
	/*
	 * A pending unit attention answers any command instead of executing it: 29/00 after each
	 * login. Whether we were shut out meanwhile is never guessed from it: steps read keys, and
	 * data commands re-validate.
	 */
	if (stor__adm_is(a, STOR_KEY_ATTENTION) && ++a->tries < ADM_TRIES && d->sess)
		return adm_again(a);
	if (adm_is_busy(a) && d->sess && adm_wait(a))
		return;
	a->next(d, a, a->arg);
	free(a);
}

void stor__adm_send(struct stor_iscsi *d, struct stor_cdb cdb, enum stor_dir dir, const void *out,
		    uint32_t bytes, uint64_t timeout_ms, stor_adm_fn next, void *arg)
{
	struct stor_adm *a = calloc(1, sizeof *a);

	CM_ASSERT(a && bytes <= sizeof a->buf);
	a->dev = d;
	a->next = next;
	a->arg = arg;
	if (out)
		memcpy(a->buf, out, bytes);
	a->iov = (struct iovec){a->buf, bytes};
	a->cmd = (struct stor_cmd){.cdb = cdb,
				   .lun = d->url.lun,
				   .dir = dir,
				   .length_bytes = bytes,
				   .iov = &a->iov,
				   .niov = dir ? 1 : 0,
				   .timeout_ms = timeout_ms,
				   .done = adm_done};
	if (!d->sess) {
		a->cmd.status = STOR_CMD_LOST;
		next(d, a, arg);
		free(a);
		return;
	}
	d->ncmds++;
	stor__sess_send(d->sess, &a->cmd);
}

void stor__adm_pr_out(struct stor_iscsi *d, enum stor_pr_out service, enum stor_pr_type type,
		      uint64_t sa_key, stor_adm_fn next, void *arg)
{
	uint8_t list[STOR_PR_OUT_BYTES];
	bool reg = service == STOR_PR_REGISTER || service == STOR_PR_REGISTER_IGNORE;
	/* PREEMPT AND ABORT ends when what it aborts has ended: that takes what it takes. */
	uint64_t timeout_ms =
		service == STOR_PR_PREEMPT_ABORT
			? STOR_BARRIER(d->dev.opts.io_timeout_ms, d->url.data_timeout_ms)
			: 0;

	stor_pr_encode_out(list, service == STOR_PR_REGISTER_IGNORE ? 0 : d->key, sa_key,
			   reg && !d->no_aptpl);
	stor__adm_send(d, stor__cdb_pr_out((uint8_t)service, (uint8_t)type, sizeof list),
		       STOR_DIR_OUT, list, sizeof list, timeout_ms, next, arg);
}

void stor__adm_read_keys(struct stor_iscsi *d, stor_adm_fn next, void *arg)
{
	stor__adm_send(d, stor__cdb_pr_in(0, ISCSI_ADM_BYTES), STOR_DIR_IN, NULL, ISCSI_ADM_BYTES,
		       0, next, arg);
}

bool stor__adm_is(const struct stor_adm *a, uint8_t key)
{
	return a->cmd.status == STOR_SCSI_CHECK && a->cmd.key == key;
}

void stor__adm_words(const struct stor_adm *a, char *out, size_t cap)
{
	stor__sense_print(a->cmd.status, a->cmd.key, a->cmd.asc, a->cmd.ascq, out, cap);
}

int stor__adm_keys(const struct stor_adm *a, uint64_t keys[ISCSI_KEYS])
{
	unsigned n;
	uint32_t generation;

	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor_pr_decode_keys(a->buf, a->cmd.actual_bytes, keys, ISCSI_KEYS, &n, &generation) ||
	    n > ISCSI_KEYS)
		return -1;
	stor__flush_witness(a->dev, keys, n, generation);
	return (int)n;
}

void stor__iscsi_unregister(struct stor_iscsi *d, stor_adm_fn next)
{
	d->flushed.entered_key = 0;
	stor__adm_pr_out(d, STOR_PR_REGISTER, STOR_PR_NONE, 0, next, NULL);
}
