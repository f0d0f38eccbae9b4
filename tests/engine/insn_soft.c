/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's side of the differential test: one vCPU at CPL 3 over a small guest RAM with page tables that map
 * code and data where the native side has them, with the same rights. Each case is decoded by the engine's decoder and
 * its op is called directly, with a pseudo-op behind it that says "fell through". Single steps go by the run loop's own
 * function, from code in guest RAM.
 */
#include "config.h"

#include "tests/engine/insn_soft.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "hvcore/engine_soft/soft_block.h"
#include "hvcore/engine_soft/soft_break.h"
#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_decode.h"
#include "hvcore/engine_soft/soft_flags.h"
#include "hvcore/engine_soft/soft_fp.h"
#include "hvcore/engine_soft/soft_fxsave.h"
#include "hvcore/engine_soft/soft_mem.h"
#include "hvcore/engine_soft/soft_mmu.h"
#include "hvcore/engine_soft/soft_vm.h"
#include "tests/engine/insn_gen.h"

#define RAM_BYTES (64u * INSN_PAGE)
#define PML4_GPA 0x1000u
#define PDPT_GPA 0x2000u
#define PD_GPA 0x3000u
#define PT_CODE_GPA 0x4000u
#define PT_DATA_GPA 0x5000u
#define CODE_GPA 0x10000u
#define DATA_GPA 0x20000u
#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull

struct insn_soft {
	struct soft_vm *vm;
	struct soft_cpu *cpu;
	uint8_t *ram;
	struct soft_op ops[2];
};

static void put_pte(struct insn_soft *s, uint64_t table_gpa, uint64_t index, uint64_t pte)
{
	memcpy(s->ram + table_gpa + index * 8, &pte, 8);
}

static void make_page_tables(struct insn_soft *s)
{
	static const char rights[] = INSN_DATA_RIGHTS;

	put_pte(s, PML4_GPA, 0, PDPT_GPA | PTE_P | PTE_W | PTE_U);
	put_pte(s, PDPT_GPA, 0, PD_GPA | PTE_P | PTE_W | PTE_U);
	put_pte(s, PD_GPA, INSN_CODE_LA >> 21, PT_CODE_GPA | PTE_P | PTE_W | PTE_U);
	put_pte(s, PD_GPA, INSN_DATA_LA >> 21, PT_DATA_GPA | PTE_P | PTE_W | PTE_U);
	put_pte(s, PT_CODE_GPA, INSN_CODE_LA >> 12 & 511, CODE_GPA | PTE_P | PTE_W | PTE_U);
	for (unsigned int i = 0; i < INSN_DATA_PAGES; i++)
		if (rights[i] != '-')
			put_pte(s, PT_DATA_GPA, (INSN_DATA_LA >> 12 & 511) + i,
				(DATA_GPA + i * INSN_PAGE) | PTE_P | PTE_U | (rights[i] == 'w' ? PTE_W : 0));
}

/* What stands behind the instruction: it was no branch, or one that was not taken. */
static const struct soft_op *fell_through(struct soft_cpu *cpu, const struct soft_op *op)
{
	cpu->rip = soft_rip(cpu, op);
	return NULL;
}

static uint64_t thread_pointer(void)
{
	uint64_t base = 0;

#if defined(__x86_64__)
	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
#endif
	return base;
}

struct insn_soft *insn_soft_new(void)
{
	struct insn_soft *s = calloc(1, sizeof *s);
	struct soft_cpu *cpu;

	s->vm = calloc(1, sizeof *s->vm);
	s->cpu = cpu = aligned_alloc(64, (sizeof *s->cpu + 63) / 64 * 64);
	s->ram = aligned_alloc(INSN_PAGE, RAM_BYTES);
	memset(cpu, 0, sizeof *cpu);
	memset(s->ram, 0, RAM_BYTES);
	make_page_tables(s);
	s->vm->slot[0] = (struct soft_slot){ .bytes = RAM_BYTES, .hva = s->ram };
	s->vm->pages = RAM_BYTES / INSN_PAGE;
	s->vm->has_code = calloc(s->vm->pages, sizeof *s->vm->has_code);
	s->vm->cpu[0] = cpu;
	s->vm->cfg.vcpus = 1;
	s->vm->clock.insns_per_us = 1; /* no random numbers from outside */
	cpu->vm = s->vm;
	if (soft_blocks_new(cpu, s->vm->pages))
		abort();
	memset(s->ram + CODE_GPA, 0xcc, INSN_PAGE);
	cpu->cr0 = SOFT_CR0_PE | SOFT_CR0_PG | SOFT_CR0_NE | SOFT_CR0_ET | SOFT_CR0_WP | SOFT_CR0_AM;
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = SOFT_CR4_PAE | SOFT_CR4_OSFXSR | SOFT_CR4_OSXMMEXCPT | SOFT_CR4_FSGSBASE;
	cpu->seg[HV_FS].base = cpu->seg_base[SOFT_FS] = thread_pointer(); /* the native child has the same */
	cpu->efer = SOFT_EFER_LME | SOFT_EFER_LMA | SOFT_EFER_NXE | SOFT_EFER_SCE;
	cpu->mode = SOFT_MODE_64;
	cpu->seg[HV_CS] = (struct hv_seg){ .selector = 0x33, .attr = 0xafb };
	cpu->seg[HV_SS] = (struct hv_seg){ .selector = 0x2b, .attr = 0xcf3, .limit = ~0u };
	soft_fpu_reset(cpu);
	soft_tlb_flush(cpu);
	soft_set_cpl(cpu, 3);
	return s;
}

