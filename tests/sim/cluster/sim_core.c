/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_core.c - a simulated hvcore: opens its devices, takes the lease, runs the guest, ends in the order of
 * hvcore/hv_core_end.c. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi.h"
#include "tests/sim/cluster/sim_move.h"
#include "tests/sim/cluster/sim_plant.h"
#include "tests/sim/cluster/sim_sess.h"

#define GIVE_UP_MS 20000u

uint32_t sim_t_ms;
unsigned sim_vm_luns[SIM_VMS];
bool sim_watchdog;
void (*sim_core_starts)(struct sim_core *c);

/* --- hv_disks.h ------------------------------------------------------------------------- */

struct stor_dev *hv_disks_lease_dev(struct hv_disks *d, uint64_t *offset_bytes)
{
	*offset_bytes = d->offset_bytes;
	return d->dev[0];
}

unsigned hv_disks_stores(const struct hv_disks *d)
{
	return d->n;
}

struct stor_dev *hv_disks_store(struct hv_disks *d, unsigned i)
{
	return d->dev[i];
}

uint16_t hv_disks_host_slot(const struct hv_disks *d)
{
	return d->host_slot;
}

/* --- hvwatchdogd -------------------------------------------------------------------------- */

static void watch(void *arg)
{
	struct sim_core *c = arg;
	struct sim_node *n = c->node;

	if (!c->proc->alive || !c->watch_ns)
		return;
	if (n->frozen || n->paused || sim_local(n) < c->watch_ns) {
		sim_at(CM_MAX(sim_when(n, c->watch_ns), sim_now + 20 * SIM_MS), watch, c);
		return;
	}
	if (!sim_watchdog || sim_plant_is(SIM_PLANT_NO_WATCHDOG))
		return;
	sim_say("%s: hvwatchdogd kills vm%u (pid %u)", n->name, c->vm, c->proc->pid);
	sim_kill(c->proc);
}

static void alive(struct sim_core *c, uint64_t until_ns)
{
	bool first = !c->watch_ns;

	c->watch_ns = until_ns ? until_ns + (STOR_KILL(sim_t_ms) - STOR_FAIL(sim_t_ms)) * SIM_MS : 0;
	if (until_ns && first)
		sim_at(sim_when(c->node, c->watch_ns), watch, c);
}

/* --- the answer to who started it ------------------------------------------------------------ */

static void answer_comes(void *arg)
{
	struct sim_core *c = arg;

	c->answer(c, c->rc, c->arg);
}

