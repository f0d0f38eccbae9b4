/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vm.c - whole VMs with a guest of thirty instructions, on both engines: run, pause, save,
 * load, dirty log, reset, power off, failure, and the gate. The kvm cases skip, visibly, where
 * /dev/kvm cannot be used.
 *
 * The guest counts in RBX and in memory, compares both in every turn, and does what a mailbox word
 * says.
 */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_loop.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm.h"

#define GUEST_GPA   0x1000000u
#define COUNTER_GPA 0x1100000u
#define MAILBOX_GPA 0x1101000u
#define MAIL_OFF    1u
#define MAIL_RESET  2u
#define MAIL_FAULT  3u

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

struct world {
	const struct hv_engine_ops *engine;
	struct cm_loop *loop;
	struct hv_vm_config cfg;
	struct hv_vm *vm;
	enum hv_vm_event event;
	unsigned events;
	bool done;
};

static int kernel_file(void)
{
	size_t code = (size_t)(vm_guest_end - vm_guest);
	Elf64_Ehdr h = {
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = GUEST_GPA,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	Elf64_Phdr p = {
		.p_type = PT_LOAD,
		.p_offset = sizeof(h) + sizeof(p),
		.p_paddr = GUEST_GPA,
		.p_filesz = code,
		.p_memsz = code,
	};
	int fd = memfd_create("guest", MFD_CLOEXEC);

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &h, sizeof(h)), sizeof(h));
	assert_int_equal(write(fd, &p, sizeof(p)), sizeof(p));
	assert_int_equal(write(fd, vm_guest, code), code);
	return fd;
}

static void on_event(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	struct world *w = arg;

	(void)vm;
	(void)text;
	w->event = ev;
	w->events++;
}

static void on_done(void *arg, int error)
{
	struct world *w = arg;

	assert_int_equal(error, 0);
	w->done = true;
}

/* Turns the loop until *what or for ten seconds at most. */
static void turn_until(struct world *w, const bool *what)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (!*what && cm_now_ns() < end)
		cm_loop_turn(w->loop, 10);
	assert_true(*what);
}

static void wait_event(struct world *w, enum hv_vm_event ev)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (w->event != ev && cm_now_ns() < end)
		cm_loop_turn(w->loop, 10);
	assert_int_equal(w->event, ev);
	w->event = HV_VM_EV_NONE;
}

static struct hv_vm *vm_make(struct world *w)
{
	const struct hv_vm_owner owner = {.event = on_event, .arg = w};
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm;

	if (hv_vm_new(&vm, &w->cfg, w->loop, &owner, &err) < 0)
		fail_msg("%s", err.text);
	return vm;
}

static void world_open(struct world *w, const struct hv_engine_ops *engine, unsigned cpus)
{
	struct cm_err err = CM_ERR_INIT;

	memset(w, 0, sizeof(*w));
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
	w->vm = vm_make(w);
}

static void world_close(struct world *w)
{
	hv_vm_free(w->vm);
	cm_loop_turn(w->loop, 0);
	cm_loop_free(w->loop);
	close(w->cfg.kernel_fd);
}

static void must(int rc, const struct cm_err *err)
{
	if (rc < 0)
		fail_msg("%d %s", rc, err->text);
}

static void boot_and_run(struct world *w)
{
	struct cm_err err = CM_ERR_INIT;

	must(hv_vm_boot(w->vm, &err), &err);
	assert_int_equal(hv_vm_state(w->vm), HV_VM_PAUSED);
	/* The gate is shut by default. */
	assert_true(hv_vm_run(w->vm, &err) < 0);
	cm_err_clear(&err);
	hv_vm_set_run_until(w->vm, HV_RUN_FOREVER);
	must(hv_vm_run(w->vm, &err), &err);
}

static void pause_it(struct world *w, struct hv_vm *vm)
{
	struct cm_err err = CM_ERR_INIT;

	w->done = false;
	must(hv_vm_pause(vm, on_done, w, &err), &err);
	turn_until(w, &w->done);
	assert_int_equal(hv_vm_state(vm), HV_VM_PAUSED);
}

static uint64_t counter(struct hv_vm *vm)
{
	uint64_t n;

	assert_int_equal(hv_mem_load64(hv_vm_mem(vm), COUNTER_GPA, &n), 0);
	return n;
}

