/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_probe.c - the self-test of a target; see stor_probe.h. A list of steps, each one request,
 * run in order.
 *
 * Parses nothing: looks at how requests end.
 */
#include "config.h"

#include "sharedstorage/stor_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/stor_iscsi_int.h"

enum { OWNER, STRANGER, DEVS };

struct probe {
	struct cm_loop *loop;
	char *url, name[2][224];
	uint64_t offset;
	uint32_t io_timeout_ms;
	struct stor_dev *dev[DEVS];
	unsigned step, closing;
	struct stor_req req;
	struct iovec iov;
	uint8_t *was, *buf; /* the scratch sector as it was; as it is tried */
	struct stor_probe_report report;
	struct cm_err err;
	stor_probe_fn done;
	void *arg;
	bool ended;
};

void stor_probe_judge(struct stor_probe_report *r)
{
	r->safe = !r->iscsi || (!r->leaks_write && !r->leaks_caw);
	r->needs_lock = r->iscsi && !r->native_caw;
	r->no_unmap = r->leaks_write_same || r->leaks_unmap;
	r->refused[0] = 0;
	if (!r->safe)
		snprintf(r->refused, sizeof r->refused,
			 "a host that is shut out can still %s: no fencing is possible here",
			 r->leaks_write ? "write" : "do COMPARE AND WRITE");
	if (!r->iscsi)
		snprintf(r->mode, sizeof r->mode, "file: locks of this host");
	else
		snprintf(r->mode, sizeof r->mode, "%s, %s%s%s",
			 r->native_caw ? "COMPARE AND WRITE"
				       : "guarded by a lock LUN (lock=LUN is needed)",
			 r->preempt_abort ? "PREEMPT AND ABORT" : "PREEMPT and LUN RESET",
			 r->aptpl ? ", reservations survive a restart"
				  : ", a restart drops reservations",
			 r->no_unmap ? ", no UNMAP and WRITE SAME: they leak" : "");
}

static void probe_gone(void *arg)
{
	struct probe *p = arg;

	if (--p->closing)
		return;
	stor_probe_judge(&p->report);
	p->done(p->err.code, &p->report, &p->err, p->arg);
	free(p->was);
	free(p->url);
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
	cm_loop_defer(p->loop, probe_gone, p);
}

static void probe_step(struct probe *p);

static void probe_answer(struct stor_req *req, int rc)
{
	struct probe *p = req->arg;
	struct stor_probe_report *r = &p->report;
	bool through = rc == 0;

	switch (p->step) {
	case 0: /* read */
		if (rc)
			return probe_end(p, rc, "the scratch sector cannot be read");
		memcpy(p->was, p->buf, stor_dev_info(p->dev[OWNER])->sector_bytes);
		break;
	case 1:
		r->native_caw = through;
		if (rc && rc != CM_E_SAN_UNSAFE)
			return probe_end(p, rc, "COMPARE AND WRITE failed in an unexpected way");
		break;
	case 2:
		r->leaks_write = through;
		break;
	case 3:
		r->leaks_write_same = through;
		break;
	case 4:
		r->leaks_unmap = through && r->can_unmap;
		break;
	case 5:
		r->leaks_caw = through;
		break;
	case 6:
		if (rc)
			return probe_end(p, rc, "the scratch sector cannot be put back");
		break;
	default:
		break;
	}
	p->step++;
	probe_step(p);
}

/* PREEMPT AND ABORT of a key that nobody has: refused as unknown, or as a conflict, says enough. */
static void probe_preempted(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct probe *p = arg;

	(void)d;
	p->report.preempt_abort = !stor__adm_is(a, STOR_KEY_ILLEGAL);
	if (a->cmd.status == STOR_CMD_LOST)
		return probe_end(p, CM_E_SAN_LOST, "the session broke");
	probe_end(p, 0, "");
}

static void probe_send(struct probe *p, unsigned who)
{
	p->req.done = probe_answer;
	p->req.arg = p;
	stor_dev_submit(p->dev[who], &p->req);
}

