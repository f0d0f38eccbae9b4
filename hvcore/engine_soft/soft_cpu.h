/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of one interpreted vCPU: registers, lazy flags, TLBs, counters.
 *
 * [vcpu] Only the vCPU's own thread touches it while it runs; others may only use soft_cpu_stop()
 * and what is marked atomic. Everything is private to engine_soft/.
 *
 * Faults: helpers that may fault (memory access, soft_raise) do not return then. They leave by
 * longjmp to the run loop, which delivers the exception at the instruction that was passed as `op`.
 * So: a handler changes registers and flags only after its last access that can fault, holds no
 * lock and owns no memory while it accesses the guest.
 */
#ifndef SOFT_CPU_H
#define SOFT_CPU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hvcore/cpu/hv_engine.h"
#include "hvcore/cpu/hv_vcpu_state.h"
#include "hvcore/engine_soft/soft_op.h"

struct soft_vm;
struct soft_lapic;
struct soft_blocks;
struct soft_watch;

#define SOFT_PAGE      4096u
#define SOFT_PAGE_MASK (~(uint64_t)(SOFT_PAGE - 1))

/* RFLAGS */
#define SOFT_CF	   0x1u
#define SOFT_PF	   0x4u
#define SOFT_AF	   0x10u
#define SOFT_ZF	   0x40u
#define SOFT_SF	   0x80u
#define SOFT_TF	   0x100u
#define SOFT_IF	   0x200u
#define SOFT_DF	   0x400u
#define SOFT_OF	   0x800u
#define SOFT_IOPL  0x3000u
#define SOFT_NT	   0x4000u
#define SOFT_RF	   0x10000u
#define SOFT_VM86  0x20000u
#define SOFT_AC	   0x40000u
#define SOFT_ID	   0x200000u
#define SOFT_ARITH (SOFT_CF | SOFT_PF | SOFT_AF | SOFT_ZF | SOFT_SF | SOFT_OF)

/* Exception vectors */
enum {
	SOFT_DE = 0,
	SOFT_DB = 1,
	SOFT_NMI = 2,
	SOFT_BP = 3,
	SOFT_OV = 4,
	SOFT_BR = 5,
	SOFT_UD = 6,
	SOFT_NM = 7,
	SOFT_DOUBLE = 8,
	SOFT_TS = 10,
	SOFT_NP = 11,
	SOFT_SSF = 12,
	SOFT_GP = 13,
	SOFT_PAGE_FAULT = 14,
	SOFT_MF = 16,
	SOFT_ALIGN = 17,
	SOFT_MC = 18,
	SOFT_XM = 19,
};

/* CR0, CR4, EFER bits */
#define SOFT_CR0_PE 0x1u
#define SOFT_CR0_MP 0x2u
#define SOFT_CR0_EM 0x4u
#define SOFT_CR0_TS 0x8u
#define SOFT_CR0_ET 0x10u
#define SOFT_CR0_NE 0x20u
#define SOFT_CR0_WP 0x10000u
#define SOFT_CR0_AM 0x40000u
#define SOFT_CR0_PG 0x80000000u

#define SOFT_DR6_HIT	0xfu /* B0-B3 */
#define SOFT_DR6_BD	0x2000u
#define SOFT_DR6_BS	0x4000u
#define SOFT_DR6_FIXED	0xffff0ff0u
#define SOFT_DR6_USABLE 0xe00fu
#define SOFT_DR7_GD	0x2000u
#define SOFT_DR7_FIXED	0x400u
#define SOFT_DR7_USABLE 0xffff23ffu

#define SOFT_CR4_TSD	    0x4u
#define SOFT_CR4_DE	    0x8u
#define SOFT_CR4_PSE	    0x10u
#define SOFT_CR4_PAE	    0x20u
#define SOFT_CR4_MCE	    0x40u
#define SOFT_CR4_PGE	    0x80u
#define SOFT_CR4_PCE	    0x100u
#define SOFT_CR4_OSFXSR	    0x200u
#define SOFT_CR4_OSXMMEXCPT 0x400u
#define SOFT_CR4_FSGSBASE   0x10000u

#define SOFT_EFER_SCE 0x1u
#define SOFT_EFER_LME 0x100u
#define SOFT_EFER_LMA 0x400u
#define SOFT_EFER_NXE 0x800u

/*
 * Lazy flags: arithmetic leaves its result here and nobody computes a flag that is not read.
 *   ZF = zero == 0      SF = sign < 0      PF = even parity of the low byte of sign
 *   CF = carry[63]      OF = carry[63] ^ carry[62]      AF = carry[3]
 * zero and sign are the result sign-extended to 64 bits (normally equal; they differ when flags
 * were loaded from elsewhere); carry is the vector of carries (borrows) out of each bit, with its
 * top two bits moved to 63 and 62. The other bits of carry mean nothing. See soft_flags.h.
 */