static void wait_past(struct world *w, struct hv_vm *vm, uint64_t n)
{
	uint64_t end = cm_now_ns() + 60 * CM_NS_PER_S;

	while (counter(vm) <= n && cm_now_ns() < end)
		cm_loop_turn(w->loop, 1);
	assert_true(counter(vm) > n);
}

static void mail(struct hv_vm *vm, uint32_t word)
{
	assert_int_equal(hv_mem_store32(hv_vm_mem(vm), MAILBOX_GPA, word), 0);
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

/* The guest booted so often here, and never found register and memory to differ. */
static void check_said(struct hv_vm *vm, unsigned boots)
{
	char said[512];
	size_t n;

	hv_lock_take(hv_vm_lock(vm));
	n = hv_char_history(hv_vm_debugport(vm), (uint8_t *)said, sizeof(said) - 1);
	hv_lock_drop(hv_vm_lock(vm));
	said[n] = '\0';
	assert_int_equal(lines_with(said, " b 40"), boots);
	assert_int_equal(lines_with(said, " b 80"), 0);
}

static void run_pause_resume(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct world w;
	uint64_t n;

	world_open(&w, engine, 2);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	pause_it(&w, w.vm);
	n = counter(w.vm);
	cm_loop_turn(w.loop, 20);
	assert_int_equal(counter(w.vm), n); /* paused means paused */
	must(hv_vm_run(w.vm, &err), &err);
	wait_past(&w, w.vm, n);
	mail(w.vm, MAIL_OFF);
	wait_event(&w, HV_VM_EV_POWERED_OFF);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_OFF);
	check_said(w.vm, 1);
	world_close(&w);
}

static void copy_memory(struct hv_vm *to, struct hv_vm *from)
{
	const struct hv_mem_slot *s = hv_mem_slot(hv_vm_mem(from), 0);
	size_t words = hv_mem_bitmap_words(hv_vm_mem(from), 0);
	uint64_t *map = calloc(words, sizeof(*map));
	unsigned pages = 0;

	assert_int_equal(hv_mem_populated(hv_vm_mem(from), 0, map), 0);
	for (uint64_t p = 0; p < s->bytes / HV_PAGE_BYTES; p++)
		if (map[p / 64] >> (p % 64) & 1) {
			assert_int_equal(hv_mem_write(hv_vm_mem(to), p * HV_PAGE_BYTES,
						      s->hva + p * HV_PAGE_BYTES, HV_PAGE_BYTES),
					 0);
			pages++;
		}
	/* Never-touched memory is not even there. */
	assert_true(pages > 0 && pages < s->bytes / HV_PAGE_BYTES / 4);
	free(map);
}

static void save_and_load(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *second;
	struct cm_buf one, two;
	struct world w;
	uint64_t n;

	world_open(&w, engine, 2);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	pause_it(&w, w.vm);
	n = counter(w.vm);
	cm_buf_init(&one, 1u << 20);
	must(hv_vm_save(w.vm, &one, &err), &err);

	second = vm_make(&w);
	/* Damaged state is refused whole, and the VM stays usable. */
	for (size_t at = 0; at < one.len; at += one.len / 50 + 1) {
		one.data[at] ^= 0x40;
		assert_true(hv_vm_load(second, one.data, one.len, &err) < 0);
		one.data[at] ^= 0x40;
		cm_err_clear(&err);
		assert_true(hv_vm_load(second, one.data, at, &err) < 0);
		cm_err_clear(&err);
		assert_int_equal(hv_vm_state(second), HV_VM_EMPTY);
	}
	copy_memory(second, w.vm);
	must(hv_vm_load(second, one.data, one.len, &err), &err);
	assert_int_equal(hv_vm_state(second), HV_VM_PAUSED);

	/* What was loaded saves the same, but for the clocks. */
	cm_buf_init(&two, 1u << 20);
	must(hv_vm_save(second, &two, &err), &err);
	assert_int_equal(two.len, one.len);

	hv_vm_set_run_until(second, HV_RUN_FOREVER);
	must(hv_vm_run(second, &err), &err);
	wait_past(&w, second, n);
	assert_int_equal(counter(w.vm), n);
	mail(second, MAIL_OFF);
	wait_event(&w, HV_VM_EV_POWERED_OFF);
	check_said(second, 0); /* registers came along with the memory */
	hv_vm_free(second);
	cm_buf_fini(&one);
	cm_buf_fini(&two);
	world_close(&w);
}

