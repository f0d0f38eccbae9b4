/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_fencer.c - the process that shuts a node out of the SAN, VM by VM. Parses blocks by stor_block_read.
 */
#include "config.h"

#include "tests/sim/cluster/sim_fencer.h"

#include <errno.h>
#include <string.h>

#include "fencing/fen_proof.h"
#include "sharedstorage/iscsi/stor_iscsi.h"
#include "tests/sim/cluster/sim_core.h"
#include "tests/sim/cluster/sim_crm.h"
#include "tests/sim/cluster/sim_sess.h"

struct fencer {
	struct sim_proc *proc;
	struct sim_node *victim;
	struct stor_dev *dev;
	unsigned vm;
	bool ok, told;
	void (*done)(void *arg, bool ok);
	void *arg;
};

static void fencer_over(void *arg)
{
	struct fencer *f = arg;

	if (!f->told)
		f->done(f->arg, f->ok);
	f->told = true;
}

static void closed(void *arg)
{
	(void)arg;
	sim_exit();
}

static void fencer_end(struct fencer *f, bool ok)
{
	f->ok = ok;
	sim_say("%s: fence_hvsan of %s: %s", f->proc->node->name, f->victim->name, ok ? "shut out" : "failed");
	sim_at(sim_now + 10 * SIM_MS, fencer_over, f);
	stor_dev_close(f->dev, closed, f);
}

static void fencer_next(struct fencer *f);

static void vacated(int rc, const struct cm_err *err, void *arg)
{
	struct fencer *f = arg;

	(void)err;
	if (rc)
		fencer_end(f, false);
	else
		fencer_next(f);
}

static void shut_out(struct fen_proof *proof, const struct cm_err *err, void *arg)
{
	struct fencer *f = arg;

	(void)err;
	if (proof)
		fen_vacate(f->dev, SIM_BLOCK(f->vm - 1) * SIM_SECTOR, proof, vacated, f);
	else
		fencer_end(f, false);
}

static void seen(int rc, const struct stor_block *b, void *arg)
{
	struct fencer *f = arg;

	if (rc && rc != -ENODATA)
		fencer_end(f, false);
	else if (rc == 0 && b->state == STOR_BLOCK_RUNNING && strcmp(b->owner.node, f->victim->name) == 0)
		CM_ASSERT(fen_shut_out_start(f->dev, SIM_BLOCK(f->vm - 1) * SIM_SECTOR, shut_out, f, NULL));
	else
		fencer_next(f);
}

static void fencer_next(struct fencer *f)
{
	if (f->vm++ == sim_nvms)
		fencer_end(f, true);
	else
		stor_block_read(f->dev, SIM_BLOCK(f->vm - 1) * SIM_SECTOR, seen, f);
}

static void dev_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	(void)dev;
	(void)err;
	if (ev == STOR_EVENT_READY)
		return;
	if (ev == STOR_EVENT_FAILED)
		fencer_end(arg, false);
}

static void ready_look(struct cm_timer *t, void *arg);

struct ready {
	struct cm_timer timer;
	struct fencer *f;
	unsigned looks;
};

static void ready_look(struct cm_timer *t, void *arg)
{
	struct ready *r = arg;

	if (stor_dev_usable(r->f->dev))
		fencer_next(r->f);
	else if (++r->looks > 100)
		fencer_end(r->f, false);
	else
		cm_timer_arm_ms(t, 100);
}

static void fencer_main(void *arg)
{
	struct fencer *f = arg;
	struct stor_url url = {.kind = STOR_URL_ISCSI, .portal = {"san"}, .portals = 1, .target = "iqn.sim", .lock_lun = -1};
	struct stor_dev_opts opts = {.io_timeout_ms = sim_t_ms,
				     .initiator = "tool",
				     .host_slot = STOR_SLOT_TOOL,
				     .isid = 0x100 + sim_below(1 << 20),
				     .event = dev_event,
				     .event_arg = f};
	struct ready *r = sim_alloc(sizeof *r);

	f->dev = stor_iscsi_open(f->proc->loop, &url, &opts, NULL);
	CM_ASSERT(f->dev);
	r->f = f;
	cm_timer_init(&r->timer, f->proc->loop, ready_look, r);
	cm_timer_arm_ms(&r->timer, 10);
}

static void died(struct sim_proc *proc, void *arg)
{
	sim_sess_died(proc);
	sim_at(sim_now, fencer_over, arg);
}

void sim_fence_by_san(struct sim_node *delegate, struct sim_node *victim, void (*done)(void *arg, bool ok), void *arg)
{
	struct fencer *f = sim_alloc(sizeof *f);

	*f = (struct fencer){.victim = victim, .done = done, .arg = arg};
	f->proc = sim_spawn(delegate, "fence_hvsan", fencer_main, f);
	f->proc->died = died;
	f->proc->arg = f;
}