struct soft_flags {
	uint64_t zero;
	int64_t sign;
	uint64_t carry;
};

union soft_xmm {
	uint8_t u8[16];
	int8_t s8[16];
	uint16_t u16[8];
	int16_t s16[8];
	uint32_t u32[4];
	int32_t s32[4];
	uint64_t u64[2];
	int64_t s64[2];
	float f32[4];
	double f64[2];
	uint64_t v __attribute__((vector_size(16))); /* whole, see soft_xmm_of() */
} __attribute__((aligned(16)));

/* x87: r[] goes by physical register; ST(i) is r[(top + i) & 7]. MMX register i is r[i].mant. */
struct soft_x87 {
	struct {
		uint64_t mant;
		uint16_t exp_sign;
	} r[8];
	uint16_t cw;
	uint16_t sw; /* without the TOP field, which is `top` */
	uint8_t top;
	uint8_t valid; /* FXSAVE's abridged tag word: bit i set = r[i] is not empty */
	uint16_t fop;
	uint64_t fip;
	uint64_t fdp;
};

/*
 * TLBs: direct mapped, one set for supervisor and one for user accesses. An entry is there only if
 * the access needs no further check at all: permission, accessed and dirty bits, RAM, dirty log, no
 * code in the page for writes, no data breakpoint in it.
 */
#define SOFT_TLB_SIZE  512u
#define SOFT_XTLB_SIZE 256u
#define SOFT_TLB_NONE  1ull /* tag that no page has */

/* Whose accesses a set of TLBs is for; SOFT_TLB_CHECKED holds no data entries, see soft_pick_tlb(). */
enum { SOFT_TLB_SUPERVISOR, SOFT_TLB_USER, SOFT_TLB_CHECKED, SOFT_NR_TLBS };

struct soft_tlb_entry {
	uint64_t tag;	 /* linear address of the page */
	uintptr_t delta; /* host address = linear address + delta */
};

struct soft_xtlb_entry {
	uint64_t tag;
	uint64_t gpa; /* of the page */
	const uint8_t *host;
	uint64_t pad;
};

struct soft_tlb {
	struct soft_tlb_entry rd[SOFT_TLB_SIZE];
	struct soft_tlb_entry wr[SOFT_TLB_SIZE];
	struct soft_xtlb_entry ex[SOFT_XTLB_SIZE];
};

/* soft_cpu.stop: reasons to leave the blocks soon */
#define SOFT_STOP_KICK	0x1u  /* vcpu_run must return HV_RUN_KICKED */
#define SOFT_STOP_IRQ	0x2u  /* the LAPIC may have something */
#define SOFT_STOP_BREAK 0x4u  /* a breakpoint was hit, or this is a single step */
#define SOFT_STOP_FLUSH 0x20u /* empty the write TLB (dirty log, code pages) */
#define SOFT_STOP_CODE	0x40u /* another vCPU wrote to pages that this one has code of */

/* Debug exceptions; see soft_break.h. Bit i of the masks stands for DRi. */
struct soft_break {
	uint8_t exec, data, port; /* what DR7 watches for */
	uint32_t hit;		  /* bits of DR6 for a #DB behind the instruction under way */
};

/* Numbers for RDRAND that were fetched and not used yet. */
#define SOFT_RANDOM 32u
struct soft_random {
	uint64_t v[SOFT_RANDOM];
	unsigned int left;
};

struct soft_msrs {
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	uint64_t pat, apic_base, misc_enable, mtrr_def_type;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t wall_clock, system_time; /* kvmclock */
	uint64_t mcg_status, debugctl, spec_ctrl;
};

/* What the run loop must deliver; set by soft_raise(). */
struct soft_pending {
	int vector; /* -1: none */
	bool has_error;
	bool soft; /* INT n, INT3: rip is already behind the instruction; gate DPL is checked */
	bool hard; /* from the LAPIC or NMI: not an exception */
	uint32_t error;
};

/* The latest events, for people who look at a guest that went wrong. */
#define SOFT_TRACE 64u
struct soft_trace {
	uint64_t icount;
	uint64_t rip;
	uint64_t cr2;
	uint32_t error;
	int16_t vector;
	bool interrupt;
	uint8_t cpl;
};

/* All of it is counted off the fast paths; what those do is sampled (soft_watch.h). */
struct soft_counters {
	uint64_t entries, exits_mmio, exits_pio, exits_halt, exits_irq, exits_other;
	uint64_t block_hits, block_misses, exceptions, unknown_insns, links;
	uint64_t tlb_miss[3]; /* by enum soft_access */
	uint64_t kicks, wakeups, flushes, code_drops, slices; /* why the run loop looked around */
	uint64_t dirty_writes; /* first writes to a page that the dirty log watches */
	uint64_t blocks_dropped, pages_dropped; /* because somebody wrote to their code */
	uint64_t by_exception[32], by_class[16], soft_ints; /* delivered; class: vector >> 4 */
	uint64_t halted_ns;
	struct {
		uint64_t windows, accesses[3], hits[3], blocks, block_hits;
	} sampled;
};