static bool dirty(struct hv_vm *vm, uint64_t gpa, uint64_t *map)
{
	memset(map, 0, hv_mem_bitmap_words(hv_vm_mem(vm), 0) * 8);
	assert_int_equal(hv_mem_dirty_fetch(hv_vm_mem(vm), 0, map), 0);
	return map[gpa / HV_PAGE_BYTES / 64] >> (gpa / HV_PAGE_BYTES % 64) & 1;
}

static void dirty_log(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	struct world w;
	uint64_t *map;
	uint64_t n;

	world_open(&w, engine, 1);
	mem = hv_vm_mem(w.vm);
	map = calloc(hv_mem_bitmap_words(mem, 0), 8);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	must(hv_mem_dirty_start(mem, 0, &err), &err);
	assert_true(dirty(w.vm, GUEST_GPA, map)); /* all pages count as dirty at first */
	assert_int_equal(hv_mem_dirty_clear(mem, 0, 0, hv_mem_pages(mem, 0), map), 0);
	n = counter(w.vm);
	wait_past(&w, w.vm, n);
	assert_true(dirty(w.vm, COUNTER_GPA, map)); /* the guest writes it */
	assert_false(dirty(w.vm, 0x1200000, map));  /* nobody does */
	pause_it(&w, w.vm);
	(void)dirty(w.vm, 0, map);
	assert_int_equal(hv_mem_dirty_clear(mem, 0, 0, hv_mem_pages(mem, 0), map), 0);
	assert_false(dirty(w.vm, COUNTER_GPA, map));
	mail(w.vm, 0);
	assert_true(dirty(w.vm, MAILBOX_GPA, map)); /* the host did */
	assert_int_equal(hv_mem_dirty_stop(mem, 0), 0);
	free(map);
	world_close(&w);
}

static void reset_and_fail(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct world w;

	world_open(&w, engine, 1);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	mail(w.vm, MAIL_RESET);
	wait_event(&w, HV_VM_EV_RESET);
	wait_past(&w, w.vm, 100);
	check_said(w.vm, 2);
	mail(w.vm, MAIL_FAULT); /* no IDT: a triple fault */
	wait_event(&w, HV_VM_EV_FAILED);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_FAILED);
	must(hv_vm_reset(w.vm, &err), &err);
	wait_event(&w, HV_VM_EV_RESET);
	wait_past(&w, w.vm, 100);
	w.done = false;
	must(hv_vm_stop(w.vm, on_done, &w, &err), &err);
	turn_until(&w, &w.done);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_OFF);
	world_close(&w);
}

static void gate(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct world w;
	uint64_t n = 0, end;

	world_open(&w, engine, 2);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	hv_vm_set_run_until(w.vm, cm_now_ns() + 50 * CM_NS_PER_MS);
	/* The guest never exits by itself; the guard stops it, the loop does not even turn. */
	end = cm_now_ns() + 60 * CM_NS_PER_S;
	for (unsigned still = 0; still < 10; still = counter(w.vm) == n ? still + 1 : 0) {
		assert_true(cm_now_ns() < end);
		n = counter(w.vm);
		usleep(20000);
	}
	wait_event(&w, HV_VM_EV_FENCED);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_FENCED);
	assert_true(hv_vm_run(w.vm, &err) < 0);
	cm_err_clear(&err);
	hv_vm_set_run_until(w.vm, HV_RUN_FOREVER);
	must(hv_vm_run(w.vm, &err), &err);
	wait_past(&w, w.vm, n);
	hv_vm_set_run_until(w.vm, 0);
	wait_event(&w, HV_VM_EV_FENCED);
	world_close(&w);
}

/* --- looking at a VM that runs --------------------------------------------------------- */

struct look {
	struct hv_vm *vm;
	uint64_t seen, later;
	bool shut, halt;
	unsigned calls;
};

