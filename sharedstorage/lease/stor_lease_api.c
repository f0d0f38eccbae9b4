/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_api.c - what callers of a lease see: its life, its operations, and the gate of its
 * devices.
 *
 * The machine is in stor_lease.c. Parses the block through stor_lease_disk.
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

static bool lease_is_owner(const struct stor_lease *l)
{
	return l->fsm.state >= S_HELD && l->fsm.state <= S_CHECK;
}

/* --- the gate --------------------------------------------------------------------------- */

static void lease_look_done(struct stor_req *req, int rc)
{
	struct stor_lease *l = req->arg;

	l->look_busy = false;
	if (!rc)
		stor__lease_feed(l, E_LOOKED, "a new session looked at the block");
	else
		cm_debug("%s: the block could not be looked at: %s", l->label, cm_err_name(rc));
	stor__lease_closed_check(l);
}

static void lease_gate(struct stor_dev *dev, enum stor_gate stage, uint32_t incarnation, void *arg)
{
	struct stor_lease_dev *d = arg;
	struct stor_lease *l = d->lease;

	if (l->closing)
		return;
	if (stage == STOR_GATE_ENTERED) {
		stor__lease_feed(l, d == &l->devs[0] ? E_UP : E_TICK, "a session is up");
		return;
	}
	if (d != &l->devs[0]) {
		d->looking = incarnation;
		stor__lease_guards(l);
		return;
	}
	l->look_incarnation = incarnation;
	if (!lease_is_owner(l)) {
		stor_dev_enter(dev, incarnation);
		return;
	}
	if (l->look_busy) /* of an older session: its end is under way */
		return;
	l->look_busy = true;
	l->look_iov = (struct iovec){l->look_raw, l->sector_bytes};
	stor_req_readv(&l->look, l->offset_bytes, &l->look_iov, 1, lease_look_done, l);
	l->look.flags = STOR_REQ_ADMIN;
	stor_dev_submit(dev, &l->look);
}

static void lease_guard_again(struct cm_timer *timer, void *arg)
{
	(void)timer;
	stor__lease_guards(arg);
}

/* The block, as it is now: whose keys an exclusive device may find beside its own. */
static void lease_guard_read(int rc, const struct stor_block *b, void *arg)
{
	struct stor_lease_dev *d = arg;
	struct stor_lease *l = d->lease;
	uint64_t keys[STOR_DEV_ALLOWED];
	uint32_t incarnation = d->looking;
	unsigned n = 0;

	d->reading = false;
	if (l->closing) {
		stor__lease_closed_check(l);
		return;
	}
	if (rc && rc != -ENODATA) {
		cm_timer_arm_ms(&l->guard_again, STOR_OBSERVE(l->io_timeout_ms));
		return;
	}
	for (unsigned i = 0; !rc && i < STOR_OWNER_KEYS; i++) {
		keys[n++] = b->owner.keys[i];
		keys[n++] = b->peer.keys[i];
	}
	for (unsigned i = 0; !rc && i < STOR_SHUT_KEYS; i++)
		keys[n++] = b->shut[i];
	d->looking = 0;
	stor_dev_allow(d->dev, keys, n);
	stor_dev_enter(d->dev, incarnation);
}

static void lease_guard_enter(struct stor_lease *l, struct stor_lease_dev *d)
{
	uint32_t incarnation = d->looking;

	if (!incarnation || d->reading)
		return;
	if (d->dev->opts.exclusive_to) {
		d->reading = true;
		stor_block_read(l->devs[0].dev, l->offset_bytes, lease_guard_read, d);
		return;
	}
	d->looking = 0;
	stor_dev_enter(d->dev, incarnation);
}

void stor__lease_guards(struct stor_lease *l)
{
	bool may = l->fsm.state == S_GONE ? false
		   : lease_is_owner(l)	  ? cm_now_ns() < stor_lease_valid_until(l)
					  : true;

	for (unsigned i = 1; may && i < l->ndevs; i++)
		lease_guard_enter(l, &l->devs[i]);
}

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

static void lease_free_memory(struct stor_lease *l)
{
	stor_permit_free(l->permit);
	free(l->last_raw);
	free(l->next_raw);
	free(l->seen_raw);
	free(l->look_raw);
	free(l);
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
	if (rc)
		return cm_err_set(err, -ENOMEM, "no memory for a lease");
	snprintf(l->self.node, sizeof l->self.node, "%s", cfg->node);
	stor_uuid_random(&l->self.instance);
	l->self.pid = (uint32_t)getpid();
	l->self.host_slot = cfg->host_slot;
	return 0;
}

