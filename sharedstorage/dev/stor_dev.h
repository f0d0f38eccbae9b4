/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev.h - one asynchronous block device on the event loop, whatever is behind it.
 *
 * Backends: file (stor_file), iSCSI (stor_iscsi), a disk of a cluster volume (stor_disk). A request
 * is a struct of the caller that must stay untouched, with its iovec array and the memory that it
 * points to, until its done callback; data moves straight between that memory and the kernel or
 * socket. done is never called from inside the submitting call.
 *
 * Stalls. I/O that cannot proceed now (session lost, target busy) waits inside the device and goes
 * out when it can; the `event` callback says STALLED (with words) and RESUMED. Only after
 * opts.fail_after_ms (0: never) such requests end with CM_E_SAN_TIMEOUT. Reads and writes that a
 * dead session left in doubt are submitted again only after the barrier and the gate below.
 *
 * The gate. Each time the device has a usable session (at open, and after each reconnect) it has a
 * new incarnation. If it was opened with opts.gated, ordinary requests still wait, and the gate
 * callback leads through two stages: STOR_GATE_LOOK: logged in, but not registered: the owner reads
 * the ownership block (STOR_REQ_ADMIN) and calls stor_dev_enter() or stor_dev_shut().
 * STOR_GATE_ENTERED: registered with a new PR key, and everything of the device's own older
 * sessions is aborted at the target: the owner reads the block again, wins a COMPARE AND WRITE
 * (STOR_REQ_ADMIN), and calls stor_dev_admit(). stor_lease does exactly that: give it the device.
 *
 * Exclusive. opts.exclusive_to names the one user (a VM) that may have the device, at both ends of
 * a move; the ownership block keeps those two apart. EXCLUSIVE says that nobody else has it; BUSY,
 * in words, who does: nothing is written then, and the device goes on asking. An iSCSI device
 * tells by the keys that are registered: after it registered its own it accepts only that, those
 * of stor_dev_allow (of the VM's ownership block), those of the same user's sessions (READ FULL
 * STATUS, where the target has it) and tools' keys. Two that come at once see each other: at least
 * one goes. A device that was exclusive once and whose key was never gone since needs not ask. A
 * file tells by locks (OFD), between processes of the hosts whose locks meet there.
 *
 * Thread: everything is [loop], except stor_req initialisers. Errors: in done: 0, -EINVAL (range,
 * alignment), -ECANCELED, CM_E_IO, CM_E_SAN_*, CM_E_VOL_FULL. Ownership: the device belongs to who
 * opened it.
 */
#ifndef STOR_DEV_H
#define STOR_DEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/cm_err.h"
#include "common/cm_loop.h"
#include "sharedstorage/dev/stor_key.h"
#include "sharedstorage/dev/stor_uuid.h"

struct stor_dev;
struct stor_req;

enum stor_op {
	STOR_OP_NONE = 0,
	STOR_OP_READ,
	STOR_OP_WRITE,
	STOR_OP_FLUSH,	 /* all writes that were done before are on stable storage; CM_E_IO: the SAN
			    lost some */
	STOR_OP_DISCARD, /* contents may be forgotten */
	STOR_OP_WRITE_ZEROES, /* reads give zero afterwards */
	STOR_OP_CAW,	      /* compare and write, durable when done */
};

#define STOR_REQ_ADMIN                                                                             \
	(1u << 0)		 /* passes the gate; fails with CM_E_SAN_LOST instead of waiting   \
				  */
#define STOR_REQ_FUA   (1u << 1) /* write: durable when done */
#define STOR_REQ_UNMAP (1u << 2) /* write zeroes: the space may be given back */

typedef void (*stor_done_fn)(struct stor_req *req, int rc);

struct stor_req {
	enum stor_op op;
	unsigned flags;
	uint64_t offset_bytes, length_bytes; /* multiples of the sector size */
	struct iovec *iov; /* READ, WRITE; may be changed while in flight, restored at the end */
	int niov;
	const void *compare, *swap; /* CAW: length_bytes each, one sector */
	stor_done_fn done;
	void *arg;
	/* of the device, from submit to done */
	TAILQ_ENTRY(stor_req) link;
	struct stor_dev *dev;
	struct stor_req *parent;
	void *priv;
	uint64_t submitted_ns;
	uint64_t word[2];
	int rc;
	unsigned state;
};

#define STOR_SECTOR_MAX 4096

struct stor_dev_info {
	uint32_t sector_bytes; /* 512 or 4096 */
	uint64_t capacity_bytes;
	uint32_t max_transfer_bytes; /* longer requests are fine, the device splits them */
	bool readonly;
	bool can_discard;
	bool discard_zeroes;   /* discarded sectors read as zero */
	bool can_write_zeroes; /* without moving the zeroes */
	bool native_caw;       /* false: built from locks (file) or a guarded lock LUN */
	uint64_t caw_bytes;    /* COMPARE AND WRITE works below it only (lock LUN); 0: everywhere */
	bool shared;	       /* other hosts may reach it: PR keys matter */
	char serial[64];
};

enum stor_dev_state {
	STOR_DEV_NONE = 0,
	STOR_DEV_OPENING,
	STOR_DEV_GATED, /* usable session, waits for stor_dev_admit */
	STOR_DEV_READY,
	STOR_DEV_STALLED, /* comes back by itself */
	STOR_DEV_FENCED,  /* shut out by somebody: ordinary I/O waits for ever, admission is refused
			   */
	STOR_DEV_FAILED,  /* open failed */
	STOR_DEV_CLOSING,
};
const char *stor_dev_state_name(enum stor_dev_state state);

struct stor_dev_status {
	enum stor_dev_state state;
	char why[192];	      /* words for people; "" when ready */
	uint64_t since_ns;    /* of this state */
	uint32_t incarnation; /* 0: no session yet */
	uint64_t pr_key;      /* 0: none */
	uint32_t inflight, queued;
	uint64_t reads, writes, flushes, others, read_bytes, write_bytes, errors, reconnects;
	uint64_t lost_flushes; /* how often the SAN lost writes that were done but not flushed */
	char path[64];	       /* portal in use */
};

enum stor_dev_event {
	STOR_EVENT_NONE = 0,
	STOR_EVENT_READY,  /* open succeeded: info is valid (once) */
	STOR_EVENT_FAILED, /* open failed for good; close it (once, instead of READY) */
	STOR_EVENT_STALLED,
	STOR_EVENT_RESUMED,
	STOR_EVENT_CONFLICT, /* the target refused us (reservation conflict, preempted): the lease
				must look */
	STOR_EVENT_RESIZED,  /* info has a new capacity */
	STOR_EVENT_EXCLUSIVE, /* opts.exclusive_to: nobody else has it (once) */
	STOR_EVENT_BUSY,      /* opts.exclusive_to: somebody else has it, for a while already */
};
/* err: words for FAILED, STALLED, CONFLICT and BUSY, else code 0. */
typedef void (*stor_event_fn)(struct stor_dev *dev, enum stor_dev_event event,
			      const struct cm_err *err, void *arg);
enum stor_gate { STOR_GATE_NONE = 0, STOR_GATE_LOOK, STOR_GATE_ENTERED };
typedef void (*stor_gate_fn)(struct stor_dev *dev, enum stor_gate stage, uint32_t incarnation,
			     void *arg);

#define STOR_SLOT_TOOL 0xffffu

/* iscsi: before the name of the node (or host) in its initiator name. */
#define STOR_INITIATOR "iqn.2026-01.invalid.hvcluster:"

struct stor_dev_opts {
	bool readonly;
	bool gated;	       /* ordinary I/O only after stor_dev_admit */
	bool exclusive_create; /* file: create it with size_bytes if it is missing */
	uint64_t size_bytes;
	uint64_t fail_after_ms; /* 0: stalled I/O is never failed */
	uint32_t io_timeout_ms; /* 0: STOR_IO_TIMEOUT_MS of stor_timing.h */
	const char
		*initiator; /* iscsi: initiator name of this node; NULL: made from the host name */
	uint64_t isid; /* iscsi: 40 bits, one per session of this initiator, same at every login; 0:
			  made up */
	/* iscsi: > 0 turns persistent reservations on; STOR_SLOT_TOOL: a tool, no host */
	uint16_t host_slot;
	uint64_t exclusive_to; /* not 0: see the top; iscsi: needs host_slot, and this isid */
	bool guarded;  /* iscsi: a lock LUN: COMPARE AND WRITE by a short reservation, not the
			  command */
	/* iscsi: CHAP secret is read from here instead of secret-file (a file, memfd, or without
	 * lock=LUN a pipe); <= 0: none */
	int secret_fd;
	stor_event_fn event;
	void *event_arg;
};

/*
 * Nothing waits in it from now on: what does, and what else would, ends with -ECANCELED. For who is about to close
 * what lies on it (disks of a volume), while it may be shut or away.
 */
void stor_dev_abandon(struct stor_dev *dev);
/* Ends all requests (-ECANCELED or their true end), then calls fn(arg); the device is gone then. */
void stor_dev_close(struct stor_dev *dev, cm_close_fn fn, void *arg);
/* Valid from READY on. */
const struct stor_dev_info *stor_dev_info(const struct stor_dev *dev);
void stor_dev_get_status(struct stor_dev *dev, struct stor_dev_status *status);
struct cm_loop *stor_dev_loop(const struct stor_dev *dev);
/* Of the session of now or, if it has none, of the last one; 0: there was none yet. */
uint32_t stor_dev_incarnation(const struct stor_dev *dev);
/* Key of the session of now; 0: none (yet). */
uint64_t stor_dev_pr_key(const struct stor_dev *dev);
/*
 * For the ownership block: of each of its LUNs the session that may have writes under way. That is the one of
 * now or, until a successor's barrier was answered, the last one that had been let in. Returns how
 * many; at most stor_dev_luns().
 */
#define STOR_DEV_LUNS 2
unsigned stor_dev_keys(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS]);
/* LUNs on which it registers a key, by their tags: none for a file, two with a lock LUN. Returns how many. */
unsigned stor_dev_luns(const struct stor_dev *dev, uint32_t tags[STOR_DEV_LUNS]);
/* stor_lun_tag() of its (data) LUN. */
uint32_t stor_dev_lun(const struct stor_dev *dev);
/* The LUNs that it joins: 0 the data LUN, 1 the lock LUN. NULL: it is a single one. They live as
 * long as dev; requests to them pass dev by. */
