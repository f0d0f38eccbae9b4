/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl.h - the control socket of hvcore: requests by a table of verbs (proto/px_req.h), watchers,
 * consoles.
 *
 * The verbs are listed in proto/ctl.proto. It stands above the process, which does not know it.
 * Threads: [loop]. Ownership: of itself and its connections; it closes when the process is over.
 */
#ifndef HV_CTL_H
#define HV_CTL_H

#include "common/cm_err.h"
#include "proto/px_req.h"

struct hv_core;

/*
 * Listens on start's control_fd or control_socket, if there is one, and watches core from then on:
 * it goes with it. verbs: rows beside our own; their ctx is the hv_core.
 */
int hv_ctl_new(struct hv_core *core, const struct px_verb *verbs, size_t verb_count,
	       struct cm_err *err) cm_must_check;

#endif
