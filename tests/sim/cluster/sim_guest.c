/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_guest.c - a guest that writes numbers, and the gate of its vCPU. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "hvcore/vm/hv_vm_flush.h"
#include "tests/sim/cluster/sim_oracle.h"
#include "tests/sim/cluster/sim_plant.h"
#include "tests/sim/cluster/sim_proc.h"

struct write {
	struct hv_vm *vm;
	struct stor_req req;
	struct iovec iov;
	uint64_t number;
	bool busy;
	uint8_t sector[SIM_SECTOR];
};

struct hv_vm {
	TAILQ_ENTRY(hv_vm) link;
	struct hv_vm_config cfg;
	struct hv_lock lock;
	struct sim_proc *proc;
	struct cm_loop *loop;
	unsigned index;
	uint32_t t_ms, life;
	enum hv_vm_state state;
	uint64_t until, ahead; /* run-until, and how far other clocks were ahead then */
	unsigned blind, blind_now; /* pauses that nobody saw, before the last two renewals */
	uint64_t started_ns;
	struct stor_dev *dev[SIM_LUNS];
	unsigned ndevs, reading;
	uint64_t known[SIM_LUNS]; /* the guest's memory: the number that it wrote last on each LUN */
	struct write write[SIM_LUNS];
	struct cm_timer step;
	bool loaded;
	hv_vm_done_fn paused;
	void *paused_arg;
	void (*booted)(void *arg, int rc);
	void *booted_arg;
};

static TAILQ_HEAD(, hv_vm) guests;

void sim_guest_begin(void)
{
	TAILQ_INIT(&guests);
}

/* --- who may run? ------------------------------------------------------------------------ */

/* By its own permit, and by clocks that its node can see. */
static bool may_run(const struct hv_vm *vm)
{
	const struct sim_node *n = vm->proc->node;

	return vm->proc->alive && !sim_stands(vm->proc) && vm->state == HV_VM_RUNNING &&
	       sim_local(n) + (n->ahead - vm->ahead) < vm->until && n->blind == vm->blind;
}

bool sim_guest_runs(const struct hv_vm *vm)
{
	return may_run(vm);
}

static void check_alone(const struct hv_vm *vm, const char *how)
{
	const struct hv_vm *o;

	TAILQ_FOREACH (o, &guests, link)
		if (o != vm && o->index == vm->index && may_run(o) && !sim_was_blind(vm->proc->node) &&
		    !sim_was_blind(o->proc->node))
			sim_found("VM %u runs twice: on %s (pid %u, %s) and on %s (pid %u)", vm->index,
				  vm->proc->node->name, vm->proc->pid, how, o->proc->node->name, o->proc->pid);
}

void sim_guest_residue(struct sim_proc *proc)
{
	const struct hv_vm *vm;

	TAILQ_FOREACH (vm, &guests, link)
		if (vm->proc == proc && proc->alive && vm->state == HV_VM_RUNNING)
			check_alone(vm, "was stopped and goes on");
}

void sim_guest_woke(struct sim_node *node)
{
	const struct hv_vm *vm;

	TAILQ_FOREACH (vm, &guests, link)
		if (vm->proc->node == node && may_run(vm))
			check_alone(vm, "was frozen and goes on");
}

bool sim_guest_anywhere(unsigned index)
{
	const struct hv_vm *vm;

	TAILQ_FOREACH (vm, &guests, link)
		if (vm->index == index && may_run(vm))
			return true;
	return false;
}

void sim_guest_died(struct sim_proc *proc)
{
	struct hv_vm *vm, *next;

	for (vm = TAILQ_FIRST(&guests); vm; vm = next) {
		next = TAILQ_NEXT(vm, link);
		if (vm->proc == proc)
			TAILQ_REMOVE(&guests, vm, link);
	}
}

/* --- what the guest does ------------------------------------------------------------------- */

static void pause_look(struct hv_vm *vm);

static void written(struct stor_req *req, int rc)
{
	struct write *w = req->arg;
	struct hv_vm *vm = w->vm;

	w->busy = false;
	if (rc == 0)
		sim_oracle_acked(vm->index, vm->life, (unsigned)(w - vm->write), w->number);
	pause_look(vm);
}