struct stor_dev *stor_dev_part(struct stor_dev *dev, unsigned i);
/* [any] The only cluster volume that may lie there, from its URL (volume=); zero: any. */
const struct stor_uuid *stor_dev_volume(const struct stor_dev *dev);
bool stor_dev_is_exclusive(const struct stor_dev *dev);
/* Entered: ADMIN requests may go out, changing ones too. */
bool stor_dev_usable(const struct stor_dev *dev);

void stor_dev_submit(struct stor_dev *dev, struct stor_req *req);
/* Asks that req ends soon with -ECANCELED; done still comes, when its memory is not in use any
 * more. */
void stor_dev_cancel(struct stor_dev *dev, struct stor_req *req);

/* The gate (see the top). fn is called from the loop, also soon after this call if a session is up.
 */
void stor_dev_set_gate(struct stor_dev *dev, stor_gate_fn fn, void *arg);
/* Exclusive devices: PR keys of the same user that may be there when it enters next. */
#define STOR_DEV_ALLOWED 22
void stor_dev_allow(struct stor_dev *dev, const uint64_t *keys, unsigned nkeys);
/* Registers and aborts what is left of older sessions. A stale incarnation is ignored. */
void stor_dev_enter(struct stor_dev *dev, uint32_t incarnation);
/* Lets ordinary I/O of this incarnation go. A stale incarnation is ignored. */
void stor_dev_admit(struct stor_dev *dev, uint32_t incarnation);
/* Shuts ordinary I/O off for good in this process (ownership is lost). Requests wait until close.
 */
