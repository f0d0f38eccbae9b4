/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the interpreter <-> struct hv_vcpu_state. The state may come from a file or a peer:
 * it is checked for what the engine could not run with, and can otherwise do no more than confuse
 * the guest.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cm_err.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_fxsave.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_msr.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_state.h"
#include "hvcore/engine_soft/soft_vm.h"

#define XSAVE_HEADER 512u /* offset of XSTATE_BV */
#define XSAVE_USED   576u

static void get_events(struct soft_cpu *cpu, struct hv_vcpu_events *e)
{
	uint32_t waiting = soft_irqchip_events(&cpu->vm->irqchip, cpu->index);

	e->interrupt_shadow = cpu->icount < cpu->shadow_until;
	e->nmi_masked = cpu->nmi_masked;
	e->nmi_pending = !!(waiting & SOFT_EVENT_NMI);
}

void soft_state_get(struct soft_cpu *cpu, struct hv_vcpu_state *out)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	struct soft_time now = soft_clock_now(cpu);
	uint64_t features = 3; /* x87 and SSE */

	memset(out, 0, sizeof *out);
	memcpy(out->gpr, cpu->gpr, sizeof out->gpr);
	out->rip = cpu->rip - (cpu->mode & SOFT_MODE_64 ? 0 : cpu->seg[HV_CS].base);
	out->rflags = soft_rflags(cpu);
	memcpy(out->seg, cpu->seg, sizeof out->seg);
	out->tr = cpu->tr;
	out->ldt = cpu->ldt;
	out->gdt = cpu->gdt;
	out->idt = cpu->idt;
	out->cr0 = cpu->cr0;
	out->cr2 = cpu->cr2;
	out->cr3 = cpu->cr3;
	out->cr4 = cpu->cr4;
	out->cr8 = soft_irqchip_cr8(chip, cpu->index);
	out->efer = cpu->efer;
	out->apic_base = soft_irqchip_base_msr(chip, cpu->index);
	memcpy(out->dr, cpu->dr, sizeof out->dr);
	out->dr6 = cpu->dr6;
	out->dr7 = cpu->dr7;
	out->xcr0 = 1;
	out->xsave_bytes = XSAVE_USED;
	soft_fxsave_image(cpu, out->xsave, true);
	memcpy(out->xsave + XSAVE_HEADER, &features, sizeof features);
	out->mp_state = cpu->mp_state;
	get_events(cpu, &out->events);
	soft_irqchip_get_apic(chip, cpu->index, out->lapic, now);
	out->tsc = now.tsc;
	out->tsc_khz = (uint32_t)cpu->vm->clock.tsc_khz;
	soft_msr_save(cpu, out);
}

static int check(const struct hv_vcpu_state *in, struct cm_err *err)
{
	if (in->cr0 & SOFT_CR0_PG && !(in->efer & SOFT_EFER_LMA))
		return cm_err_set(err, -ENOTSUP,
				  "the soft engine has no paging outside of long mode");
	if (in->cr4 & 0x1000)
		return cm_err_set(err, -ENOTSUP, "the soft engine has no five-level paging");
	if (in->xsave_bytes < SOFT_FXSAVE_BYTES || in->xsave_bytes > HV_XSAVE_BYTES)
		return cm_err_set(err, -EINVAL, "FPU state of %u bytes", in->xsave_bytes);
	if (in->mp_state == HV_MP_INVALID || in->mp_state > HV_MP_HALTED)
		return cm_err_set(err, -EINVAL, "no such processor state: %u", in->mp_state);
	return 0;
}

/* Registers that XSTATE_BV leaves out are in their initial state. */
static int set_fpu(struct soft_cpu *cpu, const struct hv_vcpu_state *in, struct cm_err *err)
{
	uint64_t features = 3;

	if (in->xsave_bytes >= XSAVE_USED)
		memcpy(&features, in->xsave + XSAVE_HEADER, sizeof features);
	if (!(features & 3)) {
		soft_fpu_reset(cpu);
		return 0;
	}
	if (!soft_fxrstor_image(cpu, in->xsave, true))
		return cm_err_set(err, -EINVAL, "FPU state with reserved bits");
	if (!(features & 1))
		soft_x87_init(cpu);
	return 0;
}

