/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_locked.c - a LUN of a target without COMPARE AND WRITE, joined with a small lock LUN (lock=N
 * in the URL).
 *
 * To its users it is one device: what lies below the lock LUN's capacity (all shared metadata of a
 * volume fits there) is on the lock LUN, where compare_and_write() is guarded by a short
 * reservation; the rest is on the data LUN, under the type 7 reservation. Both children are gated;
 * this device is up while both are, and goes through the gate anew when either has a new session. A
 * host has one key on each of them.
 *
 * Parses nothing.
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_locked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/iscsi/stor_iscsi.h"

enum { DATA, META, CHILDREN };

struct stor_locked {
	struct stor_dev dev; /* first */
	struct stor_dev *child[CHILDREN];
	bool ready[CHILDREN], looking[CHILDREN], entered[CHILDREN];
	uint64_t limit; /* bytes on the lock LUN */
	bool up, closing;
	unsigned open_children;
	TAILQ_HEAD(, locked_fence) fences;
};

/* A request on its way through a child. */
struct locked_sub {
	struct stor_req req;
	struct stor_req *parent;
	struct stor_locked *dev;
};

static struct stor_locked *locked_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct stor_locked, dev);
}

/* --- requests ------------------------------------------------------------------------ */

static void sub_done(struct stor_req *req, int rc)
{
	struct locked_sub *s = req->arg;
	struct stor_locked *l = s->dev;
	struct stor_req *parent = s->parent;

	free(s);
	parent->priv = NULL;
	stor_dev_end(&l->dev, parent, rc);
}

static void locked_submit(struct stor_dev *dev, struct stor_req *r)
{
	struct stor_locked *l = locked_of(dev);
	bool meta = r->op != STOR_OP_FLUSH && r->offset_bytes < l->limit;
	struct locked_sub *s;

	/* The areas of a volume do not cross the border; whoever else does must cut. */
	if (meta && r->offset_bytes + r->length_bytes > l->limit)
		return stor_dev_end_later(dev, r, -EINVAL);
	s = calloc(1, sizeof *s);
	if (!s)
		return stor_dev_end_later(dev, r, -ENOMEM);
	s->parent = r;
	s->dev = l;
	s->req = *r;
	s->req.state = 0;
	s->req.priv = NULL;
	s->req.word[0] = s->req.word[1] = 0;
	s->req.done = sub_done;
	s->req.arg = s;
	if (meta && r->op != STOR_OP_READ && r->op != STOR_OP_CAW)
		s->req.flags |= STOR_REQ_FUA; /* flushes go to the data LUN */
	r->priv = s;
	stor_dev_submit(l->child[meta ? META : DATA], &s->req);
}

static void locked_cancel(struct stor_dev *dev, struct stor_req *r)
{
	struct locked_sub *s = r->priv;

	(void)dev;
	if (s)
		stor_dev_cancel(s->req.dev, &s->req);
}

/* --- the gate ----------------------------------------------------------------------------- */

/* Both have a session, and one of them a new one: look, enter and admit again. */
static void locked_look(struct stor_locked *l)
{
	for (unsigned i = 0; i < CHILDREN; i++)
		if (!l->looking[i] && !l->entered[i])
			return;
	if (l->up || !l->ready[DATA] || !l->ready[META])
		return;
	l->up = true;
	stor_dev_up(&l->dev);
}

static void locked_check_entered(struct stor_locked *l)
{
	if (!l->entered[DATA] || !l->entered[META] || !l->dev.entering)
		return;
	stor_dev_entered(&l->dev, stor_dev_pr_key(l->child[DATA]));
}

static void locked_gate(struct stor_dev *child, enum stor_gate stage, uint32_t incarnation,
			void *arg)
{
	struct stor_locked *l = arg;
	unsigned i = child == l->child[META] ? META : DATA;
	struct cm_err again = CM_ERR_INIT;

	(void)incarnation;
	if (l->closing)
		return;
	if (stage == STOR_GATE_LOOK && l->up) { /* lost before it was admitted: STALLED is said once only */
		cm_err_set(&again, CM_E_SAN_LOST, "a session was lost again");
		l->up = false;
		stor_dev_down(&l->dev, STOR_DEV_STALLED, &again);
	}
	l->looking[i] = stage == STOR_GATE_LOOK;
	l->entered[i] = stage == STOR_GATE_ENTERED;
	if (stage == STOR_GATE_LOOK)
		locked_look(l);
	else
		locked_check_entered(l);
}

