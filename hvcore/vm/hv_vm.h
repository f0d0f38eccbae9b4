/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm.h - one virtual machine: memory, engine, vCPU threads, devices, and what state it is in.
 *
 * Life: hv_vm_new (memory, engine, devices; nothing runs) -> hv_vm_boot or hv_vm_load -> hv_vm_run
 * ... hv_vm_pause ... hv_vm_free. Cold boot and restore meet in one point: a machine built from a
 * state.
 *
 * vCPU gate: before every entry into the guest a vCPU thread checks that the VM is running and that
 * cm_now_ns() is before the run-until instant; a guard thread of its own stops the vCPUs at that
 * instant even when the loop hangs. Who owns the lease moves the instant with hv_vm_set_run_until.
 * A VM that was not told so never runs.
 *
 * Threads: [loop] unless marked. No function here waits for disk or network.
 * Errors: cm_err.h; nothing here exits.
 */
#ifndef HV_VM_H
#define HV_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cm_buf.h"
#include "common/cm_err.h"
#include "hvcore/cpu/hv_engine.h"
#include "hvcore/cpu/hv_engine_choice.h"
#include "hvcore/cpu/hv_tally.h"
#include "hvcore/machine/hv_dev.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/state/hv_json.h"

struct cm_loop;
struct hv_bus;
struct hv_char;
struct hv_port;
struct hv_mem;
struct hv_vm;
struct stor_dev;

#define HV_NAME_MAX 64u
#define HV_RUN_FOREVER                                                                             \
	UINT64_MAX /* run-until of a VM that needs no lease (foreground, no disk shared) */

struct hv_disk_config {
	struct stor_dev *dev; /* borrowed; open, and open until hv_vm_free; NULL: empty slot */
	char serial[21];
	bool read_only;
};

struct hv_net_config {
	int tap_fd; /* borrowed; -1: empty slot */
	uint8_t mac[6];
};

/* Borrowed until hv_vm_free; plain data, part of it (memory, cpus, devices present) is the guest's
 * ABI. */
struct hv_vm_config {
	char name[HV_NAME_MAX];
	uint8_t uuid[16];
	uint64_t memory_bytes;
	unsigned cpus;
	const struct hv_engine_ops *engine; /* hv_engine_choice.h */
	char engine_why[HV_WHY_MAX];
	int kvm_fd; /* or -1 */
	bool cpu_base; /* only what every host and engine has (hv_cpuid_reduce); decided at the
			  first boot */
	uint32_t insns_per_us; /* soft engine, see hv_engine.h */

	int kernel_fd, initrd_fd; /* read at every boot and reset; -1: none */
	char cmdline[HV_BOOT_CMDLINE_MAX];

	struct hv_disk_config disk[HV_SLOT_BLK_MAX];
	struct hv_net_config net[HV_SLOT_NET_MAX];
	bool console, rng, balloon;
	/* First thing on each vCPU thread (its seccomp filter); NULL: nothing. [vcpu] */
	void (*vcpu_begins)(void);
};

/* X-macro: states of a VM. */
// clang-format off
#define HV_VM_STATES(XX) \
	XX(EMPTY)     /* built, nothing loaded; an incoming VM waits so for its state */ \
	XX(PAUSED)    /* loaded or paused; vCPUs stopped, devices drained */ \
	XX(RUNNING) \
	XX(PAUSING)   /* vCPUs stopped, devices still complete what is in flight */ \
	XX(RESETTING) /* as PAUSING, then built anew and run */ \
	XX(STOPPING)  /* as PAUSING, then OFF */ \
	XX(OFF)       /* the guest is gone; only hv_vm_free remains */ \
	XX(FAILED)    /* vCPUs stopped by an error; the state may be looked at */ \
	XX(FENCED)    /* run-until passed: vCPUs stopped; free it, or run it after a new lease */
enum hv_vm_state {
	HV_VM_NONE,
#define XX(n) HV_VM_##n,
	HV_VM_STATES(XX)
#undef XX
	HV_VM_STATE_COUNT
};
// clang-format on

/* Why a VM ended or stopped, told to its owner [loop]. */
enum hv_vm_event {
	HV_VM_EV_NONE = 0,
	HV_VM_EV_POWERED_OFF, /* guest; state is OFF by now */
	HV_VM_EV_RESET,	      /* guest; it runs again already */
	HV_VM_EV_PANIC,	      /* guest said so; it runs on */
	HV_VM_EV_FAILED,      /* triple fault loop, engine failure; text says why */
	HV_VM_EV_FENCED,      /* run-until passed */
};
struct hv_vm_owner {
	void (*event)(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text);
	void *arg;
};

typedef void (*hv_vm_done_fn)(void *arg, int error);

int hv_vm_new(struct hv_vm **out, const struct hv_vm_config *cfg, struct cm_loop *loop,
	      const struct hv_vm_owner *owner, struct cm_err *err) cm_must_check;
/* From any state; stops the vCPU threads. In-flight device work must be drained (OFF, PAUSED,
 * EMPTY) or its backends closed before. */
void hv_vm_free(struct hv_vm *vm);

/* EMPTY -> PAUSED: loads the kernel, builds the devices from their defaults. */
int hv_vm_boot(struct hv_vm *vm, struct cm_err *err) cm_must_check;
/* EMPTY: does what hv_vm_load can do ahead of the state, so that landing is quick: makes the vCPUs,
 * and gives them their contract if it is known (else NULL); a state with another one is then
 * refused. Optional, may be called again when the contract is known. */
