/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_compat.c - compatibility of a VM with a host. No I/O, no log. Looks at what a peer or an image says.
 */
#include "config.h"

#include "migration/mig_compat.h"

#include <string.h>

#include "hvcore/cpu/hv_cpuid.h"

int mig_compat_check(const struct mig_hello *h, const struct hv_cpuid *contract,
		     const struct mig_compat_host *host, struct cm_err *err)
{
	if (strcmp(h->machine, host->machine) != 0)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "machine type %s; this VM was prepared as %s", h->machine,
				  host->machine);
	if (memcmp(h->uuid, host->uuid, sizeof h->uuid) != 0)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "another VM (uuid) was expected than %s", h->name);
	if (h->memory_bytes != host->memory_bytes)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "the VM has %llu MiB of memory, %llu were prepared",
				  (unsigned long long)h->memory_bytes >> 20,
				  (unsigned long long)host->memory_bytes >> 20);
	if (h->vcpus != host->vcpus)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "the VM has %u vCPUs, %u were prepared", h->vcpus,
				  host->vcpus);
	return hv_cpuid_fits(contract, host->supported, err);
}

int mig_compat_ticket(const struct mig_hello *h, uint64_t epoch, const char *source, struct cm_err *err)
{
	if (h->epoch != epoch)
		return cm_err_set(err, CM_E_MIG_TICKET, "the ticket is for epoch %llu, the source is at %llu",
				  (unsigned long long)epoch, (unsigned long long)h->epoch);
	if (source && strcmp(h->node, source) != 0)
		return cm_err_set(err, CM_E_MIG_TICKET, "the ticket is for a move from %s, %s came", source, h->node);
	return 0;
}

int mig_compat_disks(const struct mig_disks *saved, const struct mig_disks *now, struct cm_err *err)
{
	if (saved->n != now->n)
		return cm_err_set(err, CM_E_INCOMPATIBLE, "the VM was saved with %u disks, it has %u now", saved->n, now->n);
	for (uint32_t i = 0; i < saved->n; i++) {
		const struct mig_disk_mark *was = &saved->disk[i], *is = &now->disk[i];

		if (!stor_uuid_equal(&was->id, &is->id) || was->readonly != is->readonly)
			return cm_err_set(err, CM_E_INCOMPATIBLE, "disk %u is another one than when the VM was saved", i);
		if (is->size_bytes < was->size_bytes)
			return cm_err_set(err, CM_E_INCOMPATIBLE, "disk %u has shrunk since the VM was saved", i);
	}
	return 0;
}
