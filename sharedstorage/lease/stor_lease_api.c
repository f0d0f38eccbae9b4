/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_api.c - what callers of a lease see: its life and its operations. The machine is in
 * stor_lease.c. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease_int.h"

/* --- life --------------------------------------------------------------------------------- */

static void lease_tick(struct cm_timer *timer, void *arg)
{
	(void)timer;
	stor__lease_feed(arg, E_TICK, "timer");
}

static void lease_expire(struct cm_timer *timer, void *arg)
{
	(void)timer;
	stor__lease_feed(arg, E_EXPIRE, "no renewal in time");
}

static int lease_init(struct stor_lease *l, const struct stor_lease_cfg *cfg, struct cm_err *err)
{
	void *raw[4] = {0};
	int rc = 0;

	if (!cfg->node || !*cfg->node || strlen(cfg->node) >= STOR_NODE_NAME)
		return cm_err_set(err, CM_E_BAD_VALUE, "the node name must have 1..%d bytes",
				  STOR_NODE_NAME - 1);
	if (l->io_timeout_ms < STOR_IO_TIMEOUT_MIN_MS || l->io_timeout_ms > STOR_IO_TIMEOUT_MAX_MS)
		return cm_err_set(err, CM_E_BAD_VALUE, "io_timeout %u ms is out of %u..%u",
				  l->io_timeout_ms, STOR_IO_TIMEOUT_MIN_MS, STOR_IO_TIMEOUT_MAX_MS);
	if (stor_boot_id(&l->self.boot))
		return cm_err_set(err, -EIO, "the boot id of this host cannot be read");
	for (unsigned i = 0; i < CM_ARRAY_LEN(raw) && !rc; i++)
		rc = posix_memalign(&raw[i], 4096, l->sector_bytes);
	l->last_raw = raw[0];
	l->next_raw = raw[1];
	l->seen_raw = raw[2];
	l->look_raw = raw[3];
	l->fence = calloc(1, sizeof *l->fence);
	if (rc || !l->fence)
		return cm_err_set(err, -ENOMEM, "no memory for a lease");
	l->fence->lease = l;
	snprintf(l->self.node, sizeof l->self.node, "%s", cfg->node);
	stor_uuid_random(&l->self.instance);
	l->self.pid = (uint32_t)getpid();
	l->self.host_slot = cfg->host_slot;
	return 0;
}

struct stor_lease *stor_lease_new(const struct stor_lease_cfg *cfg, struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(cfg->dev);
	uint32_t tags[STOR_DEV_LUNS];
	struct stor_lease *l = calloc(1, sizeof *l);

	if (!l) {
		cm_err_set(err, -ENOMEM, "no memory for a lease");
		return NULL;
	}
	CM_ASSERT(info->sector_bytes >= STOR_BLOCK_BYTES); /* the device is open */
	l->loop = stor_dev_loop(cfg->dev);
	l->sector_bytes = info->sector_bytes;
	l->offset_bytes = cfg->offset_bytes;
	l->vm = cfg->vm;
	l->io_timeout_ms = cfg->io_timeout_ms ? cfg->io_timeout_ms : STOR_IO_TIMEOUT_MS;
	l->ops = cfg->ops;
	l->arg = cfg->arg;
	snprintf(l->label, sizeof l->label, "%s", cfg->label ? cfg->label : "lease");
	if (lease_init(l, cfg, err)) {
		stor__lease_free_memory(l);
		return NULL;
	}
	cm_fsm_init(&l->fsm, stor_lease_fsm(), S_IDLE, l, l->label);
	cm_timer_init(&l->tick, l->loop, lease_tick, l);
	cm_timer_init(&l->expire, l->loop, lease_expire, l);
	cm_timer_init(&l->guard_again, l->loop, stor__lease_guard_again, l);
	cm_timer_set_prio(&l->tick, CM_PRIO_HIGH);
	cm_timer_set_prio(&l->expire, CM_PRIO_HIGH);
	l->devs[0] = (struct stor_lease_dev){.lease = l, .dev = cfg->dev};
	l->ndevs = 1;
	l->nluns = stor_dev_luns(cfg->dev, tags);
	stor_dev_set_gate(cfg->dev, stor__lease_gate, &l->devs[0]);
	return l;
}

int stor_lease_guard(struct stor_lease *l, struct stor_dev *dev)
{
	uint32_t tags[STOR_DEV_LUNS];
	unsigned luns = stor_dev_luns(dev, tags);

	CM_ASSERT(!stor__lease_is_owner(l));
	if (l->ndevs == STOR_LEASE_DEVS || l->nluns + luns > STOR_OWNER_KEYS)
		return CM_E_VOL_LIMIT;
	l->nluns += luns;
	l->devs[l->ndevs] = (struct stor_lease_dev){.lease = l, .dev = dev};
	stor_dev_set_gate(dev, stor__lease_gate, &l->devs[l->ndevs]);
	l->ndevs++;
	return 0;
}

