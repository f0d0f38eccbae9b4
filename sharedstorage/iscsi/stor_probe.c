/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_probe.c - the self-test of a target; see stor_probe.h. A list of steps, each one command,
 * run in order.
 *
 * Parses nothing: looks at how commands end.
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/dev/stor_file.h"
#include "sharedstorage/iscsi/stor_iscsi.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

enum { OWNER, STRANGER, DEVS };

struct probe {
	struct stor_probe_cfg cfg; /* its url is not kept */
	struct stor_url url;
	char *initiator;
	struct stor_dev *dev[DEVS];
	unsigned step, closing;
	struct stor_req begin;
	struct iovec begin_iov;
	bool has_volume;
	uint8_t was[2 * STOR_SECTOR_MAX]; /* the scratch sector as it was, twice; the LUN's head */
	struct stor_probe_report report;
	struct cm_err err;
	stor_probe_fn done;
	void *arg;
	bool ended;
};

/* --- the end ----------------------------------------------------------------------------- */

static void probe_gone(void *arg)
{
	struct probe *p = arg;

	if (--p->closing)
		return;
	stor_probe_judge(&p->report);
	p->done(p->err.code, &p->report, &p->err, p->arg);
	free(p->initiator);
	free(p);
}

static void probe_end(struct probe *p, int code, const char *words)
{
	if (p->ended)
		return;
	p->ended = true;
	if (code)
		cm_err_set(&p->err, code, "%s", words);
	p->closing = 1;
	for (unsigned i = 0; i < DEVS; i++)
		if (p->dev[i]) {
			p->closing++;
			stor_dev_close(p->dev[i], probe_gone, p);
		}
	cm_loop_defer(p->cfg.loop, probe_gone, p);
}

/* --- steps ------------------------------------------------------------------------------- */

struct step {
	unsigned who, leak;
	struct stor_cdb (*cdb)(uint64_t lba, uint32_t block_bytes);
	enum stor_dir dir;
	unsigned blocks; /* of data; 0: an UNMAP list */
	/* false: the probe ends here. NULL: of a stranger, whether it got through. */
	bool (*answer)(struct probe *p, const struct stor_adm *a);
};

static void probe_step(struct probe *p);

static bool answer_read(struct probe *p, const struct stor_adm *a)
{
	uint32_t s = p->dev[OWNER]->info.sector_bytes;

	if (a->cmd.status != STOR_SCSI_GOOD || a->cmd.actual_bytes != s) {
		probe_end(p, CM_E_SAN_SENSE, "the scratch sector cannot be read");
		return false;
	}
	memcpy(p->was, a->buf, s);
	memcpy(p->was + s, a->buf, s);
	return true;
}

/* A miscompare is as good: somebody else's self-test was faster. */
static bool answer_caw(struct probe *p, const struct stor_adm *a)
{
	p->report.native_caw =
		a->cmd.status == STOR_SCSI_GOOD || stor__adm_is(a, STOR_KEY_MISCOMPARE);
	if (p->report.native_caw || stor__adm_is(a, STOR_KEY_ILLEGAL))
		return true;
	probe_end(p, CM_E_SAN_SENSE, "COMPARE AND WRITE failed in an unexpected way");
	return false;
}

/* Optional: without it zeroes are written. */
static bool answer_write_same(struct probe *p, const struct stor_adm *a)
{
	p->report.write_same = a->cmd.status == STOR_SCSI_GOOD;
	return true;
}

static bool answer_restore(struct probe *p, const struct stor_adm *a)
{
	if (a->cmd.status == STOR_SCSI_GOOD)
		return true;
	probe_end(p, CM_E_SAN_SENSE, "the scratch sector cannot be put back");
	return false;
}

static struct stor_cdb cdb_read(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_rw(false, lba, 1, false);
}

static struct stor_cdb cdb_write(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_rw(true, lba, 1, true);
}

static struct stor_cdb cdb_caw(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_caw(lba, 1);
}

static struct stor_cdb cdb_write_same(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_write_same(lba, 1, false);
}

static struct stor_cdb cdb_unmap(uint64_t lba, uint32_t block_bytes)
{
	(void)lba;
	(void)block_bytes;
	return stor__cdb_unmap(STOR_UNMAP_BYTES);
}

static struct stor_cdb cdb_write_verify(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_write_verify(lba, 1);
}

