/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_cpuid.c - chooses, as a pure function, what CPUID a guest of hv-1 sees, and compares
 * contracts.
 *
 * The masks name the features that hv-1 lets through; whatever a newer host adds stays hidden, so
 * that a VM started there still moves to an older host that offers the same. State that we do not
 * save (PMU, AMX, PT, SGX, nested virtualization, TSX) is never shown.
 */
#include "config.h"

#include "hvcore/cpu/hv_cpuid.h"

#include <string.h>

#define LEAF_KVM	  0x40000000u
#define LEAF_KVM_FEATURES 0x40000001u
#define LEAF_KVM_TIMING	  0x40000010u

/* Leaf 1 ECX: SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4.1 SSE4.2 X2APIC MOVBE POPCNT TSCDL AES XSAVE AVX
 * F16C RDRAND */
#define ECX1                                                                                       \
	(1u << 0 | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 17 | 1u << 19 | 1u << 20 |      \
	 1u << 21 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 28 | 1u << 29 |   \
	 1u << 30)
#define ECX1_XSAVE	(1u << 26)
#define ECX1_HYPERVISOR (1u << 31)
/* Leaf 1 EDX: FPU DE PSE TSC MSR PAE CX8 APIC SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2
 * HTT */
#define EDX1                                                                                       \
	(1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 9 |           \
	 1u << 11 | 1u << 12 | 1u << 13 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 19 | 1u << 23 |   \
	 1u << 24 | 1u << 25 | 1u << 26)
#define EDX1_HTT (1u << 28)
/* Leaf 6 EAX: ARAT */
#define EAX6 (1u << 2)
/* Leaf 7.0 EBX: FSGSBASE TSC_ADJUST BMI1 AVX2 SMEP BMI2 ERMS INVPCID RDSEED ADX SMAP CLFLUSHOPT
 * CLWB SHA */
#define EBX7                                                                                       \
	(1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 |          \
	 1u << 18 | 1u << 19 | 1u << 20 | 1u << 23 | 1u << 24 | 1u << 29)
/* Leaf 7.0 ECX: UMIP RDPID; EDX: FSRM MD_CLEAR SPEC_CTRL STIBP SSBD */
#define ECX7 (1u << 2 | 1u << 22)
#define EDX7 (1u << 4 | 1u << 10 | 1u << 26 | 1u << 27 | 1u << 31)
/* XCR0: x87 SSE AVX */
#define XCR0_MASK	 7u
#define XSAVE_AREA_BYTES 832u /* legacy 512, header 64, AVX 256 */
/* Leaf 0xd.1 EAX: XSAVEOPT XSAVEC XGETBV1 */
#define EAXD1 7u
/* Leaf 0x80000001 ECX: LAHF LZCNT 3DNOWPREFETCH; EDX: SYSCALL NX 1GPAGE RDTSCP LM */
#define ECX81 (1u << 0 | 1u << 5 | 1u << 8)
#define EDX81 (1u << 11 | 1u << 20 | 1u << 26 | 1u << 27 | 1u << 29)
/* Leaf 0x80000007 EDX: invariant TSC; 0x80000008 EBX: IBPB IBRS STIBP SSBD */
#define EDX87 (1u << 8)
#define EBX88 (1u << 12 | 1u << 14 | 1u << 15 | 1u << 24)
/* KVM features: clocksource, nop io delay, clocksource2, stable clock */
#define KVM_FEATURES (1u << 0 | 1u << 1 | 1u << 3 | 1u << 24)

const struct hv_cpuid_leaf *hv_cpuid_find(const struct hv_cpuid *c, uint32_t function,
					  uint32_t index)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->leaf[i].function == function &&
		    (!(c->leaf[i].flags & 1) || c->leaf[i].index == index))
			return &c->leaf[i];
	return NULL;
}

static struct hv_cpuid_leaf *add(struct hv_cpuid *out, uint32_t function, uint32_t index,
				 bool indexed)
{
	struct hv_cpuid_leaf *l = &out->leaf[out->count++];

	CM_ASSERT(out->count <= HV_CPUID_MAX);
	*l = (struct hv_cpuid_leaf){.function = function, .index = index, .flags = indexed};
	return l;
}

static void add_masked(struct hv_cpuid *out, const struct hv_cpuid *s, uint32_t function,
		       uint32_t index, bool indexed, const uint32_t mask[4])
{
	const struct hv_cpuid_leaf *have = hv_cpuid_find(s, function, index);
	struct hv_cpuid_leaf *l;

	if (!have)
		return;
	l = add(out, function, index, indexed);
	l->eax = have->eax & mask[0];
	l->ebx = have->ebx & mask[1];
	l->ecx = have->ecx & mask[2];
	l->edx = have->edx & mask[3];
}

