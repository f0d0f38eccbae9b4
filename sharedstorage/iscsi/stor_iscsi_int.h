/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_int.h - inside of an iSCSI device, for iscsi/ only. From top to bottom:
 *
 *   stor_iscsi.c            its life: sessions, gate, the machine
 *   stor_iscsi_admit.c      what is asked and registered at each login
 *   stor_iscsi_older.c      sessions that are no more
 *   stor_iscsi_exclusive.c  whether others have the LUN
 *   stor_iscsi_io.c         requests, and answers to them
 *   stor_iscsi_refused.c    ... that say "not now"
 *   stor_iscsi_guard.c      COMPARE AND WRITE without the command
 *   stor_iscsi_fence.c      shutting others out
 *   stor_iscsi_adm.c        administrative commands
 *   stor_iscsi_base.c       events, the end of a session, LUN RESET
 *   stor_iscsi_send.c       requests as commands
 *   stor_iscsi_flush.c      what a flush may promise
 *
 * Thread: [loop].
 */
#ifndef STOR_ISCSI_INT_H
#define STOR_ISCSI_INT_H

#include "common/cm_fsm.h"
#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/iscsi/stor_sense.h"
#include "sharedstorage/iscsi/stor_sess.h"

#define ISCSI_DEPTH 96	/* commands of the guest under way; the usual CmdSN window is 128 */
/* Until the target has shown its window; and what of the window the guest does not get: a renewal, a look at the block,
 * a path check and a READ KEYS. */
#define ISCSI_DEPTH_FIRST 8
#define ISCSI_RESERVE	  4
/* Of the guest's data under way, each way: what a renewal or its answer may have in front of it (stor_timing.h). */
#define ISCSI_DATA_BYTES (8u << 20)
#define ISCSI_IOVS  512 /* per command */
#define ISCSI_HOPS  4	/* redirections of one login that are followed */
/* What an administrative command may ask for: each VM of a volume has a key or two on its LUN. Two
 * sectors fit too: a COMPARE AND WRITE of the self-test. */
#define ISCSI_ADM_BYTES	 32768
#define ISCSI_OLDER_KEYS 32
#define ISCSI_KEYS	 ((ISCSI_ADM_BYTES - 8) / 8)

// clang-format off
#define ISCSI_STATES(XX) \
	XX(PAUSE) XX(LOGIN) XX(PROBE) XX(LOOK) XX(ENTER) XX(UP) XX(DROP) XX(CLOSING) XX(OFF)
#define ISCSI_EVENTS(XX) \
	XX(SESS_UP) XX(SESS_DOWN) XX(PROBED) XX(ENTER) XX(ENTERED) XX(BAD) XX(TIMER) XX(CLOSE)
// clang-format on

#define XX(n) IS_##n,
enum stor_iscsi_state { IS_NONE, ISCSI_STATES(XX) IS_COUNT };
#undef XX
#define XX(n) IE_##n,
enum stor_iscsi_event { IE_NONE, ISCSI_EVENTS(XX) IE_COUNT };
#undef XX

/* One request under way. */
struct stor_io {
	TAILQ_ENTRY(stor_io) link; /* in first, sendq, delayed or held */
	struct stor_cmd cmd;
	struct stor_req *req;
	struct stor_iscsi *dev;
	uint64_t done_bytes; /* of req, before this command */
	uint64_t covers;     /* FLUSH: writes that were done when it was sent */
	unsigned tries;
	bool refused;	/* by the target, for now: its time will come */
	bool cancelled; /* while it was under way: it is not asked again */
	struct iovec own[2]; /* CAW halves, or a buffer */
	struct iovec *slice; /* a long request's part, or NULL */
	uint8_t *buf;	     /* zero block or unmap list, or NULL */
	uint8_t small[STOR_UNMAP_BYTES];
};
TAILQ_HEAD(stor_ios, stor_io);

struct stor_fence_job {
	struct stor_key *keys; /* of the caller */
	unsigned nkeys, preempts, tries;
	uint64_t victim; /* of the PREEMPT under way */
	bool reset_needed; /* without PREEMPT AND ABORT: nothing is over before a LUN RESET */
	stor_fence_fn done; /* NULL: nobody waits for it any more */
	void *arg;
	struct stor_fence_job *after; /* waits for this one */
};

struct stor_guard_job;

/* What a flush would promise, and what the target showed of itself: see stor_iscsi_flush.c. */
struct stor_flushed {
	uint64_t writes;     /* done, without FUA */
	uint64_t safe;	     /* of them: done before a flush that succeeded was sent */
	bool failing;	     /* the next flush has to fail */
	uint64_t lost_ns;    /* when the loss was seen; older flushes fail as well */
	bool looked;	     /* the three below are valid */
	uint32_t generation; /* of the last READ KEYS */
	unsigned nkeys;
	uint64_t keys_sum;
	uint64_t entered_key; /* of ours, 0 none: nobody but a fencer or a power cut removes it */
};

/* A session of ours that is no more. */
struct stor_older {
	uint64_t key;
	bool entered; /* it may have left writes under way */
	bool ended;   /* PREEMPT AND ABORT of it was answered GOOD */
};

