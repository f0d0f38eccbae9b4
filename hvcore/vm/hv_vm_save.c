/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_save.c - the whole state of a VM but its memory, as sections. Part of format:
 *
 *   machine, cpuid, clock, ioapic, vcpu.0.., the devices in machine order, end
 *
 * hv_vm_load parses what a peer or an image says: all sections are decoded and checked first; only
 * then is anything built from them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/cpu/hv_tables.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm_int.h"

#define MACHINE_VERSION 1u

struct machine_state {
	char machine[16];
	char engine[16]; /* for people */
	uint8_t uuid[16];
	uint64_t memory_bytes;
	uint32_t vcpus, virtio_slots;
	bool reset_pending;
};

static const struct hv_field machine_fields[] = {
	HV_F_BYTES(struct machine_state, machine),
	HV_F_BYTES(struct machine_state, engine),
	HV_F_BYTES(struct machine_state, uuid),
	HV_F_U64(struct machine_state, memory_bytes),
	HV_F_U32(struct machine_state, vcpus),
	HV_F_U32(struct machine_state, virtio_slots),
	HV_F_BOOL(struct machine_state, reset_pending),
	HV_F_END,
};

static void machine_of(const struct hv_vm *vm, struct machine_state *m)
{
	memset(m, 0, sizeof *m);
	strncpy(m->machine, HV_MACHINE_NAME, sizeof m->machine - 1);
	strncpy(m->engine, vm->eops->name, sizeof m->engine - 1);
	memcpy(m->uuid, vm->cfg->uuid, sizeof m->uuid);
	m->memory_bytes = vm->cfg->memory_bytes;
	m->vcpus = vm->cfg->cpus;
	m->virtio_slots = hv_devset_slots(&vm->devcfg);
	m->reset_pending = vm->reset_pending;
}

static int save_cpus(struct hv_vm *vm, struct cm_buf *out, struct cm_err *err)
{
	struct hv_vcpu_state *v = calloc(1, sizeof *v);
	struct hv_ioapic_state ioapic;
	struct hv_clock_state now;
	int rc;

	if (!v)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	/* The clock first: the vCPUs' TSCs are as of its instant. */
	rc = vm->eops->clock_get(vm->engine, &now, err);
	if (rc == 0)
		rc = vm->eops->ioapic_get(vm->engine, &ioapic, err);
	if (rc == 0) {
		hv_object_put(out, "clock", 0, HV_CLOCK_VERSION, hv_clock_fields, NULL, &now);
		hv_object_put(out, "ioapic", 0, HV_IOAPIC_VERSION, hv_ioapic_fields, NULL, &ioapic);
	}
	for (unsigned i = 0; rc == 0 && i < vm->cfg->cpus; i++) {
		rc = vm->eops->vcpu_get(vm->engine, i, v, err);
		if (rc == 0)
			hv_object_put(out, "vcpu", i, HV_VCPU_VERSION, hv_vcpu_fields, NULL, v);
	}
	free(v);
	return rc;
}

int hv_vm_save(struct hv_vm *vm, struct cm_buf *out, struct cm_err *err)
{
	struct machine_state m;
	int rc;

	if (hv_vm_state(vm) != HV_VM_PAUSED)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not paused",
				  hv_vm_state_name(hv_vm_state(vm)));
	machine_of(vm, &m);
	hv_object_put(out, "machine", 0, MACHINE_VERSION, machine_fields, NULL, &m);
	hv_object_put(out, "cpuid", 0, HV_CPUID_VERSION, hv_cpuid_fields, NULL, &vm->cpuid);
	rc = save_cpus(vm, out, err);
	if (rc < 0)
		return rc;
	hv_lock_take(&vm->lock);
	hv_devset_save(&vm->devs, out);
	hv_lock_drop(&vm->lock);
	hv_section_end(out, hv_section_begin(out, "end", 0, 1));
	return out->err ? cm_err_set(err, out->err, "no room for the VM's state") : 0;
}

/* Everything decoded, before anything is applied. */
struct incoming {
	struct machine_state machine;
	struct hv_cpuid cpuid;
	struct hv_clock_state clock;
	struct hv_ioapic_state ioapic;
	struct hv_vcpu_state *vcpu; /* cfg->cpus */
	uint64_t have_vcpu;
	bool have_machine, have_cpuid, have_clock, have_ioapic, end;
	void *devs[HV_DEVSET_MAX];
};

static int take(const struct hv_section *s, bool *have, uint32_t version,
		const struct hv_field *fields, void *object, struct cm_err *err)
{
	if (*have)
		return cm_err_set(err, CM_E_STREAM_SECTION, "section %s.%u came twice", s->name,
				  s->instance);
	if (s->version != version)
		return cm_err_set(err, CM_E_STREAM_VERSION, "section %s.%u has version %u", s->name,
				  s->instance, s->version);
	*have = true;
	return hv_object_get(s, fields, NULL, object, err);
}

static int take_vcpu(const struct hv_vm *vm, struct incoming *in, const struct hv_section *s,
		     struct cm_err *err)
{
	struct hv_vcpu_state *v;
	bool have;
	int rc;

	if (s->instance >= vm->cfg->cpus)
		return cm_err_set(err, CM_E_STREAM_SECTION, "a state for vCPU %u of %u",
				  s->instance, vm->cfg->cpus);
	v = &in->vcpu[s->instance];
	have = in->have_vcpu >> s->instance & 1;
	rc = take(s, &have, HV_VCPU_VERSION, hv_vcpu_fields, v, err);
	in->have_vcpu |= 1ull << s->instance;
	return rc < 0 ? rc : hv_vcpu_check(v, err);
}