/* APIC id shift that holds all vCPUs. */
static uint32_t apic_bits(unsigned vcpus)
{
	uint32_t bits = 0;

	while (1u << bits < vcpus)
		bits++;
	return bits;
}

static void add_basic(struct hv_cpuid *out, const struct hv_cpuid *s, unsigned vcpus)
{
	struct hv_cpuid_leaf *l;

	add_masked(out, s, 0, 0, false, (const uint32_t[4]){~0u, ~0u, ~0u, ~0u});
	add_masked(out, s, 1, 0, false, (const uint32_t[4]){0x0fff3fff, 0x0000ff00, ECX1, EDX1});
	l = (struct hv_cpuid_leaf *)(uintptr_t)hv_cpuid_find(out, 1, 0);
	if (l) {
		l->ecx |= ECX1_HYPERVISOR;
		l->ebx |= CM_MIN(vcpus, 255u) << 16;
		if (vcpus > 1)
			l->edx |= EDX1_HTT;
	}
	add_masked(out, s, 6, 0, false, (const uint32_t[4]){EAX6, 0, 0, 0});
	add_masked(out, s, 7, 0, true, (const uint32_t[4]){0, EBX7, ECX7, EDX7});
	if (l && (l->ecx & (1u << 21))) {
		/* Topology: one thread a core, one socket. EDX is set per vCPU by the engine. */
		l = add(out, 0xb, 0, true);
		l->ebx = 1;
		l->ecx = 1u << 8;
		l = add(out, 0xb, 1, true);
		l->eax = apic_bits(vcpus);
		l->ebx = vcpus;
		l->ecx = 2u << 8 | 1;
	}
}

static void add_xsave(struct hv_cpuid *out, const struct hv_cpuid *s)
{
	const struct hv_cpuid_leaf *one = hv_cpuid_find(out, 1, 0);
	const struct hv_cpuid_leaf *d = hv_cpuid_find(s, 0xd, 0);
	struct hv_cpuid_leaf *l;

	if (!one || !(one->ecx & ECX1_XSAVE) || !d)
		return;
	l = add(out, 0xd, 0, true);
	l->eax = d->eax & XCR0_MASK;
	l->ebx = l->ecx = l->eax & 4 ? XSAVE_AREA_BYTES : 576;
	add_masked(out, s, 0xd, 1, true, (const uint32_t[4]){EAXD1, 0, 0, 0});
	if (l->eax & 4)
		add_masked(out, s, 0xd, 2, true, (const uint32_t[4]){~0u, ~0u, ~0u, ~0u});
}

static void add_kvm(struct hv_cpuid *out, const struct hv_cpuid *s, uint32_t tsc_khz)
{
	static const char signature[12] = "KVMKVMKVM\0\0\0";
	const struct hv_cpuid_leaf *have = hv_cpuid_find(s, LEAF_KVM_FEATURES, 0);
	struct hv_cpuid_leaf *l;

	if (!have)
		return;
	l = add(out, LEAF_KVM, 0, false);
	l->eax = tsc_khz ? LEAF_KVM_TIMING : LEAF_KVM_FEATURES;
	memcpy(&l->ebx, signature, 4);
	memcpy(&l->ecx, signature + 4, 4);
	memcpy(&l->edx, signature + 8, 4);
	l = add(out, LEAF_KVM_FEATURES, 0, false);
	l->eax = have->eax & KVM_FEATURES;
	if (tsc_khz) {
		l = add(out, LEAF_KVM_TIMING, 0, false);
		l->eax = tsc_khz;
	}
}

static void add_extended(struct hv_cpuid *out, const struct hv_cpuid *s)
{
	static const uint32_t all[4] = {~0u, ~0u, ~0u, ~0u};

	add_masked(out, s, 0x80000000, 0, false, all);
	add_masked(out, s, 0x80000001, 0, false, (const uint32_t[4]){~0u, 0, ECX81, EDX81});
	for (uint32_t f = 0x80000002; f <= 0x80000004; f++)
		add_masked(out, s, f, 0, false, all);
	add_masked(out, s, 0x80000007, 0, false, (const uint32_t[4]){0, 0, 0, EDX87});
	add_masked(out, s, 0x80000008, 0, false, (const uint32_t[4]){0x0000ffff, EBX88, 0, 0});
}