struct stor_adm;
/* opts.exclusive_to: see stor_iscsi_exclusive.c. */
struct stor_exclusive {
	uint64_t key;	   /* of ours, there without a gap since nobody else was; 0 none */
	bool kept;	   /* it was there still when this session looked */
	bool said;	   /* STOR_EVENT_EXCLUSIVE */
	uint64_t since_ns; /* others have been seen since then; 0: they are not */
	uint64_t foreign[32];
	unsigned nforeign;
	void (*again)(struct stor_iscsi *d, struct stor_adm *adm, void *arg);
};

/* What the guest has of the target's queue; what was learned of it outlasts the session. */
struct stor_window {
	unsigned depth;	      /* how many of its commands may be under way */
	unsigned ncmds;	      /* ... are */
	unsigned answered;    /* since depth grew */
	bool shut;	      /* the target's window was shut once: depth grows slowly from then on */
	bool used;	      /* the guest had as many under way since depth grew */
	uint64_t bytes[2];    /* of data under way: in, out */
};

TAILQ_HEAD(stor_adms, stor_adm);

struct stor_iscsi {
	struct stor_dev dev; /* first */
	struct cm_fsm fsm;
	struct stor_url url;
	char secret[64], target_secret[64], label[96];
	struct stor_sess *sess;
	unsigned portal; /* in use */
	char at[64];	 /* ... or where it sent us */
	char redirect[64]; /* of the next login; "" no */
	unsigned hops;	   /* redirections in a row */
	struct cm_timer timer, delay, adm_delay;
	uint64_t backoff_ms, opened_ns, up_ns;
	unsigned failed; /* logins and sessions in a row that were of no use */
	struct cm_err why; /* of BAD */
	/* of the target */
	struct stor_limits limits;
	bool unmap, ws_unmap, thin, no_pa, no_aptpl, no_caw;
	bool no_unmap, no_ws_unmap, no_write_same; /* it was refused */
	/* of this process */
	bool guarded;
	uint64_t key; /* of the session of now, 0 none */
	struct stor_older older[ISCSI_OLDER_KEYS];
	unsigned nolder;
	bool mended;	   /* this session has mended a reservation without a type */
	bool entered_once; /* the last session may have writes in flight at the target */
	bool key_entered;  /* the session of `key` has been let in */
	bool isid_toggle;
	/* commands */
	struct stor_ios first, sendq, held, delayed; /* first: STOR_REQ_ADMIN and COMPARE AND WRITE */
	struct stor_ios spare;			     /* memory for the next requests */
	unsigned ncmds, nspare;
	struct stor_window window;
	struct stor_adms adm_waiting;
	bool holding, resetting, revalidating; /* resetting: the LUN RESET that is held for has been sent */
	uint64_t refused_ns; /* the target has refused requests since then; 0: it does not */
	uint64_t delay_ns;   /* when those that it has refused are sent again */
	unsigned nrefused;   /* requests that it has, and that are not done yet */
	unsigned nleft;	     /* paths in a row that were left because they refused */
	stor_reset_fn reset_done;
	void *reset_arg;
	struct stor_fence_job *fence;
	struct stor_reqs cawq;
	struct stor_guard_job *guard;
	struct stor_flushed flushed;
	struct stor_exclusive exclusive;
};

static inline struct stor_iscsi *stor__iscsi_of(struct stor_dev *dev)
{
	return CM_CONTAINER(dev, struct stor_iscsi, dev);
}

/* --- stor_iscsi_send.c ---- */
/* NULL: no memory. */
struct stor_io *stor__io_new(struct stor_iscsi *d);
void stor__io_free(struct stor_io *io);
/* Passes the gate, has no second try of its own, and does not wait behind the guest. */
bool stor__io_is_admin(const struct stor_io *io);
/* At the end, or the beginning, of the queue that it belongs to. */
void stor__io_queue(struct stor_io *io);
void stor__io_queue_first(struct stor_io *io);
/* Sends what waits, as far as the window goes. */
void stor__iscsi_pump(struct stor_iscsi *d);
/* The session of now is a new one; io's command has ended (before anything else is done with it); TASK SET FULL. */
void stor__window_reset(struct stor_iscsi *d);
void stor__window_ended(struct stor_io *io);
void stor__window_full(struct stor_iscsi *d);
/* Gives the memory of requests back; none is left. */
void stor__iscsi_io_fini(struct stor_iscsi *d);

/* --- stor_iscsi_base.c ---- */
void stor__iscsi_feed(struct stor_iscsi *d, enum stor_iscsi_event event, const char *reason);
/* The session is of no use any more: drops it and begins anew. */
void stor__iscsi_bad(struct stor_iscsi *d, int code, const char *fmt, ...) cm_printf(3, 4);
/* LUN RESET when all commands have ended; new ones are held back until it is done. */
void stor__iscsi_lun_reset(struct stor_iscsi *d, stor_reset_fn done, void *arg);
void stor__iscsi_cmd_ended(struct stor_iscsi *d);