int hv_vm_prepare(struct hv_vm *vm, const struct hv_cpuid *contract,
		  struct cm_err *err) cm_must_check;
/* EMPTY -> PAUSED: builds engine state and devices from what hv_vm_save wrote. Guest memory is the
 * caller's part, before or after. All is verified before anything is applied; on error the VM is
 * still EMPTY. */
int hv_vm_load(struct hv_vm *vm, const void *data, size_t len, struct cm_err *err) cm_must_check;
/* PAUSED: appends the state (all but memory), as sections (hv_state.h) ending with section "end".
 */
int hv_vm_save(struct hv_vm *vm, struct cm_buf *out, struct cm_err *err) cm_must_check;

/* PAUSED -> RUNNING. -2006 VM_STATE otherwise. The gate must have been opened. */
int hv_vm_run(struct hv_vm *vm, struct cm_err *err) cm_must_check;
/*
 * RUNNING -> PAUSING -> PAUSED. vCPUs are stopped and every upcall is complete when the call
 * returns; done(arg, 0) comes on the loop, later, when the devices have nothing in flight. PAUSED
 * already: done comes at once (posted).
 */
int hv_vm_pause(struct hv_vm *vm, hv_vm_done_fn done, void *arg, struct cm_err *err) cm_must_check;
/* RUNNING or PAUSED -> boots again. */
int hv_vm_reset(struct hv_vm *vm, struct cm_err *err) cm_must_check;
/* Stops and drains, then OFF; done as in pause. */
int hv_vm_stop(struct hv_vm *vm, hv_vm_done_fn done, void *arg, struct cm_err *err) cm_must_check;
/* Stops the vCPUs and lets the devices take nothing new; nothing is waited for. Only hv_vm_free may
 * follow. */
void hv_vm_halt(struct hv_vm *vm);
/* Presses the power button (the guest may shut down). -2006 if not running. */
int hv_vm_power_button(struct hv_vm *vm, struct cm_err *err) cm_must_check;

/* [any] vCPUs may run until cm_now_ns() reaches this; 0 closes the gate and stops them at once. */
void hv_vm_set_run_until(struct hv_vm *vm, uint64_t ns);
uint64_t hv_vm_run_until(const struct hv_vm *vm); /* [any] */
/* [any] The instant at which the last vCPU left the guest in the last pause, and at which the first
 * entered after the last run: cm_now_ns(), 0 if never. For blackout figures. */
uint64_t hv_vm_stopped_at_ns(const struct hv_vm *vm);
uint64_t hv_vm_started_at_ns(const struct hv_vm *vm);

enum hv_vm_state hv_vm_state(const struct hv_vm *vm);
const char *hv_vm_state_name(enum hv_vm_state state); /* "RUNNING" */
const struct hv_vm_config *hv_vm_config(const struct hv_vm *vm);
struct hv_mem *hv_vm_mem(struct hv_vm *vm);
struct hv_engine *hv_vm_engine(struct hv_vm *vm); /* its ops are the first member, hv_engine.h */
const struct hv_engine_ops *hv_vm_engine_ops(struct hv_vm *vm);
const char *hv_vm_engine_why(
	const struct hv_vm *vm); /* why auto chose it; "" if it was asked for */
struct hv_lock *hv_vm_lock(struct hv_vm *vm);
struct cm_loop *hv_vm_loop(struct hv_vm *vm);
struct hv_char *hv_vm_serial(struct hv_vm *vm);
struct hv_char *hv_vm_console(struct hv_vm *vm); /* virtio console port 0; NULL if not configured */
struct hv_port *hv_vm_agent_port(struct hv_vm *vm); /* virtio console port 1 */
struct hv_char *hv_vm_debugport(struct hv_vm *vm); /* bytes of port 0xe9 */
/* The CPUID contract of the guest (valid after boot or load). */
const struct hv_cpuid *hv_vm_cpuid(const struct hv_vm *vm);
/* Finds a built device by section name and instance; NULL. */
struct hv_dev *hv_vm_dev(struct hv_vm *vm, const char *name, unsigned instance);

/* All counters of the VM: "vcpu0.exits_mmio", "virtio-blk0.reads"... */
void hv_vm_counters(struct hv_vm *vm, hv_counter_fn fn, void *arg);
/* Everything that the engine counts of one vCPU, and its thread's CPU time; wall_ns is left 0. */
void hv_vm_tally(struct hv_vm *vm, unsigned index, struct hv_tally *out);
/*
 * Calls look(arg) while no vCPU is in the guest: a running VM's are held for that long (hv_vcpus_hold:
 * no change of state; the guest's clocks go on). look may use the engine's [setup] functions but
 * those that write state; it does not wait. held_ns (may be NULL): how long. -2006 VM_STATE where there
 * is nothing to look at: no state loaded yet, or the guest has gone.
 */
int hv_vm_look(struct hv_vm *vm, void (*look)(void *arg), void *arg, uint64_t *held_ns,
	       struct cm_err *err) cm_must_check;
/* Adds to an open object: every vCPU's registers, memory slots, devices, bus. As hv_vm_look. */
int hv_vm_dump(struct hv_vm *vm, struct hv_json *j, struct cm_err *err) cm_must_check;

#endif
