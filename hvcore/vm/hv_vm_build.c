/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_build.c - opens the engine, plans the devices, and builds a machine at power on.
 *
 * Parses nothing itself; the kernel is the operator's (hv_boot.c).
 */
#include "config.h"

#include <string.h>

#include "hvcore/boot/hv_boot.h"
#include "hvcore/cpu/hv_cpuid.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_int.h"

static void up_pio(void *arg, uint16_t port, void *data, unsigned len, bool write)
{
	hv_bus_pio(arg, port, data, len, write);
}

static void up_mmio(void *arg, uint64_t gpa, void *data, unsigned len, bool write)
{
	hv_bus_mmio(arg, gpa, data, len, write);
}

int hv__vm_engine_open(struct hv_vm *vm, struct cm_err *err)
{
	const struct hv_engine_config ec = {
		.vcpus = vm->cfg->cpus,
		.up = {.pio = up_pio, .mmio = up_mmio, .arg = vm->bus},
		.kvm_fd = vm->cfg->kvm_fd,
		.insns_per_us = vm->cfg->insns_per_us,
	};
	int rc;

	vm->eops = vm->cfg->engine;
	rc = vm->eops->create(&vm->engine, &ec, err);
	if (rc < 0)
		return rc;
	rc = hv_mem_attach(vm->mem, vm->engine, err);
	if (rc < 0)
		return rc;
	hv_bus_set_engine(vm->bus, vm->engine);
	return hv_vcpus_new(&vm->vcpus, vm->engine, vm->cfg->cpus, vm->cfg->name, &hv__vm_vcpus_ops,
			    vm, err);
}

/* Takes milliseconds on KVM; a landing VM has it done before its state arrives. */
int hv__vm_vcpus_make(struct hv_vm *vm, struct cm_err *err)
{
	int rc = 0;

	for (unsigned i = 0; !vm->vcpus_created && rc == 0 && i < vm->cfg->cpus; i++)
		rc = vm->eops->vcpu_create(vm->engine, i, err);
	vm->vcpus_created = rc == 0;
	return rc;
}

static bool same_contract(const struct hv_cpuid *a, const struct hv_cpuid *b)
{
	return a->count == b->count && memcmp(a->leaf, b->leaf, a->count * sizeof a->leaf[0]) == 0;
}

/* contract NULL: the first boot makes it. A VM's contract never changes afterwards. */
int hv__vm_vcpus_create(struct hv_vm *vm, const struct hv_cpuid *contract, struct cm_err *err)
{
	struct hv_cpuid supported, cpuid;
	int rc;

	if (vm->contracted && contract && !same_contract(&vm->cpuid, contract))
		return cm_err_set(err, CM_E_INCOMPATIBLE,
				  "the state has another CPUID than was agreed on");
	if (vm->contracted)
		return 0;
	rc = vm->eops->cpuid_supported(vm->engine, &supported);
	if (rc < 0)
		return cm_err_set(err, rc, "asking the %s engine for CPUID: %s", vm->eops->name,
				  cm_err_text(rc));
	if (contract) {
		rc = hv_cpuid_fits(contract, &supported, err);
		if (rc < 0)
			return rc;
		cpuid = *contract;
	} else {
		hv_cpuid_contract(&supported, vm->cfg->cpus, 0, &cpuid);
		if (vm->cfg->cpu_base)
			hv_cpuid_reduce(&cpuid);
	}
	rc = vm->eops->cpuid_set(vm->engine, &cpuid, err);
	if (rc == 0)
		rc = hv__vm_vcpus_make(vm, err);
	if (rc < 0)
		return rc;
	vm->cpuid = cpuid;
	vm->contracted = true;
	return 0;
}