static void probe_step(struct probe *p)
{
	struct stor_iscsi *d = stor__iscsi_of(p->dev[OWNER]);
	uint32_t s = p->dev[OWNER]->info.sector_bytes;

	p->iov = (struct iovec){p->buf, s};
	switch (p->step) {
	case 0:
		p->report.can_unmap = p->dev[STRANGER]->info.can_discard;
		p->report.aptpl = !d->no_aptpl;
		stor_req_readv(&p->req, p->offset, &p->iov, 1, NULL, NULL);
		return probe_send(p, OWNER);
	case 1: /* the same bytes again: changes nothing */
		stor_req_caw(&p->req, p->offset, p->was, p->was, s, NULL, NULL);
		return probe_send(p, OWNER);
	case 2:
		stor_req_writev(&p->req, p->offset, &p->iov, 1, NULL, NULL);
		return probe_send(p, STRANGER);
	case 3:
		stor_req_write_zeroes(&p->req, p->offset, s, false, NULL, NULL);
		return probe_send(p, STRANGER);
	case 4:
		stor_req_discard(&p->req, p->offset, s, NULL, NULL);
		return probe_send(p, STRANGER);
	case 5:
		stor_req_caw(&p->req, p->offset, p->was, p->was, s, NULL, NULL);
		return probe_send(p, STRANGER);
	case 6:
		memcpy(p->buf, p->was, s);
		stor_req_writev(&p->req, p->offset, &p->iov, 1, NULL, NULL);
		p->req.flags = STOR_REQ_FUA;
		return probe_send(p, OWNER);
	default:
		stor__adm_pr_out(d, STOR_PR_PREEMPT_ABORT, STOR_PR_WEAR,
				 stor_pr_key(STOR_SLOT_TOOL, 1), probe_preempted, p);
	}
}

static void probe_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
			void *arg)
{
	struct probe *p = arg;

	if (event == STOR_EVENT_FAILED) {
		probe_end(p, err->code, err->text);
	} else if (event == STOR_EVENT_READY && dev == p->dev[STRANGER]) {
		probe_step(p);
	}
}

/* READY comes before the registration: the stranger must not be faster than the owner's
 * reservation. */
static void probe_begin(struct stor_req *req, int rc)
{
	struct probe *p = req->arg;
	struct cm_err err = CM_ERR_INIT;
	struct stor_dev_opts o = {.initiator = p->name[STRANGER],
				  .io_timeout_ms = p->io_timeout_ms,
				  .fail_after_ms = 10000,
				  .event = probe_event,
				  .event_arg = p};
	void *mem;

	if (p->ended)
		return;
	if (rc)
		return probe_end(p, rc, cm_err_text(rc));
	if (!p->dev[OWNER]->info.shared) /* a file */
		return probe_end(p, 0, "");
	p->report.iscsi = true;
	if (posix_memalign(&mem, 4096, 2 * 4096))
		return probe_end(p, -ENOMEM, "no memory");
	p->was = mem;
	p->buf = p->was + 4096;
	p->dev[STRANGER] = stor_dev_open(p->loop, p->url, &o, &err);
	if (!p->dev[STRANGER])
		return probe_end(p, err.code, err.text);
}

int stor_probe_run(struct cm_loop *loop, const char *url, const char *initiator,
		   uint64_t scratch_offset_bytes, uint32_t io_timeout_ms, stor_probe_fn done,
		   void *arg, struct cm_err *err)
{
	struct probe *p = calloc(1, sizeof *p);
	struct stor_dev_opts o = {.host_slot = STOR_SLOT_TOOL,
				  .io_timeout_ms = io_timeout_ms,
				  .fail_after_ms = 10000,
				  .event = probe_event,
				  .event_arg = p};

	if (p)
		p->url = strdup(url);
	if (!p || !p->url) {
		free(p);
		return cm_err_set(err, -ENOMEM, "no memory");
	}
	p->loop = loop;
	p->offset = scratch_offset_bytes;
	p->io_timeout_ms = io_timeout_ms;
	p->done = done;
	p->arg = arg;
	snprintf(p->name[OWNER], sizeof p->name[0], "%.200s",
		 initiator ? initiator : "iqn.2026-01.invalid.hvcluster:tool");
	snprintf(p->name[STRANGER], sizeof p->name[0], "%.200s:probe", p->name[OWNER]);
	o.initiator = p->name[OWNER];
	p->dev[OWNER] = stor_dev_open(loop, url, &o, err);
	if (!p->dev[OWNER]) {
		free(p->url);
		free(p);
		return err->code;
	}
	/* An ordinary flush comes back when the device is registered and reserved. */
	stor_req_flush(&p->req, probe_begin, p);
	stor_dev_submit(p->dev[OWNER], &p->req);
	return 0;
}
