/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_boot_vcpu.c - what processors and IO-APIC look like at power on. Values from Intel's SDM,
 * volume 3, tables 10-1 ("power-up") and "local APIC state after reset". Parses nothing.
 */
#include "config.h"

#include <string.h>

#include "common/cm_buf.h"
#include "hvcore/boot/hv_boot.h"

#define CR0_BOOT  0x80000031ull /* PG NE ET PE */
#define CR4_BOOT  0x20ull	/* PAE */
#define EFER_BOOT 0x500ull	/* LMA LME */
#define CR0_RESET 0x60000010ull

#define LAPIC_ID      0x20u
#define LAPIC_LVR     0x30u
#define LAPIC_DFR     0xe0u
#define LAPIC_SPIV    0xf0u
#define LAPIC_LVT     0x320u /* timer, thermal, PMC, LINT0, LINT1, error: 0x10 apart */
#define LAPIC_LVTS    6u
#define LAPIC_MASKED  0x10000u
#define LAPIC_VERSION (0x14u | (LAPIC_LVTS - 1) << 16)

#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_BSP	 (1ull << 8)

#define MSR_MISC_ENABLE	  0x1a0u
#define MSR_PAT		  0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu

static struct hv_seg segment(uint16_t selector, uint32_t limit, uint16_t attr)
{
	return (struct hv_seg){.limit = limit, .selector = selector, .attr = attr};
}

static void boot_segments(struct hv_vcpu_state *s)
{
	const uint16_t code = 11 | HV_SEG_S | HV_SEG_P | HV_SEG_L | HV_SEG_G;
	const uint16_t data = 3 | HV_SEG_S | HV_SEG_P | HV_SEG_DB | HV_SEG_G;

	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		s->seg[i] = segment(0x18, 0xffffffff, data);
	s->seg[HV_CS] = segment(0x10, 0xffffffff, code);
	s->tr = segment(0x20, 0x67, 11 | HV_SEG_P);
	s->ldt = segment(0, 0xffff, 2 | HV_SEG_P);
	s->gdt = (struct hv_dtable){HV_BOOT_GDT_GPA, 5 * 8 - 1};
}

static void reset_segments(struct hv_vcpu_state *s)
{
	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		s->seg[i] = segment(0, 0xffff, 3 | HV_SEG_S | HV_SEG_P);
	s->seg[HV_CS] = segment(0xf000, 0xffff, 11 | HV_SEG_S | HV_SEG_P);
	s->seg[HV_CS].base = 0xffff0000;
	s->tr = segment(0, 0xffff, 11 | HV_SEG_P);
	s->ldt = segment(0, 0xffff, 2 | HV_SEG_P);
	s->gdt = s->idt = (struct hv_dtable){0, 0xffff};
}

static void boot_fpu(struct hv_vcpu_state *s)
{
	s->xcr0 = 1;
	s->xsave_bytes = 576;
	cm_put_le16(s->xsave, 0x37f);	    /* FCW */
	cm_put_le32(s->xsave + 24, 0x1f80); /* MXCSR */
	cm_put_le64(s->xsave + 512, 3);	    /* x87 and SSE are in the image */
}

static void boot_lapic(struct hv_vcpu_state *s, unsigned index)
{
	cm_put_le32(s->lapic + LAPIC_ID, index << 24);
	cm_put_le32(s->lapic + LAPIC_LVR, LAPIC_VERSION);
	cm_put_le32(s->lapic + LAPIC_DFR, 0xffffffff);
	cm_put_le32(s->lapic + LAPIC_SPIV, 0xff);
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		cm_put_le32(s->lapic + LAPIC_LVT + 0x10 * i, LAPIC_MASKED);
	s->apic_base = HV_LAPIC_GPA | APIC_BASE_ENABLE | (index ? 0 : APIC_BASE_BSP);
}

void hv_boot_vcpu(unsigned index, uint64_t entry_gpa, struct hv_vcpu_state *out)
{
	memset(out, 0, sizeof *out);
	out->rflags = 2;
	out->dr6 = 0xffff0ff0;
	out->dr7 = 0x400;
	boot_fpu(out);
	boot_lapic(out, index);
	out->msr[out->msr_count++] = (struct hv_msr){MSR_MISC_ENABLE, 1};
	out->msr[out->msr_count++] = (struct hv_msr){MSR_PAT, 0x0007040600070406ull};
	out->msr[out->msr_count++] = (struct hv_msr){MSR_MTRR_DEF_TYPE, 0x806}; /* on, write back */
	if (index) {
		reset_segments(out);
		out->rip = 0xfff0;
		out->gpr[HV_RDX] = 0x600;
		out->cr0 = CR0_RESET;
		out->mp_state = HV_MP_WAIT_INIT;
		return;
	}
	boot_segments(out);
	out->rip = entry_gpa;
	out->gpr[HV_RSP] = HV_BOOT_STACK_GPA;
	out->gpr[HV_RSI] = HV_BOOT_PARAMS_GPA;
	out->cr0 = CR0_BOOT;
	out->cr3 = HV_BOOT_PML4_GPA;
	out->cr4 = CR4_BOOT;
	out->efer = EFER_BOOT;
	out->mp_state = HV_MP_RUNNABLE;
}

void hv_boot_ioapic(struct hv_ioapic_state *out)
{
	memset(out, 0, sizeof *out);
	out->base_gpa = HV_IOAPIC_GPA;
	out->id = HV_IOAPIC_ID;
	for (unsigned i = 0; i < HV_IOAPIC_PINS; i++)
		out->redir[i] = 0x10000;
}
