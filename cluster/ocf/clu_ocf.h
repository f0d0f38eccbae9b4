/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_ocf.h - the resource agent ocf:hvcluster:VirtualMachine: one action per call, an honest exit code.
 *
 * monitor and stop talk to the VM's own hvcore, so they work while hvclusterd is down; start and the two
 * halves of a migration go through hvclusterd. A paused incoming VM is "not running".
 *
 * Thread: the calling thread; blocking (a resource agent does one thing and ends).
 */
#ifndef CLU_OCF_H
#define CLU_OCF_H

#include <stdio.h>

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

/* Exit codes of the OCF standard. */
enum clu_ocf_exit {
	CLU_OCF_OK = 0,
	CLU_OCF_GENERIC = 1,
	CLU_OCF_ARGS = 2,
	CLU_OCF_UNIMPLEMENTED = 3,
	CLU_OCF_PERM = 4,
	CLU_OCF_INSTALLED = 5,
	CLU_OCF_CONFIGURED = 6,
	CLU_OCF_NOT_RUNNING = 7,
};

/* What a call depends on; tests put in their own. All borrowed. */
struct clu_ocf {
	const char *run_dir;			       /* hvclusterd.sock and vm/NAME.sock are there */
	const char *(*get)(const char *name, void *arg); /* environment variables */
	void *arg;
	FILE *out;  /* meta-data */
	FILE *errs; /* reasons, in the form pacemaker shows them */
	/* Time limits in ms; 0 = what the action's own time limit leaves. */
	unsigned answer_ms; /* for one answer of a VM (0: 8000) */
	unsigned grace_ms;  /* for a guest to shut down by itself */
};

/* Runs one action ("start", "stop", "monitor", ...). Returns a clu_ocf_exit. */
int clu_ocf_run(const struct clu_ocf *o, const char *action);

/* Pure: the exit code that an error of a start deserves (what is wrong everywhere, only here, or now). */
int clu_ocf_exit_of(int code);
/* Pure: the state of a status -> exit code of a monitor. */
int clu_ocf_exit_of_state(Hv__VmState state);

#endif