void sim_core_answer(struct sim_core *c, int rc)
{
	if (c->answered)
		return;
	c->answered = true;
	c->rc = rc;
	sim_say("%s: vm%u (pid %u): %s", c->node->name, c->vm, c->proc->pid, rc ? cm_err_name(rc) : "done");
	if (c->answer)
		sim_at_proc(c->agent, sim_now + sim_between(1, 10) * SIM_MS, 1, answer_comes, c);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void disk_closed(void *arg)
{
	struct sim_core *c = arg;

	if (--c->disks.open)
		return;
	if (c->guest)
		sim_guest_free(c->guest);
	c->guest = NULL;
	sim_exit();
}

static void owner_closed(void *arg)
{
	struct sim_core *c = arg;

	c->owner = NULL;
	if (!c->disks.open)
		sim_exit();
	for (unsigned i = 0; i < c->disks.n; i++)
		if (c->disks.dev[i])
			stor_dev_close(c->disks.dev[i], disk_closed, c);
}

static void free_all(struct sim_core *c)
{
	struct hv_owner *o = c->owner;

	alive(c, 0);
	if (c->guest)
		hv_vm_set_run_until(c->guest, 0);
	if (o)
		hv_owner_close(o, owner_closed, c);
	else
		owner_closed(c);
}

static void released(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct sim_core *c = arg;

	(void)lease;
	(void)err;
	c->owned = false;
	if (c->mode == SIM_RELEASE)
		sim_core_answer(c, rc);
	free_all(c);
}

static void give_back(struct sim_core *c)
{
	if (c->release && c->owned && c->owner)
		stor_lease_release(hv_owner_lease(c->owner), released, c);
	else
		free_all(c);
}

static void stopped(void *arg, int rc)
{
	(void)rc;
	give_back(arg);
}

void sim_core_end_go(struct sim_core *c)
{
	struct cm_err err = CM_ERR_INIT;

	if (c->owner && !c->owned)
		c->release = false;
	if (!c->guest || !c->release || !sim_guest_is_on(c->guest))
		give_back(c);
	else if (hv_vm_pause(c->guest, stopped, c, &err) < 0)
		give_back(c);
}

static void give_up(void *arg)
{
	struct sim_core *c = arg;

	sim_kill(c->proc);
}

void sim_core_end(struct sim_core *c, bool release)
{
	if (c->ending)
		return;
	c->ending = true;
	c->release = release;
	sim_core_answer(c, -ECANCELED);
	sim_at(sim_now + GIVE_UP_MS * SIM_MS, give_up, c); /* by force */
	if (c->taking)
		fen_takeover_cancel(c->taking);
	c->taking = NULL;
	if (!sim_move_end(c))
		sim_core_end_go(c);
}

static void died(struct sim_proc *proc, void *arg)
{
	struct sim_core *c = arg;

	sim_sess_died(proc);
	sim_guest_died(proc);
	sim_move_died(c);
	c->gone = true;
	sim_say("%s: vm%u (pid %u) has ended", c->node->name, c->vm, proc->pid);
	if (c->ended)
		c->ended(c);
}

/* --- the beginning ---------------------------------------------------------------------------- */

static void owner_gone(void *arg, enum stor_lost reason)
{
	struct sim_core *c = arg;

	(void)reason;
	c->owned = false;
	sim_core_end(c, false);
}

static void owner_renewed(void *arg, uint64_t until_ns)
{
	alive(arg, until_ns);
}

static void owner_running(void *arg, bool runs)
{
	struct sim_core *c = arg;

	sim_say("%s: vm%u: %s", c->node->name, c->vm, runs ? "runs again" : "its lease is over");
}

/* It says so, too, where a planted error takes it away. */
static enum stor_watchdog owner_watchdog(void *arg)
{
	(void)arg;
	return sim_watchdog ? STOR_WATCHDOG_SOFT : STOR_WATCHDOG_NONE;
}

static const struct hv_owner_ops owner_ops = {
	.gone = owner_gone, .renewed = owner_renewed, .running = owner_running, .watchdog = owner_watchdog};

static void booted(void *arg, int rc)
{
	struct sim_core *c = arg;

	if (c->ending)
		return;
	sim_core_answer(c, rc);
	if (rc)
		sim_core_end(c, true);
}

static void held_read(int rc, const struct stor_block *b, void *arg)
{
	struct sim_core *c = arg;

	if (c->ending)
		return;
	if (rc == 0 && b->state == STOR_BLOCK_RUNNING) {
		memcpy(c->held.node, b->owner.node, sizeof c->held.node);
		c->held.boot = b->owner.boot;
		c->held.pid = b->owner.pid;
		c->held.epoch = b->epoch;
	}
	sim_core_answer(c, c->held.node[0] ? CM_E_LEASE_NO_PROOF : CM_E_LEASE_HELD);
	sim_core_end(c, false);
}

static void owned(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct sim_core *c = arg;

	(void)lease;
	(void)err;
	c->taking = NULL;
	if (c->ending)
		return;
	if (rc == CM_E_LEASE_HELD || rc == CM_E_LEASE_NO_PROOF) {
		stor_block_read(c->disks.dev[0], c->disks.offset_bytes, held_read, c);
		return;
	}
	if (rc) {
		sim_core_answer(c, rc);
		sim_core_end(c, false);
		return;
	}
	c->owned = true;
	if (c->mode == SIM_RELEASE)
		sim_core_end(c, true);
	else
		sim_guest_boot(c->guest, booted, c);
}

static void stores_open(struct sim_core *c)
{
	struct cm_err err = CM_ERR_INIT;
	struct stor_uuid id = {{(uint8_t)(c->vm + 1)}};
	struct fen_takeover_cfg cfg = {.evidence = c->proof.evidence, .boot = c->proof.boot, .epoch = c->proof.epoch};

	CM_ASSERT(hv_owner_new(&c->owner, &c->disks, &id, c->node->name, "vm", sim_t_ms, &owner_ops, c, &err) == 0);
	if (c->mode != SIM_RELEASE) {
		c->guest = sim_guest_new(c->vm, sim_t_ms, c->proc->loop);
		sim_guest_disks(c->guest, c->disks.dev, c->disks.n);
		hv_owner_set_vm(c->owner, c->guest);
	}
	cfg.lease = hv_owner_lease(c->owner);
	cfg.dev = c->disks.dev[0];
	cfg.offset_bytes = c->disks.offset_bytes;
	if (c->mode == SIM_LAND)
		sim_move_land(c);
	else if (c->proof.given)
		c->taking = fen_takeover_start(&cfg, owned, c);
	else
		stor_lease_acquire(cfg.lease, owned, c);
}

static void dev_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	struct sim_core *c = arg;

	(void)dev;
	(void)err;
	if (c->ending)
		return;
	if (ev == STOR_EVENT_READY && ++c->disks.ready == c->disks.n)
		stores_open(c);
	if (ev == STOR_EVENT_FAILED) {
		sim_core_answer(c, CM_E_SAN_LOST);
		sim_core_end(c, false);
	}
}