static struct stor_cdb cdb_orwrite(uint64_t lba, uint32_t block_bytes)
{
	(void)block_bytes;
	return stor__cdb_orwrite(lba, 1);
}

/* What the stranger writes are the bytes that are there: a leak changes nothing (UNMAP does). */
static const struct step steps[] = {
	{OWNER, 0, cdb_read, STOR_DIR_IN, 1, answer_read},
	{OWNER, 0, cdb_caw, STOR_DIR_OUT, 2, answer_caw},
	{OWNER, 0, cdb_write_same, STOR_DIR_OUT, 1, answer_write_same},
	{STRANGER, STOR_LEAK_WRITE, cdb_write, STOR_DIR_OUT, 1, NULL},
	{STRANGER, STOR_LEAK_CAW, cdb_caw, STOR_DIR_OUT, 2, NULL},
	{STRANGER, STOR_LEAK_WRITE_SAME, cdb_write_same, STOR_DIR_OUT, 1, NULL},
	{STRANGER, STOR_LEAK_WRITE_VERIFY, cdb_write_verify, STOR_DIR_OUT, 1, NULL},
	{STRANGER, STOR_LEAK_ORWRITE, cdb_orwrite, STOR_DIR_OUT, 1, NULL},
	{STRANGER, STOR_LEAK_UNMAP, cdb_unmap, STOR_DIR_OUT, 0, NULL},
	{OWNER, 0, cdb_write, STOR_DIR_OUT, 1, answer_restore},
};

static void probe_answer(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct probe *p = arg;
	const struct step *s = &steps[p->step];

	(void)d;
	if (p->ended)
		return;
	if (a->cmd.status == STOR_CMD_LOST)
		return probe_end(p, CM_E_SAN_LOST, "the session broke in the self-test");
	if (s->answer && !s->answer(p, a))
		return;
	/* Bytes that do not compare were compared: the reservation did not stop it. */
	if (a->cmd.status == STOR_SCSI_GOOD || stor__adm_is(a, STOR_KEY_MISCOMPARE))
		p->report.leaks |= s->leak;
	p->step++;
	probe_step(p);
}

/* PREEMPT AND ABORT of a key that nobody has: refused as unknown, or as a conflict, says enough. */
static void probe_preempted(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct probe *p = arg;

	(void)d;
	if (p->ended)
		return;
	if (a->cmd.status == STOR_CMD_LOST)
		return probe_end(p, CM_E_SAN_LOST, "the session broke in the self-test");
	p->report.preempt_abort = !stor__adm_is(a, STOR_KEY_ILLEGAL);
	probe_end(p, 0, "");
}

static void probe_step(struct probe *p)
{
	const struct step *s = &steps[p->step];
	struct stor_iscsi *d = stor__iscsi_of(p->dev[OWNER]);
	uint32_t bytes = d->dev.info.sector_bytes;
	uint8_t list[STOR_UNMAP_BYTES];

	if (p->step == CM_ARRAY_LEN(steps)) {
		stor__adm_pr_out(d, STOR_PR_PREEMPT_ABORT, STOR_PR_WEAR,
				 stor_pr_key(STOR_SLOT_TOOL, 1), probe_preempted, p);
		return;
	}
	d = stor__iscsi_of(p->dev[s->who]);
	stor__unmap_list(list, p->cfg.scratch_sector, 1);
	/* io_timeout for the answer: a stalled target makes no verdict */
	if (s->blocks)
		stor__adm_send(d, s->cdb(p->cfg.scratch_sector, bytes), s->dir,
			       s->dir == STOR_DIR_OUT ? p->was : NULL, s->blocks * bytes, 0,
			       probe_answer, p);
	else
		stor__adm_send(d, s->cdb(p->cfg.scratch_sector, bytes), s->dir, list, sizeof list,
			       0, probe_answer, p);
}

/* --- the beginning --------------------------------------------------------------------------- */

static struct stor_dev *probe_open(struct probe *p, unsigned who, struct cm_err *err);
static void probe_begin(struct stor_req *req, int rc);

static void probe_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
			void *arg)
{
	struct probe *p = arg;

	if (event == STOR_EVENT_FAILED || event == STOR_EVENT_STALLED)
		/* Not again: the stranger's new session would reset the LUN. */
		probe_end(p, err->code ? err->code : CM_E_SAN_LOST, err->text);
	else if (event == STOR_EVENT_READY && dev == p->dev[STRANGER])
		probe_step(p);
}

