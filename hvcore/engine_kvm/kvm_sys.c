/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_sys.c - ioctls of KVM with their errors, below all other files of the engine. What they mean is the callers' business.
 * Parses nobody's data.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_sys.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "common/cm_sys.h"

int kvm__ioctl(int fd, unsigned long request, void *arg)
{
	int rc = cm_sys.ioctl(fd, request, arg);

	return rc < 0 ? -errno : rc;
}

int kvm__fail(struct cm_err *err, const char *what, int rc)
{
	return cm_err_set(err, CM_E_KVM, "%s: %s", what, strerror(-rc));
}

bool kvm__has(int fd, unsigned cap)
{
	return kvm__ioctl(fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap) > 0;
}

uint64_t kvm__rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}