struct stor_lease *stor_lease_new(const struct stor_lease_cfg *cfg, struct cm_err *err)
{
	const struct stor_dev_info *info = stor_dev_info(cfg->dev);
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
		lease_free_memory(l);
		return NULL;
	}
	cm_fsm_init(&l->fsm, stor_lease_fsm(), S_IDLE, l, l->label);
	cm_timer_init(&l->tick, l->loop, lease_tick, l);
	cm_timer_init(&l->expire, l->loop, lease_expire, l);
	cm_timer_init(&l->guard_again, l->loop, lease_guard_again, l);
	cm_timer_set_prio(&l->tick, CM_PRIO_HIGH);
	cm_timer_set_prio(&l->expire, CM_PRIO_HIGH);
	l->devs[0] = (struct stor_lease_dev){.lease = l, .dev = cfg->dev};
	l->ndevs = 1;
	stor_dev_set_gate(cfg->dev, lease_gate, &l->devs[0]);
	return l;
}

int stor_lease_guard(struct stor_lease *l, struct stor_dev *dev)
{
	if (l->ndevs == STOR_LEASE_DEVS)
		return CM_E_VOL_LIMIT;
	l->devs[l->ndevs] = (struct stor_lease_dev){.lease = l, .dev = dev};
	stor_dev_set_gate(dev, lease_gate, &l->devs[l->ndevs]);
	l->ndevs++;
	return 0;
}

static void lease_gone(void *arg)
{
	struct stor_lease *l = arg;
	cm_close_fn fn = l->close_fn;
	void *fn_arg = l->close_arg;

	lease_free_memory(l);
	if (fn)
		fn(fn_arg);
}

/* One fixed point later: deferred kicks of this turn still see the memory. */
static void lease_gone_soon(void *arg)
{
	struct stor_lease *l = arg;

	cm_loop_defer(l->loop, lease_gone, l);
}

void stor__lease_closed_check(struct stor_lease *l)
{
	if (!l->closing || l->closed || l->req_busy || l->look_busy || l->fence_busy)
		return;
	for (unsigned i = 0; i < l->ndevs; i++)
		if (l->devs[i].reading)
			return;
	l->closed = true;
	cm_loop_defer(l->loop, lease_gone_soon, l);
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
	for (unsigned i = 0; i < l->ndevs; i++)
		stor_dev_set_gate(l->devs[i].dev, NULL, NULL);
	if (l->req_busy)
		stor_dev_cancel(l->devs[0].dev, &l->req);
	if (l->look_busy)
		stor_dev_cancel(l->devs[0].dev, &l->look);
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
	if (lease_is_owner(l) != (l->op >= STOR_LEASE_INTENT)) {
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
};

static void lease_refuse_busy(void *arg)
{
	struct lease_refusal *r = arg;
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, -EBUSY, "another operation on this lease is under way");
	r->done(r->lease, -EBUSY, &err, r->arg);
	free(r);
}

/* False if one is under way: then done(-EBUSY) comes. */
static bool lease_begin(struct stor_lease *l, enum stor_lease_op op, stor_lease_done_fn done,
			void *arg)
{
	CM_ASSERT(done && !l->closing);
	if (l->op) {
		struct lease_refusal *r = malloc(sizeof *r);

		CM_ASSERT(r);
		*r = (struct lease_refusal){l, done, arg};
		cm_loop_defer(l->loop, lease_refuse_busy, r);
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
	CM_ASSERT(peer->node[0]);
	if (lease_begin(l, STOR_LEASE_INTENT, done, arg))
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
	stor__lease_fill_keys(l);
	*self = l->self;
}

uint64_t stor_lease_write_ns(const struct stor_lease *l)
{
	return atomic_load_explicit(&l->write_ns, memory_order_relaxed);
}

uint64_t stor_lease_valid_until(const struct stor_lease *l)
{
	return atomic_load_explicit(&l->valid_until_ns, memory_order_relaxed);
}

const char *stor_lease_state_name(const struct stor_lease *l)
{
	return cm_fsm_state_name(&l->fsm);
}

uint64_t stor_lease_epoch(const struct stor_lease *l)
{
	return l->last.epoch;
}

/* --- a plain look at a block --------------------------------------------------------------------
 */

struct block_look {
	struct stor_req req;
	struct iovec iov;
	uint32_t sector_bytes;
	stor_block_fn done;
	void *arg;
	uint8_t *raw;
};

static void block_look_done(struct stor_req *req, int rc)
{
	struct block_look *k = req->arg;
	struct stor_block b;

	if (!rc)
		rc = stor_block_decode(k->raw, k->sector_bytes, &b);
	k->done(rc, rc ? NULL : &b, k->arg);
	free(k->raw);
	free(k);
}

void stor_block_read(struct stor_dev *dev, uint64_t offset_bytes, stor_block_fn done, void *arg)
{
	struct block_look *k = calloc(1, sizeof *k);
	void *raw = NULL;

	CM_ASSERT(k && !posix_memalign(&raw, 4096, STOR_SECTOR_MAX));
	k->raw = raw;
	k->sector_bytes = stor_dev_info(dev)->sector_bytes;
	k->done = done;
	k->arg = arg;
	k->iov = (struct iovec){raw, k->sector_bytes};
	stor_req_readv(&k->req, offset_bytes, &k->iov, 1, block_look_done, k);
	k->req.flags = STOR_REQ_ADMIN;
	stor_dev_submit(dev, &k->req);
}
