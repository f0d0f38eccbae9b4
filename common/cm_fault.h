/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_fault.h - named fault points: places where tests make this process die, hang, wait or fail.
 *
 * Inactive by default: one relaxed atomic load. Armed from the environment (HV_FAULT) or, in a
 * running process, by the control socket: "NAME=ACTION[:ARG][@NTH][,NAME=...]" with the actions
 *   kill   SIGKILL to this process        stop   SIGSTOP to this process
 *   error  the point returns -ARG (5 = EIO) delay  sleeps ARG milliseconds
 * @NTH: only on the NTH pass (1 = first). Built out by --disable-fault-points.
 *
 * Thread: cm_fault [any]; cm_fault_arm [any].
 */
#ifndef CM_FAULT_H
#define CM_FAULT_H

#include "common/cm_err.h"

/* 0, or the negative errno that an armed "error" asks for. */
#ifdef HV_FAULT_POINTS
int cm_fault(const char *name);
#else
static inline int cm_fault(const char *name)
{
	(void)name;
	return 0;
}
#endif
/* The same for who tells people: err says which point it was. */
static inline int cm_fault_err(const char *name, struct cm_err *err)
{
	int rc = cm_fault(name);

	return rc < 0 ? cm_err_set(err, rc, "fault point %s", name) : 0;
}
/* Replaces all armed points by those of spec ("" disarms). */
int cm_fault_arm(const char *spec, struct cm_err *err);

#endif
