/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model specific registers: those that a 64-bit Linux needs, and no more. Values are the guest's.
 */
#include "config.h"

#include <stddef.h>

#include "hvcore/engine_soft/soft_clock.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_msr.h"
#include "hvcore/engine_soft/soft_segment.h"
#include "hvcore/engine_soft/soft_vm.h"

enum {
	MSR_TSC = 0x10,
	MSR_PLATFORM_ID = 0x17,
	MSR_APIC_BASE = 0x1b,
	MSR_SPEC_CTRL = 0x48,
	MSR_UCODE_REV = 0x8b,
	MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_MTRR_CAP = 0xfe,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_PAT = 0x277,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_EFER = 0xc0000080,
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_SFMASK,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE,
	MSR_KERNEL_GS_BASE,
	MSR_TSC_AUX,
	MSR_KVM_WALL_CLOCK = 0x4b564d00,
	MSR_KVM_SYSTEM_TIME,
};

/* Not affected by meltdown, L1TF, MDS, TAA, SSB, ...: true of an interpreter, and it spares Linux
 * page table isolation. */
#define ARCH_CAPABILITIES                                                                          \
	(1u << 0 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 13 | 1u << 14 |         \
	 1u << 15 | 1u << 20 | 1u << 24 | 1u << 26 | 1u << 27)

/* Registers that only hold a value. */
static const struct plain {
	uint32_t index;
	uint16_t at; /* offset in struct soft_msrs */
	bool canonical;
} plain[] = {
	{MSR_SPEC_CTRL, offsetof(struct soft_msrs, spec_ctrl), false},
	{MSR_SYSENTER_CS, offsetof(struct soft_msrs, sysenter_cs), false},
	{MSR_SYSENTER_ESP, offsetof(struct soft_msrs, sysenter_esp), true},
	{MSR_SYSENTER_EIP, offsetof(struct soft_msrs, sysenter_eip), true},
	{MSR_MCG_STATUS, offsetof(struct soft_msrs, mcg_status), false},
	{MSR_MISC_ENABLE, offsetof(struct soft_msrs, misc_enable), false},
	{MSR_DEBUGCTL, offsetof(struct soft_msrs, debugctl), false},
	{MSR_PAT, offsetof(struct soft_msrs, pat), false},
	{MSR_MTRR_DEF_TYPE, offsetof(struct soft_msrs, mtrr_def_type), false},
	{MSR_STAR, offsetof(struct soft_msrs, star), false},
	{MSR_LSTAR, offsetof(struct soft_msrs, lstar), true},
	{MSR_CSTAR, offsetof(struct soft_msrs, cstar), true},
	{MSR_SFMASK, offsetof(struct soft_msrs, sfmask), false},
	{MSR_KERNEL_GS_BASE, offsetof(struct soft_msrs, kernel_gs_base), true},
	{MSR_TSC_AUX, offsetof(struct soft_msrs, tsc_aux), false},
};

static uint64_t *plain_msr(struct soft_cpu *cpu, uint32_t index, bool *canonical)
{
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		if (plain[i].index == index) {
			*canonical = plain[i].canonical;
			return (uint64_t *)((char *)&cpu->msr + plain[i].at);
		}
	}
	return NULL;
}

bool soft_msr_read(struct soft_cpu *cpu, uint32_t index, uint64_t *v)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	bool canonical;
	uint64_t *p = plain_msr(cpu, index, &canonical);

	if (p) {
		*v = *p;
		return true;
	}
	switch (index) {
	case MSR_TSC:
		*v = soft_clock_now(cpu).tsc;
		return true;
	case MSR_APIC_BASE:
		*v = soft_irqchip_base_msr(chip, cpu->index);
		return true;
	case MSR_TSC_DEADLINE:
		*v = soft_irqchip_tsc_deadline(chip, cpu->index);
		return true;
	case MSR_ARCH_CAPABILITIES:
		*v = ARCH_CAPABILITIES;
		return true;
	case MSR_EFER:
		*v = cpu->efer;
		return true;
	case MSR_FS_BASE:
		*v = cpu->seg[HV_FS].base;
		return true;
	case MSR_GS_BASE:
		*v = cpu->seg[HV_GS].base;
		return true;
	case MSR_KVM_WALL_CLOCK:
		*v = cpu->msr.wall_clock;
		return true;
	case MSR_KVM_SYSTEM_TIME:
		*v = cpu->msr.system_time;
		return true;
	case MSR_PLATFORM_ID:
	case MSR_UCODE_REV:
	case MSR_MTRR_CAP:
	case MSR_MCG_CAP:
		*v = 0;
		return true;
	default:
		return false;
	}
}

