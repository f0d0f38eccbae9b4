/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_int.h - what the files of control/ share. Everything [loop].
 */
#ifndef HV_CTL_INT_H
#define HV_CTL_INT_H

#include "common/cm_loop.h"
#include "hvcore/control/hv_ctl.h"
#include "hvcore/hv_core.h"

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
	const struct px_verb *verbs; /* the program's */
	size_t verb_count;
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
/* hv_ctl_stop.c, hv_ctl_resized.c */
void hv__ctl_stop(struct px_req *q, void *ctx);
void hv__ctl_disk_resized(struct px_req *q, void *ctx);
/* hv_ctl_vm.c: the VM, or NULL: then the request was refused. _in: only while the process is in
 * state. */
struct hv_vm *hv__ctl_vm(struct px_req *q, struct hv_core *core);
struct hv_vm *hv__ctl_vm_in(struct px_req *q, struct hv_core *core, enum hv_core_state state);

/* The connection of a request that has it still. */
static inline struct ctl_conn *hv__ctl_conn(struct px_req *q)
{
	return px_chan_arg(q->chan);
}

#endif
