/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vcpus.h - the vCPU threads of a VM, their gate, and the guard that shuts it.
 *
 * One thread a vCPU. It enters the guest only while go was called, nobody asked to stop, and
 * cm_now_ns() is before the run-until instant. The guard is one more thread that sleeps until that
 * instant and then stops the vCPUs by itself, so that a loop that hangs cannot keep a guest running
 * past its lease.
 *
 * Threads: [loop] unless marked. Not to be called with the machine lock held (a vCPU may wait for
 * it).
 */
#ifndef HV_VCPUS_H
#define HV_VCPUS_H

#include "common/cm_err.h"
#include "hvcore/cpu/hv_engine.h"

struct hv_vcpus;

struct hv_vcpus_ops {
	/* First thing on each vCPU thread: narrow what it may do. May be NULL. [vcpu] */
	void (*begins)(void *arg);
	/* A vCPU cannot go on (how: SHUTDOWN or FAILED). All others run on until they are stopped.
	 * [vcpu] */
	void (*ended)(void *arg, unsigned index, enum hv_run how);
	/* The run-until instant passed; the vCPUs are being stopped. [guard thread] */
	void (*expired)(void *arg);
};

/* ops and engine are borrowed. Starts the threads; nothing runs yet; run-until is 0. */
int hv_vcpus_new(struct hv_vcpus **out, struct hv_engine *engine, unsigned count, const char *name,
		 const struct hv_vcpus_ops *ops, void *arg, struct cm_err *err) cm_must_check;
/* Stops and joins. */
void hv_vcpus_free(struct hv_vcpus *v);

void hv_vcpus_go(struct hv_vcpus *v);
/* Returns when no vCPU is inside the engine or an upcall. */
void hv_vcpus_stop(struct hv_vcpus *v);
/*
 * Keeps the vCPUs out of the engine for a moment, without any change of who may run: hold returns
 * when none is inside the engine or an upcall, go_on lets those run again that still may. A stop or
 * the gate's end between the two wins: go_on then starts nothing. Guest clocks go on, as for a vCPU
 * that the host did not schedule. Not nested; every hold has its go_on; go comes not between.
 */
void hv_vcpus_hold(struct hv_vcpus *v);
void hv_vcpus_go_on(struct hv_vcpus *v);
/* [any] Host CPU time of that vCPU's thread, ns; 0 unknown. */
uint64_t hv_vcpus_cpu_ns(const struct hv_vcpus *v, unsigned index);
/* [any] 0 stops the vCPUs at once (without waiting for it). */
void hv_vcpus_set_run_until(struct hv_vcpus *v, uint64_t ns);
uint64_t hv_vcpus_run_until(const struct hv_vcpus *v); /* [any] */
/* [any] cm_now_ns() when the last vCPU came out, and when the first went in after the last go. */
uint64_t hv_vcpus_stopped_at_ns(const struct hv_vcpus *v);
uint64_t hv_vcpus_started_at_ns(const struct hv_vcpus *v);

#endif