void hv__vm_plan_devices(struct hv_vm *vm)
{
	const struct hv_vm_config *cfg = vm->cfg;

	vm->serial_cfg.chr = vm->serial;
	vm->console_cfg.chr = vm->console;
	vm->console_cfg.agent = &vm->agent_port;
	vm->debugport_cfg.chr = vm->debugport;
	for (unsigned i = 0; i < HV_SLOT_BLK_MAX; i++)
		vm->blk_cfg[i] = (struct hv_blk_config){.dev = cfg->disk[i].dev,
							.serial = cfg->disk[i].serial,
							.read_only = cfg->disk[i].read_only};
	for (unsigned i = 0; i < HV_SLOT_NET_MAX; i++) {
		vm->nic_cfg[i].tap_fd = cfg->net[i].tap_fd;
		memcpy(vm->nic_cfg[i].mac, cfg->net[i].mac, sizeof vm->nic_cfg[i].mac);
	}
	for (unsigned i = 0; i < hv_machine_row_count; i++) {
		const struct hv_machine_row *row = &hv_machine_rows[i];
		const void *c = NULL;
		bool present = true;

		if (row->ops == &hv_dev_uart) {
			c = &vm->serial_cfg;
		} else if (row->ops == &hv_dev_debugport) {
			c = &vm->debugport_cfg;
		} else if (row->ops == &hv_dev_blk) {
			c = &vm->blk_cfg[row->instance];
			present = cfg->disk[row->instance].dev != NULL;
		} else if (row->ops == &hv_dev_net) {
			c = &vm->nic_cfg[row->instance];
			present = cfg->net[row->instance].tap_fd >= 0;
		} else if (row->ops == &hv_dev_console) {
			c = &vm->console_cfg;
			present = cfg->console;
		} else if (row->ops == &hv_dev_rng) {
			present = cfg->rng;
		} else if (row->ops == &hv_dev_balloon) {
			present = cfg->balloon;
		} else if (row->ops == &hv_dev_empty) {
			present = false;
		}
		vm->devcfg.row[i].present = present;
		vm->devcfg.row[i].cfg = present ? c : NULL;
	}
}

static void irq_set(void *arg, unsigned gsi, bool level)
{
	struct hv_vm *vm = arg;

	(void)vm->eops->irq_line(vm->engine, gsi, level);
}

int hv__vm_build_devices(struct hv_vm *vm, void **states, struct cm_err *err)
{
	const struct hv_dev_env env = {
		.mem = vm->mem,
		.bus = vm->bus,
		.loop = vm->loop,
		.lock = &vm->lock,
		.guest_event = hv__vm_guest_event,
		.idle = hv__vm_dev_idle,
		.arg = vm,
	};
	const struct hv_irq irq = {.set = irq_set, .arg = vm};
	int rc;

	hv_lock_take(&vm->lock);
	rc = hv_devset_build(&vm->devs, &vm->devcfg, &env, &irq, states, err);
	hv_lock_drop(&vm->lock);
	return rc;
}

/* Memory is zero, no devices are built. */
int hv__vm_power_on(struct hv_vm *vm, struct cm_err *err)
{
	const struct hv_boot_config bc = {
		.kernel_fd = vm->cfg->kernel_fd,
		.initrd_fd = vm->cfg->initrd_fd,
		.cmdline = vm->cfg->cmdline,
		.vcpus = vm->cfg->cpus,
		.virtio_slots = hv_devset_slots(&vm->devcfg),
	};
	static const struct hv_clock_state clock_zero;
	struct hv_ioapic_state ioapic;
	struct hv_vcpu_state vcpu;
	uint64_t entry_gpa;
	int rc;

	rc = hv_boot_load(vm->mem, &bc, &entry_gpa, err);
	if (rc == 0)
		rc = hv__vm_vcpus_create(vm, NULL, err);
	if (rc < 0)
		return rc;
	hv_boot_ioapic(&ioapic);
	rc = vm->eops->ioapic_set(vm->engine, &ioapic, err);
	if (rc == 0)
		rc = vm->eops->clock_set(vm->engine, &clock_zero, err);
	for (unsigned i = 0; rc == 0 && i < vm->cfg->cpus; i++) {
		hv_boot_vcpu(i, entry_gpa, &vcpu);
		rc = vm->eops->vcpu_set(vm->engine, i, &vcpu, err);
	}
	return rc == 0 ? hv__vm_build_devices(vm, NULL, err) : rc;
}
