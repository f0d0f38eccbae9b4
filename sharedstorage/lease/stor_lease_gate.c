/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_gate.c - the gate of a lease's devices: a new session looks at the block before it
 * registers, and waits for a COMPARE AND WRITE before ordinary I/O flows.
 *
 * What the block says is judged by the machine (E_LOOKED). Parses the block through
 * stor_lease_disk.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease_int.h"

static void lease_look_done(struct stor_req *req, int rc)
{
	struct stor_lease *l = req->arg;

	l->look_busy = false;
	if (!rc) {
		stor__lease_feed(l, E_LOOKED, "a new session looked at the block");
	} else if (rc != CM_E_SAN_LOST && !l->closing) { /* else the next session looks */
		cm_warning("%s: the block could not be looked at, again soon: %s", l->label, cm_err_name(rc));
		l->look_due = true;
		cm_timer_arm_ms(&l->guard_again, STOR_OBSERVE(l->io_timeout_ms));
	}
	stor__lease_closed_check(l);
}

static void lease_look(struct stor_lease *l)
{
	l->look_due = false;
	if (l->look_busy) /* of an older session: its end is under way */
		return;
	l->look_busy = true;
	l->look_iov = (struct iovec){l->look_raw, l->sector_bytes};
	stor_req_readv(&l->look, l->offset_bytes, &l->look_iov, 1, lease_look_done, l);
	l->look.flags = STOR_REQ_ADMIN;
	stor_dev_submit(l->devs[0].dev, &l->look);
}

void stor__lease_gate(struct stor_dev *dev, enum stor_gate stage, uint32_t incarnation, void *arg)
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
	if (!stor__lease_is_owner(l)) {
		stor_dev_enter(dev, incarnation);
		return;
	}
	lease_look(l);
}

void stor__lease_guard_again(struct cm_timer *timer, void *arg)
{
	struct stor_lease *l = arg;

	(void)timer;
	if (l->look_due)
		lease_look(l);
	stor__lease_guards(l);
}

static unsigned gate_keys(uint64_t *keys, unsigned n, const struct stor_key *from, unsigned nfrom)
{
	for (unsigned i = 0; i < nfrom; i++)
		if (from[i].key)
			keys[n++] = from[i].key;
	return n;
}

/* The block, as it is now: whose keys an exclusive device may find beside its own. */
static void lease_guard_read(int rc, const struct stor_block *b, void *arg)
{
	struct stor_lease_reading *r = arg;
	struct stor_lease_dev *d = r->dev;
	struct stor_lease *l;
	_Static_assert(STOR_SHUT_KEYS <= STOR_DEV_ALLOWED, "no block has more in all");
	uint64_t keys[STOR_DEV_ALLOWED];
	uint32_t incarnation;
	unsigned n = 0;

	free(r);
	if (!d)
		return;
	d->reading = NULL;
	l = d->lease;
	incarnation = d->looking;
	if (rc && rc != -ENODATA) {
		cm_timer_arm_ms(&l->guard_again, STOR_OBSERVE(l->io_timeout_ms));
		return;
	}
	if (!rc)
		n = gate_keys(keys, gate_keys(keys, gate_keys(keys, 0, b->owner.keys, STOR_OWNER_KEYS), b->peer.keys,
					      STOR_OWNER_KEYS),
			      b->shut, STOR_SHUT_KEYS);
	d->looking = 0;
	stor_dev_allow(d->dev, keys, n);
	stor_dev_enter(d->dev, incarnation);
}

static void lease_guard_enter(struct stor_lease *l, struct stor_lease_dev *d)
{
	uint32_t incarnation = d->looking;

	if (!incarnation || d->reading)
		return;
	if (stor_dev_is_exclusive(d->dev)) {
		d->reading = malloc(sizeof *d->reading);
		CM_ASSERT(d->reading);
		d->reading->dev = d;
		stor_block_read(l->devs[0].dev, l->offset_bytes, lease_guard_read, d->reading);
		return;
	}
	d->looking = 0;
	stor_dev_enter(d->dev, incarnation);
}

void stor__lease_guards(struct stor_lease *l)
{
	bool may = l->fsm.state == S_GONE    ? false
		   : stor__lease_is_owner(l) ? cm_now_ns() < stor_lease_valid_until(l)
					     : true;

	for (unsigned i = 1; may && i < l->ndevs; i++)
		lease_guard_enter(l, &l->devs[i]);
}
