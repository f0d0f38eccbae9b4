/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paging and the slow side of memory access. [vcpu]
 */
#ifndef SOFT_MMU_H
#define SOFT_MMU_H

#include "hvcore/engine_soft/soft_cpu.h"
#include "hvcore/engine_soft/soft_mem.h"

enum soft_access { SOFT_READ, SOFT_WRITE, SOFT_EXEC };

/* Where a linear address is: host is NULL for what is not RAM. */
struct soft_phys {
	uint64_t gpa;
	uint8_t *host;
};

/* Translate for the current privilege; raises #PF, #GP or #SS at op. Fills the TLB. */
struct soft_phys soft_translate(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
				enum soft_access how);

/* Loads and stores of the CPU itself (descriptor tables, TSS, exception frames): supervisor
 * accesses at any CPL. */
uint64_t soft_sys_ld(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la,
		     unsigned int size);
void soft_sys_st(struct soft_cpu *cpu, const struct soft_op *op, uint64_t la, uint64_t v,
		 unsigned int size);

/* Entry of the exec TLB for the page of cpu->rip; raises. NULL: the page is not RAM. */
const struct soft_xtlb_entry *soft_fetch_page(struct soft_cpu *cpu, uint64_t la);

void soft_tlb_flush(struct soft_cpu *cpu);
void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t la);
void soft_tlb_flush_writes(struct soft_cpu *cpu);
/*
 * Choose the TLBs for CPL, RFLAGS.AC and CR0.AM, whenever one of them has changed. User code with
 * alignment checks gets a set without data entries: every access then comes to the slow side, which
 * looks at its alignment. soft_set_cpl() does it too.
 */
void soft_pick_tlb(struct soft_cpu *cpu);
/* The set of now by those three, also while a sample window keeps it out of the fast paths. */
struct soft_tlb *soft_own_tlb(struct soft_cpu *cpu);
void soft_set_cpl(struct soft_cpu *cpu, unsigned int cpl);

/* Someone wrote [gpa, gpa+len) of RAM: drop decoded blocks of those pages on every vCPU. self may
 * be NULL. [any] */
struct soft_vm;
void soft_code_written(struct soft_vm *vm, struct soft_cpu *self, uint64_t gpa, uint64_t len);

#endif
