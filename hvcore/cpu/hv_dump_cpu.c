/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_dump_cpu.c - registers, segments, control and debug registers, MSRs and events of a vCPU.
 * Changes nothing. The state is the guest's: any value is shown, none is believed.
 */
#include "config.h"

#include "hvcore/cpu/hv_dump_cpu.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/cm_err.h"

#define EFER_LMA (1u << 10)
#define CR0_PE	 1u

struct bit {
	unsigned at;
	const char *name;
};

static const struct bit rflags_bits[] = {{0, "CF"},  {2, "PF"},	     {4, "AF"},	     {6, "ZF"},
					 {7, "SF"},  {8, "TF"},	     {9, "IF"},	     {10, "DF"},
					 {11, "OF"}, {12, "IOPL.0"}, {13, "IOPL.1"}, {14, "NT"},
					 {16, "RF"}, {17, "VM"},     {18, "AC"},     {21, "ID"}};
static const struct bit cr0_bits[] = {{0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},
				      {4, "ET"},  {5, "NE"},  {16, "WP"}, {18, "AM"},
				      {29, "NW"}, {30, "CD"}, {31, "PG"}};
static const struct bit cr4_bits[] = {
	{0, "VME"},	    {1, "PVI"},	  {2, "TSD"},	{3, "DE"},	  {4, "PSE"},
	{5, "PAE"},	    {6, "MCE"},	  {7, "PGE"},	{8, "PCE"},	  {9, "OSFXSR"},
	{10, "OSXMMEXCPT"}, {11, "UMIP"}, {12, "LA57"}, {16, "FSGSBASE"}, {17, "PCIDE"},
	{18, "OSXSAVE"},    {20, "SMEP"}, {21, "SMAP"}, {22, "PKE"}};
static const struct bit efer_bits[] = {{0, "SCE"},  {8, "LME"},	  {10, "LMA"},
				       {11, "NXE"}, {12, "SVME"}, {14, "FFXSR"}};
static const struct bit dr6_bits[] = {{0, "B0"},  {1, "B1"},  {2, "B2"}, {3, "B3"},
				      {13, "BD"}, {14, "BS"}, {15, "BT"}};
static const struct bit dr7_bits[] = {{0, "L0"}, {1, "G0"}, {2, "L1"}, {3, "G1"},
				      {4, "L2"}, {5, "G2"}, {6, "L3"}, {7, "G3"},
				      {8, "LE"}, {9, "GE"}, {13, "GD"}};

static const struct {
	uint32_t index;
	const char *name;
} msr_names[] = {
	{0x10, "TSC"},
	{0x1b, "APIC_BASE"},
	{0x3a, "FEATURE_CONTROL"},
	{0x3b, "TSC_ADJUST"},
	{0x48, "SPEC_CTRL"},
	{0x8b, "UCODE_REV"},
	{0x174, "SYSENTER_CS"},
	{0x175, "SYSENTER_ESP"},
	{0x176, "SYSENTER_EIP"},
	{0x17a, "MCG_STATUS"},
	{0x1a0, "MISC_ENABLE"},
	{0x1d9, "DEBUGCTL"},
	{0x277, "PAT"},
	{0x2ff, "MTRR_DEF_TYPE"},
	{0x6e0, "TSC_DEADLINE"},
	{0xc0000080, "EFER"},
	{0xc0000081, "STAR"},
	{0xc0000082, "LSTAR"},
	{0xc0000083, "CSTAR"},
	{0xc0000084, "SFMASK"},
	{0xc0000100, "FS_BASE"},
	{0xc0000101, "GS_BASE"},
	{0xc0000102, "KERNEL_GS_BASE"},
	{0xc0000103, "TSC_AUX"},
	{0x4b564d00, "KVM_WALL_CLOCK"},
	{0x4b564d01, "KVM_SYSTEM_TIME"},
};

