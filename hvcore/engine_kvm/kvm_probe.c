/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_probe.c - what the KVM of this host can do, in words for the operator.
 *
 * Asks for capabilities first, then lets a tiny guest show what they are worth (kvm_trial.c).
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "hvcore/engine_kvm/kvm_sys.h"

static const struct {
	unsigned cap;
	const char *name;
} needed[] = {
	{KVM_CAP_USER_MEMORY, "user memory"},	    {KVM_CAP_IRQCHIP, "in-kernel irqchip"},
	{KVM_CAP_IRQ_ROUTING, "interrupt routing"}, {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
	{KVM_CAP_MP_STATE, "vCPU run state"},	    {KVM_CAP_VCPU_EVENTS, "vCPU events"},
	{KVM_CAP_DEBUGREGS, "debug registers"},	    {KVM_CAP_XSAVE, "XSAVE state"},
	{KVM_CAP_ADJUST_CLOCK, "kvmclock"},	    {KVM_CAP_EXT_CPUID, "CPUID"},
};

static int probe_needed(int fd, struct hv_engine_caps *caps)
{
	int rc = kvm__ioctl(fd, KVM_GET_API_VERSION, NULL);

	if (rc != KVM_API_VERSION) {
		snprintf(caps->words, sizeof caps->words, "KVM API version %d, need %d", rc,
			 KVM_API_VERSION);
		return -1;
	}
	for (size_t i = 0; i < CM_ARRAY_LEN(needed); i++)
		if (!kvm__has(fd, needed[i].cap)) {
			snprintf(caps->words, sizeof caps->words, "this KVM lacks: %s",
				 needed[i].name);
			return -1;
		}
	return 0;
}

static void probe_wanted(int fd, struct hv_engine_caps *caps)
{
	const int manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	int rc = kvm__ioctl(fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	caps->dirty_log = caps->dirty_clear = rc > 0 && (rc & manual) == manual;
	caps->irqfd = kvm__has(fd, KVM_CAP_IRQFD);
	caps->ioeventfd = kvm__has(fd, KVM_CAP_IOEVENTFD);
	rc = kvm__ioctl(fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MAX_VCPUS);
	caps->max_vcpus = rc > 0 ? CM_MIN((unsigned)rc, HV_MAX_VCPUS) : 4;
}

static void probe_fd(int fd, struct hv_engine_caps *caps, struct cm_err *err)
{
	struct kvm_trial trial;

	if (probe_needed(fd, caps) < 0)
		return;
	probe_wanted(fd, caps);
	if (kvm__trial(fd, &trial, err) < 0) {
		snprintf(caps->words, sizeof caps->words, "/dev/kvm is there, but %.200s",
			 err ? err->text : "a trial VM failed");
		return;
	}
	caps->usable = true;
	caps->runs_stock_linux = trial.user_syscall_works;
	if (!trial.user_syscall_works)
		snprintf(caps->words, sizeof caps->words,
			 "KVM without hardware virtualization (as KVM-PVM): guest kernel mode is "
			 "emulated "
			 "and SYSCALL does not work%s; bare test guests run, stock kernels do not",
			 trial.cpuid_obeyed ? "" : ", CPUID masks are ignored");
	else if (!caps->dirty_log)
		snprintf(caps->words, sizeof caps->words,
			 "KVM works; live migration needs a manual dirty log (Linux 5.7 or later)");
	else
		snprintf(caps->words, sizeof caps->words, "KVM works%s",
			 trial.cpuid_obeyed ? "" : ", but ignores CPUID masks");
}

int kvm__probe(struct hv_engine_caps *caps, struct cm_err *err)
{
	struct cm_err own = CM_ERR_INIT;
	int fd;

	memset(caps, 0, sizeof *caps);
	fd = cm_sys.open("/dev/kvm", O_RDWR | O_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(caps->words, sizeof caps->words, "/dev/kvm: %s", strerror(errno));
		return 0;
	}
	probe_fd(fd, caps, err ? err : &own);
	close(fd);
	return 0;
}
