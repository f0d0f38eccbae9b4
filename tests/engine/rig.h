/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CPU engine and 32 MiB of guest RAM without a machine around it: for tests that want to stop, save, compare and time
 * the payload (rig_payload.c) at the level of struct hv_engine_ops. One vCPU.
 */
#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "hvcore/cpu/hv_engine.h"
#include "tests/engine/rig_abi.h"

struct rig {
	const struct hv_engine_ops *ops;
	struct hv_engine *engine;
	uint8_t *ram;
	bool borrowed;
	/* what the payload said */
	uint64_t result;
	unsigned int result_words;
	uint32_t ticks;
	uint32_t panic[3];
	unsigned int panic_words;
	bool done;
	uint64_t accesses; /* port and MMIO upcalls, of any kind */
};

/* 0 or -errno; says on stderr what went wrong. ram: borrowed from another rig, or NULL for RAM of its own. */
int rig_new(struct rig *r, const struct hv_engine_ops *ops, uint32_t insns_per_us, uint8_t *ram);
void rig_free(struct rig *r);
/* Puts the payload into RAM and the vCPU at its entry. */
int rig_load(struct rig *r, const char *elf, uint64_t work, uint64_t amount);
/* Long mode, CPL 0 (or 3), identity tables, flat segments, IDT limit as given; rip and rsp are the caller's. */
void rig_boot_state(struct rig *r, struct hv_vcpu_state *s, bool user);
/* Runs until it kicks out. */
enum hv_run rig_run(struct rig *r);

#endif