static void on_look(void *arg)
{
	struct look *l = arg;

	l->calls++;
	l->seen = counter(l->vm);
	usleep(3000);
	l->later = counter(l->vm);
	if (l->shut)
		hv_vm_set_run_until(l->vm, 0);
	if (l->halt)
		hv_vm_halt(l->vm);
}

static void dump(struct hv_vm *vm, struct hv_json *j)
{
	struct cm_err err = CM_ERR_INIT;

	hv_json_init(j);
	hv_json_open(j, NULL, '{');
	must(hv_vm_dump(vm, j, &err), &err);
	hv_json_close(j, '}');
	assert_int_equal(j->buf.err, 0);
	/* The guest is one page; CPL 0 of 64-bit code runs in it. */
	assert_non_null(strstr(hv_json_text(j), "\"mode\":\"64-bit\""));
	assert_non_null(strstr(hv_json_text(j), "\"rip\":\"0x10000"));
	assert_non_null(strstr(hv_json_text(j), "\"name\":\"uart0\""));
	hv_json_fini(j);
}

/* The guest stands still during a look and goes on after it, in whatever number they come. */
static void looks(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct look l = {.calls = 0};
	uint64_t held, stopped;
	struct hv_json j;
	struct world w;

	world_open(&w, engine, 2);
	l.vm = w.vm;
	assert_int_equal(hv_vm_look(w.vm, on_look, &l, NULL, &err), CM_E_VM_STATE); /* EMPTY */
	cm_err_clear(&err);
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	stopped = hv_vm_stopped_at_ns(w.vm);
	for (unsigned i = 0; i < 50; i++) {
		must(hv_vm_look(w.vm, on_look, &l, &held, &err), &err);
		assert_int_equal(l.seen, l.later);
		assert_true(held >= 3000000);
		assert_int_equal(hv_vm_state(w.vm), HV_VM_RUNNING);
		dump(w.vm, &j);
		dump(w.vm, &j);
		wait_past(&w, w.vm, l.later);
	}
	assert_int_equal(hv_vm_stopped_at_ns(w.vm), stopped); /* no pause, for those who measure */
	pause_it(&w, w.vm);
	must(hv_vm_look(w.vm, on_look, &l, &held, &err), &err);
	assert_int_equal(held, 0);
	dump(w.vm, &j);
	assert_int_equal(l.calls, 51);
	must(hv_vm_run(w.vm, &err), &err);
	wait_past(&w, w.vm, l.later);
	mail(w.vm, MAIL_OFF);
	wait_event(&w, HV_VM_EV_POWERED_OFF);
	check_said(w.vm, 1);
	assert_int_equal(hv_vm_look(w.vm, on_look, &l, NULL, &err), CM_E_VM_STATE); /* OFF */
	world_close(&w);
}

/* The end of the lease, and a halt, while the vCPUs are held: they do not come back. */
static void look_and_lose(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct world w;
	struct look l = {.shut = true};

	world_open(&w, engine, 2);
	l.vm = w.vm;
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err);
	usleep(20000);
	assert_int_equal(counter(w.vm), l.later);
	wait_event(&w, HV_VM_EV_FENCED);
	assert_int_equal(counter(w.vm), l.later);
	l.shut = false;
	must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err); /* FENCED may be looked at */
	hv_vm_set_run_until(w.vm, HV_RUN_FOREVER);
	must(hv_vm_run(w.vm, &err), &err);
	wait_past(&w, w.vm, l.later);
	l.halt = true;
	must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err);
	usleep(20000);
	assert_int_equal(counter(w.vm), l.later);
	world_close(&w);
}

static void tallies(const struct hv_engine_ops *engine)
{
	struct hv_tally a, b;
	struct world w;

	world_open(&w, engine, 1);
	hv_vm_tally(w.vm, 0, &a);
	assert_int_equal(a.count, 1); /* no vCPU yet, but its thread */
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	hv_vm_tally(w.vm, 0, &a);
	wait_past(&w, w.vm, counter(w.vm) + 100000);
	hv_vm_tally(w.vm, 0, &b);
	assert_int_equal(a.count, b.count);
	for (unsigned i = 0; i < a.count; i++) {
		assert_string_equal(a.row[i].name, b.row[i].name);
		assert_true(a.row[i].value <= b.row[i].value);
	}
	assert_true(hv_tally_get(&b, "time.cpu_ns") > hv_tally_get(&a, "time.cpu_ns"));
	assert_true(hv_tally_get(&a, "exits.pio") >= 1); /* the sign of its boot */
	if (engine == &hv_engine_soft)
		assert_true(hv_tally_get(&b, "insns.done") >
			    hv_tally_get(&a, "insns.done") + 100000);
	world_close(&w);
}

