/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestrun.c - runs bare.elf on raw KVM ioctls: a judge of the test guest that shares no code with
 *hvcore.
 *
 *	guestrun ELF "COMMAND LINE" [spoil]
 *
 * spoil: after half a second takes one page of the page stepper back to the pass before, as a bad
 *migration would. One processor, 64 MiB, in-kernel interrupt controllers, no virtio. Serial output
 *and the debug port go to standard output. Ends by itself when the guest powers off (give it
 *seconds=N). Exit codes: 0 powered off, 1 the guest failed, 77 no KVM here. Trusts the guest: it is
 *ours.
 */
#include "config.h"

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "hvcore/machine/hv_machine.h"

#define RAM_BYTES (64u << 20)

static uint8_t *ram;
static int vm_fd, vcpu_fd, run_bytes;

static int must(int ret, const char *what)
{
	if (ret < 0)
		err(1, "%s", what);
	return ret;
}

static void load(const char *path, uint64_t *entry)
{
	uint8_t *file = malloc(16 << 20);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	ssize_t n = file ? read(fd, file, 16 << 20) : -1;
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(void *)file;

	if (n < (ssize_t)sizeof *e || memcmp(e->e_ident, ELFMAG, 4) != 0)
		errx(1, "%s is no ELF file", path);
	for (unsigned i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)(void *)(file + e->e_phoff) + i;

		if (p->p_type == PT_LOAD && p->p_paddr + p->p_memsz <= RAM_BYTES)
			memcpy(ram + p->p_paddr, file + p->p_offset, p->p_filesz);
	}
	*entry = e->e_entry;
	free(file);
	close(fd);
}

static void put64(uint64_t gpa, uint64_t v)
{
	memcpy(ram + gpa, &v, 8);
}

static void put32(uint64_t gpa, uint32_t v)
{
	memcpy(ram + gpa, &v, 4);
}

/* boot_params, command line, E820 and the loader's page tables: supervisor only, as hvcore makes
 * them. */
static void make_boot(const char *cmdline)
{
	const uint64_t p = HV_BOOT_PARAMS_GPA, t = HV_BOOT_PML4_GPA;

	put32(p + 0x228, HV_BOOT_CMDLINE_GPA);
	snprintf((char *)ram + HV_BOOT_CMDLINE_GPA, HV_BOOT_CMDLINE_MAX, "%s", cmdline);
	ram[p + 0x1e8] = 2;
	put64(p + 0x2d0 + 8, 0x9f000);
	put32(p + 0x2d0 + 16, 1);
	put64(p + 0x2e4, 1 << 20);
	put64(p + 0x2e4 + 8, RAM_BYTES - (1 << 20));
	put32(p + 0x2e4 + 16, 1);
	put64(t, (t + 0x1000) | 3);
	for (uint64_t i = 0; i < 4; i++)
		put64(t + 0x1000 + 8 * i, (t + 0x2000 + 0x1000 * i) | 3);
	for (uint64_t i = 0; i < 2048; i++)
		put64(t + 0x2000 + 8 * i, i << 21 | 0x83);
}

static void make_vm(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[128];
	} cpuid;
	struct kvm_userspace_memory_region region = {.memory_size = RAM_BYTES};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		printf("skipped: cannot open /dev/kvm\n");
		exit(77);
	}
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap");
	region.userspace_addr = (uintptr_t)ram;
	vm_fd = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	ioctl(vm_fd, KVM_SET_TSS_ADDR, HV_TSS_GPA);
	must(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	must(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	vcpu_fd = must(ioctl(vm_fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run_bytes = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	cpuid.head.nent = 128;
	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
	must(ioctl(vcpu_fd, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
}

static void enter_long_mode(uint64_t entry)
{
	struct kvm_regs regs = {
		.rip = entry, .rsi = HV_BOOT_PARAMS_GPA, .rsp = HV_BOOT_STACK_GPA, .rflags = 2};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x18, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_sregs s;

	must(ioctl(vcpu_fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	s.cs = data;
	s.cs.selector = 0x10;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = 0x80050033;
	s.cr3 = HV_BOOT_PML4_GPA;
	s.cr4 = 0x20;
	s.efer = 0x500;
	must(ioctl(vcpu_fd, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	must(ioctl(vcpu_fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count * run->io.size; i++) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			data[i] = 0xff;
		else if (run->io.port == HV_COM1_PORT || run->io.port == HV_DEBUG_PORT)
			putchar(data[i]);
	}
	fflush(stdout);
}

/* Returns an exit code, or -1 to go on. Empty places read as ones. */
static int memory(struct kvm_run *run)
{
	if (!run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof run->mmio.data);
	else if (run->mmio.phys_addr == HV_POWER_GPA + HV_POWER_SLEEP_CTL)
		return 0;
	else if (run->mmio.phys_addr == HV_POWER_GPA + HV_POWER_PANIC)
		return 1;
	return -1;
}

static void on_alarm(int sig)
{
	(void)sig; /* only interrupts KVM_RUN */
}

/* guest_step.c: magic, address, pages, pass, position; both words of a page behind the position are
 * one pass behind. */
static void spoil_page(void)
{
	const uint8_t *info = memmem(ram, RAM_BYTES, "HVSTEP1", 8);
	uint64_t v[5], *page;

	if (!info)
		errx(1, "no page stepper to spoil");
	memcpy(v, info, sizeof v);
	page = (uint64_t *)(void *)(ram + v[1]) + 512 * ((v[4] + v[2] / 2) % v[2]);
	page[0]--;
	page[511]--;
}

/* Returns an exit code, or -1 to go on. */
static int turn(struct kvm_run *run)
{
	if (ioctl(vcpu_fd, KVM_RUN, 0) < 0) {
		if (errno != EINTR)
			err(1, "KVM_RUN");
		spoil_page();
	} else if (run->exit_reason == KVM_EXIT_IO) {
		port(run);
	} else if (run->exit_reason == KVM_EXIT_MMIO) {
		return memory(run);
	} else {
		errx(1, "unexpected exit %u", run->exit_reason);
	}
	return -1;
}

int main(int argc, char **argv)
{
	const struct sigaction alarm_action = {.sa_handler = on_alarm};
	struct kvm_run *run;
	uint64_t entry;
	int code = -1;

	if (argc < 3 || argc > 4)
		errx(2, "usage: guestrun ELF COMMANDLINE [spoil]");
	make_vm();
	load(argv[1], &entry);
	make_boot(argv[2]);
	enter_long_mode(entry);
	run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of the vCPU");
	if (argc == 4) {
		sigaction(SIGALRM, &alarm_action, NULL);
		setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 500000}}, NULL);
	}
	while (code < 0)
		code = turn(run);
	return code;
}