static void core_main(void *arg)
{
	struct sim_core *c = arg;
	struct stor_url url = {.kind = STOR_URL_ISCSI, .portal = {"san"}, .portals = 1, .target = "iqn.sim", .lock_lun = -1};
	struct stor_dev_opts opts = {.gated = true,
				     .io_timeout_ms = sim_t_ms,
				     .initiator = c->node->name,
				     .host_slot = (uint16_t)(c->node->index + 1),
				     .event = dev_event,
				     .event_arg = c};

	c->disks.n = sim_vm_luns[c->vm];
	c->disks.open = c->disks.n;
	c->disks.host_slot = opts.host_slot;
	c->disks.offset_bytes = SIM_BLOCK(c->vm) * SIM_SECTOR;
	for (unsigned i = 0; i < c->disks.n; i++) {
		url.lun = i;
		opts.isid = 0x10 + c->vm * SIM_LUNS + i;
		c->disks.dev[i] = stor_iscsi_open(c->proc->loop, &url, &opts, NULL);
		CM_ASSERT(c->disks.dev[i]);
	}
}

struct sim_core *sim_core_new(struct sim_node *node, unsigned vm, enum sim_mode mode)
{
	struct sim_core *c = sim_alloc(sizeof *c);

	c->node = node;
	c->vm = vm;
	c->mode = mode;
	return c;
}

void sim_core_start(struct sim_core *c)
{
	c->proc = sim_spawn(c->node, "hvcore", core_main, c);
	c->proc->died = died;
	c->proc->arg = c;
	sim_say("%s: vm%u starts (pid %u, %s%s%s)", c->node->name, c->vm, c->proc->pid,
		c->mode == SIM_RUN ? "run" : c->mode == SIM_LAND ? "land" : "release", c->proof.given ? ", " : "",
		c->proof.evidence);
	if (sim_core_starts)
		sim_core_starts(c);
}

void sim_core_ask(struct sim_core *c, void (*fn)(void *core))
{
	sim_at_proc(c->proc, sim_now + sim_between(1, 10) * SIM_MS, 1, fn, c);
}
