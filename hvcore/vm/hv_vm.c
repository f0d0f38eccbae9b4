/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm.c - a VM from outside: new, boot, run, pause, stop, free, and what can be asked about it.
 *
 * The state machine is in hv_vm_fsm.c, its actions in hv_vm_act.c, building in hv_vm_build.c,
 * saving and loading in hv_vm_save.c. Parses nothing.
 */
#include "config.h"

#include "hvcore/vm/hv_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_loop.h"
#include "hvcore/cpu/hv_tables.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_fsm.h"
#include "hvcore/vm/hv_vm_int.h"

static int chars_new(struct hv_vm *vm)
{
	int rc = hv_char_new(&vm->serial, vm->loop, &vm->lock);

	if (rc == 0)
		rc = hv_char_new(&vm->debugport, vm->loop, &vm->lock);
	if (rc == 0 && vm->cfg->console)
		rc = hv_char_new(&vm->console, vm->loop, &vm->lock);
	return rc;
}

static int vm_setup(struct hv_vm *vm, struct cm_err *err)
{
	int rc = chars_new(vm);

	if (rc == 0)
		rc = hv_bus_new(&vm->bus, &vm->lock);
	if (rc < 0)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	rc = hv_mem_new(&vm->mem, vm->cfg->memory_bytes, err);
	if (rc < 0)
		return rc;
	hv__vm_plan_devices(vm);
	return hv__vm_engine_open(vm, err);
}

int hv_vm_new(struct hv_vm **out, const struct hv_vm_config *cfg, struct cm_loop *loop,
	      const struct hv_vm_owner *owner, struct cm_err *err)
{
	struct hv_vm *vm;
	int rc;

	*out = NULL;
	if (cfg->cpus < 1 || cfg->cpus > HV_MAX_VCPUS)
		return cm_err_set(err, CM_E_BAD_VALUE, "%u vCPUs: must be 1 to %u", cfg->cpus,
				  HV_MAX_VCPUS);
	vm = calloc(1, sizeof *vm);
	if (!vm)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	vm->cfg = cfg;
	vm->loop = loop;
	vm->owner = *owner;
	hv_lock_init(&vm->lock);
	cm_fsm_init(&vm->fsm, hv_vm_fsm(), HV_VM_EMPTY, vm, cfg->name);
	rc = vm_setup(vm, err);
	if (rc < 0) {
		hv_vm_free(vm);
		return rc;
	}
	*out = vm;
	return 0;
}

static void vm_release(void *arg)
{
	struct hv_vm *vm = arg;

	hv_lock_fini(&vm->lock);
	free(vm);
}

void hv_vm_free(struct hv_vm *vm)
{
	if (!vm)
		return;
	hv_vcpus_free(vm->vcpus);
	vm->dead = true;
	hv_lock_take(&vm->lock);
	if (vm->devs.built) {
		(void)hv_devset_pause(&vm->devs);
		hv_devset_destroy(&vm->devs);
	}
	hv_char_free(vm->serial);
	hv_char_free(vm->console);
	hv_char_free(vm->debugport);
	hv_lock_drop(&vm->lock);
	if (vm->mem)
		(void)hv_mem_attach(vm->mem, NULL, NULL);
	if (vm->bus)
		hv_bus_set_engine(vm->bus, NULL);
	if (vm->engine)
		vm->eops->destroy(vm->engine);
	hv_bus_free(vm->bus);
	hv_mem_free(vm->mem);
	/* Notes that threads posted are still on their way; they run before this one. */
	CM_ASSERT(cm_loop_post(vm->loop, vm_release, vm) == 0);
}

static int wrong_state(const struct hv_vm *vm, struct cm_err *err, const char *verb)
{
	return cm_err_set(err, CM_E_VM_STATE, "cannot %s: the VM is %s", verb,
			  hv_vm_state_name(hv_vm_state(vm)));
}

int hv_vm_boot(struct hv_vm *vm, struct cm_err *err)
{
	int rc;

	if (hv_vm_state(vm) != HV_VM_EMPTY)
		return wrong_state(vm, err, "boot");
	rc = hv__vm_power_on(vm, err);
	if (rc == 0)
		CM_ASSERT(hv__vm_feed(vm, HV_VM_IN_BUILT, "booted"));
	return rc;
}

int hv_vm_prepare(struct hv_vm *vm, const struct hv_cpuid *contract, struct cm_err *err)
{
	if (hv_vm_state(vm) != HV_VM_EMPTY)
		return wrong_state(vm, err, "prepare");
	return contract ? hv__vm_vcpus_create(vm, contract, err) : hv__vm_vcpus_make(vm, err);
}

