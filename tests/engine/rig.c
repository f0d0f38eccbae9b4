/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rig of the engine tests: RAM, page tables, descriptors, upcalls. Parses our own payload's ELF header. */
#include "config.h"

#include "tests/engine/rig.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/cm_err.h"
#include "hvcore/boot/hv_boot.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_PS 0x80ull
#define CR4_BITS 0x620ull /* PAE, OSFXSR, OSXMMEXCPT */
#define EFER_BITS 0xd01ull /* NXE, LMA, LME, SCE */
#define GATES 256u

static void put64(struct rig *r, uint64_t gpa, uint64_t v)
{
	memcpy(r->ram + gpa, &v, sizeof v);
}

/* --- upcalls -------------------------------------------------------------------------- */

static void on_pio(void *arg, uint16_t port, void *data, unsigned int len, bool write)
{
	struct rig *r = arg;
	uint32_t value = 0;

	r->accesses++;
	if (!write) {
		memset(data, 0xff, len);
		return;
	}
	memcpy(&value, data, len < 4 ? len : 4);
	switch (port) {
	case RIG_PORT_RESULT:
		r->result |= (uint64_t)value << 32 * (r->result_words++ & 1);
		break;
	case RIG_PORT_TICKS:
		r->ticks = value;
		break;
	case RIG_PORT_DONE:
		r->done = true;
		r->ops->vcpu_kick(r->engine, 0);
		break;
	case RIG_PORT_PANIC:
		if (r->panic_words < 3)
			r->panic[r->panic_words++] = value;
		if (r->panic_words == 3)
			r->ops->vcpu_kick(r->engine, 0);
		break;
	default:
		break;
	}
}

static void on_mmio(void *arg, uint64_t gpa, void *data, unsigned int len, bool write)
{
	struct rig *r = arg;

	(void)gpa;
	r->accesses++;
	if (!write)
		memset(data, 0xff, len);
}

/* --- memory and registers -------------------------------------------------------------------- */

/* The first 4 GiB, identity, user; a fifth directory's place is the window's (see rig_payload.c). */
static void make_page_tables(struct rig *r)
{
	put64(r, RIG_PML4, (RIG_PML4 + 0x1000) | PTE_P | PTE_W | PTE_U);
	for (uint64_t i = 0; i < 4; i++)
		put64(r, RIG_PML4 + 0x1000 + i * 8, (RIG_PML4 + 0x2000 + i * 0x1000) | PTE_P | PTE_W | PTE_U);
	for (uint64_t i = 0; i < 4 * 512; i++)
		put64(r, RIG_PML4 + 0x2000 + i * 8, i << 21 | PTE_PS | PTE_P | PTE_W | PTE_U);
}

static void make_descriptors(struct rig *r)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff };

	memcpy(r->ram + RIG_GDT, gdt, sizeof gdt);
	put64(r, RIG_GDT + RIG_TR, 0x67ull | (RIG_TSS & 0xffffff) << 16 | 0x8bull << 40);
	put64(r, RIG_GDT + RIG_TR + 8, 0);
	put64(r, RIG_TSS + 4, RIG_STACK + 0x4000);
	put64(r, RIG_TSS + 36, RIG_IST);
}

static struct hv_seg segment(uint16_t selector, uint16_t attr)
{
	return (struct hv_seg){ .limit = 0xffffffff, .selector = selector, .attr = attr };
}

void rig_boot_state(struct rig *r, struct hv_vcpu_state *s, bool user)
{
	uint16_t dpl = user ? 3 << 5 : 0;

	make_page_tables(r);
	make_descriptors(r);
	hv_boot_vcpu(0, RIG_PAYLOAD, s);
	s->seg[HV_CS] = segment(user ? RIG_USER_CS : RIG_CS, 11 | HV_SEG_S | HV_SEG_P | HV_SEG_L | HV_SEG_G | dpl);
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		if (i != HV_CS)
			s->seg[i] = segment(user ? RIG_USER_DS : RIG_DS, 3 | HV_SEG_S | HV_SEG_P | HV_SEG_DB | HV_SEG_G | dpl);
	s->tr = (struct hv_seg){ .base = RIG_TSS, .limit = 0x67, .selector = RIG_TR, .attr = 11 | HV_SEG_P };
	s->gdt = (struct hv_dtable){ RIG_GDT, RIG_TR + 15 };
	s->idt = (struct hv_dtable){ RIG_IDT, GATES * 16 - 1 };
	s->gpr[HV_RSP] = user ? RIG_USER_STACK : RIG_STACK - 8;
	s->cr0 |= 0x10000;
	s->cr3 = RIG_PML4;
	s->cr4 = CR4_BITS;
	s->efer = EFER_BITS;
}

