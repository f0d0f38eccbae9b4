/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_seccomp.h - what hvcore may ask of the kernel, by class of thread.
 */
#ifndef HVCORE_SECCOMP_H
#define HVCORE_SECCOMP_H

#include "common/cm_err.h"

/* For this thread and all that it starts: the union of all classes. */
int hvcore_seccomp_process(struct cm_err *err) cm_must_check;
/* On top of it, for the calling vCPU thread. */
int hvcore_seccomp_vcpu(struct cm_err *err) cm_must_check;

#endif