void stor_dev_shut(struct stor_dev *dev, const char *why);

/*
 * Shuts every key of keys[] out that is not `ended` yet: PREEMPT AND ABORT (or PREEMPT and an awaited LUN RESET), then
 * READ KEYS until none of them is left. done(0) means that nothing of them can land here any more.
 * A key that may be of this LUN and was gone already, or went without a GOOD for us, proves
 * nothing: then a LUN RESET is awaited, too. Keys that were answered GOOD are marked `ended`, also
 * when it fails at a later one. keys is borrowed until done. Zero keys are skipped. A backend
 * without hosts to shut out (file) answers 0. Several wait for each other.
 */
typedef void (*stor_fence_fn)(int rc, const struct cm_err *err, void *arg);
void stor_dev_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys, stor_fence_fn done,
		    void *arg);
/*
 * The caller does not wait any longer: done(-ECANCELED) comes soon, although what was sent may be under way still. keys
 * is the caller's again then. arg: of stor_dev_fence. Nothing if none is under way.
 */
void stor_dev_fence_cancel(struct stor_dev *dev, void *arg);
/* Keys that are registered now. */
typedef void (*stor_keys_fn)(int rc, const uint64_t *keys, unsigned nkeys, void *arg);
void stor_dev_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg);

/* Fill in a request. */
void stor_req_readv(struct stor_req *r, uint64_t offset_bytes, struct iovec *iov, int niov,
		    stor_done_fn done, void *arg);
void stor_req_writev(struct stor_req *r, uint64_t offset_bytes, struct iovec *iov, int niov,
		     stor_done_fn done, void *arg);
void stor_req_flush(struct stor_req *r, stor_done_fn done, void *arg);
void stor_req_discard(struct stor_req *r, uint64_t offset_bytes, uint64_t length_bytes,
		      stor_done_fn done, void *arg);
void stor_req_write_zeroes(struct stor_req *r, uint64_t offset_bytes, uint64_t length_bytes,
			   bool unmap, stor_done_fn done, void *arg);
/*
 * Compare and write of one sector, atomic against all other hosts. done: 0 written,
 * CM_E_LEASE_MISCOMPARE nothing changed, CM_E_LEASE_UNKNOWN: it may have happened or may still
 * happen; the device has given the session up, and only after the next gate callback (or
 * immediately, on a file) a read tells. Never retried by the device. CM_E_IO: the same, but not of
 * an ADMIN request: the SAN says that it failed, to try again is no use. Everything else: it was
 * not executed and will not be; an ADMIN one is asked again for some 40 ms only.
 */
void stor_req_caw(struct stor_req *r, uint64_t offset_bytes, const void *compare, const void *swap,
		  uint32_t sector_bytes, stor_done_fn done, void *arg);

#endif