/* The highest leaf that is really there below base + 0x10000, for leaf base's EAX. */
static void fix_max(struct hv_cpuid *out, uint32_t base)
{
	struct hv_cpuid_leaf *l = (struct hv_cpuid_leaf *)(uintptr_t)hv_cpuid_find(out, base, 0);
	uint32_t max = base;

	if (!l)
		return;
	for (uint32_t i = 0; i < out->count; i++)
		if (out->leaf[i].function > max && out->leaf[i].function < base + 0x10000)
			max = out->leaf[i].function;
	l->eax = max;
}

void hv_cpuid_contract(const struct hv_cpuid *supported, unsigned vcpus, uint32_t tsc_khz,
		       struct hv_cpuid *out)
{
	memset(out, 0, sizeof *out);
	add_basic(out, supported, vcpus);
	add_xsave(out, supported);
	add_kvm(out, supported, tsc_khz);
	add_extended(out, supported);
	fix_max(out, 0);
	fix_max(out, 0x80000000);
}

/* What any x86-64 processor, and both engines, have. */
static const struct {
	uint32_t function;
	uint32_t mask[4];
} base_leaves[] = {
	/* TSC deadline; no SYSENTER, MTRR, PSE36 */
	{1,
	 {~0u, ~0u, 1u << 24 | ECX1_HYPERVISOR,
	  (EDX1 & ~(1u << 11 | 1u << 12 | 1u << 17)) | EDX1_HTT}},
	{7, {0, 0, 0, 0}},
	{0xb, {0, 0, 0, 0}},
	{0xd, {0, 0, 0, 0}},
	{LEAF_KVM_FEATURES, {KVM_FEATURES & ~1u, 0, 0, 0}},	   /* the old clock source */
	{0x80000001, {~0u, 0, 0, 1u << 11 | 1u << 20 | 1u << 29}}, /* SYSCALL NX LM */
	{0x80000008, {0x0000ffff, 0, 0, 0}},
};

void hv_cpuid_reduce(struct hv_cpuid *contract)
{
	for (uint32_t i = 0; i < contract->count; i++)
		for (size_t b = 0; b < CM_ARRAY_LEN(base_leaves); b++) {
			struct hv_cpuid_leaf *l = &contract->leaf[i];

			if (l->function != base_leaves[b].function)
				continue;
			l->eax &= base_leaves[b].mask[0];
			l->ebx &= base_leaves[b].mask[1];
			l->ecx &= base_leaves[b].mask[2];
			l->edx &= base_leaves[b].mask[3];
		}
}

/* Leaves whose registers are sets of features; the others are identity or numbers. */
static const struct {
	uint32_t function, index;
	uint32_t mask[4];
} feature_leaves[] = {
	{1, 0, {0, 0, ECX1, EDX1}},
	{6, 0, {EAX6, 0, 0, 0}},
	{7, 0, {0, EBX7, ECX7, EDX7}},
	{0xd, 0, {XCR0_MASK, 0, 0, 0}},
	{0xd, 1, {EAXD1, 0, 0, 0}},
	{LEAF_KVM_FEATURES, 0, {KVM_FEATURES, 0, 0, 0}},
	{0x80000001, 0, {0, 0, ECX81, EDX81}},
	{0x80000007, 0, {0, 0, 0, EDX87}},
	{0x80000008, 0, {0, EBX88, 0, 0}},
};

int hv_cpuid_fits(const struct hv_cpuid *contract, const struct hv_cpuid *supported,
		  struct cm_err *err)
{
	static const char *const reg[4] = {"EAX", "EBX", "ECX", "EDX"};

	for (size_t i = 0; i < CM_ARRAY_LEN(feature_leaves); i++) {
		uint32_t f = feature_leaves[i].function, n = feature_leaves[i].index;
		const struct hv_cpuid_leaf *c = hv_cpuid_find(contract, f, n);
		const struct hv_cpuid_leaf *s = hv_cpuid_find(supported, f, n);
		const uint32_t want[4] = {c ? c->eax : 0, c ? c->ebx : 0, c ? c->ecx : 0,
					  c ? c->edx : 0};
		const uint32_t have[4] = {s ? s->eax : 0, s ? s->ebx : 0, s ? s->ecx : 0,
					  s ? s->edx : 0};

		for (unsigned r = 0; r < 4; r++) {
			uint32_t missing = want[r] & feature_leaves[i].mask[r] & ~have[r];

			if (missing)
				return cm_err_set(
					err, CM_E_INCOMPATIBLE,
					"this host lacks CPU feature bit %d of CPUID 0x%x.%u %s "
					"that the guest uses",
					__builtin_ctz(missing), f, n, reg[r]);
		}
	}
	return 0;
}