static int fail(const char *what, const struct cm_err *err)
{
	fprintf(stderr, "rig: %s: %s\n", what, err->text);
	return -EIO;
}

int rig_new(struct rig *r, const struct hv_engine_ops *ops, uint32_t insns_per_us, uint8_t *ram)
{
	struct hv_engine_config config = { .vcpus = 1, .kvm_fd = -1, .insns_per_us = insns_per_us,
					   .up = { .pio = on_pio, .mmio = on_mmio, .arg = r } };
	struct hv_cpuid cpuid = { 0 };
	struct cm_err err = { 0 };

	*r = (struct rig){ .ops = ops, .ram = ram, .borrowed = ram };
	if (!ram)
		r->ram = mmap(NULL, RIG_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->ram == MAP_FAILED)
		return -ENOMEM;
	if (ops->create(&r->engine, &config, &err))
		return fail("create", &err);
	if (ops->map(r->engine, 0, 0, RIG_RAM_BYTES, r->ram, 0, &err))
		return fail("map", &err);
	if (ops->cpuid_supported(r->engine, &cpuid) || ops->cpuid_set(r->engine, &cpuid, &err))
		return fail("cpuid", &err);
	if (ops->vcpu_create(r->engine, 0, &err))
		return fail("vcpu_create", &err);
	return 0;
}

void rig_free(struct rig *r)
{
	if (r->engine)
		r->ops->destroy(r->engine);
	if (!r->borrowed && r->ram && r->ram != MAP_FAILED)
		munmap(r->ram, RIG_RAM_BYTES);
	*r = (struct rig){ 0 };
}

static int load_elf(struct rig *r, const char *path)
{
	FILE *f = fopen(path, "re");
	Elf64_Ehdr e;
	Elf64_Phdr p;
	int rc = -ENOEXEC;

	if (!f)
		return -errno;
	if (fread(&e, sizeof e, 1, f) != 1)
		goto out;
	for (unsigned int i = 0; i < e.e_phnum; i++) {
		if (fseek(f, (long)(e.e_phoff + i * sizeof p), SEEK_SET) || fread(&p, sizeof p, 1, f) != 1)
			goto out;
		if (p.p_type != PT_LOAD || p.p_filesz == 0)
			continue;
		if (p.p_paddr > RIG_RAM_BYTES || p.p_filesz > RIG_RAM_BYTES - p.p_paddr)
			goto out;
		if (fseek(f, (long)p.p_offset, SEEK_SET) || fread(r->ram + p.p_paddr, p.p_filesz, 1, f) != 1)
			goto out;
	}
	rc = 0;
out:
	fclose(f);
	return rc;
}

int rig_load(struct rig *r, const char *elf, uint64_t work, uint64_t amount)
{
	struct hv_vcpu_state *s = calloc(1, sizeof *s);
	struct cm_err err = { 0 };
	int rc = load_elf(r, elf);

	if (rc) {
		fprintf(stderr, "rig: %s: %s\n", elf, strerror(-rc));
		goto out;
	}
	rig_boot_state(r, s, false);
	s->gpr[HV_RDI] = work;
	s->gpr[HV_RSI] = amount;
	if (r->ops->vcpu_set(r->engine, 0, s, &err))
		rc = fail("vcpu_set", &err);
out:
	free(s);
	return rc;
}

enum hv_run rig_run(struct rig *r)
{
	return r->ops->vcpu_run(r->engine, 0);
}