static void guest_write(struct hv_vm *vm, unsigned lun)
{
	struct write *w = &vm->write[lun];

	w->busy = true;
	w->number = ++vm->known[lun];
	sim_oracle_fill(w->sector, vm->index, vm->life, w->number);
	w->iov = (struct iovec){w->sector, sizeof w->sector};
	stor_req_writev(&w->req, SIM_RECORD(vm->index) * SIM_SECTOR, &w->iov, 1, written, w);
	stor_dev_submit(vm->dev[lun], &w->req);
}

static void guest_step(struct cm_timer *t, void *arg)
{
	struct hv_vm *vm = arg;
	const struct sim_node *n = vm->proc->node;

	cm_timer_arm_ms(t, sim_between(vm->t_ms / 20, vm->t_ms / 4));
	if (vm->state != HV_VM_RUNNING)
		return;
	if (sim_local(n) + (n->ahead - vm->ahead) >= vm->until) {
		vm->state = HV_VM_FENCED;
		return;
	}
	if (may_run(vm))
		check_alone(vm, "runs");
	for (unsigned i = 0; i < vm->ndevs; i++)
		if (!vm->write[i].busy)
			guest_write(vm, i);
}

static void boot_read(struct stor_req *req, int rc)
{
	struct write *w = req->arg;
	struct hv_vm *vm = w->vm;
	struct cm_err err = CM_ERR_INIT;

	w->busy = false;
	vm->reading--;
	if (rc == 0)
		vm->known[w - vm->write] = sim_oracle_read(vm->index, (unsigned)(w - vm->write), w->sector);
	else
		vm->booted(vm->booted_arg, rc);
	if (vm->reading || rc)
		return;
	vm->state = HV_VM_PAUSED;
	rc = hv_vm_run(vm, &err);
	vm->booted(vm->booted_arg, rc);
}

void sim_guest_boot(struct hv_vm *vm, void (*done)(void *arg, int rc), void *arg)
{
	vm->booted = done;
	vm->booted_arg = arg;
	vm->life = sim_oracle_begins(vm->index, NULL);
	vm->reading = vm->ndevs;
	for (unsigned i = 0; i < vm->ndevs; i++) {
		struct write *w = &vm->write[i];

		w->busy = true;
		w->iov = (struct iovec){w->sector, sizeof w->sector};
		stor_req_readv(&w->req, SIM_RECORD(vm->index) * SIM_SECTOR, &w->iov, 1, boot_read, w);
		stor_dev_submit(vm->dev[i], &w->req);
	}
}

/* --- life --------------------------------------------------------------------------------- */

struct hv_vm *sim_guest_new(unsigned index, uint32_t t_ms, struct cm_loop *loop)
{
	struct hv_vm *vm = calloc(1, sizeof *vm);

	snprintf(vm->cfg.name, sizeof vm->cfg.name, "vm%u", index);
	hv_lock_init(&vm->lock);
	vm->proc = sim_self;
	vm->loop = loop;
	vm->index = index;
	vm->t_ms = t_ms;
	vm->state = HV_VM_EMPTY;
	vm->blind = vm->blind_now = sim_self->node->blind;
	for (unsigned i = 0; i < SIM_LUNS; i++)
		vm->write[i].vm = vm;
	cm_timer_init(&vm->step, loop, guest_step, vm);
	cm_timer_set_prio(&vm->step, CM_PRIO_LOW);
	TAILQ_INSERT_TAIL(&guests, vm, link);
	return vm;
}

void sim_guest_free(struct hv_vm *vm)
{
	TAILQ_REMOVE(&guests, vm, link);
	cm_timer_fini(&vm->step);
	free(vm);
}

void sim_guest_disks(struct hv_vm *vm, struct stor_dev *const *devs, unsigned n)
{
	memcpy(vm->dev, devs, n * sizeof *devs);
	vm->ndevs = n;
}

bool sim_guest_is_on(const struct hv_vm *vm)
{
	return vm->life != 0;
}

/* --- hv_vm.h -------------------------------------------------------------------------------- */

