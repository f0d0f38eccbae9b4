/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl.h - the control socket of hvcore: requests by a table of verbs (proto/px_req.h), watchers,
 * consoles.
 *
 * The verbs are listed in proto/ctl.proto. Threads: [loop].
 */
#ifndef HV_CTL_H
#define HV_CTL_H

#include "common/cm_err.h"

struct hv_core;
struct hv_ctl;

/* Listens on start's control_fd or control_socket; neither: *out is NULL and 0. */
int hv_ctl_new(struct hv_ctl **out, struct hv_core *core, struct cm_err *err) cm_must_check;
void hv_ctl_close(struct hv_ctl *ctl); /* sends what is queued */
/* To every watcher. */
void hv_ctl_event(struct hv_ctl *ctl, const char *kind, const char *severity, const char *text,
		  const char *doc);

#endif
