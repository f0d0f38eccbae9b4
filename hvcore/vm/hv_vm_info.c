/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_info.c - counters of a VM, for operators. Changes nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/vm/hv_vm_int.h"

struct prefixed {
	hv_counter_fn fn;
	void *arg;
	const char *prefix;
};

static void with_prefix(void *arg, const char *name, uint64_t value)
{
	const struct prefixed *p = arg;
	char full[96];

	snprintf(full, sizeof full, "%s.%s", p->prefix, name);
	p->fn(p->arg, full, value);
}

static void vcpu_counters(struct hv_vm *vm, unsigned i, hv_counter_fn fn, void *arg)
{
	struct hv_engine_counters c = {0};
	char prefix[16];
	struct prefixed p = {fn, arg, prefix};

	snprintf(prefix, sizeof prefix, "vcpu%u", i);
	vm->eops->counters(vm->engine, i, &c);
	with_prefix(&p, "entries", c.entries);
	with_prefix(&p, "exits_mmio", c.exits_mmio);
	with_prefix(&p, "exits_pio", c.exits_pio);
	with_prefix(&p, "exits_halt", c.exits_halt);
	with_prefix(&p, "exits_irq", c.exits_irq);
	with_prefix(&p, "exits_other", c.exits_other);
	if (!vm->eops->unknown) /* it does not see the instructions */
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

		snprintf(prefix, sizeof prefix, "%s%u", dev->ops->name, dev->env.instance);
		if (dev->ops->counters)
			dev->ops->counters(dev, with_prefix, &p);
	}
	fn(arg, "serial.lost", hv_char_lost(vm->serial));
	hv_lock_drop(&vm->lock);
	fn(arg, "bus.unknown", hv_bus_unknown(vm->bus));
	fn(arg, "resets", vm->resets);
}