static int take_section(const struct hv_vm *vm, struct incoming *in, const struct hv_section *s,
			struct cm_err *err)
{
	int rc;

	if (strcmp(s->name, "machine") == 0)
		return take(s, &in->have_machine, MACHINE_VERSION, machine_fields, &in->machine,
			    err);
	if (strcmp(s->name, "cpuid") == 0) {
		rc = take(s, &in->have_cpuid, HV_CPUID_VERSION, hv_cpuid_fields, &in->cpuid, err);
		return rc < 0 ? rc : hv_cpuid_check(&in->cpuid, err);
	}
	if (strcmp(s->name, "clock") == 0)
		return take(s, &in->have_clock, HV_CLOCK_VERSION, hv_clock_fields, &in->clock, err);
	if (strcmp(s->name, "ioapic") == 0)
		return take(s, &in->have_ioapic, HV_IOAPIC_VERSION, hv_ioapic_fields, &in->ioapic,
			    err);
	if (strcmp(s->name, "vcpu") == 0)
		return take_vcpu(vm, in, s, err);
	if (strcmp(s->name, "end") == 0) {
		in->end = true;
		return 0;
	}
	rc = hv_devset_decode(&vm->devcfg, s, in->devs, err);
	if (rc == 1)
		return cm_err_set(err, CM_E_STREAM_SECTION,
				  "section %s.%u belongs to no device of this VM", s->name,
				  s->instance);
	return rc;
}

static int check_machine(const struct hv_vm *vm, const struct machine_state *m, struct cm_err *err)
{
	struct machine_state own;

	machine_of(vm, &own);
	if (memcmp(m->machine, own.machine, sizeof own.machine) != 0)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "machine type %.15s; this is %s",
				  m->machine, HV_MACHINE_NAME);
	if (memcmp(m->uuid, own.uuid, sizeof own.uuid) != 0)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "the state is another VM's (uuid)");
	if (m->memory_bytes != own.memory_bytes || m->vcpus != own.vcpus ||
	    m->virtio_slots != own.virtio_slots)
		return cm_err_set(
			err, CM_E_INCOMPATIBLE,
			"the state has %llu bytes, %u vCPUs, slots 0x%x; this VM %llu, %u, 0x%x",
			(unsigned long long)m->memory_bytes, m->vcpus, m->virtio_slots,
			(unsigned long long)own.memory_bytes, own.vcpus, own.virtio_slots);
	return 0;
}

static int decode_all(const struct hv_vm *vm, struct incoming *in, const void *data, size_t len,
		      struct cm_err *err)
{
	const uint64_t all = vm->cfg->cpus == 64 ? ~0ull : (1ull << vm->cfg->cpus) - 1;
	struct cm_rd r = cm_rd_init(data, len);
	struct hv_section s;
	int rc = 0;

	while (rc == 0 && !in->end) {
		rc = hv_section_get(&r, &s, err);
		if (rc == 0)
			rc = take_section(vm, in, &s, err);
	}
	if (rc < 0)
		return rc;
	if (cm_rd_left(&r))
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "%zu bytes after the end of the state",
				  cm_rd_left(&r));
	if (!in->have_machine || !in->have_cpuid || !in->have_clock || !in->have_ioapic ||
	    in->have_vcpu != all)
		return cm_err_set(err, CM_E_STREAM_SECTION, "the state is not complete");
	rc = check_machine(vm, &in->machine, err);
	return rc < 0 ? rc : hv_devset_complete(&vm->devcfg, in->devs, err);
}

static int apply(struct hv_vm *vm, struct incoming *in, struct cm_err *err)
{
	int rc = hv__vm_vcpus_create(vm, &in->cpuid, err);

	if (rc == 0)
		rc = vm->eops->ioapic_set(vm->engine, &in->ioapic, err);
	if (rc == 0)
		rc = vm->eops->clock_set(vm->engine, &in->clock, err);
	for (unsigned i = 0; rc == 0 && i < vm->cfg->cpus; i++)
		rc = vm->eops->vcpu_set(vm->engine, i, &in->vcpu[i], err);
	if (rc == 0)
		rc = hv__vm_build_devices(vm, in->devs, err);
	if (rc == 0)
		vm->reset_pending = in->machine.reset_pending;
	return rc;
}

int hv_vm_load(struct hv_vm *vm, const void *data, size_t len, struct cm_err *err)
{
	struct incoming *in;
	int rc;

	if (hv_vm_state(vm) != HV_VM_EMPTY)
		return cm_err_set(err, CM_E_VM_STATE, "the VM is %s, not empty",
				  hv_vm_state_name(hv_vm_state(vm)));
	in = calloc(1, sizeof *in);
	if (in)
		in->vcpu = calloc(vm->cfg->cpus, sizeof *in->vcpu);
	if (!in || !in->vcpu) {
		rc = cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
		goto out;
	}
	rc = decode_all(vm, in, data, len, err);
	if (rc == 0)
		rc = apply(vm, in, err);
	if (rc == 0)
		CM_ASSERT(hv__vm_feed(vm, HV_VM_IN_BUILT, "loaded"));
out:
	if (in) {
		hv_devset_free_states(in->devs);
		free(in->vcpu);
	}
	free(in);
	return rc;
}
