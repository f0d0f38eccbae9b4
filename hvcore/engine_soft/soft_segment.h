/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments and modes. All may raise at op. [vcpu]
 */
#ifndef SOFT_SEGMENT_H
#define SOFT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/engine_soft/soft_cpu.h"

#define SOFT_SEG_TYPE(s) ((s)->attr & 15u)
#define SOFT_SEG_DPL(s)	 ((s)->attr >> 5 & 3u)

/* Read the descriptor of sel; false if it is null or beyond its table. hi: the second half of a
 * 16-byte one. */
bool soft_read_descriptor(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
			  uint64_t *lo, uint64_t *hi);
struct hv_seg soft_parse_descriptor(uint16_t sel, uint64_t lo);

/* Load a data segment register, with all checks of the current mode. */
void soft_load_sreg(struct soft_cpu *cpu, const struct soft_op *op, unsigned int reg, uint16_t sel);
/* Check a code selector as the target of a transfer to privilege cpl; raises #GP or #NP. */
struct hv_seg soft_check_code(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
			      unsigned int cpl);
/* Put seg into register reg and refresh what depends on it (bases; for CS the mode). */
void soft_set_sreg(struct soft_cpu *cpu, unsigned int reg, const struct hv_seg *seg);
/* The flat segments that SYSCALL and interrupts load. */
struct hv_seg soft_flat_code(uint16_t sel, unsigned int dpl, bool is_64);
struct hv_seg soft_flat_data(uint16_t sel, unsigned int dpl);
/* Recompute cpu->mode from CS, CR0, CR4 and EFER. */
void soft_update_mode(struct soft_cpu *cpu);

static inline bool soft_long_mode(const struct soft_cpu *cpu)
{
	return cpu->efer & SOFT_EFER_LMA;
}

static inline bool soft_protected(const struct soft_cpu *cpu)
{
	return cpu->cr0 & SOFT_CR0_PE;
}

#endif
