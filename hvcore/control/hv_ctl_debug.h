/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_debug.h - what the verbs of `hvctl debug` share (hv_ctl_debug.c: dump; hv_ctl_counters.c;
 * hv_ctl_trace.c), above all requests that are answered when a time has passed. What was switched
 * on for such a request is switched off with it, also when the one who asked goes away.
 *
 * Threads: [loop].
 */
#ifndef HV_CTL_DEBUG_H
#define HV_CTL_DEBUG_H

#include "hvcore/control/hv_ctl_int.h"

#define HV_CTL_WINDOW_MAX_MS 20000u /* below the time that an agent waits for an answer */

/* Counters of all vCPUs at one instant. */
struct ctl_counted {
	unsigned cpus;
	struct hv_tally cpu[];
};

/* A request that waits for its time to pass. */
struct ctl_window {
	struct px_req *q;
	struct hv_ctl *ctl;
	struct cm_timer timer;
	uint64_t count;		    /* trace: events to tell */
	struct ctl_counted *before; /* counters; freed with the window */
	bool switched;		    /* sampling or recording is on because of this */
};

/* due comes when ms have passed, gone when the connection was lost before. */
struct ctl_window *hv__ctl_window_new(struct px_req *q, uint64_t ms, cm_timer_fn due,
				      void (*gone)(struct px_req *q));
/* First thing in due and gone, before the answer; w lives until this turn of the loop is over. */
void hv__ctl_window_end(struct ctl_window *w);

/* Opens a document: name, engine and state of the VM. */
void hv__ctl_head(struct hv_json *j, struct hv_vm *vm);
/* Answers with the document, and ends it. */
void hv__ctl_answer(struct px_req *q, struct hv_json *j);

#endif
