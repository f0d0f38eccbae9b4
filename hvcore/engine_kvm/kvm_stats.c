/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_stats.c - what KVM counts of a vCPU: our exits by reason, and the kernel's own statistics
 * (KVM_GET_STATS_FD, Linux 5.14): exits that it handles itself, halts, injected interrupts.
 *
 * The statistics are a file: header, descriptors, values. Opened and described when the vCPU is
 * made, since the ioctl would wait for a vCPU that runs; values are then one read, at any time.
 * Without them (an old kernel) only our exits are told. Parses the kernel's descriptors.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hvcore/engine_kvm/kvm_sys.h"

#define STATS_MAX  192u
#define NAME_MAX_  64u
#define NAME_ROOM  (NAME_MAX_ + 4)
#define VALUES_MAX 8192u /* u64s of the data block */

/* One value that counts up. */
struct kvm_stat {
	char name[NAME_ROOM]; /* "kvm.exits" */
	uint32_t at;	      /* which u64 of the data block */
};

struct kvm_stats {
	int fd;
	uint32_t data_offset, values, count;
	struct kvm_stat stat[STATS_MAX];
};

static bool wanted(const struct kvm_stats_desc *d)
{
	return (d->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE && d->size == 1 &&
	       d->offset % 8 == 0 && d->offset / 8 < VALUES_MAX;
}

static bool read_descriptors(struct kvm_stats *s, const struct kvm_stats_header *h)
{
	size_t each = sizeof(struct kvm_stats_desc) + h->name_size;
	union {
		struct kvm_stats_desc d;
		char room[sizeof(struct kvm_stats_desc) + NAME_MAX_];
	} u;

	if (!h->name_size || h->name_size > NAME_MAX_)
		return false;
	for (uint32_t i = 0; i < h->num_desc && s->count < STATS_MAX; i++) {
		if (pread(s->fd, u.room, each, (off_t)(h->desc_offset + i * each)) != (ssize_t)each)
			return false;
		if (!wanted(&u.d))
			continue;
		s->stat[s->count].at = u.d.offset / 8;
		s->values = s->values > u.d.offset / 8 ? s->values : u.d.offset / 8 + 1;
		snprintf(s->stat[s->count++].name, NAME_ROOM, "kvm.%.*s", (int)h->name_size - 1,
			 u.room + sizeof(struct kvm_stats_desc));
	}
	s->data_offset = h->data_offset;
	return true;
}

void kvm__stats_open(struct kvm_cpu *c)
{
	struct kvm_stats *s = calloc(1, sizeof *s);
	struct kvm_stats_header h;

	if (!s)
		return;
	s->fd = kvm__ioctl(c->fd, KVM_GET_STATS_FD, NULL);
	if (s->fd < 0 || pread(s->fd, &h, sizeof h, 0) != sizeof h || !read_descriptors(s, &h)) {
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return;
	}
	c->stats = s;
}

void kvm__stats_close(struct kvm_cpu *c)
{
	if (!c->stats)
		return;
	close(c->stats->fd);
	free(c->stats);
	c->stats = NULL;
}

/* --- telling ------------------------------------------------------------- */

static const char *const reason[KVM_EXIT_KINDS] = {
	[KVM_EXIT_UNKNOWN] = "exits.unknown",
	[KVM_EXIT_EXCEPTION] = "exits.exception",
	[KVM_EXIT_IO] = "exits.pio",
	[KVM_EXIT_HYPERCALL] = "exits.hypercall",
	[KVM_EXIT_DEBUG] = "exits.debug",
	[KVM_EXIT_HLT] = "exits.hlt",
	[KVM_EXIT_MMIO] = "exits.mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "exits.irq_window",
	[KVM_EXIT_SHUTDOWN] = "exits.shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "exits.fail_entry",
	[KVM_EXIT_INTR] = "exits.signal",
	[KVM_EXIT_SET_TPR] = "exits.set_tpr",
	[KVM_EXIT_TPR_ACCESS] = "exits.tpr_access",
	[KVM_EXIT_NMI] = "exits.nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "exits.internal_error",
	[KVM_EXIT_SYSTEM_EVENT] = "exits.system_event",
	[KVM_EXIT_IOAPIC_EOI] = "exits.ioapic_eoi",
	[KVM_EXIT_HYPERV] = "exits.hyperv",
	[KVM_EXIT_X86_RDMSR] = "exits.rdmsr",
	[KVM_EXIT_X86_WRMSR] = "exits.wrmsr",
	[KVM_EXIT_DIRTY_RING_FULL] = "exits.dirty_ring_full",
	[KVM_EXIT_AP_RESET_HOLD] = "exits.ap_reset_hold",
	[KVM_EXIT_X86_BUS_LOCK] = "exits.bus_lock",
	[KVM_EXIT_XEN] = "exits.xen",
	[KVM_EXIT_KINDS - 1] = "exits.other",
};

void kvm__stats_exit(struct kvm_cpu *c, uint32_t exit_reason)
{
	if (exit_reason >= KVM_EXIT_KINDS || !reason[exit_reason])
		exit_reason = KVM_EXIT_KINDS - 1;
	atomic_fetch_add_explicit(&c->exits[exit_reason], 1, memory_order_relaxed);
}

static uint64_t find(const struct kvm_stats *s, const uint64_t *value, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (strcmp(s->stat[i].name, name) == 0)
			return value[s->stat[i].at];
	return 0;
}

/* The rows of the kernel: first what we know the meaning of. */
static void tell_kernel(const struct kvm_stats *s, hv_tally_fn fn, void *arg)
{
	uint64_t *value = calloc(s->values ? s->values : 1, sizeof *value);
	size_t bytes = s->values * sizeof *value;

	if (!value)
		return;
	/* The same rows at every call, also if a read fails. */
	if (pread(s->fd, value, bytes, s->data_offset) != (ssize_t)bytes)
		memset(value, 0, bytes);
	fn(arg, "time.halted_ns",
	   find(s, value, "kvm.halt_wait_ns") + find(s, value, "kvm.halt_poll_success_ns") +
		   find(s, value, "kvm.halt_poll_fail_ns"));
	for (uint32_t i = 0; i < s->count; i++)
		fn(arg, s->stat[i].name, value[s->stat[i].at]);
	free(value);
}

void kvm__tally(struct hv_engine *e, unsigned index, hv_tally_fn fn, void *arg)
{
	struct kvm_cpu *c = &e->cpu[index];

	if (c->stats)
		tell_kernel(c->stats, fn, arg);
	fn(arg, "runs.entries", atomic_load_explicit(&c->entries, memory_order_relaxed));
	for (unsigned i = 0; i < KVM_EXIT_KINDS; i++)
		if (reason[i])
			fn(arg, reason[i],
			   atomic_load_explicit(&c->exits[i], memory_order_relaxed));
}
