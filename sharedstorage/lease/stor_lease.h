/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease.h - the ownership block of one VM: take it, keep it, give it away.
 *
 * One struct stor_lease is this process' view of one block. It is on the loop with high priority
 * and talks through the device's COMPARE AND WRITE, from the exact bytes that it read or wrote. It
 * also is the gate of that device (and of those given to stor_lease_guard): after every reconnect
 * it reads the block and wins a COMPARE AND WRITE before ordinary I/O flows again, and shuts the
 * devices when ownership is gone.
 *
 * Law for the owner of the vCPUs: they may run only while the last `renewed` said so, up to
 * valid_until_ns on cm_now_ns(); every vCPU thread checks stor_lease_valid_until() before it enters
 * the guest. `renewed` and the ok answers of acquire, take_over, accept and resume all mean: we
 * have just won a COMPARE AND WRITE.
 *
 * Migration, source: intent(D), then pause, drain, flush, then commit().
 *   commit: 0: D owns, never resume here. CM_E_LEASE_MISCOMPARE: D declined; resume() and run on.
 *   CM_E_LEASE_LOST: somebody else owns. -ECANCELED (cancelled or closed before the SAN answered):
 *   the outcome is not known, the block decides: never resume without resume().
 *   resume: after any failure before the commit; clears the intent by COMPARE AND WRITE; 0: run.
 * Migration, destination: a new lease for each attempt (its instance id is what the intent names: an intent of a
 * later attempt must not fit the memory of an earlier one; tests/sim/sim_owner.c found that). self() goes to the
 * source, then
 *   accept, when the source says that it committed, or on its silence. 0: we own and won our first
 *   renewal: run. -EAGAIN: the source owns still and intends to hand over to us. CM_E_LEASE_HELD:
 *   somebody owns and there is no intent for us: drop the VM's memory.
 *   decline: gives up after "verified"; clears the intent by COMPARE AND WRITE.
 *   take_over with a proof, while the intent stands: the source died in between, run on with the
 *   memory that we have.
 *
 * One operation at a time; a second one gets -EBUSY. While the SAN is away an operation waits;
 * stor_lease_cancel or close end it. done comes from the loop, never from inside the call.
 *
 * Thread: [loop], except stor_lease_write_ns [any].
 */
#ifndef STOR_LEASE_H
#define STOR_LEASE_H

#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/lease/stor_lease_disk.h"
#include "sharedstorage/lease/stor_permit.h"

struct stor_lease;

enum stor_lost {
	STOR_LOST_NONE = 0,
	STOR_LOST_EXPIRED, /* no renewal succeeded for STOR_FAIL. Not final: it goes on trying, and
			      a later `renewed` means that nobody took it and the vCPUs may run
			      again */
	STOR_LOST_TAKEN,   /* the block names another owner, or is gone. Final */
	STOR_LOST_FENCED,  /* the SAN shut us out and the block is not ours any more. Final */
};
const char *stor_lost_name(enum stor_lost lost);

struct stor_lease_ops {
	/* Stop the vCPUs now; they must be out of the guest within STOR_STOP. */
	void (*lost)(struct stor_lease *lease, enum stor_lost reason, void *arg);
	/* A renewal was won: vCPUs may run until then (cm_now_ns time). */
	void (*renewed)(struct stor_lease *lease, uint64_t valid_until_ns, void *arg);
	/* Asked before each write: what ends this process now if it cannot stop itself? The truth, as
	 * others wait by it (stor_timing.h). NULL: nothing does. */
	enum stor_watchdog (*watchdog)(void *arg);
};

struct stor_lease_cfg {
	struct stor_dev *dev;  /* borrowed; opened with opts.gated; closed after the lease */
	uint64_t offset_bytes; /* of the block's sector */
	struct stor_uuid vm;
	const char *node; /* name of this node */
	uint16_t host_slot;
	uint32_t io_timeout_ms;		  /* 0: default */
	const char *label;		  /* for the log, such as the VM's name; copied */
	const struct stor_lease_ops *ops; /* borrowed */
	void *arg;
};

