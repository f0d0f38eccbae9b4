/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_mem.c - memory slots and the dirty log (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, INITIALLY_SET).
 *
 * With INITIALLY_SET, starting the log write-protects nothing; pages are protected chunk by chunk
 * as they are cleared, so a large guest never stalls as a whole.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hvcore/engine_kvm/kvm_sys.h"

static int slot_tell(struct hv_engine *e, unsigned slot, bool log)
{
	const struct kvm_slot *s = &e->slot[slot];
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = (log ? KVM_MEM_LOG_DIRTY_PAGES : 0u) |
			 (s->flags & HV_MEM_READONLY ? KVM_MEM_READONLY : 0u),
		.guest_phys_addr = s->gpa,
		.memory_size = s->bytes,
		.userspace_addr = (uint64_t)(uintptr_t)s->hva,
	};

	return kvm__ioctl(e->vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
}

int kvm__map(struct hv_engine *e, unsigned slot, uint64_t gpa, uint64_t bytes, void *hva,
	     unsigned flags, struct cm_err *err)
{
	int rc;

	CM_ASSERT(slot < KVM_SLOTS && gpa % 4096 == 0 && bytes % 4096 == 0);
	e->slot[slot] = (struct kvm_slot){.gpa = gpa, .bytes = bytes, .hva = hva, .flags = flags};
	rc = slot_tell(e, slot, false);
	if (rc < 0)
		return cm_err_set(err, CM_E_KVM, "KVM_SET_USER_MEMORY_REGION %llx+%llx: %s",
				  (unsigned long long)gpa, (unsigned long long)bytes,
				  strerror(-rc));
	return 0;
}

static size_t slot_words(const struct kvm_slot *s)
{
	return (size_t)((s->bytes / 4096 + 63) / 64);
}

int kvm__dirty_start(struct hv_engine *e, unsigned slot, struct cm_err *err)
{
	struct kvm_slot *s = &e->slot[slot];
	int rc;

	CM_ASSERT(slot < KVM_SLOTS && s->bytes);
	if (!e->dirty_manual)
		return cm_err_set(
			err, CM_E_KVM,
			"this host's KVM has no manual dirty log (Linux 5.7 or later has)");
	if (!s->scratch)
		s->scratch = calloc(slot_words(s), sizeof *s->scratch);
	if (!s->scratch)
		return cm_err_set(err, CM_E_NO_MEMORY, "no memory for a dirty bitmap");
	rc = slot_tell(e, slot, true);
	return rc < 0 ? kvm__fail(err, "starting the dirty log", rc) : 0;
}

int kvm__dirty_fetch(struct hv_engine *e, unsigned slot, uint64_t *bitmap)
{
	struct kvm_slot *s = &e->slot[slot];
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = s->scratch};
	int rc = kvm__ioctl(e->vm_fd, KVM_GET_DIRTY_LOG, &log);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < slot_words(s); i++)
		bitmap[i] |= s->scratch[i];
	return 0;
}

int kvm__dirty_clear(struct hv_engine *e, unsigned slot, uint64_t first, uint64_t count,
		     const uint64_t *bitmap)
{
	uint64_t pages = e->slot[slot].bytes / 4096;

	CM_ASSERT(first % 64 == 0 && first <= pages && count <= pages - first);
	while (count) {
		uint32_t n = (uint32_t)CM_MIN(count, 1u << 30);
		struct kvm_clear_dirty_log clear = {
			.slot = slot,
			.num_pages = n,
			.first_page = first,
			.dirty_bitmap = (void *)(uintptr_t)(bitmap + first / 64),
		};
		int rc = kvm__ioctl(e->vm_fd, KVM_CLEAR_DIRTY_LOG, &clear);

		if (rc < 0)
			return rc;
		first += n;
		count -= n;
	}
	return 0;
}

int kvm__dirty_stop(struct hv_engine *e, unsigned slot)
{
	return slot_tell(e, slot, false);
}
