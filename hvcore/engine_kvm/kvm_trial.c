/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm_trial.c - a guest of a few instructions that shows what this KVM really does.
 *
 * KVM-PVM (KVM inside a VM without nested virtualization) answers every capability like KVM on VT-x
 * or AMD-V, but a stock kernel does not run on it: SYSCALL in user mode arrives at its target still
 * in user mode, and CPUID leaves that we set are ignored. So we try both. The guest starts in
 * 64-bit mode, CPL 0:
 *
 *   CPUID leaf 1 -> EAX out of port 0x80; IRETQ to CPL 3; SYSCALL; at the target read CR3 (CPL 0
 * only); port 0x81 says that this worked. Without an IDT anything else ends in a triple fault.
 *
 * A few hundred microseconds; no threads, no irqchip.
 */
#include "config.h"

#include "hvcore/engine_kvm/kvm_engine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "hvcore/engine_kvm/kvm_sys.h"

#define TRIAL_BYTES 0x10000u
#define TRIAL_GDT   0x1000u
#define TRIAL_PML4  0x2000u
#define TRIAL_PDPT  0x3000u
#define TRIAL_PD    0x4000u
#define TRIAL_CODE  0x8000u
#define TRIAL_STACK 0xf000u
#define TRIAL_EAX   0x000106a5u /* a family/model/stepping that we set and the guest should see */
#define TRIAL_EXITS 16

asm(".pushsection .rodata\n"
    "kvm_trial_code:\n"
    "	mov	$1, %eax\n"
    "	cpuid\n"
    "	out	%eax, $0x80\n"
    "	pushq	$0x1b\n" /* SS: user data */
    "	pushq	$0xf000\n"
    "	pushq	$0x3002\n" /* RFLAGS: IOPL 3, so that CPL 3 may not be the obstacle */
    "	pushq	$0x23\n"   /* CS: user code */
    "	lea	1f(%rip), %rax\n"
    "	push	%rax\n"
    "	iretq\n"
    "1:	syscall\n"
    "	hlt\n"
    "	.balign	64\n"
    "kvm_trial_entry:\n"
    "	mov	%cr3, %rax\n"
    "	out	%eax, $0x81\n"
    "	hlt\n"
    "kvm_trial_end:\n"
    ".popsection\n");
extern const uint8_t kvm_trial_code[], kvm_trial_entry[], kvm_trial_end[];

struct trial {
	int vm_fd, fd;
	size_t run_bytes;
	struct kvm_run *run;
	uint8_t *mem;
};

static void put64(struct trial *t, uint32_t at, uint64_t v)
{
	memcpy(t->mem + at, &v, sizeof v);
}

static void trial_memory(struct trial *t)
{
	put64(t, TRIAL_PML4, TRIAL_PDPT | 7);
	put64(t, TRIAL_PDPT, TRIAL_PD | 7);
	put64(t, TRIAL_PD, 0x87);			   /* 2 MiB, user */
	put64(t, TRIAL_GDT + 0x08, 0x00af9b000000ffffull); /* kernel code */
	put64(t, TRIAL_GDT + 0x10, 0x00cf93000000ffffull); /* kernel data */
	put64(t, TRIAL_GDT + 0x18, 0x00cff3000000ffffull); /* user data */
	put64(t, TRIAL_GDT + 0x20, 0x00affb000000ffffull); /* user code */
	memcpy(t->mem + TRIAL_CODE, kvm_trial_code, (size_t)(kvm_trial_end - kvm_trial_code));
}

static int trial_cpuid(struct trial *t)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[4];
	} c = {
		.head.nent = 4,
		.entry =
			{
				{.function = 0,
				 .eax = 1,
				 .ebx = 0x756e6547,
				 .ecx = 0x6c65746e,
				 .edx = 0x49656e69},
				{.function = 1, .eax = TRIAL_EAX, .edx = 0x0783fbff},
				{.function = 0x80000000, .eax = 0x80000008},
				{.function = 0x80000001,
				 .edx = 0x20100800}, /* long mode, NX, SYSCALL */
			},
	};

	return kvm__ioctl(t->fd, KVM_SET_CPUID2, &c);
}

