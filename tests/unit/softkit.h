/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bare machine for unit tests of the soft engine: 8 MiB of RAM, identity page tables, an empty
 * IDT, and a fragment of guest code that is entered at CPL 0 in 64-bit mode. The guest reports by
 * OUT: port 0xf4 notes EAX and goes on, 0xf5 notes it and ends the run.
 */
#ifndef SOFTKIT_H
#define SOFTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/cpu/hv_engine.h"

#define RAM_BYTES (8u << 20)
#define PML4	  0x1000u
#define PDPT	  0x2000u
#define PD	  0x3000u
#define IDT	  0x4000u
#define PD_1G	  0x6000u
#define AP_CODE	  0x8000u
#define AP_GDTR	  0x8f00u
#define STACK	  0xf000u
#define CODE	  0x10000u
#define CALLEE	  0x12000u
#define HANDLER	  0x20000u
#define GDT	  0x500u

#define FRAGMENT(name) extern const uint8_t guest_##name[], guest_##name##_end[]
#define GUEST(n, name) guest_new(n, guest_##name, guest_##name##_end)

#define GUEST_REPORTS 64u

struct guest {
	struct hv_engine *e;
	uint8_t *ram;
	unsigned vcpus;
	uint32_t reports[GUEST_REPORTS];
	unsigned count;
	atomic_bool ended; /* it has asked for the end of the run */
	bool patch; /* host_wrote: change the callee at the first report */
};

/* A guest with so many vCPUs, the first of them at [code, end). */
struct guest *guest_new(unsigned vcpus, const uint8_t *code, const uint8_t *end);
void guest_free(struct guest *g);
/* Runs a vCPU until the guest ends the run, or how it ended else. */
enum hv_run guest_go(struct guest *g, unsigned cpu);
/* vCPU 0; the last report. */
uint32_t guest_run(struct guest *g);
void guest_put64(struct guest *g, uint64_t at, uint64_t v);
void guest_put(struct guest *g, uint64_t at, const uint8_t *from, const uint8_t *end);
/* Interrupt gate of `vector`. */
void guest_gate(struct guest *g, unsigned vector, uint64_t to);

#endif
