/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hv_vmkit.c - see hv_vmkit.h. */
#include "config.h"

#include "tests/unit/hv_vmkit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"

asm(".pushsection .rodata\n"
    "vm_guest:\n"
    "	mov	$0x1100000, %edi\n"
    "	mov	$0x40, %al\n" /* the debug port's sign of a boot */
    "	out	%al, $0xe9\n"
    "	xor	%ebx, %ebx\n"
    "	mov	%rbx, (%rdi)\n"
    "1:	cmp	%rbx, (%rdi)\n"
    "	jne	8f\n"
    "	inc	%rbx\n"
    "	mov	%rbx, (%rdi)\n"
    "	mov	0x1000(%rdi), %eax\n"
    "	test	%eax, %eax\n"
    "	jz	1b\n"
    "	mov	$0xd0000000, %edx\n"
    "	cmp	$1, %eax\n"
    "	je	2f\n"
    "	cmp	$2, %eax\n"
    "	je	3f\n"
    "	ud2\n"
    "2:	movb	$0x34, (%rdx)\n" /* sleep control: S5 */
    "	jmp	4f\n"
    "3:	movb	$1, 2(%rdx)\n" /* reset */
    "4:	pause\n"
    "	jmp	4b\n"
    "8:	mov	$0x80, %al\n" /* a beat: register and memory do not agree */
    "	out	%al, $0xe9\n"
    "	ud2\n"
    "vm_guest_end:\n"
    ".popsection\n");
extern const uint8_t vm_guest[], vm_guest_end[];

static int kernel_file(void)
{
	size_t code = (size_t)(vm_guest_end - vm_guest);
	Elf64_Ehdr h = {
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = VMK_GUEST_GPA,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	Elf64_Phdr p = {
		.p_type = PT_LOAD,
		.p_offset = sizeof h + sizeof p,
		.p_paddr = VMK_GUEST_GPA,
		.p_filesz = code,
		.p_memsz = code,
	};
	int fd = memfd_create("guest", MFD_CLOEXEC);

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &h, sizeof h), sizeof h);
	assert_int_equal(write(fd, &p, sizeof p), sizeof p);
	assert_int_equal(write(fd, vm_guest, code), code);
	return fd;
}

static void on_event(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	struct vmk *w = arg;

	(void)vm;
	(void)text;
	w->event = ev;
	w->events++;
}

void vmk_done(void *arg, int error)
{
	struct vmk *w = arg;

	assert_int_equal(error, 0);
	w->done = true;
}

void vmk_turn_until(struct vmk *w, const bool *what)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (!*what && cm_now_ns() < end)
		cm_loop_turn(w->loop, 10);
	assert_true(*what);
}

void vmk_wait_event(struct vmk *w, enum hv_vm_event ev)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (w->event != ev && cm_now_ns() < end)
		cm_loop_turn(w->loop, 10);
	assert_int_equal(w->event, ev);
	w->event = HV_VM_EV_NONE;
}

struct hv_vm *vmk_make(struct vmk *w)
{
	const struct hv_vm_owner owner = {.event = on_event, .arg = w};
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm;

	if (hv_vm_new(&vm, &w->cfg, w->loop, &owner, &err) < 0)
		fail_msg("%s", err.text);
	return vm;
}

void vmk_open(struct vmk *w, const struct hv_engine_ops *engine, unsigned cpus)
{
	struct cm_err err = CM_ERR_INIT;

	memset(w, 0, sizeof *w);
	w->engine = engine;
	w->loop = cm_loop_new(&err);
	assert_non_null(w->loop);
	strcpy(w->cfg.name, "test");
	w->cfg.memory_bytes = HV_RAM_MIN_BYTES;
	w->cfg.cpus = cpus;
	w->cfg.engine = engine;
	w->cfg.kvm_fd = -1;
	w->cfg.kernel_fd = kernel_file();
	w->cfg.initrd_fd = -1;
	w->cfg.console = w->cfg.rng = w->cfg.balloon = true;
	for (unsigned i = 0; i < HV_SLOT_NET_MAX; i++)
		w->cfg.net[i].tap_fd = -1;
	w->vm = vmk_make(w);
}

void vmk_close(struct vmk *w)
{
	hv_vm_free(w->vm);
	cm_loop_turn(w->loop, 0);
	cm_loop_free(w->loop);
	close(w->cfg.kernel_fd);
}

void vmk_must(int rc, const struct cm_err *err)
{
	if (rc < 0)
		fail_msg("%d %s", rc, err->text);
}

void vmk_boot_and_run(struct vmk *w)
{
	struct cm_err err = CM_ERR_INIT;

	vmk_must(hv_vm_boot(w->vm, &err), &err);
	assert_int_equal(hv_vm_state(w->vm), HV_VM_PAUSED);
	/* The gate is shut by default. */
	assert_true(hv_vm_run(w->vm, &err) < 0);
	cm_err_clear(&err);
	hv_vm_set_run_until(w->vm, HV_RUN_FOREVER);
	vmk_must(hv_vm_run(w->vm, &err), &err);
}

void vmk_pause(struct vmk *w, struct hv_vm *vm)
{
	struct cm_err err = CM_ERR_INIT;

	w->done = false;
	vmk_must(hv_vm_pause(vm, vmk_done, w, &err), &err);
	vmk_turn_until(w, &w->done);
	assert_int_equal(hv_vm_state(vm), HV_VM_PAUSED);
}

uint64_t vmk_counter(struct hv_vm *vm)
{
	uint64_t n;

	assert_int_equal(hv_mem_load64(hv_vm_mem(vm), VMK_COUNTER_GPA, &n), 0);
	return n;
}

void vmk_wait_past(struct vmk *w, struct hv_vm *vm, uint64_t n)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (vmk_counter(vm) <= n && cm_now_ns() < end)
		cm_loop_turn(w->loop, 1);
	assert_true(vmk_counter(vm) > n);
}

void vmk_mail(struct hv_vm *vm, uint32_t word)
{
	assert_int_equal(hv_mem_store32(hv_vm_mem(vm), VMK_MAILBOX_GPA, word), 0);
}

static unsigned lines_with(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

void vmk_check_said(struct hv_vm *vm, unsigned boots)
{
	char said[512];
	size_t n;

	hv_lock_take(hv_vm_lock(vm));
	n = hv_char_history(hv_vm_debugport(vm), (uint8_t *)said, sizeof said - 1);
	hv_lock_drop(hv_vm_lock(vm));
	said[n] = '\0';
	assert_int_equal(lines_with(said, " b 40"), boots);
	assert_int_equal(lines_with(said, " b 80"), 0);
}

bool vmk_kvm_is_here(void)
{
	struct hv_engine_caps caps;

	if (hv_engine_kvm.probe(&caps, NULL) == 0 && caps.usable)
		return true;
	print_message("SKIP: %s\n", caps.words);
	return false;
}