void stor_lease_close(struct stor_lease *l, cm_close_fn fn, void *arg)
{
	CM_ASSERT(!l->closing);
	l->closing = true;
	l->close_fn = fn;
	l->close_arg = arg;
	cm_timer_fini(&l->tick);
	cm_timer_fini(&l->expire);
	cm_timer_fini(&l->guard_again);
	atomic_store(&l->valid_until_ns, 0);
	for (unsigned i = 0; i < l->ndevs; i++) {
		stor_dev_set_gate(l->devs[i].dev, NULL, NULL);
		if (l->devs[i].reading)
			l->devs[i].reading->dev = NULL;
	}
	if (l->req_busy)
		stor_dev_cancel(l->devs[0].dev, &l->req);
	if (l->look_busy)
		stor_dev_cancel(l->devs[0].dev, &l->look);
	if (l->fence_busy) /* it takes what it takes, and ends with the device at the latest */
		l->fence->lease = NULL;
	if (l->op)
		stor__lease_answer(l, -ECANCELED, NULL);
	stor__lease_closed_check(l);
}

/* --- operations ------------------------------------------------------------------------------ */

static void lease_kick(void *arg)
{
	struct stor_lease *l = arg;
	struct cm_err err = CM_ERR_INIT;

	if (l->closing || !l->op)
		return;
	if (l->cancelled && l->kick) { /* not begun yet */
		l->kick = false;
		stor__lease_answer(l, -ECANCELED, NULL);
		return;
	}
	if (l->cancelled) {
		stor__lease_feed(l, E_CANCEL, "cancelled by the caller");
		return;
	}
	if (!l->kick)
		return;
	l->kick = false;
	if (l->fsm.state == S_GONE) {
		cm_err_set(&err, CM_E_LEASE_LOST, "this process does not own the VM any more");
		stor__lease_answer(l, CM_E_LEASE_LOST, &err);
		return;
	}
	if (stor__lease_is_owner(l) != (l->op >= STOR_LEASE_INTENT)) {
		cm_err_set(&err, -EINVAL, "cannot %s in state %s", stor__lease_op_name(l->op),
			   cm_fsm_state_name(&l->fsm));
		stor__lease_answer(l, -EINVAL, &err);
		return;
	}
	stor__lease_feed(l, E_OP, stor__lease_op_name(l->op));
}

struct lease_refusal {
	struct stor_lease *lease;
	stor_lease_done_fn done;
	void *arg;
	struct cm_err err;
};

static void lease_refused(void *arg)
{
	struct lease_refusal *r = arg;

	r->done(r->lease, r->err.code, &r->err, r->arg);
	free(r);
}

static void lease_refuse(struct stor_lease *l, int rc, const char *words, stor_lease_done_fn done, void *arg)
{
	struct lease_refusal *r = malloc(sizeof *r);

	CM_ASSERT(r);
	*r = (struct lease_refusal){l, done, arg, CM_ERR_INIT};
	cm_err_set(&r->err, rc, "%s: %s", l->label, words);
	cm_loop_defer(l->loop, lease_refused, r);
}

/* False if one is under way: then done(-EBUSY) comes. */
static bool lease_begin(struct stor_lease *l, enum stor_lease_op op, stor_lease_done_fn done,
			void *arg)
{
	CM_ASSERT(done && !l->closing);
	if (l->op) {
		lease_refuse(l, -EBUSY, "another operation on this lease is under way", done, arg);
		return false;
	}
	l->op = op;
	l->done = done;
	l->done_arg = arg;
	l->kick = true;
	cm_loop_defer(l->loop, lease_kick, l);
	return true;
}

void stor_lease_acquire(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_ACQUIRE, done, arg);
}

void stor_lease_take_over(struct stor_lease *l, struct stor_permit *permit, bool only_with_intent,
			  stor_lease_done_fn done, void *arg)
{
	if (!lease_begin(l, STOR_LEASE_TAKE_OVER, done, arg)) {
		stor_permit_free(permit);
		return;
	}
	l->permit = permit;
	l->only_with_intent = only_with_intent;
}

void stor_lease_release(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_RELEASE, done, arg);
}

void stor_lease_intent(struct stor_lease *l, const struct stor_owner *peer, stor_lease_done_fn done,
		       void *arg)
{
	if (!stor_owner_valid(peer)) /* it comes from another process */
		lease_refuse(l, CM_E_BAD_VALUE, "the destination says nonsense of itself", done, arg);
	else if (lease_begin(l, STOR_LEASE_INTENT, done, arg))
		l->peer = *peer;
}

void stor_lease_commit(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_COMMIT, done, arg);
}

void stor_lease_resume(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_RESUME, done, arg);
}

void stor_lease_accept(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_ACCEPT, done, arg);
}

void stor_lease_decline(struct stor_lease *l, stor_lease_done_fn done, void *arg)
{
	lease_begin(l, STOR_LEASE_DECLINE, done, arg);
}

void stor_lease_cancel(struct stor_lease *l)
{
	if (!l->op || l->cancelled)
		return;
	l->cancelled = true;
	cm_loop_defer(l->loop, lease_kick, l);
}

void stor_lease_self(struct stor_lease *l, struct stor_owner *self)
{
	stor__lease_fill_self(l);
	*self = l->self;
}

const char *stor_lost_name(enum stor_lost lost)
{
	static const char *const names[] = {"none", "expired", "taken", "fenced"};

	return (unsigned)lost < CM_ARRAY_LEN(names) ? names[lost] : "?";
}

const char *stor_lease_state_name(const struct stor_lease *l)
{
	return cm_fsm_state_name(&l->fsm);
}

uint64_t stor_lease_epoch(const struct stor_lease *l)
{
	return l->last.epoch;
}