static void locked_enter_later(void *arg)
{
	struct stor_locked *l = arg;

	if (l->closing || !l->dev.entering)
		return;
	stor_dev_allow(l->child[DATA], l->dev.allowed, l->dev.nallowed);
	for (unsigned i = 0; i < CHILDREN; i++)
		if (l->looking[i])
			stor_dev_enter(l->child[i], l->child[i]->incarnation);
	locked_check_entered(l);
}

static void locked_enter(struct stor_dev *dev)
{
	cm_loop_defer(dev->loop, locked_enter_later, dev);
}

static void locked_admitted(struct stor_dev *dev)
{
	struct stor_locked *l = locked_of(dev);

	for (unsigned i = 0; i < CHILDREN; i++)
		stor_dev_admit(l->child[i], l->child[i]->incarnation);
}

static void locked_shut(struct stor_dev *dev)
{
	struct stor_locked *l = locked_of(dev);

	for (unsigned i = 0; i < CHILDREN; i++)
		stor_dev_shut(l->child[i], dev->why);
}

static int locked_info(struct stor_locked *l, struct cm_err *err)
{
	const struct stor_dev_info *meta = stor_dev_info(l->child[META]);

	l->dev.info = *stor_dev_info(l->child[DATA]);
	l->dev.info.native_caw = false;
	l->limit = meta->capacity_bytes - meta->capacity_bytes % 65536;
	l->dev.info.caw_bytes = l->limit;
	if (meta->sector_bytes != l->dev.info.sector_bytes || l->limit < 1u << 20 ||
	    l->limit >= l->dev.info.capacity_bytes)
		return cm_err_set(err, CM_E_SAN_UNSAFE,
				  "the lock LUN must have the data LUN's sector size, 1 MiB or "
				  "more, and be smaller");
	return 0;
}

static void locked_event(struct stor_dev *child, enum stor_dev_event event,
			 const struct cm_err *err, void *arg)
{
	struct stor_locked *l = arg;
	unsigned i = child == l->child[META] ? META : DATA;
	struct cm_err bad = CM_ERR_INIT;

	if (l->closing)
		return;
	switch (event) {
	case STOR_EVENT_READY:
		l->ready[i] = true;
		if (l->ready[DATA] && l->ready[META] && locked_info(l, &bad))
			stor_dev_open_failed(&l->dev, &bad);
		break;
	case STOR_EVENT_FAILED:
		stor_dev_open_failed(&l->dev, err);
		break;
	case STOR_EVENT_STALLED:
		if (child->state == STOR_DEV_GATED) /* only shut off, by us: it can be read still */
			break;
		l->looking[i] = l->entered[i] = l->up = false;
		stor_dev_down(&l->dev, STOR_DEV_STALLED, err);
		break;
	case STOR_EVENT_CONFLICT:
	case STOR_EVENT_EXCLUSIVE: /* of the data LUN only: locks are everybody's */
	case STOR_EVENT_BUSY:
		stor_dev_tell(&l->dev, event, err);
		break;
	case STOR_EVENT_RESIZED:
		if (i == DATA) {
			l->dev.info.capacity_bytes = stor_dev_info(child)->capacity_bytes;
			stor_dev_tell(&l->dev, event, err);
		}
		break;
	case STOR_EVENT_RESUMED:
	case STOR_EVENT_NONE:
		break;
	}
}

/* --- fencing: on both ------------------------------------------------------------------------- */

struct locked_fence {
	TAILQ_ENTRY(locked_fence) link;
	struct stor_locked *dev;
	struct stor_key *keys;
	unsigned nkeys;
	stor_fence_fn done;
	void *arg;
};

static void fence_second(int rc, const struct cm_err *err, void *arg)
{
	struct locked_fence *f = arg;

	TAILQ_REMOVE(&f->dev->fences, f, link);
	f->done(rc, err, f->arg);
	free(f);
}

static void fence_first(int rc, const struct cm_err *err, void *arg)
{
	struct locked_fence *f = arg;

	if (rc)
		fence_second(rc, err, f);
	else
		stor_dev_fence(f->dev->child[DATA], f->keys, f->nkeys, fence_second, f);
}