/* --- stor_iscsi_adm.c: one buffer, unit attentions and busy retried ---- */
typedef void (*stor_adm_fn)(struct stor_iscsi *d, struct stor_adm *adm, void *arg);
struct stor_adm {
	struct stor_cmd cmd;
	struct stor_iscsi *dev;
	struct iovec iov;
	unsigned tries;
	uint64_t refused_ns; /* BUSY or TASK SET FULL since then, 0 no */
	TAILQ_ENTRY(stor_adm) link;
	stor_adm_fn next;
	void *arg;
	uint8_t buf[ISCSI_ADM_BYTES];
};
/* next is always called; cmd.status tells (STOR_CMD_LOST too). The memory goes after it. */
void stor__adm_send(struct stor_iscsi *d, struct stor_cdb cdb, enum stor_dir dir, const void *out,
		    uint32_t bytes, uint64_t timeout_ms, stor_adm_fn next, void *arg);
void stor__adm_pr_out(struct stor_iscsi *d, enum stor_pr_out service, enum stor_pr_type type,
		      uint64_t sa_key, stor_adm_fn next, void *arg);
void stor__adm_read_keys(struct stor_iscsi *d, stor_adm_fn next, void *arg);
bool stor__adm_is(const struct stor_adm *adm, uint8_t key);
void stor__adm_words(const struct stor_adm *adm, char *out, size_t cap);
void stor__adm_delay_tick(struct cm_timer *timer, void *arg);
/* The session is dead: those that wait end. */
void stor__adm_down(struct stor_iscsi *d);
/* All keys of a READ KEYS answer; -1: no good answer. */
int stor__adm_keys(const struct stor_adm *adm, uint64_t keys[ISCSI_KEYS]);
/* Takes our key away. */
void stor__iscsi_unregister(struct stor_iscsi *d, stor_adm_fn next);

/* --- stor_iscsi_admit.c ---- */
void stor__iscsi_probe(struct stor_iscsi *d);
void stor__iscsi_enter(struct stor_iscsi *d);

/* --- stor_iscsi_older.c ---- */
/* The session of now may be alive at the target still: the next one must abort it. */
void stor__iscsi_key_is_old(struct stor_iscsi *d);
struct stor_older *stor__older_find(struct stor_iscsi *d, uint64_t key);
/* No key of theirs is registered any more: may something of them land still? */
bool stor__older_may_write(const struct stor_iscsi *d);
/* A key that is registered still and whose session may have written: to be ended like one of ours. */
void stor__iscsi_older(struct stor_iscsi *d, uint64_t key);
/* As stor_dev_keys. */
unsigned stor__iscsi_keys(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS]);

/* --- stor_iscsi_exclusive.c ---- */
/* All keys, before this session registers its own. */
void stor__exclusive_look(struct stor_iscsi *d, const uint64_t *keys, int nkeys);
/* The last step of an admission: all keys, ours among them; ends with IE_ENTERED, or drops the
 * session. */
/* again: READ KEYS once more and come back, when older sessions had to be ended first. */
void stor__exclusive_check(struct stor_iscsi *d, const uint64_t *keys, int nkeys, stor_adm_fn again);

/* --- stor_iscsi_io.c ---- */
void stor__iscsi_submit(struct stor_dev *dev, struct stor_req *req);
void stor__iscsi_cancel(struct stor_dev *dev, struct stor_req *req);
/* The session is dead: whatever was not sent goes back. */
void stor__iscsi_io_down(struct stor_iscsi *d);
void stor__iscsi_delay_tick(struct cm_timer *timer, void *arg);

/* --- stor_iscsi_refused.c ---- */
enum stor_sense stor__io_sense(const struct stor_io *io);
void stor__io_refused(struct stor_io *io);
/* It is so no longer. done: because it was executed. */
void stor__io_not_refused(struct stor_io *io, bool done);

/* --- stor_iscsi_flush.c ---- */
void stor__flush_write_done(struct stor_iscsi *d, const struct stor_req *req);
void stor__flush_sent(struct stor_io *io);
/* After SYNCHRONIZE CACHE succeeded: 0 or CM_E_IO. */
int stor__flush_done(struct stor_io *io);
/* Writes that are not flushed yet are lost: the next flush fails. */
void stor__flush_lost(struct stor_iscsi *d, const char *why);
/* Every answer to READ KEYS passes here. */
void stor__flush_witness(struct stor_iscsi *d, const uint64_t *keys, unsigned nkeys,
			 uint32_t generation);

/* --- stor_iscsi_fence.c ---- */
void stor__iscsi_fence(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
		       stor_fence_fn done, void *arg);
void stor__iscsi_fence_cancel(struct stor_dev *dev, void *arg);
void stor__iscsi_read_keys(struct stor_dev *dev, stor_keys_fn done, void *arg);

/* --- stor_iscsi_guard.c ---- */
void stor__iscsi_guard_submit(struct stor_iscsi *d, struct stor_req *req);
bool stor__iscsi_guard_cancel(struct stor_iscsi *d, struct stor_req *req);
void stor__iscsi_guard_down(struct stor_iscsi *d);

#endif
