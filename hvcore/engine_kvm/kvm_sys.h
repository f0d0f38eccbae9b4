/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_sys.h - what the files of engine_kvm/ ask the kernel and the CPU by: ioctl, and errors in words. Needs no engine.
 *
 * Threads: [any]. Only this folder includes it.
 */
#ifndef KVM_SYS_H
#define KVM_SYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"

/* ioctl through cm_sys; the result, or -errno. */
int kvm__ioctl(int fd, unsigned long request, void *arg);
/* Sets CM_E_KVM and "what: the errno -rc in words"; returns it. */
int kvm__fail(struct cm_err *err, const char *what, int rc);
/* KVM_CHECK_EXTENSION says more than 0. */
bool kvm__has(int fd, unsigned cap);
/* The host's time stamp counter. */
uint64_t kvm__rdtsc(void);

#endif
