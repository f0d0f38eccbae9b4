/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev_back.h - a stor_dev as its backend sees it: for whoever implements a device, inside
 * sharedstorage/ only. Its owner has stor_dev.h.
 *
 * The common part (stor_dev.c, stor_dev_queue.c) checks ranges, holds ordinary requests back while
 * the device is not READY, counts, and times stalls. A backend gets only requests that may go out
 * now. When its session dies it ends ADMIN requests and COMPARE AND WRITEs with an error and hands
 * the others back by stor_dev_requeue, oldest first.
 *
 * Thread: [loop].
 */
#ifndef STOR_DEV_BACK_H
#define STOR_DEV_BACK_H

#include "sharedstorage/dev/stor_dev.h"

TAILQ_HEAD(stor_reqs, stor_req);

struct stor_dev_ops {
	const char *name;
	bool stacked; /* it sends its requests on to another stor_dev */
	void (*submit)(struct stor_dev *dev, struct stor_req *req);
	void (*cancel)(struct stor_dev *dev, struct stor_req *req); /* req was submitted */
	/* End everything, then call stor_dev_closed. */
	void (*close)(struct stor_dev *dev);
	void (*free)(struct stor_dev *dev); /* the backend's memory, dev included */
	void (*fence)(struct stor_dev *dev, struct stor_key *keys, unsigned nkeys,
		      stor_fence_fn done, void *arg);
	void (*fence_cancel)(struct stor_dev *dev, void *arg); /* NULL: it never takes long */
	/* As stor_dev_keys and stor_dev_luns. NULL: none. */
	unsigned (*keys)(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS]);
	unsigned (*luns)(const struct stor_dev *dev, uint32_t tags[STOR_DEV_LUNS]);
	void (*read_keys)(struct stor_dev *dev, stor_keys_fn done, void *arg);
	/* Register, abort what older sessions left, then stor_dev_entered. NULL: nothing to do. */
	void (*enter)(struct stor_dev *dev);
	/* Ordinary I/O of this incarnation may go. May be NULL. */
	void (*admitted)(struct stor_dev *dev);
	/* Ownership is gone: unregister, so that the key is not seen any more. May be NULL. */
	void (*shut)(struct stor_dev *dev);
	/* As stor_dev_part. NULL: it is one. */
	struct stor_dev *(*part)(struct stor_dev *dev, unsigned i);
	void (*status)(struct stor_dev *dev, struct stor_dev_status *status); /* may be NULL */
};

/* First member of every backend's struct. */
struct stor_dev {
	const struct stor_dev_ops *ops;
	struct cm_loop *loop;
	struct stor_dev_opts opts; /* initiator points to a copy */
	char *initiator;
	struct stor_dev_info info;
	struct stor_uuid volume; /* as stor_dev_volume */
	enum stor_dev_state state;
	char why[192];
	uint64_t since_ns;
	bool opened; /* READY or FAILED was said */
	bool stalled_said;
	bool shut, abandoned;
	/* of this incarnation: */
	enum stor_gate told; /* last stage that the gate was told */
	bool entered, entering, admitted;
	uint32_t incarnation;
	uint64_t pr_key;
	uint64_t allowed[STOR_DEV_ALLOWED];
	unsigned nallowed;
	struct stor_reqs waiting;
	struct cm_timer stall_timer;
	stor_gate_fn gate;
	void *gate_arg;
	unsigned inflight;
	uint64_t reads, writes, flushes, others, read_bytes, write_bytes, errors, reconnects;
	uint64_t lost_flushes;
	cm_close_fn close_fn;
	void *close_arg;
};

void stor_dev_init(struct stor_dev *dev, const struct stor_dev_ops *ops, struct cm_loop *loop,
		   const struct stor_dev_opts *opts);
/* Of a device that could not be opened and that nobody has seen. */
void stor_dev_fini(struct stor_dev *dev);
/* Ends a request that the backend has. */
void stor_dev_end(struct stor_dev *dev, struct stor_req *req, int rc);
/* The same at the end of this turn (for failures inside submit). */
void stor_dev_end_later(struct stor_dev *dev, struct stor_req *req, int rc);
/* Hands an ordinary request back; it goes out again after the next admission. */
void stor_dev_requeue(struct stor_dev *dev, struct stor_req *req);
/* A usable session: info is filled. Says READY once, then asks the gate or enters by itself. */
void stor_dev_up(struct stor_dev *dev);
/* Registered, and nothing of an older session is left. */
void stor_dev_entered(struct stor_dev *dev, uint64_t pr_key);
/* No session; requests wait. */
void stor_dev_down(struct stor_dev *dev, enum stor_dev_state state, const struct cm_err *err);
/* A session, but what is asked is refused for now (busy, not ready): also STALLED and RESUMED. */
void stor_dev_stuck(struct stor_dev *dev, const struct cm_err *err);
void stor_dev_unstuck(struct stor_dev *dev);
void stor_dev_open_failed(struct stor_dev *dev, const struct cm_err *err);
/* Says it to the owner. err: words, or NULL. */
void stor_dev_tell(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err);
/* From ops->close, when nothing of the backend runs any more. */
void stor_dev_closed(struct stor_dev *dev);

#endif