#define SOFT_UNKNOWN 8u /* unknown instructions that are remembered */

struct soft_cpu {
	/* what every handler touches */
	uint64_t gpr[SOFT_NR_GPR]; /* SOFT_REG_: [SOFT_REG_PAGE] + op->off is rip inside a block */
	struct soft_flags flags;
	uint64_t icount; /* instructions completed, brought up to date when a block is left */
	uint64_t looked_ns; /* when the run loop looked around last, guest clock */
	_Atomic uint64_t limit; /* leave the blocks when icount is there; others set it to 0 */
	struct soft_tlb *tlb;	/* the set for the current privilege, see soft_pick_tlb() */
	uint64_t seg_base[SOFT_NR_SEG];
	uint64_t rip;	 /* valid outside of blocks */
	uint32_t eflags; /* all but the arithmetic flags (soft_rflags() has all) */
	uint8_t cpl;
	uint8_t mode;	    /* SOFT_MODE_ of the current code */
	bool checked_empty; /* SOFT_TLB_CHECKED holds nothing */
	uint8_t bounce_len; /* see soft_rmw() */
	bool bounce_locked;
	const struct soft_op *op; /* op of the slow path under way */

	/* vector and x87 state: soft_sse.c, soft_x87.c */
	union soft_xmm xmm[16];
	uint32_t mxcsr;
	bool fp_live; /* more flags of mxcsr are in the host's, see soft_fp.h */
	struct soft_x87 x87;

	/* system registers */
	struct hv_seg seg[HV_SEG_COUNT];
	struct hv_seg tr, ldt;
	struct hv_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t dr[4], dr6, dr7;
	struct soft_break brk;
	struct soft_msrs msr;

	/* the run loop's own */
	jmp_buf unwind;
	struct soft_pending pending;
	int delivering;	       /* vector of the exception whose delivery is under way, -1 none */
	uint64_t shadow_until; /* no interrupt before icount reaches this (STI, MOV SS) */
	uint64_t tsc_offset;
	uint32_t pauses; /* PAUSE instructions */
	struct soft_random random;
	uint64_t bounce_la;
	union soft_xmm bounce;
	bool nmi_masked;
	bool observed;	       /* every block comes back to the run loop, see soft_watch.h */
	bool probed;	       /* and every access takes the slow path */
	uint32_t mp_state;     /* enum hv_mp_state */
	_Atomic uint32_t stop; /* SOFT_STOP_ */
	_Atomic bool busy;     /* may touch guest RAM, see soft_run.h */
	_Atomic bool asleep;   /* in HLT, waits on wake */
	_Atomic uint64_t asleep_since; /* monotonic ns, 0: not asleep */
	pthread_mutex_t sleep_lock;
	pthread_cond_t wake; /* on the monotonic clock */

	unsigned int index;
	struct soft_vm *vm;
	struct soft_lapic *lapic;
	struct soft_blocks *blocks;
	struct soft_watch *watch; /* NULL until somebody watches */
	struct soft_counters count;
	struct soft_trace trace[SOFT_TRACE]; /* ring; count.exceptions is the next place */
	char error[160];
	struct hv_unknown_insn unknown[SOFT_UNKNOWN]; /* ring; count.unknown_insns is the next */

	struct soft_tlb tlbs[SOFT_NR_TLBS];
	uint64_t large[16]; /* bit (la >> 21) % 1024: a 2 MiB page there may be in a TLB */
	uint64_t huge;	    /* bit (la >> 30) % 64: likewise a 1 GiB page */
};

/* Raise an exception at op (the instruction starts over if the handler returns to it). Does not
 * return. */
_Noreturn void soft_raise(struct soft_cpu *cpu, const struct soft_op *op, int vector);
_Noreturn void soft_raise_err(struct soft_cpu *cpu, const struct soft_op *op, int vector,
			      uint32_t error);

/* An opcode that nobody knows: counts, logs its bytes, #UD. Also the fn of such ops. */
const struct soft_op *soft_op_unknown(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_op_ud(struct soft_cpu *cpu, const struct soft_op *op);
const struct soft_op *soft_op_nm(struct soft_cpu *cpu, const struct soft_op *op);

/* Make the vCPU leave its blocks soon and look at `why` (SOFT_STOP_). [any] */
void soft_cpu_stop(struct soft_cpu *cpu, uint32_t why);

/* rip of op, and of the instruction behind it */
static inline uint64_t soft_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->gpr[SOFT_REG_PAGE] + op->off;
}

static inline uint64_t soft_next_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->gpr[SOFT_REG_PAGE] + op->off + op->len;
}

#endif
