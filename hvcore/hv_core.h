/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core.h - the course of one hvcore process: from its configuration to a running VM, and to a
 * clean end.
 *
 *   stores -> ownership block -> disks -> VM built -> (booted | restored | incoming) -> runs -> ...
 * -> end
 *
 * The start descriptor gets exactly one answer. What migration/ and fencing/ do comes in through
 * hooks, which the program fills; the control socket watches: nothing here reaches up.
 *
 * Threads: [loop]. Ownership: hv_core owns the VM, its disks and its lease.
 */
#ifndef HV_CORE_H
#define HV_CORE_H

#include <stdint.h>

#include "common/cm_err.h"
#include "hvcore/state/hv_json.h"
#include "hvcore/vm/hv_vm.h"
#include "proto/ctl.pb-c.h"
#include "sharedstorage/lease/stor_lease.h"

struct hv_core;
struct hv_disks;
struct hv_owner;
struct hv_qga;

/* What status says; on the wire as proto's VmState. */
enum hv_core_state {
	HV_CORE_NONE = HV__VM_STATE__VM_STATE_NONE,
	HV_CORE_STARTING = HV__VM_STATE__VM_STARTING,
	HV_CORE_RUNNING = HV__VM_STATE__VM_RUNNING,
	HV_CORE_PAUSED = HV__VM_STATE__VM_PAUSED,
	HV_CORE_INCOMING = HV__VM_STATE__VM_INCOMING,
	HV_CORE_HANDING_OVER = HV__VM_STATE__VM_HANDING_OVER,
	HV_CORE_SAVING = HV__VM_STATE__VM_SAVING,
	HV_CORE_SAVED = HV__VM_STATE__VM_SAVED, /* the image is complete: the process only waits for its end */
	HV_CORE_STOPPING = HV__VM_STATE__VM_STOPPING,
	HV_CORE_STOPPED = HV__VM_STATE__VM_STOPPED,
	HV_CORE_FAILED = HV__VM_STATE__VM_FAILED,
};

struct hv_core_hooks {
	/* Takes the ownership block over with start's proof; done as in stor_lease_take_over. */
	void (*take_over)(struct hv_core *core, struct stor_lease *lease, const Hv__Proof *proof,
			  stor_lease_done_fn done, void *arg);
	/* Incoming: the VM is EMPTY. Listens, then hv_core_started with the port in doc. */
	int (*incoming)(struct hv_core *core, struct cm_err *err);
	/* We own the block. Is there a saved state to go on from? Then hv_core_go_on, or
	 * hv_core_start_failed. */
	void (*look_saved)(struct hv_core *core);
	/* The VM is EMPTY: fills it from an image (a path; NULL: the one that look_saved found),
	 * makes sure that this image is never used again, then hv_core_restored. */
	int (*restore)(struct hv_core *core, const char *image, struct cm_err *err);
	/* Adds members to status. */
	void (*status)(struct hv_core *core, struct hv_json *j);
	/* The process ends: stop what is under way. True: it needs the VM still; hv_core_end_go
	 * when it is over. */
	bool (*end)(struct hv_core *core);
	/* The VM may run until then; whoever watches over us may kill us later. 0: no vCPU runs any
	 * more. */
	void (*alive)(struct hv_core *core, uint64_t until_ns);
	/* What ends this process now if it cannot stop itself; as in stor_lease_ops. */
	enum stor_watchdog (*watchdog)(struct hv_core *core);
	/* May this VM start on this host as it is? hv_core_admitted now or later, or
	 * hv_core_start_failed. */
	void (*admit)(struct hv_core *core);
	void (*vcpu_begins)(void);	       /* as in hv_vm_config */
	const struct hv_engine_choice *engine; /* what runs the vCPUs */
	void *arg;			       /* theirs; hv_core_hook_arg */
};

/* Who listens: the control socket. */
struct hv_core_watcher {
	/* Something happened. doc: JSON or "". */
	void (*event)(void *arg, const char *kind, const char *severity, const char *text,
		      const char *doc);
	/* All is done: nothing more will be told, and a few turns of the loop are left. */
	void (*over)(void *arg);
	void *arg;
};

/* start is borrowed for life. start_fd: gets the answer, -1 none. */
int hv_core_new(struct hv_core **out, struct cm_loop *loop, const Hv__CoreStart *start,
		int start_fd, const struct hv_core_hooks *hooks, struct cm_err *err) cm_must_check;
/* After cm_loop_run came back. */
void hv_core_free(struct hv_core *core);

struct cm_loop *hv_core_loop(struct hv_core *core);
struct hv_vm *hv_core_vm(struct hv_core *core); /* NULL before it is built */
struct hv_disks *hv_core_disks(struct hv_core *core);
struct hv_owner *hv_core_owner(struct hv_core *core); /* NULL: a VM without an ownership block */
const Hv__CoreStart *hv_core_start(const struct hv_core *core);
struct hv_qga *hv_core_qga(struct hv_core *core); /* NULL before there is a VM */
void *hv_core_hook_arg(struct hv_core *core);
uint64_t hv_core_epoch(struct hv_core *core); /* of the ownership block; 0: none */
/* cm_now_ns() when the VM first ran; 0: never. */
uint64_t hv_core_ran_at_ns(const struct hv_core *core);
/* There is one at most; w is copied. */
void hv_core_watch(struct hv_core *core, const struct hv_core_watcher *w);

/* The answer to who started us. doc: JSON, or NULL for the standard one. Once; later calls do
 * nothing. */
void hv_core_started(struct hv_core *core, enum hv_core_state state, const char *doc);
void hv_core_start_failed(struct hv_core *core, int code, const char *doc, const char *fmt, ...)
	cm_printf(4, 5);
/* The answer to admit. */
void hv_core_admitted(struct hv_core *core);
/* The answer to look_saved. */
void hv_core_go_on(struct hv_core *core, bool restore);
/* The restore hook has filled the VM (it is PAUSED), or failed. */
void hv_core_restored(struct hv_core *core, const struct cm_err *err);
/* An incoming VM has been accepted and owns its block: runs it. */
int hv_core_run(struct hv_core *core, struct cm_err *err) cm_must_check;

/* Changes what status says and tells the watcher. */
void hv_core_set_state(struct hv_core *core, enum hv_core_state state);
enum hv_core_state hv_core_state(const struct hv_core *core);
const char *hv_core_state_word(enum hv_core_state state);
/* Tells the watcher and the log. doc: JSON or "". */
void hv_core_event(struct hv_core *core, const char *kind, const char *severity, const char *doc,
		   const char *fmt, ...) cm_printf(5, 6);
/*
 * Ends the process: stops the VM, drains, flushes, releases the ownership if release (else leaves
 * the block as it is), closes everything, then stops the loop with exit_code. Once; later calls do
 * nothing.
 */
void hv_core_end(struct hv_core *core, int exit_code, bool release);
/* For the end hook that said true. */
void hv_core_end_go(struct hv_core *core);
bool hv_core_is_ending(const struct hv_core *core);
/* Does anybody wait for the end (verb stop)? */
bool hv_core_end_is_wanted(const struct hv_core *core);
/* done(arg, rc) comes when all that is done, rc being the release's. -ENOSPC: too many wait
 * already. */
int hv_core_on_end(struct hv_core *core, hv_vm_done_fn done, void *arg) cm_must_check;
/* The migration has given the VM away, or taken it: does this process own the block now? */
void hv_core_set_owned(struct hv_core *core, bool owned);

/* hv_core_status.c: the document of `status`. */
void hv_core_status(struct hv_core *core, struct hv_json *j);

#endif
