/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU model: an early 64-bit AMD (family 15, model 5) with later features added. Linux knows
 * that these have none of the faults that cost most (meltdown, L1TF, MDS, speculative store bypass,
 * retbleed), so by itself it does without page table isolation and buffer clearing, whatever leaves
 * and MSRs the contract lets through; an interpreter has none of them either. The KVM leaves
 * announce nothing but kvmclock and "port 80 delays are not needed".
 */
#include "config.h"

#include <string.h>

#include "hvcore/engine_soft/soft_cpuid.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_vm.h"

#define BIT(n) (1u << (n))

/* Family 15, model 5, stepping 10 */
#define SIGNATURE 0xf5au

/* FPU DE PSE TSC MSR PAE CX8 APIC PGE CMOV PAT CLFLUSH MMX FXSR SSE SSE2; HTT says "more than one"
 */
#define EDX_1                                                                                      \
	(BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(13) |         \
	 BIT(15) | BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26) | BIT(28))
/* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT TSC-deadline RDRAND hypervisor */
#define ECX_1                                                                                      \
	(BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23) | BIT(24) | BIT(30) | BIT(31))
/* FSGSBASE ERMS RDSEED; FSRM, ARCH_CAPABILITIES */
#define EBX_7 (BIT(0) | BIT(9) | BIT(18))
#define EDX_7 (BIT(4) | BIT(29))

static const struct hv_cpuid_leaf model[] = {
	{.function = 0, .eax = 0x16, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65},
	{.function = 1, .eax = SIGNATURE, .ebx = 8 << 8, .ecx = ECX_1, .edx = EDX_1},
	{.function = 2, .eax = 0x00000001},
	{.function = 6, .eax = BIT(2)}, /* ARAT */
	{.function = 7, .flags = 1, .ebx = EBX_7, .edx = EDX_7},
	/* TSC = crystal * ebx / eax; base and maximum frequency in MHz */
	{.function = 0x15, .eax = 1, .ebx = 1, .ecx = SOFT_TSC_KHZ * 1000},
	{.function = 0x16, .eax = SOFT_TSC_KHZ / 1000, .ebx = SOFT_TSC_KHZ / 1000},
	/* "KVMKVMKVM": clocksource2, no I/O delay, stable clock */
	{.function = 0x40000000,
	 .eax = 0x40000001,
	 .ebx = 0x4b4d564b,
	 .ecx = 0x564b4d56,
	 .edx = 0x4d},
	{.function = 0x40000001, .eax = BIT(1) | BIT(3) | BIT(24)},
	{.function = 0x80000000, .eax = 0x80000008},
	/* LAHF; SYSCALL NX 1 GiB pages RDTSCP LM */
	{.function = 0x80000001,
	 .eax = SIGNATURE,
	 .ecx = BIT(0),
	 .edx = BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29)},
	{.function = 0x80000002,
	 .eax = 0x6c637668,
	 .ebx = 0x65747375,
	 .ecx = 0x6f732072,
	 .edx = 0x00007466},
	{.function = 0x80000003},
	{.function = 0x80000004},
	{.function = 0x80000007, .edx = BIT(8)}, /* invariant TSC */
	{.function = 0x80000008, .eax = 48 << 8 | SOFT_PHYS_BITS},
};

void soft_cpuid_supported(struct hv_cpuid *out)
{
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < sizeof model / sizeof model[0]; i++)
		out->leaf[out->count++] = model[i];
}

static const struct hv_cpuid_leaf *find(const struct hv_cpuid *c, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < c->count && i < HV_CPUID_MAX; i++)
		if (c->leaf[i].function == function &&
		    (!(c->leaf[i].flags & 1) || c->leaf[i].index == index))
			return &c->leaf[i];
	return NULL;
}

struct hv_cpuid_leaf soft_cpuid(const struct soft_cpu *cpu, uint32_t function, uint32_t index)
{
	const struct hv_cpuid_leaf *l = find(&cpu->vm->cpuid, function, index);
	struct hv_cpuid_leaf r = {.function = function};

	if (l)
		r = *l;
	if (function == 1) { /* initial APIC id, logical processors */
		r.ebx = (r.ebx & 0xff00u) | cpu->index << 24 | cpu->vm->cfg.vcpus << 16;
	} else if (function == 0x15 && r.eax) {
		r.ecx = (uint32_t)(cpu->vm->clock.tsc_khz * 1000);
	} else if (function == 0x16 && r.eax) {
		r.eax = r.ebx = (uint32_t)(cpu->vm->clock.tsc_khz / 1000);
	}
	return r;
}
