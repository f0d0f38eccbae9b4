/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_int.h - what the files hv_ctl*.c share. Everything [loop].
 */
#ifndef HV_CTL_INT_H
#define HV_CTL_INT_H

#include "common/cm_loop.h"
#include "hvcore/control/hv_ctl.h"
#include "proto/px_req.h"

/* One connection. */
struct ctl_conn {
	struct hv_ctl *ctl;
	struct ctl_conn *next;
	struct px_chan *chan;
	struct px_reqs reqs;
	struct px_req *watch;	/* the open `watch` request */
	struct px_req *console; /* the open `console` request */
	int console_fd[2];	/* ours, the character device's */
	struct cm_io console_io;
};

struct hv_ctl {
	struct hv_core *core;
	struct px_self self;
	struct px_server *server;
	struct ctl_conn *conns;
	uint64_t seq;
	/* hv_ctl_counters.c, hv_ctl_trace.c */
	struct ctl_counted *counted;  /* at the last `counters`; NULL: never */
	unsigned sampling;	      /* requests that want hit rates sampled */
	bool recording, trace_window; /* trace is on; ... for a request that waits */
};

extern const struct px_verb hv__ctl_verbs[];
extern const size_t hv__ctl_verb_count;

/* hv_ctl_console.c */
void hv__ctl_console(struct px_req *q, void *ctx);
void hv__ctl_console_data(struct ctl_conn *k, const Hv__Data *d);
void hv__ctl_console_gone(struct ctl_conn *k);
/* hv_ctl_debug.c and its neighbours */
void hv__ctl_dump(struct px_req *q, void *ctx);
void hv__ctl_counters(struct px_req *q, void *ctx);
void hv__ctl_trace(struct px_req *q, void *ctx);
/* The connection of a request. */
struct ctl_conn *hv__ctl_conn(struct px_req *q);

#endif
