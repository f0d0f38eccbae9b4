/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_engine.h - the one interface behind which every CPU engine stands (kvm, soft).
 *
 * An engine runs vCPUs over guest memory that the machine gave it, and keeps LAPICs, the IO-APIC,
 * the TSC and kvmclock. Everything else (ports, MMIO) it asks of the machine through struct
 * hv_engine_upcalls, synchronously, on the thread of the vCPU that touched it.
 *
 * Life: create -> map memory -> vcpu_create for every index and set_cpuid, in any order -> [set state] -> vcpu_run
 * on one thread per vCPU -> all vcpu_run returned -> destroy. State may be read and written only
 * while no vcpu_run is inside the engine. A vCPU whose index is not 0 starts as HV_MP_WAIT_INIT.
 *
 * Threads: [setup] before any vCPU thread runs or while all are paused; [vcpu] the thread of that
 * vCPU; [any] from every thread, at any time between create and destroy.
 *
 * Errors: 0 or a negative code (cm_err.h); err, where taken, says what a human must know.
 */
#ifndef HV_ENGINE_H
#define HV_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hvcore/cpu/hv_vcpu_state.h"

struct cm_err;
struct hv_engine; /* each engine defines its own body; first member must be struct hv_engine_base */

/* Why vcpu_run came back. */
enum hv_run {
	HV_RUN_INVALID = 0,
	HV_RUN_KICKED,	 /* vcpu_kick was called, or the thread had no CPU for long; call again to go on */
	HV_RUN_SHUTDOWN, /* triple fault or the like: the machine should be reset or stopped */
	HV_RUN_FAILED,	 /* the engine cannot go on with this guest; details by vcpu_error */
};

/* Upcalls [vcpu]. len is 1, 2, 4 or 8. Reads of nothing give all ones. They never fail. */
struct hv_engine_upcalls {
	void (*pio)(void *arg, uint16_t port, void *data, unsigned len, bool write);
	void (*mmio)(void *arg, uint64_t gpa, void *data, unsigned len, bool write);
	void *arg;
};

struct hv_engine_config {
	unsigned vcpus; /* 1..HV_MAX_VCPUS */
	struct hv_engine_upcalls up;
	int kvm_fd; /* kvm engine: an open /dev/kvm (borrowed), or -1 to open it */
	/* soft engine: 0 = TSC follows the host clock; else instructions per microsecond of guest
	 * time with idle time skipped (deterministic tests). */
	uint32_t insns_per_us;
};

/* What a host can do with an engine; filled by probe. */
struct hv_engine_caps {
	bool usable;	       /* the engine can be created here */
	bool runs_stock_linux; /* false on KVM-PVM: guests are emulated and stock kernels do not
				  boot */
	bool dirty_log, dirty_clear, irqfd, ioeventfd;
	unsigned max_vcpus;
	char words[256]; /* one line for the operator */
};

/* Counters of one vCPU or of a whole VM. */
struct hv_engine_counters {
	uint64_t entries, exits_mmio, exits_pio, exits_halt, exits_irq, exits_other;
	uint64_t insns;						 /* soft only */
	uint64_t block_hits, block_misses, tlb_hits, tlb_misses; /* soft only */
	uint64_t unknown_insns;
};

#define HV_MEM_READONLY (1u << 0)

/* A counter by name, "group.name"; the name lives as long as the engine. */
typedef void (*hv_tally_fn)(void *arg, const char *name, uint64_t value);

/* An instruction that the engine did not know; the guest got #UD. */
struct hv_unknown_insn {
	uint64_t rip, bytes; /* its first eight bytes, low first */
	uint64_t at;	     /* instructions of the vCPU before it */
};

/* One step of a vCPU's way, as an engine that can trace records it. */
enum hv_trace_kind {
	HV_TRACE_NONE = 0,
	HV_TRACE_BLOCK,	    /* a straight run of instructions */
	HV_TRACE_EXCEPTION, /* delivered at rip, by vector */
	HV_TRACE_INTERRUPT,
	HV_TRACE_SOFTWARE, /* INT n */
};
struct hv_trace_event {
	uint64_t at;	   /* instructions of this vCPU before it */
	uint64_t rip, gpa; /* linear and (blocks) physical address */
	uint64_t cr2;	   /* #PF */
	uint64_t insns;	   /* blocks: completed in all its times */
	uint32_t times;	   /* blocks: entered so often in a row */
	uint32_t error;
	int16_t vector;
	uint8_t kind; /* enum hv_trace_kind */
	uint8_t cpl;
};

struct hv_engine_ops {
	const char *name;

	int (*probe)(struct hv_engine_caps *caps, struct cm_err *err); /* [any] */
	int (*create)(struct hv_engine **out, const struct hv_engine_config *cfg,
		      struct cm_err *err);    /* [setup] */
	void (*destroy)(struct hv_engine *e); /* [setup] */

	/* Guest RAM: [gpa, gpa+bytes) is at hva for the engine's life (borrowed). Page aligned.
	 * slot 0..7. */
	int (*map)(struct hv_engine *e, unsigned slot, uint64_t gpa, uint64_t bytes, void *hva,
		   unsigned flags, struct cm_err *err); /* [setup] */