static void probe_head(struct stor_req *req, int rc)
{
	struct probe *p = req->arg;

	if (p->ended)
		return;
	p->has_volume = !rc && p->cfg.is_volume(p->was, p->dev[OWNER]->info.sector_bytes);
	if (!p->has_volume)
		return probe_end(p, rc ? rc : CM_E_VOL_FORMAT, "there is no volume");
	probe_begin(req, 0);
}

/* READY comes before the registration: the stranger must not be faster than the owner's
 * reservation. */
static void probe_begin(struct stor_req *req, int rc)
{
	struct probe *p = req->arg;
	struct stor_iscsi *d;
	struct cm_err err = CM_ERR_INIT;

	if (p->ended)
		return;
	if (rc)
		return probe_end(p, rc, cm_err_text(rc));
	if (!p->report.iscsi)
		return probe_end(p, 0, "");
	d = stor__iscsi_of(p->dev[OWNER]);
	/* With a lock LUN the volume's head lies there, and nothing at that place of this LUN. */
	if (p->cfg.flags & STOR_PROBE_VOLUME && !p->report.has_lock && !p->has_volume) {
		p->begin_iov = (struct iovec){p->was, (size_t)p->cfg.head_sectors *
							      d->dev.info.sector_bytes};
		stor_req_readv(&p->begin, 0, &p->begin_iov, 1, probe_head, p);
		stor_dev_submit(&d->dev, &p->begin);
		return;
	}
	if (p->cfg.scratch_sector >= d->dev.info.capacity_bytes / d->dev.info.sector_bytes)
		return probe_end(p, CM_E_BAD_VALUE, "the LUN is too small");
	p->report.can_unmap = d->dev.info.can_discard;
	p->report.aptpl = !d->no_aptpl;
	p->dev[STRANGER] = probe_open(p, STRANGER, &err);
	if (!p->dev[STRANGER])
		probe_end(p, err.code, err.text);
}

static struct stor_dev *probe_open(struct probe *p, unsigned who, struct cm_err *err)
{
	const struct stor_dev_opts o = {.host_slot = who == OWNER ? STOR_SLOT_TOOL : 0,
					.initiator = p->initiator,
					.exclusive_to =
						who == OWNER && p->cfg.flags & STOR_PROBE_ALONE,
					.io_timeout_ms = p->cfg.io_timeout_ms,
					.fail_after_ms = 10000,
					.event = probe_event,
					.event_arg = p};

	return p->report.iscsi ? stor_iscsi_open(p->cfg.loop, &p->url, &o, err)
			       : stor_file_open(p->cfg.loop, &p->url, &o, err);
}

int stor_probe_run(const struct stor_probe_cfg *cfg, stor_probe_fn done, void *arg,
		   struct cm_err *err)
{
	struct probe *p = calloc(1, sizeof *p);
	struct cm_err why = CM_ERR_INIT;

	CM_ASSERT(!(cfg->flags & STOR_PROBE_VOLUME) || (cfg->is_volume && cfg->head_sectors <= 2));
	if (!p)
		return cm_err_set(err, -ENOMEM, "no memory");
	*p = (struct probe){.cfg = *cfg,
			    .initiator = cfg->initiator ? strdup(cfg->initiator) : NULL,
			    .done = done,
			    .arg = arg};
	p->cfg.url = NULL;
	p->cfg.initiator = p->initiator;
	if (!stor_url_parse(cfg->url, &p->url, &why)) {
		p->report.iscsi = p->url.kind == STOR_URL_ISCSI;
		p->report.has_lock = p->url.lock_lun >= 0;
		p->report.unmap_off = p->url.no_unmap;
		p->url.lock_lun = -1;
		p->dev[OWNER] = probe_open(p, OWNER, &why);
	}
	if (!p->dev[OWNER]) {
		free(p->initiator);
		free(p);
		return cm_err_set(err, why.code, "%s", why.text);
	}
	/* An ordinary flush comes back when the device is registered and reserved. */
	stor_req_flush(&p->begin, probe_begin, p);
	stor_dev_submit(p->dev[OWNER], &p->begin);
	return 0;
}