static void put_bits(struct hv_json *j, const char *key, uint64_t value, const struct bit *bits,
		     size_t n)
{
	char text[160];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		if (value >> bits[i].at & 1 && used < sizeof text - 16)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
						 used ? " " : "", bits[i].name);
	hv_json_str(j, key, text);
}
#define BITS(j, key, value, bits) put_bits(j, key, value, bits, CM_ARRAY_LEN(bits))

/* --- where it is --------------------------------------------------------- */

static const char *mode_of(const struct hv_vcpu_state *s)
{
	uint16_t cs = s->seg[HV_CS].attr;

	if (!(s->cr0 & CR0_PE))
		return "real mode";
	if (s->efer & EFER_LMA)
		return cs & HV_SEG_L ? "64-bit" : "compatibility";
	return cs & HV_SEG_DB ? "32-bit protected" : "16-bit protected";
}

static const char *run_state(uint32_t mp_state)
{
	switch (mp_state) {
	case HV_MP_RUNNABLE:
		return "runs";
	case HV_MP_WAIT_INIT:
		return "waits for INIT";
	case HV_MP_WAIT_SIPI:
		return "waits for SIPI";
	case HV_MP_HALTED:
		return "halted";
	default:
		return "unknown";
	}
}

static void put_general(struct hv_json *j, const struct hv_vcpu_state *s)
{
	static const char *const name[HV_GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						       "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						       "r12", "r13", "r14", "r15"};

	hv_json_open(j, "general", '{');
	hv_json_hex(j, "rip", s->rip);
	hv_json_hex(j, "rflags", s->rflags);
	BITS(j, "rflags_bits", s->rflags, rflags_bits);
	for (unsigned i = 0; i < HV_GPR_COUNT; i++)
		hv_json_hex(j, name[i], s->gpr[i]);
	hv_json_close(j, '}');
}

/* --- segments ------------------------------------------------------------ */

static void seg_words(const struct hv_seg *s, char *out, size_t room)
{
	unsigned type = s->attr & 15u;

	if (s->attr & HV_SEG_UNUSABLE) {
		snprintf(out, room, "unusable");
		return;
	}
	if (!(s->attr & HV_SEG_S))
		snprintf(out, room, "%s", type == 2 ? "LDT" : (type | 2) == 11 ? "TSS" : "system");
	else if (type & 8)
		snprintf(out, room, "code%s%s%s",
			 s->attr & HV_SEG_L    ? " 64"
			 : s->attr & HV_SEG_DB ? " 32"
					       : " 16",
			 type & 2 ? " readable" : "", type & 4 ? " conforming" : "");
	else
		snprintf(out, room, "data%s%s", type & 2 ? " writable" : "",
			 type & 4 ? " down" : "");
	if (!(s->attr & HV_SEG_P))
		snprintf(out, room, "not present");
}

static void put_seg(struct hv_json *j, const char *name, const struct hv_seg *s)
{
	char words[64];

	seg_words(s, words, sizeof words);
	hv_json_open(j, NULL, '{');
	hv_json_str(j, "name", name);
	hv_json_hex(j, "selector", s->selector);
	hv_json_hex(j, "base", s->base);
	hv_json_hex(j, "limit", s->limit);
	hv_json_hex(j, "attr", s->attr);
	hv_json_u64(j, "dpl", s->attr >> 5 & 3u);
	hv_json_str(j, "words", words);
	hv_json_close(j, '}');
}

static void put_segments(struct hv_json *j, const struct hv_vcpu_state *s)
{
	static const char *const name[HV_SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};

	hv_json_open(j, "segments", '[');
	for (unsigned i = 0; i < HV_SEG_COUNT; i++)
		put_seg(j, name[i], &s->seg[i]);
	put_seg(j, "tr", &s->tr);
	put_seg(j, "ldt", &s->ldt);
	hv_json_close(j, ']');
	hv_json_open(j, "tables", '{');
	hv_json_hex(j, "gdt_base", s->gdt.base);
	hv_json_hex(j, "gdt_limit", s->gdt.limit);
	hv_json_hex(j, "idt_base", s->idt.base);
	hv_json_hex(j, "idt_limit", s->idt.limit);
	hv_json_close(j, '}');
}

/* --- system registers ---------------------------------------------------- */

static void put_control(struct hv_json *j, const struct hv_vcpu_state *s)
{
	hv_json_open(j, "control", '{');
	hv_json_hex(j, "cr0", s->cr0);
	BITS(j, "cr0_bits", s->cr0, cr0_bits);
	hv_json_hex(j, "cr2", s->cr2);
	hv_json_hex(j, "cr3", s->cr3);
	hv_json_hex(j, "cr4", s->cr4);
	BITS(j, "cr4_bits", s->cr4, cr4_bits);
	hv_json_hex(j, "cr8", s->cr8);
	hv_json_hex(j, "efer", s->efer);
	BITS(j, "efer_bits", s->efer, efer_bits);
	hv_json_hex(j, "xcr0", s->xcr0);
	hv_json_close(j, '}');
	hv_json_open(j, "debug", '{');
	hv_json_hex(j, "dr0", s->dr[0]);
	hv_json_hex(j, "dr1", s->dr[1]);
	hv_json_hex(j, "dr2", s->dr[2]);
	hv_json_hex(j, "dr3", s->dr[3]);
	hv_json_hex(j, "dr6", s->dr6);
	BITS(j, "dr6_bits", s->dr6, dr6_bits);
	hv_json_hex(j, "dr7", s->dr7);
	BITS(j, "dr7_bits", s->dr7, dr7_bits);
	hv_json_close(j, '}');
}

static void put_msrs(struct hv_json *j, const struct hv_vcpu_state *s)
{
	hv_json_open(j, "msrs", '[');
	for (unsigned i = 0; i < s->msr_count && i < HV_MSR_MAX; i++) {
		const char *name = "";

		for (size_t k = 0; k < CM_ARRAY_LEN(msr_names); k++)
			if (msr_names[k].index == s->msr[i].index)
				name = msr_names[k].name;
		hv_json_open(j, NULL, '{');
		hv_json_hex(j, "index", s->msr[i].index);
		hv_json_str(j, "name", name);
		hv_json_hex(j, "value", s->msr[i].value);
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
}

/* --- what it is about to do ---------------------------------------------- */

static void put_event(struct hv_json *j, const char *fmt, ...) cm_printf(2, 3);
static void put_event(struct hv_json *j, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	hv_json_str(j, NULL, text);
}

static void put_pending(struct hv_json *j, const struct hv_vcpu_events *e)
{
	hv_json_open(j, "pending", '[');
	if (e->exception_injected || e->exception_pending)
		put_event(j, "exception %u%s, error 0x%x%s", e->exception_nr,
			  e->exception_has_error ? "" : " (no error code)", e->exception_error,
			  e->exception_injected ? ", being delivered" : "");
	if (e->interrupt_injected)
		put_event(j, "%sinterrupt 0x%x, being delivered",
			  e->interrupt_soft ? "software " : "", e->interrupt_nr);
	if (e->nmi_injected)
		put_event(j, "NMI, being delivered");
	if (e->nmi_pending)
		put_event(j, "NMI");
	if (e->nmi_masked)
		put_event(j, "NMIs are masked");
	if (e->interrupt_shadow)
		put_event(j, "interrupt shadow (%s)", e->interrupt_shadow & 2 ? "MOV SS" : "STI");
	hv_json_close(j, ']');
}

void hv_dump_cpu(struct hv_json *j, const struct hv_vcpu_state *s)
{
	hv_json_str(j, "run_state", run_state(s->mp_state));
	hv_json_str(j, "mode", mode_of(s));
	hv_json_u64(j, "cpl", s->seg[HV_SS].attr >> 5 & 3u);
	hv_json_hex(j, "tsc", s->tsc);
	hv_json_u64(j, "tsc_khz", s->tsc_khz);
	put_pending(j, &s->events);
	put_general(j, s);
	put_segments(j, s);
	put_control(j, s);
	hv__dump_lapic(j, s);
	hv__dump_fpu(j, s);
	put_msrs(j, s);
}