static void locked_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
			 stor_fence_fn done, void *arg)
{
	struct locked_fence *f = calloc(1, sizeof *f);

	CM_ASSERT(f);
	f->dev = locked_of(dev);
	f->keys = keys;
	f->nkeys = nkeys;
	f->done = done;
	f->arg = arg;
	TAILQ_INSERT_TAIL(&f->dev->fences, f, link);
	stor_dev_fence(f->dev->child[META], f->keys, nkeys, fence_first, f);
}

static void locked_fence_cancel(struct stor_dev *dev, void *arg)
{
	struct stor_locked *l = locked_of(dev);
	struct locked_fence *f;

	TAILQ_FOREACH (f, &l->fences, link)
		for (unsigned i = 0; i < CHILDREN && f->arg == arg; i++)
			stor_dev_fence_cancel(l->child[i], f);
}

static unsigned locked_keys(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS])
{
	const struct stor_locked *l = CM_CONTAINER(dev, const struct stor_locked, dev);
	unsigned n = stor_dev_keys(l->child[DATA], keys);

	return n + stor_dev_keys(l->child[META], keys + n);
}

static unsigned locked_luns(const struct stor_dev *dev, uint32_t tags[STOR_DEV_LUNS])
{
	const struct stor_locked *l = CM_CONTAINER(dev, const struct stor_locked, dev);
	unsigned n = stor_dev_luns(l->child[DATA], tags);

	return n + stor_dev_luns(l->child[META], tags + n);
}

static void locked_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg)
{
	stor_dev_read_keys(locked_of(dev)->child[DATA], done, arg);
}

static struct stor_dev *locked_part(struct stor_dev *dev, unsigned i)
{
	return i < CHILDREN ? locked_of(dev)->child[i == 0 ? DATA : META] : NULL;
}

/* --- life ---------------------------------------------------------------------------------- */

static void child_closed(void *arg)
{
	struct stor_locked *l = arg;

	if (--l->open_children == 0)
		stor_dev_closed(&l->dev);
}

static void locked_close(struct stor_dev *dev)
{
	struct stor_locked *l = locked_of(dev);

	l->closing = true;
	for (unsigned i = 0; i < CHILDREN; i++)
		stor_dev_close(l->child[i], child_closed, l);
}

static void locked_free(struct stor_dev *dev)
{
	free(locked_of(dev));
}

static void locked_status(struct stor_dev *dev, struct stor_dev_status *st)
{
	struct stor_dev_status child;

	stor_dev_get_status(locked_of(dev)->child[DATA], &child);
	memcpy(st->path, child.path, sizeof st->path);
	st->lost_flushes = child.lost_flushes;
}

static const struct stor_dev_ops locked_ops = {
	.name = "locked",
	.stacked = true,
	.submit = locked_submit,
	.cancel = locked_cancel,
	.close = locked_close,
	.free = locked_free,
	.fence = locked_fence,
	.fence_cancel = locked_fence_cancel,
	.keys = locked_keys,
	.luns = locked_luns,
	.read_keys = locked_read_keys,
	.part = locked_part,
	.enter = locked_enter,
	.admitted = locked_admitted,
	.shut = locked_shut,
	.status = locked_status,
};

struct stor_dev *stor_locked_open(struct cm_loop *loop, const struct stor_url *url,
				  const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_locked *l = calloc(1, sizeof *l);
	struct stor_dev_opts o = *opts;
	struct stor_url u = *url;

	if (!l) {
		cm_err_set(err, -ENOMEM, "no memory for a device");
		return NULL;
	}
	stor_dev_init(&l->dev, &locked_ops, loop, opts);
	TAILQ_INIT(&l->fences);
	o.gated = true;
	o.fail_after_ms = 0;
	o.event = locked_event;
	o.event_arg = l;
	u.lock_lun = -1;
	l->child[DATA] = stor_iscsi_open(loop, &u, &o, err);
	u.lun = (unsigned)url->lock_lun;
	o.guarded = true;
	o.exclusive_to = 0;
	o.isid = opts->isid ? opts->isid ^ 0x4000000000ull : 0;
	if (l->child[DATA])
		l->child[META] = stor_iscsi_open(loop, &u, &o, err);
	if (!l->child[META]) {
		if (l->child[DATA])
			stor_dev_close(l->child[DATA], NULL, NULL);
		stor_dev_fini(&l->dev);
		free(l);
		return NULL;
	}
	l->open_children = CHILDREN;
	for (unsigned i = 0; i < CHILDREN; i++)
		stor_dev_set_gate(l->child[i], locked_gate, l);
	return &l->dev;
}