enum hv_vm_state hv_vm_state(const struct hv_vm *vm)
{
	return vm->state;
}

const char *hv_vm_state_name(enum hv_vm_state s)
{
	return s == HV_VM_RUNNING ? "RUNNING" : "not running";
}

const struct hv_vm_config *hv_vm_config(const struct hv_vm *vm)
{
	return &vm->cfg;
}

struct cm_loop *hv_vm_loop(struct hv_vm *vm)
{
	return vm->loop;
}

struct hv_lock *hv_vm_lock(struct hv_vm *vm)
{
	return &vm->lock;
}

struct hv_dev *hv_vm_dev(struct hv_vm *vm, const char *name, unsigned instance)
{
	(void)vm, (void)name, (void)instance;
	return NULL;
}

uint64_t hv_vm_started_at_ns(const struct hv_vm *vm)
{
	return vm->started_ns;
}

void hv_vm_set_run_until(struct hv_vm *vm, uint64_t ns)
{
	vm->until = ns;
	vm->ahead = vm->proc->node->ahead;
	/* A renewal that was under way in a pause that no clock shows is worth nothing either; nor is that promised. */
	vm->blind = vm->blind_now;
	vm->blind_now = vm->proc->node->blind;
	if (!ns && vm->state == HV_VM_RUNNING)
		vm->state = HV_VM_FENCED;
}

int hv_vm_run(struct hv_vm *vm, struct cm_err *err)
{
	(void)err;
	if (vm->loaded && !vm->life) /* it has come by a move */
		vm->life = sim_oracle_begins(vm->index, vm->known);
	vm->state = HV_VM_RUNNING;
	vm->started_ns = cm_now_ns();
	if (may_run(vm))
		check_alone(vm, "starts");
	if (!vm->step.armed)
		cm_timer_arm_ms(&vm->step, 1);
	return 0;
}

static void pause_done(void *arg)
{
	struct hv_vm *vm = arg;
	hv_vm_done_fn done = vm->paused;

	vm->paused = NULL;
	vm->state = HV_VM_PAUSED;
	if (done)
		done(vm->paused_arg, 0);
}

static void pause_look(struct hv_vm *vm)
{
	if (vm->state != HV_VM_PAUSING || !vm->paused)
		return;
	for (unsigned i = 0; i < vm->ndevs && !sim_plant_is(SIM_PLANT_NO_DRAIN); i++)
		if (vm->write[i].busy)
			return;
	pause_done(vm);
}

static void pause_look_later(void *arg)
{
	pause_look(arg);
}

int hv_vm_pause(struct hv_vm *vm, hv_vm_done_fn done, void *arg, struct cm_err *err)
{
	(void)err;
	vm->state = HV_VM_PAUSING;
	vm->paused = done;
	vm->paused_arg = arg;
	return cm_loop_post(vm->loop, pause_look_later, vm);
}

static void flushed(struct stor_req *req, int rc)
{
	struct hv_vm_flush *f = req->arg;

	f->rc = rc ? rc : f->rc;
	if (!--f->under_way)
		f->done(f->arg, f->rc);
}

void hv_vm_flush_start(struct hv_vm_flush *f, struct hv_vm *vm, hv_vm_done_fn done, void *arg)
{
	f->done = done;
	f->arg = arg;
	f->rc = 0;
	f->under_way = vm->ndevs;
	for (unsigned i = 0; i < vm->ndevs; i++) {
		stor_req_flush(&f->req[i], flushed, f);
		stor_dev_submit(vm->dev[i], &f->req[i]);
	}
}

int hv_vm_save(struct hv_vm *vm, struct cm_buf *out, struct cm_err *err)
{
	(void)err;
	cm_buf_put(out, vm->known, sizeof vm->known);
	return 0;
}

int hv_vm_load(struct hv_vm *vm, const void *data, size_t len, struct cm_err *err)
{
	(void)err;
	CM_ASSERT(len == sizeof vm->known);
	memcpy(vm->known, data, len);
	vm->state = HV_VM_PAUSED;
	vm->loaded = true;
	return 0;
}