static void set_events(struct soft_cpu *cpu, const struct hv_vcpu_events *e)
{
	cpu->nmi_masked = e->nmi_masked;
	cpu->shadow_until = e->interrupt_shadow ? cpu->icount + 1 : 0;
	soft_irqchip_set_events(&cpu->vm->irqchip, cpu->index, e->nmi_pending ? SOFT_EVENT_NMI : 0,
				(uint8_t)e->sipi_vector);
	cpu->pending = (struct soft_pending){.vector = -1};
	if (e->exception_injected || e->exception_pending)
		cpu->pending = (struct soft_pending){.vector = e->exception_nr,
						     .has_error = e->exception_has_error,
						     .error = e->exception_error};
	else if (e->interrupt_injected)
		cpu->pending = (struct soft_pending){.vector = e->interrupt_nr,
						     .hard = !e->interrupt_soft,
						     .soft = e->interrupt_soft};
	else if (e->nmi_injected)
		cpu->pending = (struct soft_pending){.vector = SOFT_NMI, .hard = true};
}

/*
 * The TSCs of a VM are read one after the other when it is saved, and set one after the other here.
 * The guest must not see that: less than a second away from vCPU 0's they are the same.
 */
static void set_tsc(struct soft_cpu *cpu, uint64_t tsc)
{
	struct soft_vm *vm = cpu->vm;
	uint64_t change = tsc - soft_clock_now(cpu).tsc;
	int64_t apart;

	if (cpu->index == 0) {
		for (unsigned int i = 0; i < vm->cfg.vcpus; i++)
			if (vm->cpu[i])
				vm->cpu[i]->tsc_offset += change;
		return;
	}
	cpu->tsc_offset += change;
	if (!vm->cpu[0])
		return;
	apart = (int64_t)(cpu->tsc_offset - vm->cpu[0]->tsc_offset);
	if ((uint64_t)(apart < 0 ? -apart : apart) < vm->clock.tsc_khz * 1000)
		cpu->tsc_offset = vm->cpu[0]->tsc_offset;
}

int soft_state_set(struct soft_cpu *cpu, const struct hv_vcpu_state *in, struct cm_err *err)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	int r = check(in, err);

	if (!r)
		r = set_fpu(cpu, in, err);
	if (r)
		return r;
	memcpy(cpu->gpr, in->gpr, sizeof in->gpr);
	cpu->cr0 = in->cr0 | SOFT_CR0_ET;
	cpu->cr2 = in->cr2;
	cpu->cr3 = in->cr3;
	cpu->cr4 = in->cr4;
	cpu->efer = in->efer;
	cpu->tr = in->tr;
	cpu->ldt = in->ldt;
	cpu->gdt = in->gdt;
	cpu->idt = in->idt;
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		soft_set_sreg(cpu, i, &in->seg[i]);
	soft_rflags_load(cpu, in->rflags);
	soft_set_cpl(cpu, soft_protected(cpu) ? in->seg[HV_SS].attr >> 5 & 3u : 0);
	cpu->rip = in->rip + (cpu->mode & SOFT_MODE_64 ? 0 : cpu->seg[HV_CS].base);
	memcpy(cpu->dr, in->dr, sizeof in->dr);
	cpu->dr6 = in->dr6;
	cpu->dr7 = in->dr7;
	cpu->brk.hit = 0;
	soft_break_update(cpu);
	cpu->mp_state = in->mp_state;
	if (in->tsc_khz)
		cpu->vm->clock.tsc_khz = in->tsc_khz;
	set_tsc(cpu, in->tsc + soft_clock_elapsed_tsc(cpu->vm));
	soft_irqchip_set_base_msr(chip, cpu->index, in->apic_base);
	soft_irqchip_set_apic(chip, cpu->index, in->lapic, soft_clock_now(cpu));
	soft_irqchip_set_cr8(chip, cpu->index, (uint8_t)(in->cr8 & 15));
	soft_msr_load(cpu, in);
	set_events(cpu, &in->events);
	soft_tlb_flush(cpu);
	return 0;
}