	/* CPUID: supported fills what the engine can offer for hv-1; set fixes the contract for all
	 * vCPUs. */
	int (*cpuid_supported)(struct hv_engine *e, struct hv_cpuid *out); /* [setup] */
	int (*cpuid_set)(struct hv_engine *e, const struct hv_cpuid *in,
			 struct cm_err *err); /* [setup] */

	int (*vcpu_create)(struct hv_engine *e, unsigned index, struct cm_err *err); /* [setup] */
	enum hv_run (*vcpu_run)(struct hv_engine *e, unsigned index);		     /* [vcpu] */
	/* Makes a running or halted vcpu_run of that vCPU return HV_RUN_KICKED soon; if none runs,
	 * the next one returns at once. No upcall is left half done when it returns. */
	void (*vcpu_kick)(struct hv_engine *e, unsigned index); /* [any] */
	/* Text of why the last run said SHUTDOWN or FAILED. */
	const char *(*vcpu_error)(struct hv_engine *e, unsigned index); /* [setup] */

	int (*vcpu_get)(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out,
			struct cm_err *err); /* [setup] */
	int (*vcpu_set)(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
			struct cm_err *err); /* [setup] */
	int (*ioapic_get)(struct hv_engine *e, struct hv_ioapic_state *out, struct cm_err *err);
	int (*ioapic_set)(struct hv_engine *e, const struct hv_ioapic_state *in,
			  struct cm_err *err);
	/* The order on restore: clock_set, then vcpu_set of every vCPU (which sets its TSC), then
	 * run. */
	int (*clock_get)(struct hv_engine *e, struct hv_clock_state *out, struct cm_err *err);
	int (*clock_set)(struct hv_engine *e, const struct hv_clock_state *in, struct cm_err *err);

	/* The host wrote guest RAM (a device, a loader). An engine that keeps decoded code forgets that of
	 * these pages. May be NULL. */
	void (*host_wrote)(struct hv_engine *e, uint64_t gpa, uint64_t bytes);  /* [any] */

	/* Drives an IO-APIC pin. Lines are level: raise and lower. */
	int (*irq_line)(struct hv_engine *e, unsigned gsi, bool level); /* [any] */

	/* A 4-byte guest write to gpa signals fd instead of an upcall. -ENOTSUP: the bus does it
	 * itself. */
	int (*ioeventfd)(struct hv_engine *e, uint64_t gpa, int fd, bool assign); /* [setup] */

	/*
	 * Dirty log of one slot. start: every page counts as dirty (INITIALLY_SET). fetch ORs the
	 * pages written since they were last cleared into bitmap (one bit a page, bit 0 = first
	 * page of the slot) without clearing them. clear re-arms [first, first+count) (count and
	 * first are multiples of 64, or reach the end of the slot) for the pages whose bits are set
	 * in bitmap (whole-slot bitmap); a write after clear returns is seen by a later fetch.
	 * Clear before you read the page.
	 */
	int (*dirty_start)(struct hv_engine *e, unsigned slot, struct cm_err *err); /* [any] */
	int (*dirty_fetch)(struct hv_engine *e, unsigned slot, uint64_t *bitmap);   /* [any] */
	int (*dirty_clear)(struct hv_engine *e, unsigned slot, uint64_t first, uint64_t count,
			   const uint64_t *bitmap);	       /* [any] */
	int (*dirty_stop)(struct hv_engine *e, unsigned slot); /* [any] */

	void (*counters)(struct hv_engine *e, unsigned index,
			 struct hv_engine_counters *out);	     /* [any] */
	/* Lines of what the engine knows of a vCPU beyond its state. */
	void (*dump)(struct hv_engine *e, unsigned index, FILE *to); /* [setup] */

	/* Everything that is counted of one vCPU: the same names in the same order at every call. */
	void (*tally)(struct hv_engine *e, unsigned index, hv_tally_fn fn, void *arg); /* [any] */
	/*
	 * For engines that see every instruction; else all four are NULL.
	 * unknown: the latest instructions that it did not know, oldest first. trace_set: records the
	 * way of every vCPU in a ring of that many events, which is emptied first; 0 stops it and keeps
	 * the ring. trace_get: the last `max` events of the ring, oldest first; total: how many there
	 * were. sample_set: hit rates are sampled (tally, "sample.*"). Both slow the guest down.
	 */
	unsigned (*unknown)(struct hv_engine *e, unsigned index, struct hv_unknown_insn *out,
			    unsigned max);					  /* [any] */
	int (*trace_set)(struct hv_engine *e, unsigned events, struct cm_err *err); /* [setup] */
	unsigned (*trace_get)(struct hv_engine *e, unsigned index, struct hv_trace_event *out,
			      unsigned max, uint64_t *total);			    /* [setup] */
	int (*sample_set)(struct hv_engine *e, bool on, struct cm_err *err);	    /* [setup] */
};

struct hv_engine_base {
	const struct hv_engine_ops *ops;
};

/* The engines there are. Only programs and tests name them: what is not named is not linked. */
extern const struct hv_engine_ops hv_engine_kvm;  /* libenginekvm.a */
extern const struct hv_engine_ops hv_engine_soft; /* libenginesoft.a */

#endif
