/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_start.h - starting a VM on this node.
 *
 * Thread: [loop]. Ownership: a start ends by itself, with one call of done.
 */
#ifndef CLU_START_H
#define CLU_START_H

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;

enum clu_start_mode {
	CLU_START_NONE = 0,
	CLU_START_RUN,	    /* cold boot */
	CLU_START_INCOMING, /* land a migration */
	CLU_START_RELEASE,  /* take the block from a process that is proven gone, and free it */
};
/* r: hvcore's own word (may be NULL on errors). */
typedef void (*clu_start_fn)(const Hv__Reply *r, const struct cm_err *err, void *arg);
/* ticket: for INCOMING. config is copied. progress (may be NULL): what it waits for. */
void clu_start_vm(struct clu_agent *a, enum clu_start_mode mode, const Hv__VmConfig *config,
		  const Hv__Ticket *ticket, unsigned timeout_ms,
		  void (*progress)(const char *text, void *arg), clu_start_fn done, void *arg);

#endif