static bool write_efer(struct soft_cpu *cpu, uint64_t v)
{
	if (v & ~(uint64_t)(SOFT_EFER_SCE | SOFT_EFER_LME | SOFT_EFER_LMA | SOFT_EFER_NXE))
		return false;
	if (cpu->cr0 & SOFT_CR0_PG && (v ^ cpu->efer) & SOFT_EFER_LME)
		return false;
	cpu->efer = (v & ~(uint64_t)SOFT_EFER_LMA) | (cpu->efer & SOFT_EFER_LMA);
	soft_tlb_flush(cpu);
	return true;
}

static bool write_base(struct soft_cpu *cpu, unsigned int reg, uint64_t v)
{
	if ((uint64_t)((int64_t)(v << 16) >> 16) != v)
		return false;
	cpu->seg[reg].base = cpu->seg_base[reg] = v;
	return true;
}

bool soft_msr_write(struct soft_cpu *cpu, uint32_t index, uint64_t v)
{
	struct soft_irqchip *chip = &cpu->vm->irqchip;
	bool canonical;
	uint64_t *p = plain_msr(cpu, index, &canonical);

	if (p) {
		if (canonical && (uint64_t)((int64_t)(v << 16) >> 16) != v)
			return false;
		*p = v;
		return true;
	}
	switch (index) {
	case MSR_TSC:
		cpu->tsc_offset += v - soft_clock_now(cpu).tsc;
		return true;
	case MSR_APIC_BASE:
		return soft_irqchip_set_base_msr(chip, cpu->index, v) == 0;
	case MSR_TSC_DEADLINE:
		soft_irqchip_set_tsc_deadline(chip, cpu->index, v);
		soft_cpu_stop(cpu, SOFT_STOP_IRQ); /* the slice may have to end earlier */
		return true;
	case MSR_EFER:
		return write_efer(cpu, v);
	case MSR_FS_BASE:
		return write_base(cpu, HV_FS, v);
	case MSR_GS_BASE:
		return write_base(cpu, HV_GS, v);
	case MSR_KVM_WALL_CLOCK:
		cpu->msr.wall_clock = v;
		soft_clock_write_wall_clock(cpu, v);
		return true;
	case MSR_KVM_SYSTEM_TIME:
		cpu->msr.system_time = v;
		if (v & 1)
			soft_clock_write_system_time(cpu, v & ~1ull);
		return true;
	case MSR_PLATFORM_ID:
	case MSR_UCODE_REV:
		return true;
	default:
		return false;
	}
}

/* --- in a saved state ------------------------------------------------------------------------- */

static const uint32_t others[] = {MSR_TSC_DEADLINE, MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME};

void soft_msr_save(struct soft_cpu *cpu, struct hv_vcpu_state *to)
{
	to->msr_count = 0;
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		to->msr[to->msr_count++] =
			(struct hv_msr){.index = plain[i].index,
					.value = *(uint64_t *)((char *)&cpu->msr + plain[i].at)};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct hv_msr m = {.index = others[i]};

		soft_msr_read(cpu, m.index, &m.value);
		to->msr[to->msr_count++] = m;
	}
}

void soft_msr_load(struct soft_cpu *cpu, const struct hv_vcpu_state *from)
{
	for (uint32_t i = 0; i < from->msr_count && i < HV_MSR_MAX; i++) {
		uint32_t index = from->msr[i].index;

		/* these have fields of their own in the state */
		if (index != MSR_TSC && index != MSR_EFER && index != MSR_APIC_BASE &&
		    index != MSR_FS_BASE && index != MSR_GS_BASE && index != MSR_KVM_WALL_CLOCK)
			soft_msr_write(cpu, index, from->msr[i].value);
		if (index == MSR_KVM_WALL_CLOCK) /* the guest keeps what it read at boot */
			cpu->msr.wall_clock = from->msr[i].value;
	}
}