/* Makes an instance id. Touches nothing yet. */
struct stor_lease *stor_lease_new(const struct stor_lease_cfg *cfg, struct cm_err *err);
/* Ends what is under way with -ECANCELED, does NOT release; then fn(arg). */
void stor_lease_close(struct stor_lease *lease, cm_close_fn fn, void *arg);
/* Another device of the same VM: gated by, and its keys published in, this block. Before the lease is acquired: the barrier
 * must be on it, too.
 * CM_E_VOL_LIMIT: the block has no room for the keys (STOR_OWNER_KEYS LUNs, lock LUNs included). */
int stor_lease_guard(struct stor_lease *lease, struct stor_dev *dev) cm_must_check;
/* Ids of this process for the block; keys are those of now. */
void stor_lease_self(struct stor_lease *lease, struct stor_owner *self);

/* rc as listed at each operation, or CM_E_*, -ECANCELED; err has the words. */
typedef void (*stor_lease_done_fn)(struct stor_lease *lease, int rc, const struct cm_err *err,
				   void *arg);

/* FREE or never used -> ours, epoch + 1. CM_E_LEASE_HELD (err names the owner) if somebody owns it.
 */
void stor_lease_acquire(struct stor_lease *lease, stor_lease_done_fn done, void *arg);
/*
 * From an owner that did not release. Takes the permit. COMPARE AND WRITE epoch + 1, shut every key
 * of the victim out on every device, read the keys back, then ours. CM_E_LEASE_NO_PROOF if the
 * permit is not for what the block says. only_with_intent: also demands that the block still has
 * the intent to hand over to us (rule 5).
 */
void stor_lease_take_over(struct stor_lease *lease, struct stor_permit *permit,
			  bool only_with_intent, stor_lease_done_fn done, void *arg);
/* Ours -> FREE. The vCPUs must be stopped and the disks drained and flushed before. */
void stor_lease_release(struct stor_lease *lease, stor_lease_done_fn done, void *arg);

/* Ends the operation under way with -ECANCELED (a COMPARE AND WRITE in flight may still happen). */
void stor_lease_cancel(struct stor_lease *lease);

/* CM_E_BAD_VALUE: peer is none (stor_owner_valid). */
void stor_lease_intent(struct stor_lease *lease, const struct stor_owner *peer,
		       stor_lease_done_fn done, void *arg);
void stor_lease_commit(struct stor_lease *lease, stor_lease_done_fn done, void *arg);
void stor_lease_resume(struct stor_lease *lease, stor_lease_done_fn done, void *arg);
void stor_lease_accept(struct stor_lease *lease, stor_lease_done_fn done, void *arg);
void stor_lease_decline(struct stor_lease *lease, stor_lease_done_fn done, void *arg);

/* Reads the block, without wanting anything. b is NULL unless rc is 0; -ENODATA: never used. */
typedef void (*stor_block_fn)(int rc, const struct stor_block *b, void *arg);
/* Any number at a time; also usable without a lease: dev need not be gated or admitted. */
void stor_block_read(struct stor_dev *dev, uint64_t offset_bytes, stor_block_fn done, void *arg);

/*
 * A fencer without a lease of its own: makes the block of a dead owner FREE by one COMPARE AND
 * WRITE, so that anybody may start the VM. Takes the permit. The victim's keys must be gone
 * already. done: 0; CM_E_LEASE_HELD: the block is not any more what the permit is about (the owner
 * is alive, or another one came); others: the outcome may be unknown, look at the block. Made by
 * fencing/ only (fen_vacate).
 */
typedef void (*stor_vacate_fn)(int rc, const struct cm_err *err, void *arg);
void stor_block_vacate(struct stor_dev *dev, uint64_t offset_bytes, struct stor_permit *permit,
		       stor_vacate_fn done, void *arg);

/* cm_now_ns() time until which vCPUs may run; 0: not at all. [any] */
uint64_t stor_lease_valid_until(const struct stor_lease *lease);
/* What a COMPARE AND WRITE of this lease takes lately, on the slow side; 0: none was won yet. [any] */
uint64_t stor_lease_write_ns(const struct stor_lease *lease);
/* "HELD", "RENEWING", ... */
const char *stor_lease_state_name(const struct stor_lease *lease);
uint64_t stor_lease_epoch(const struct stor_lease *lease);
/* The machine's table, for tests. */
const struct cm_fsm_def *stor_lease_fsm(void);

#endif
