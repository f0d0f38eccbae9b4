/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_clock.c - kvmclock and TSC, so that after a restore both say the same thing.
 *
 * All TSCs and kvmclock are saved as of one instant, that of clock_get: TSC of vCPU i = its offset
 * + the host TSC at that instant. On a restore, clock_set notes the host TSC and how much guest
 * time passed since the save (by the hosts' wall clocks, if the state has one and it did not go
 * backwards); each vCPU's offset then follows, so vCPUs that agreed on the time still agree, to the
 * tick.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <string.h>

#include "common/cm_clock.h"
#include "hvcore/engine_kvm/kvm_sys.h"

#define MSR_TSC		  0x10u
#define TSC_TOLERANCE_PPM 250u
/* A wall clock that says more than this passed is not believed (bad date on one host). */
#define ELAPSED_MAX_NS (366ull * 24 * 3600 * CM_NS_PER_S)

int kvm__clock_get(struct hv_engine *e, struct hv_clock_state *out, struct cm_err *err)
{
	struct kvm_clock_data c = {0};
	int rc = kvm__ioctl(e->vm_fd, KVM_GET_CLOCK, &c);

	if (rc < 0)
		return kvm__fail(err, "KVM_GET_CLOCK", rc);
	e->get_host_tsc = c.flags & KVM_CLOCK_HOST_TSC ? c.host_tsc : kvm__rdtsc();
	out->kvmclock_ns = c.clock;
	out->realtime_ns = c.flags & KVM_CLOCK_REALTIME ? c.realtime : cm_wall_ns();
	out->tsc_khz = e->host_khz;
	return 0;
}

int kvm__clock_set(struct hv_engine *e, const struct hv_clock_state *in, struct cm_err *err)
{
	struct kvm_clock_data c = {0};
	uint64_t wall = cm_wall_ns();
	int rc;

	e->set_host_tsc = kvm__rdtsc();
	e->set_elapsed_ns = 0;
	if (in->realtime_ns && wall > in->realtime_ns && wall - in->realtime_ns < ELAPSED_MAX_NS)
		e->set_elapsed_ns = wall - in->realtime_ns;
	c.clock = in->kvmclock_ns + e->set_elapsed_ns;
	rc = kvm__ioctl(e->vm_fd, KVM_SET_CLOCK, &c);
	return rc < 0 ? kvm__fail(err, "KVM_SET_CLOCK", rc) : 0;
}

static int tsc_offset(struct hv_engine *e, unsigned index, uint64_t *offset, bool set)
{
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)(uintptr_t)offset,
	};

	return kvm__ioctl(e->cpu[index].fd, set ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &a);
}

static int tsc_msr(struct hv_engine *e, unsigned index, uint64_t *value, bool set)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = {.head.nmsrs = 1, .entry = {.index = MSR_TSC, .data = *value}};
	int rc = kvm__ioctl(e->cpu[index].fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, &m);

	*value = m.entry.data;
	return rc == 1 ? 0 : rc < 0 ? rc : -EIO;
}

static uint64_t scaled(uint64_t host_tsc, uint64_t guest_khz, uint64_t host_khz)
{
	if (guest_khz == host_khz || !host_khz)
		return host_tsc;
	return (uint64_t)((unsigned __int128)host_tsc * guest_khz / host_khz);
}

int kvm__tsc_get(struct hv_engine *e, unsigned index, struct hv_vcpu_state *out, struct cm_err *err)
{
	int khz = kvm__ioctl(e->cpu[index].fd, KVM_GET_TSC_KHZ, NULL), rc;
	uint64_t offset = 0;

	out->tsc_khz = khz > 0 ? (uint32_t)khz : e->host_khz;
	if (tsc_offset(e, index, &offset, false) == 0) {
		out->tsc = scaled(e->get_host_tsc, out->tsc_khz, e->host_khz) + offset;
		return 0;
	}
	rc = tsc_msr(e, index, &out->tsc, false);
	return rc < 0 ? cm_err_set(err, CM_E_KVM, "vCPU %u, reading the TSC: %s", index,
				   strerror(-rc))
		      : 0;
}

static int tsc_rate(struct hv_engine *e, unsigned index, uint32_t khz, struct cm_err *err)
{
	uint64_t diff = khz > e->host_khz ? khz - e->host_khz : e->host_khz - khz;

	if (!khz || khz == e->host_khz)
		return 0;
	if (e->has_tsc_scaling &&
	    kvm__ioctl(e->cpu[index].fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz) == 0)
		return 0;
	if (diff * 1000000u <= (uint64_t)e->host_khz * TSC_TOLERANCE_PPM)
		return 0;
	return cm_err_set(err, CM_E_INCOMPATIBLE,
			  "the guest's TSC runs at %u kHz, this host's at %u and cannot be scaled",
			  khz, e->host_khz);
}

int kvm__tsc_set(struct hv_engine *e, unsigned index, const struct hv_vcpu_state *in,
		 struct cm_err *err)
{
	uint32_t khz = in->tsc_khz ? in->tsc_khz : e->host_khz;
	uint64_t at_set = in->tsc, offset, value;
	int rc = tsc_rate(e, index, in->tsc_khz, err);

	if (rc < 0)
		return rc;
	at_set += (uint64_t)((unsigned __int128)e->set_elapsed_ns * khz / 1000000u);
	offset = at_set - scaled(e->set_host_tsc, khz, e->host_khz);
	if (tsc_offset(e, index, &offset, true) == 0)
		return 0;
	value = at_set + scaled(kvm__rdtsc() - e->set_host_tsc, khz, e->host_khz);
	rc = tsc_msr(e, index, &value, true);
	return rc < 0 ? cm_err_set(err, CM_E_KVM, "vCPU %u, setting the TSC: %s", index,
				   strerror(-rc))
		      : 0;
}