void insn_soft_free(struct insn_soft *s)
{
	soft_blocks_free(s->cpu);
	free(s->vm->has_code);
	free(s->vm);
	free(s->cpu);
	free(s->ram);
	free(s);
}

static void load(struct insn_soft *s, const struct insn_case *c)
{
	struct soft_cpu *cpu = s->cpu;

	memcpy(cpu->gpr, c->in.gpr, sizeof c->in.gpr);
	cpu->gpr[SOFT_REG_PAGE] = INSN_CODE_LA;
	cpu->gpr[SOFT_REG_FAR] = INSN_CODE_LA + 2 * INSN_PAGE;
	cpu->gpr[SOFT_REG_ZERO] = 0;
	cpu->rip = c->in.rip;
	soft_rflags_load(cpu, c->in.rflags);
	soft_pick_tlb(cpu);
	soft_fxrstor_image(cpu, c->in.fx, true);
	cpu->pending.vector = -1;
	cpu->brk.hit = 0;
	cpu->stop = 0;
	cpu->bounce_len = 0;
	insn_gen_lay(c, s->ram + DATA_GPA);
}

static void store(struct insn_soft *s, struct insn_result *r)
{
	struct soft_cpu *cpu = s->cpu;

	soft_fp_sync(cpu);
	memcpy(r->regs.gpr, cpu->gpr, sizeof r->regs.gpr);
	r->regs.rip = cpu->rip;
	r->regs.rflags = soft_rflags(cpu);
	soft_fxsave_image(cpu, r->regs.fx, true);
	for (unsigned int i = 0; i < INSN_STRIPS; i++)
		memcpy(r->mem[i], s->ram + DATA_GPA + insn_strip_offset(i), INSN_STRIP);
}

static void run_ops(struct insn_soft *s, const struct insn_case *c)
{
	uint8_t bytes[INSN_BYTES];
	bool ends_block;
	unsigned int len;

	memset(bytes, 0xcc, sizeof bytes);
	memcpy(bytes, c->code, c->len);
	s->ops[0] = (struct soft_op){ .off = (uint16_t)(c->in.rip - INSN_CODE_LA), .n = 1 };
	len = soft_decode_one(bytes, 15, s->cpu->mode, &s->ops[0], &ends_block);
	s->ops[0].n = 1;
	s->ops[1] = (struct soft_op){ .fn = fell_through, .off = (uint16_t)(s->ops[0].off + len) };
	for (const struct soft_op *op = &s->ops[0]; op;)
		op = op->fn(s->cpu, op);
}

static void step(struct insn_soft *s, const struct insn_case *c)
{
	uint8_t *at = s->ram + CODE_GPA + (c->in.rip - INSN_CODE_LA);

	memcpy(at, c->code, c->len);
	if (!setjmp(s->cpu->unwind) && !soft_break_step(s->cpu))
		abort();
	memset(at, 0xcc, c->len);
	if (s->cpu->brk.hit && s->cpu->pending.vector < 0)
		s->cpu->pending = (struct soft_pending){ .vector = SOFT_DB, .soft = true };
}

void insn_soft_run(struct insn_soft *s, const struct insn_case *c, struct insn_result *r)
{
	load(s, c);
	if (c->in.rflags & INSN_TF)
		step(s, c);
	else if (!setjmp(s->cpu->unwind))
		run_ops(s, c);
	r->vector = s->cpu->pending.vector;
	r->error = r->vector >= 0 ? s->cpu->pending.error : 0;
	r->cr2 = s->cpu->cr2;
	if (r->vector >= 0 && !s->cpu->pending.soft)
		s->cpu->rip = c->in.rip;
	store(s, r);
}