/* Saved by one engine, run on by the other: one state format. Where CPUID does not allow it, the
 * words say why. */
static void cross(const struct hv_engine_ops *from, const struct hv_engine_ops *to)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *second;
	struct cm_buf b;
	struct world w;
	uint64_t n;
	int rc;

	world_open(&w, from, 2);
	w.cfg.cpu_base = true;
	boot_and_run(&w);
	wait_past(&w, w.vm, 100);
	pause_it(&w, w.vm);
	n = counter(w.vm);
	cm_buf_init(&b, 1u << 20);
	must(hv_vm_save(w.vm, &b, &err), &err);
	w.cfg.engine = to;
	second = vm_make(&w);
	copy_memory(second, w.vm);
	rc = hv_vm_load(second, b.data, b.len, &err);
	cm_buf_fini(&b);
	if (rc == 0) {
		hv_vm_set_run_until(second, HV_RUN_FOREVER);
		must(hv_vm_run(second, &err), &err);
		wait_past(&w, second, n);
		mail(second, MAIL_OFF);
		wait_event(&w, HV_VM_EV_POWERED_OFF);
		check_said(second, 0);
	}
	hv_vm_free(second);
	world_close(&w);
	if (rc == CM_E_INCOMPATIBLE) {
		print_message("SKIP: %s\n", err.text);
		skip();
	}
	must(rc, &err);
}

static bool kvm_here(void)
{
	struct hv_engine_caps caps;

	if (hv_engine_kvm.probe(&caps, NULL) == 0 && caps.usable)
		return true;
	print_message("SKIP: %s\n", caps.words);
	return false;
}

#define BOTH(test)                                                                                 \
	static void soft_##test(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		test(&hv_engine_soft);                                                             \
	}                                                                                          \
	static void kvm_##test(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		if (!kvm_here())                                                                   \
			skip();                                                                    \
		test(&hv_engine_kvm);                                                              \
	}
BOTH(run_pause_resume)
BOTH(save_and_load)
BOTH(dirty_log)
BOTH(reset_and_fail)
BOTH(gate)
BOTH(looks)
BOTH(look_and_lose)
BOTH(tallies)

static void soft_to_kvm(void **state)
{
	(void)state;
	cross(&hv_engine_soft, &hv_engine_kvm);
}

static void kvm_to_soft(void **state)
{
	(void)state;
	cross(&hv_engine_kvm, &hv_engine_soft);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest soft[] = {
		cmocka_unit_test(soft_run_pause_resume),
		cmocka_unit_test(soft_save_and_load),
		cmocka_unit_test(soft_dirty_log),
		cmocka_unit_test(soft_reset_and_fail),
		cmocka_unit_test(soft_gate),
		cmocka_unit_test(soft_looks),
		cmocka_unit_test(soft_look_and_lose),
		cmocka_unit_test(soft_tallies),
	};
	const struct CMUnitTest kvm[] = {
		cmocka_unit_test(kvm_run_pause_resume),
		cmocka_unit_test(kvm_save_and_load),
		cmocka_unit_test(kvm_dirty_log),
		cmocka_unit_test(kvm_reset_and_fail),
		cmocka_unit_test(kvm_gate),
		cmocka_unit_test(kvm_looks),
		cmocka_unit_test(kvm_look_and_lose),
		cmocka_unit_test(kvm_tallies),
		cmocka_unit_test(soft_to_kvm),
		cmocka_unit_test(kvm_to_soft),
	};

	if (argc > 1 && strcmp(argv[1], "kvm") == 0)
		return kvm_here() ? cmocka_run_group_tests(kvm, NULL, NULL) : 77;
	return cmocka_run_group_tests(soft, NULL, NULL);
}
