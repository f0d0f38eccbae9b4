/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src.h - the source of a migration: copies a VM to a waiting hvcore and hands its ownership over.
 *
 * Order (docs/ARCHITECTURE.md, "a live migration"): connect and agree -> copy in rounds (live) -> write the intent into the ownership
 * block -> pause, drain, flush -> last pages and state -> the destination has verified -> COMMIT by COMPARE AND WRITE ->
 * tell the destination. Before the commit every failure clears the intent and resumes the VM here; after it the VM
 * belongs to the destination whatever else fails. Nothing but the block decides.
 *
 * One at a time for each VM. The memory is sent by a thread of its own with blocking I/O.
 * Threads: [loop]. Ownership: see the config; the object frees itself after done was called.
 */
#ifndef MIG_SRC_H
#define MIG_SRC_H

#include "migration/mig_types.h"
#include "proto/px_tls.h"

struct hv_vm;
struct stor_lease;
struct mig_src;

struct mig_src_config {
	struct hv_vm *vm;         /* borrowed; RUNNING or PAUSED (a paused VM stays paused, see mig_dst) */
	struct stor_lease *lease; /* borrowed; held; nobody else starts operations on it until done */
	const char *node;         /* name of this node (copied) */
	const char *address;      /* numeric address of the destination (copied), or NULL: fd is used */
	uint16_t port;
	int fd;                   /* connected stream socket (taken) if address is NULL */
	const struct px_psk *psk; /* of the ticket (copied); NULL: no TLS, only for tests on socketpairs */
	uint64_t epoch;           /* of the ticket */
	Hv__MigrationMode mode;
	uint32_t max_blackout_ms; /* live: hand over when the forecast is below; 0: MIG_BLACKOUT_DEFAULT_MS */
	bool hold;                /* when the forecast fits, wait for mig_src_commit */
	bool verify_ram;          /* both ends compare a checksum of all memory before the commit (tests; adds to the blackout) */
	uint32_t io_timeout_ms;   /* longest silence of the peer; 0: 10 s */
	uint32_t handover_timeout_ms; /* from the pause to "verified"; 0: 30 s */
	/* [loop] Now and then, and when the stage changes. May be NULL. */
	void (*progress)(void *arg, const struct mig_progress *p);
	/* [loop] Exactly once. The VM is gone from here (code 0: paused for ever, to be freed without touching its disks),
	 * or runs here again (vm_runs_here), or is stopped because ownership is lost or not known. */
	void (*done)(void *arg, const struct mig_result *r);
	void *arg;
};

/* CM_E_* and err: nothing was started, fd is closed. */
int mig_src_start(struct mig_src **out, const struct mig_src_config *cfg, struct cm_err *err) cm_must_check;
/* A held migration does its hand-over now (or as soon as the forecast fits again). */
void mig_src_commit(struct mig_src *m);
/* 0: it will end with CM_E_MIG_CANCELLED; CM_E_MIG_BUSY: too late, the hand-over is under way. */
int mig_src_cancel(struct mig_src *m, struct cm_err *err) cm_must_check;
void mig_src_get_progress(struct mig_src *m, struct mig_progress *out);

struct cm_fsm_def;
const struct cm_fsm_def *mig_src_fsm(void);

#endif
