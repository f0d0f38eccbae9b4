/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_info.c - counters and dumps of a VM, for operators and developers. Changes nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/hv_bus.h"
#include "hvcore/hv_char.h"
#include "hvcore/hv_tables.h"
#include "hvcore/hv_vm_int.h"

struct prefixed {
	hv_counter_fn fn;
	void *arg;
	const char *prefix;
};

static void with_prefix(void *arg, const char *name, uint64_t value)
{
	const struct prefixed *p = arg;
	char full[96];

	snprintf(full, sizeof(full), "%s.%s", p->prefix, name);
	p->fn(p->arg, full, value);
}

static void vcpu_counters(struct hv_vm *vm, unsigned i, hv_counter_fn fn, void *arg)
{
	struct hv_engine_counters c = {0};
	char prefix[16];
	struct prefixed p = {fn, arg, prefix};

	snprintf(prefix, sizeof(prefix), "vcpu%u", i);
	vm->eops->counters(vm->engine, i, &c);
	with_prefix(&p, "entries", c.entries);
	with_prefix(&p, "exits_mmio", c.exits_mmio);
	with_prefix(&p, "exits_pio", c.exits_pio);
	with_prefix(&p, "exits_halt", c.exits_halt);
	with_prefix(&p, "exits_irq", c.exits_irq);
	with_prefix(&p, "exits_other", c.exits_other);
	if (vm->eops != &hv_engine_soft)
		return;
	with_prefix(&p, "insns", c.insns);
	with_prefix(&p, "block_hits", c.block_hits);
	with_prefix(&p, "block_misses", c.block_misses);
	with_prefix(&p, "tlb_hits", c.tlb_hits);
	with_prefix(&p, "tlb_misses", c.tlb_misses);
	with_prefix(&p, "unknown_insns", c.unknown_insns);
}

void hv_vm_counters(struct hv_vm *vm, hv_counter_fn fn, void *arg)
{
	for (unsigned i = 0; i < vm->cfg->cpus; i++)
		vcpu_counters(vm, i, fn, arg);
	hv_lock_take(&vm->lock);
	for (unsigned i = 0; i < vm->devs.count; i++) {
		struct hv_dev *dev = &vm->devs.dev[i];
		char prefix[48];
		struct prefixed p = {fn, arg, prefix};

		snprintf(prefix, sizeof(prefix), "%s%u", dev->ops->name, dev->env.instance);
		if (dev->ops->counters)
			dev->ops->counters(dev, with_prefix, &p);
	}
	fn(arg, "serial.lost", hv_char_lost(vm->serial));
	hv_lock_drop(&vm->lock);
	fn(arg, "bus.unknown", hv_bus_unknown(vm->bus));
	fn(arg, "resets", vm->resets);
}

static void dump_vcpu(struct hv_vm *vm, unsigned i, FILE *to)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vcpu_state *s = calloc(1, sizeof(*s));
	char prefix[16];

	if (!s)
		return;
	snprintf(prefix, sizeof(prefix), "vcpu%u.", i);
	vm->eops->dump(vm->engine, i, to);
	if (vm->eops->vcpu_get(vm->engine, i, s, &err) == 0)
		hv_fields_dump(to, prefix, hv_vcpu_fields, s);
	else
		fprintf(to, "%sstate: %s\n", prefix, err.text);
	free(s);
}

static bool vcpus_stopped(const struct hv_vm *vm)
{
	enum hv_vm_state s = hv_vm_state(vm);

	return vm->vcpus_created && s != HV_VM_RUNNING && s != HV_VM_EMPTY;
}

void hv_vm_dump(struct hv_vm *vm, FILE *to)
{
	fprintf(to, "vm %s engine %s state %s %s\n", vm->cfg->name, vm->eops->name,
		hv_vm_state_name(hv_vm_state(vm)), vm->why);
	if (vcpus_stopped(vm))
		for (unsigned i = 0; i < vm->cfg->cpus; i++)
			dump_vcpu(vm, i, to);
	else
		fprintf(to, "vCPUs run: pause the VM to see their registers\n");
	hv_lock_take(&vm->lock);
	for (unsigned i = 0; i < vm->devs.count; i++) {
		struct hv_dev *dev = &vm->devs.dev[i];
		char prefix[48];

		snprintf(prefix, sizeof(prefix), "%s%u.", dev->ops->name, dev->env.instance);
		if (dev->ops->fields && dev->ops->state_bytes)
			hv_fields_dump(to, prefix, dev->ops->fields, dev->state);
		if (dev->ops->dump)
			dev->ops->dump(dev, to);
	}
	hv_bus_dump(vm->bus, to);
	hv_lock_drop(&vm->lock);
}
