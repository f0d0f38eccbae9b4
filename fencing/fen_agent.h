/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_agent.h - SAN fencing of a node: every VM of it visibly expired, every key of it gone.
 *
 * off is proof (d) for each ownership block of the volume that the node owns, all at the same time;
 * with it each block is made FREE; then PREEMPT AND ABORT of every key of its host slots, read back
 * as gone; and then a look that finds no block of the node any more. It takes the longest
 * stor_dead_ms() of the node's VMs, and fails if one of them is renewed meanwhile, or if nothing
 * ends one of them (stor_timing.h: NONE). docs/adr/0004 says why a block
 * is made free, and what "off" is not: power off.
 *
 * Thread: [loop]. Ownership: the job frees itself after done.
 */
#ifndef FEN_AGENT_H
#define FEN_AGENT_H

#include "common/cm_loop.h"

enum fen_agent_action {
	FEN_AGENT_NONE = 0,
	FEN_AGENT_OFF,
	FEN_AGENT_STATUS,  /* rc 0: the node owns VMs or has keys; 1: it is off */
	FEN_AGENT_MONITOR, /* rc 0: the volume answers */
	FEN_AGENT_LIST,	   /* line() is called with each node's name */
};

struct fen_agent_cfg {
	struct cm_loop *loop;
	enum fen_agent_action action;
	const char *url;       /* of the volume */
	const char *node;      /* the victim; not for MONITOR and LIST */
	const char *initiator; /* NULL: made up */
	uint32_t io_timeout_ms;
	void (*line)(const char *text, void *arg); /* progress, or the list */
	void (*done)(int rc, const struct cm_err *err, void *arg);
	void *arg;
};

/* done is called once; negative rc: failed. */
int fen_agent_run(const struct fen_agent_cfg *cfg, struct cm_err *err) cm_must_check;

#endif