static int trial_registers(struct trial *t)
{
	const struct kvm_segment code = {.base = 0,
					 .limit = 0xffffffff,
					 .selector = 0x08,
					 .type = 11,
					 .present = 1,
					 .s = 1,
					 .l = 1,
					 .g = 1};
	const struct kvm_segment data = {.base = 0,
					 .limit = 0xffffffff,
					 .selector = 0x10,
					 .type = 3,
					 .present = 1,
					 .s = 1,
					 .db = 1,
					 .g = 1};
	struct kvm_regs r = {.rip = TRIAL_CODE, .rsp = TRIAL_STACK, .rflags = 2};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[2];
	} m = {
		.head.nmsrs = 2,
		.entry =
			{
				{.index = 0xc0000081, .data = 0x0010000800000000ull}, /* STAR */
				{.index = 0xc0000082,
				 .data = TRIAL_CODE + (uint64_t)(kvm_trial_entry - kvm_trial_code)},
			},
	};
	struct kvm_sregs s;
	int rc = kvm__ioctl(t->fd, KVM_GET_SREGS, &s);

	if (rc < 0)
		return rc;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt = (struct kvm_dtable){.base = TRIAL_GDT, .limit = 0x27};
	s.idt = (struct kvm_dtable){.base = 0, .limit = 0};
	s.cr0 = 0x80050033;
	s.cr3 = TRIAL_PML4;
	s.cr4 = 0x620;	/* PAE, OSFXSR, OSXMMEXCPT */
	s.efer = 0xd01; /* LME, LMA, NXE, SCE */
	rc = kvm__ioctl(t->fd, KVM_SET_SREGS, &s);
	if (rc == 0)
		rc = kvm__ioctl(t->fd, KVM_SET_REGS, &r);
	if (rc == 0 && kvm__ioctl(t->fd, KVM_SET_MSRS, &m) != 2)
		rc = -EIO;
	return rc;
}

static void trial_run(struct trial *t, struct kvm_trial *out)
{
	for (int i = 0; i < TRIAL_EXITS; i++) {
		int rc = kvm__ioctl(t->fd, KVM_RUN, NULL);
		uint32_t value;

		if (rc == -EINTR)
			continue;
		if (rc < 0 || t->run->exit_reason != KVM_EXIT_IO)
			return; /* triple fault, or an instruction that it cannot do */
		memcpy(&value, (uint8_t *)t->run + t->run->io.data_offset, sizeof value);
		if (t->run->io.port == 0x80)
			out->cpuid_obeyed = value == TRIAL_EAX;
		if (t->run->io.port == 0x81) {
			out->user_syscall_works = value == TRIAL_PML4;
			return;
		}
	}
}

static int trial_build(struct trial *t, int kvm_fd)
{
	struct kvm_userspace_memory_region r = {.memory_size = TRIAL_BYTES};
	int rc;

	t->vm_fd = kvm__ioctl(kvm_fd, KVM_CREATE_VM, NULL);
	if (t->vm_fd < 0)
		return t->vm_fd;
	rc = kvm__ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (rc < (int)sizeof(struct kvm_run))
		return rc < 0 ? rc : -EINVAL;
	t->run_bytes = (size_t)rc;
	if (kvm__has(kvm_fd, KVM_CAP_SET_TSS_ADDR)) {
		rc = kvm__ioctl(t->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)HV_TSS_GPA);
		if (rc < 0)
			return rc;
	}
	t->mem = cm_sys.mmap(NULL, TRIAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	if (t->mem == MAP_FAILED)
		return -errno;
	r.userspace_addr = (uint64_t)(uintptr_t)t->mem;
	rc = kvm__ioctl(t->vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
	if (rc < 0)
		return rc;
	t->fd = kvm__ioctl(t->vm_fd, KVM_CREATE_VCPU, NULL);
	if (t->fd < 0)
		return t->fd;
	t->run = cm_sys.mmap(NULL, t->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->run == MAP_FAILED)
		return -errno;
	trial_memory(t);
	rc = trial_cpuid(t);
	return rc < 0 ? rc : trial_registers(t);
}

int kvm__trial(int kvm_fd, struct kvm_trial *out, struct cm_err *err)
{
	struct trial t = {.vm_fd = -1, .fd = -1, .run = MAP_FAILED, .mem = MAP_FAILED};
	int rc;

	memset(out, 0, sizeof *out);
	rc = trial_build(&t, kvm_fd);
	if (rc == 0)
		trial_run(&t, out);
	if (t.run != MAP_FAILED)
		munmap(t.run, t.run_bytes);
	if (t.fd >= 0)
		close(t.fd);
	if (t.vm_fd >= 0)
		close(t.vm_fd);
	if (t.mem != MAP_FAILED)
		munmap(t.mem, TRIAL_BYTES);
	return rc < 0 ? kvm__fail(err, "a trial VM on KVM", rc) : 0;
}
