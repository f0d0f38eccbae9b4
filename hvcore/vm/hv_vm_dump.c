/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_dump.c - a look at a VM while its vCPUs are out of the guest, and the dump document.
 *
 * What is copied under the hold is written out after it, so that the guest is away for the copying
 * only. Devices are told as text, under the machine lock; they may have work in flight.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "hvcore/cpu/hv_dump_cpu.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_int.h"

int hv_vm_look(struct hv_vm *vm, void (*look)(void *arg), void *arg, uint64_t *held_ns,
	       struct cm_err *err)
{
	enum hv_vm_state state = hv_vm_state(vm);
	uint64_t begin = cm_now_ns();

	if (held_ns)
		*held_ns = 0;
	if (!vm->vcpus_created || state == HV_VM_EMPTY || state == HV_VM_OFF)
		return cm_err_set(err, CM_E_VM_STATE, "there is nothing to look at: the VM is %s",
				  hv_vm_state_name(state));
	if (state != HV_VM_RUNNING) { /* every other state has them stopped */
		look(arg);
		return 0;
	}
	hv_vcpus_hold(vm->vcpus);
	look(arg);
	hv_vcpus_go_on(vm->vcpus);
	if (held_ns)
		*held_ns = cm_now_ns() - begin;
	return 0;
}

void hv_vm_tally(struct hv_vm *vm, unsigned index, struct hv_tally *out)
{
	out->count = 0;
	out->wall_ns = 0;
	hv_tally_add_row(out, "time.cpu_ns", hv_vcpus_cpu_ns(vm->vcpus, index));
	if (vm->vcpus_created)
		vm->eops->tally(vm->engine, index, hv_tally_add_row, out);
}

/* --- the copy ------------------------------------------------------------ */

struct copied_cpu {
	struct hv_vcpu_state state;
	bool failed;
	struct cm_err err; /* why there is no state */
	char *words;	   /* the engine's own */
};

struct copied_dev {
	char name[48];
	char *text;
};

struct copy {
	struct hv_vm *vm;
	uint64_t held_ns;
	struct copied_cpu *cpu;
	struct copied_dev dev[HV_DEVSET_MAX];
	unsigned devs;
	char *bus;
	struct hv_clock_state clock;
};

static FILE *text_open(char **text, size_t *n)
{
	FILE *f = open_memstream(text, n);

	CM_ASSERT(f);
	return f;
}

static void copy_cpus(struct copy *c)
{
	struct hv_vm *vm = c->vm;
	struct cm_err err = CM_ERR_INIT;
	size_t n;

	/* The TSCs that follow are those of the instant of clock_get. */
	if (vm->eops->clock_get(vm->engine, &c->clock, &err) < 0)
		memset(&c->clock, 0, sizeof c->clock);
	for (unsigned i = 0; i < vm->cfg->cpus; i++) {
		struct copied_cpu *k = &c->cpu[i];
		FILE *f = text_open(&k->words, &n);

		vm->eops->dump(vm->engine, i, f);
		fclose(f);
		k->failed = vm->eops->vcpu_get(vm->engine, i, &k->state, &k->err) < 0;
	}
}

static void copy_devices(struct copy *c)
{
	struct hv_vm *vm = c->vm;
	size_t n;
	FILE *f;

	hv_lock_take(&vm->lock);
	for (unsigned i = 0; i < vm->devs.count; i++) {
		struct hv_dev *dev = &vm->devs.dev[i];
		struct copied_dev *to = &c->dev[c->devs++];

		snprintf(to->name, sizeof to->name, "%s%u", dev->ops->name, dev->env.instance);
		f = text_open(&to->text, &n);
		if (dev->ops->fields && dev->ops->state_bytes)
			hv_fields_dump(f, "", dev->ops->fields, dev->state);
		if (dev->ops->dump)
			dev->ops->dump(dev, f);
		fclose(f);
	}
	f = text_open(&c->bus, &n);
	hv_bus_dump(vm->bus, f);
	fclose(f);
	hv_lock_drop(&vm->lock);
}

static void copy_all(void *arg)
{
	copy_cpus(arg);
	copy_devices(arg);
}

static void copy_free(struct copy *c)
{
	for (unsigned i = 0; i < c->vm->cfg->cpus; i++)
		free(c->cpu[i].words);
	for (unsigned i = 0; i < c->devs; i++)
		free(c->dev[i].text);
	free(c->bus);
	free(c->cpu);
	free(c);
}

/* --- the document -------------------------------------------------------- */

static void put_cpus(struct hv_json *j, const struct copy *c)
{
	hv_json_open(j, "vcpus", '[');
	for (unsigned i = 0; i < c->vm->cfg->cpus; i++) {
		const struct copied_cpu *k = &c->cpu[i];

		hv_json_open(j, NULL, '{');
		hv_json_u64(j, "index", i);
		if (k->failed)
			hv_json_str(j, "error", k->err.text);
		else
			hv_dump_cpu(j, &k->state);
		hv_json_str(j, "engine", k->words);
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
}

static void put_slots(struct hv_json *j, const struct hv_mem *mem)
{
	hv_json_open(j, "slots", '[');
	for (unsigned i = 0; i < hv_mem_slots(mem); i++) {
		const struct hv_mem_slot *s = hv_mem_slot(mem, i);

		hv_json_open(j, NULL, '{');
		hv_json_hex(j, "gpa", s->gpa);
		hv_json_hex(j, "end", s->gpa + s->bytes);
		hv_json_u64(j, "size_bytes", s->bytes);
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
}

static void put_devices(struct hv_json *j, const struct copy *c)
{
	hv_json_open(j, "devices", '[');
	for (unsigned i = 0; i < c->devs; i++) {
		hv_json_open(j, NULL, '{');
		hv_json_str(j, "name", c->dev[i].name);
		hv_json_str(j, "text", c->dev[i].text);
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
	hv_json_str(j, "bus", c->bus);
}

int hv_vm_dump(struct hv_vm *vm, struct hv_json *j, struct cm_err *err)
{
	struct copy *c = calloc(1, sizeof *c);
	int rc;

	CM_ASSERT(c);
	c->vm = vm;
	c->cpu = calloc(vm->cfg->cpus, sizeof *c->cpu);
	CM_ASSERT(c->cpu);
	rc = hv_vm_look(vm, copy_all, c, &c->held_ns, err);
	if (rc == 0) {
		hv_json_str(j, "vm", vm->cfg->name);
		hv_json_str(j, "engine", vm->eops->name);
		hv_json_str(j, "state", hv_vm_state_name(hv_vm_state(vm)));
		hv_json_str(j, "why", vm->why);
		hv_json_u64(j, "held_us", c->held_ns / 1000u);
		hv_json_u64(j, "kvmclock_ns", c->clock.kvmclock_ns);
		put_cpus(j, c);
		put_slots(j, vm->mem);
		put_devices(j, c);
	}
	copy_free(c);
	return rc;
}
