/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_compat.h - can this host take the VM that a greeting describes? Pure; thread: [any].
 */
#ifndef MIG_COMPAT_H
#define MIG_COMPAT_H

#include "migration/mig_stream.h"

struct mig_compat_host {
	const char *machine;
	uint8_t uuid[16];
	uint64_t memory_bytes;
	uint32_t vcpus;
	const struct hv_cpuid *supported; /* what the engine here can offer */
};

/* 0 or CM_E_INCOMPATIBLE; err names the first difference. */
int mig_compat_check(const struct mig_hello *h, const struct hv_cpuid *contract,
		     const struct mig_compat_host *host, struct cm_err *err) cm_must_check;
/* Does the greeting belong to the ticket? source NULL: any node. CM_E_MIG_TICKET. */
int mig_compat_ticket(const struct mig_hello *h, uint64_t epoch, const char *source, struct cm_err *err)
	cm_must_check;

/* Are these the disks that the VM had when it was saved? They may have grown, nothing else. CM_E_INCOMPATIBLE. */
int mig_compat_disks(const struct mig_disks *saved, const struct mig_disks *now, struct cm_err *err) cm_must_check;

#endif