int hv_vm_run(struct hv_vm *vm, struct cm_err *err)
{
	if (hv_vm_run_until(vm) <= cm_now_ns())
		return cm_err_set(err, CM_E_LEASE_LOST, "the VM may not run now: no valid lease");
	return hv__vm_feed(vm, HV_VM_IN_RUN, "asked") ? 0 : wrong_state(vm, err, "run");
}

static int feed_done(struct hv_vm *vm, enum hv_vm_input in, const char *verb, hv_vm_done_fn done,
		     void *arg, struct cm_err *err)
{
	if (vm->done)
		return cm_err_set(err, CM_E_VM_STATE, "cannot %s: another change is under way",
				  verb);
	vm->done = done;
	vm->done_arg = arg;
	if (hv__vm_feed(vm, in, "asked"))
		return 0;
	vm->done = NULL;
	return wrong_state(vm, err, verb);
}

int hv_vm_pause(struct hv_vm *vm, hv_vm_done_fn done, void *arg, struct cm_err *err)
{
	return feed_done(vm, HV_VM_IN_PAUSE, "pause", done, arg, err);
}

int hv_vm_stop(struct hv_vm *vm, hv_vm_done_fn done, void *arg, struct cm_err *err)
{
	return feed_done(vm, HV_VM_IN_STOP, "stop", done, arg, err);
}

void hv_vm_halt(struct hv_vm *vm)
{
	hv_vm_set_run_until(vm, 0);
	hv_vcpus_stop(vm->vcpus);
	hv_lock_take(&vm->lock);
	if (vm->devs.built)
		(void)hv_devset_pause(&vm->devs);
	hv_lock_drop(&vm->lock);
}

int hv_vm_reset(struct hv_vm *vm, struct cm_err *err)
{
	if (!hv__vm_feed(vm, HV_VM_IN_RESET, "asked"))
		return wrong_state(vm, err, "reset");
	if (hv_vm_state(vm) == HV_VM_FAILED)
		return cm_err_set(err, CM_E_GUEST_FAILED, "%s", vm->why);
	return 0;
}

int hv_vm_power_button(struct hv_vm *vm, struct cm_err *err)
{
	struct hv_dev *power;

	if (hv_vm_state(vm) != HV_VM_RUNNING)
		return wrong_state(vm, err, "press the power button");
	hv_lock_take(&vm->lock);
	power = hv_devset_find(&vm->devs, "power", 0);
	CM_ASSERT(power);
	hv_power_press(power);
	hv_lock_drop(&vm->lock);
	return 0;
}

void hv_vm_set_run_until(struct hv_vm *vm, uint64_t ns)
{
	hv_vcpus_set_run_until(vm->vcpus, ns);
}

uint64_t hv_vm_run_until(const struct hv_vm *vm)
{
	return hv_vcpus_run_until(vm->vcpus);
}

uint64_t hv_vm_stopped_at_ns(const struct hv_vm *vm)
{
	return hv_vcpus_stopped_at_ns(vm->vcpus);
}

uint64_t hv_vm_started_at_ns(const struct hv_vm *vm)
{
	return hv_vcpus_started_at_ns(vm->vcpus);
}

enum hv_vm_state hv_vm_state(const struct hv_vm *vm)
{
	return (enum hv_vm_state)vm->fsm.state;
}

const struct hv_vm_config *hv_vm_config(const struct hv_vm *vm)
{
	return vm->cfg;
}

struct hv_mem *hv_vm_mem(struct hv_vm *vm)
{
	return vm->mem;
}

struct hv_engine *hv_vm_engine(struct hv_vm *vm)
{
	return vm->engine;
}

const struct hv_engine_ops *hv_vm_engine_ops(struct hv_vm *vm)
{
	return vm->eops;
}

const char *hv_vm_engine_why(const struct hv_vm *vm)
{
	return vm->cfg->engine_why;
}

struct hv_lock *hv_vm_lock(struct hv_vm *vm)
{
	return &vm->lock;
}

struct cm_loop *hv_vm_loop(struct hv_vm *vm)
{
	return vm->loop;
}

struct hv_char *hv_vm_serial(struct hv_vm *vm)
{
	return vm->serial;
}

struct hv_char *hv_vm_console(struct hv_vm *vm)
{
	return vm->console;
}

struct hv_port *hv_vm_agent_port(struct hv_vm *vm)
{
	return &vm->agent_port;
}

struct hv_char *hv_vm_debugport(struct hv_vm *vm)
{
	return vm->debugport;
}

const struct hv_cpuid *hv_vm_cpuid(const struct hv_vm *vm)
{
	return &vm->cpuid;
}

struct hv_dev *hv_vm_dev(struct hv_vm *vm, const char *name, unsigned instance)
{
	return hv_devset_find(&vm->devs, name, instance);
}
