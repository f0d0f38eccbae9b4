/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst.h - the destination of a migration: receives a VM, verifies all of it, and runs it once it owns it.
 *
 * The VM lands PAUSED. After "verified" this end gives up only by clearing the intent in the ownership block; whether
 * the source committed is read from the block, not from a message. If the source falls silent, the block is asked
 * again and again; with a permit from fencing/ the VM may be taken over with the memory that is here, while the intent
 * stands.
 *
 * Threads: [loop]. The object frees itself after done was called.
 */
#ifndef MIG_DST_H
#define MIG_DST_H

#include "migration/mig_types.h"
#include "proto/px_tls.h"

struct hv_vm;
struct stor_lease;
struct stor_permit;
struct mig_dst;

struct mig_dst_config {
	struct hv_vm *vm;         /* borrowed; EMPTY; its disks are open (gated) */
	struct stor_lease *lease; /* borrowed; new, nothing owned */
	int listen_fd;            /* listening socket (taken); or -1 and */
	int fd;                   /* a connected one (taken) */
	const struct px_psk *psk; /* of the ticket (copied); NULL: no TLS, only for tests */
	uint64_t epoch;           /* of the ticket */
	const char *source;       /* node name in the ticket; NULL: any */
	uint32_t wait_ms;         /* for the source to connect; 0: 60 s */
	uint32_t io_timeout_ms;   /* longest silence of the source; 0: 10 s */
	uint32_t give_up_ms;      /* from "verified" until the intent is cleared if nothing decides; 0: 60 s */
	/* [loop] State changes, for status displays. May be NULL. */
	void (*progress)(void *arg, const struct mig_progress *p);
	/* [loop] Before the first vCPU runs: everything is ours. May be NULL. */
	void (*landed)(void *arg);
	/* [loop] Exactly once. code 0: owned and running (or paused, if it was paused at the source). */
	void (*done)(void *arg, const struct mig_result *r);
	void *arg;
};

int mig_dst_start(struct mig_dst **out, const struct mig_dst_config *cfg, struct cm_err *err) cm_must_check;
/* Takes the permit. For a verified VM whose source is proven dead (rule 5). CM_E_VM_STATE: nothing verified here. */
int mig_dst_take_over(struct mig_dst *m, struct stor_permit *permit, struct cm_err *err) cm_must_check;
/* Gives up (after "verified": by clearing the intent; if the source has committed meanwhile, the VM runs here). */
void mig_dst_cancel(struct mig_dst *m);
bool mig_dst_is_verified(const struct mig_dst *m);
void mig_dst_get_progress(struct mig_dst *m, struct mig_progress *out);

struct cm_fsm_def;
const struct cm_fsm_def *mig_dst_fsm(void);

#endif
