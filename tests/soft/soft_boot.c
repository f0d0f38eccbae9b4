/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soft_boot: boots a kernel on the soft engine in the foreground and tells how fast it was.
 *
 *   soft_boot [-m MIB] [-c CPUS] [-i INSNS_PER_US] [-d] KERNEL INITRD [CMDLINE]
 *
 * -d: a thread copies guest memory by the dirty log all the time, as a migration would; at the end
 * the copy must equal the memory.
 *
 * The serial console is standard output. Ends when the guest powers off (0) or fails (1). For
 * figures and for finding faults of the engine; not a test by itself.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_loop.h"
#include "hvcore/machine/hv_char.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/vm/hv_vm.h"

#define CMDLINE                                                                                    \
	"console=ttyS0 quiet cryptomgr.notests reboot=t panic=-1 tsc=reliable nowatchdog "         \
	"mitigations=off init_on_alloc=0"

struct boot {
	struct cm_loop *loop;
	struct hv_vm *vm;
	bool copying;
	pthread_t copier;
	atomic_bool stop;
	uint8_t *copy;
	uint64_t *bitmap;
	uint64_t passes, pages;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_event(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	struct boot *b = arg;

	(void)vm;
	if (ev == HV_VM_EV_POWERED_OFF)
		cm_loop_stop(b->loop, 0);
	if (ev == HV_VM_EV_FAILED || ev == HV_VM_EV_PANIC || ev == HV_VM_EV_RESET) {
		fprintf(stderr, "soft_boot: event %d: %s\n", (int)ev, text ? text : "");
		cm_loop_stop(b->loop, 1);
	}
}

/* One pass: take what is dirty, re-arm it, then copy. */
static void copy_pass(struct boot *b)
{
	struct hv_mem *mem = hv_vm_mem(b->vm);
	uint64_t pages = hv_mem_pages(mem, 0);
	const struct hv_mem_slot *slot = hv_mem_slot(mem, 0);

	memset(b->bitmap, 0, hv_mem_bitmap_words(mem, 0) * 8);
	if (hv_mem_dirty_fetch(mem, 0, b->bitmap) ||
	    hv_mem_dirty_clear(mem, 0, 0, pages, b->bitmap))
		abort();
	for (uint64_t p = 0; p < pages; p++) {
		if (!(b->bitmap[p / 64] >> (p % 64) & 1))
			continue;
		memcpy(b->copy + p * HV_PAGE_BYTES, slot->hva + p * HV_PAGE_BYTES, HV_PAGE_BYTES);
		b->pages++;
	}
	b->passes++;
}

static void *copy_thread(void *arg)
{
	struct boot *b = arg;
	const struct timespec pause = {.tv_nsec = 3000000};

	while (!atomic_load(&b->stop)) {
		copy_pass(b);
		for (unsigned i = 0; i < hv_vm_config(b->vm)->cpus; i++)
			hv_vm_engine_ops(b->vm)->vcpu_kick(hv_vm_engine(b->vm), i);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void copy_start(struct boot *b)
{
	struct hv_mem *mem = hv_vm_mem(b->vm);
	struct cm_err err = CM_ERR_INIT;

	b->copy = malloc(hv_mem_slot(mem, 0)->bytes);
	b->bitmap = calloc(hv_mem_bitmap_words(mem, 0), 8);
	if (!b->copy || !b->bitmap || hv_mem_dirty_start(mem, 0, &err) ||
	    pthread_create(&b->copier, NULL, copy_thread, b))
		abort();
}

/* After the last vCPU has stopped: one more pass must make the copy whole. */
static int copy_compare(struct boot *b)
{
	const struct hv_mem_slot *slot = hv_mem_slot(hv_vm_mem(b->vm), 0);
	uint64_t bad = 0;

	atomic_store(&b->stop, true);
	pthread_join(b->copier, NULL);
	copy_pass(b);
	for (uint64_t at = 0; at < slot->bytes; at += HV_PAGE_BYTES)
		bad += memcmp(b->copy + at, slot->hva + at, HV_PAGE_BYTES) != 0;
	fprintf(stderr,
		"soft_boot: %" PRIu64 " passes copied %" PRIu64 " pages; %" PRIu64
		" differ at the end\n",
		b->passes, b->pages, bad);
	return bad != 0;
}

static void options(int argc, char **argv, struct hv_vm_config *cfg, struct boot *b)
{
	int c;

	while ((c = getopt(argc, argv, "m:c:i:d")) != -1) {
		unsigned long v = optarg ? strtoul(optarg, NULL, 0) : 0;

		if (c == 'm')
			cfg->memory_bytes = (uint64_t)v << 20;
		else if (c == 'c')
			cfg->cpus = (unsigned)v;
		else if (c == 'i')
			cfg->insns_per_us = (uint32_t)v;
		else if (c == 'd')
			b->copying = true;
		else
			exit(2);
	}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: soft_boot [-m MIB] [-c CPUS] [-i INSNS_PER_US] [-d] KERNEL "
				"INITRD [CMDLINE]\n");
		exit(2);
	}
	cfg->kernel_fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
	cfg->initrd_fd = open(argv[optind + 1], O_RDONLY | O_CLOEXEC);
	snprintf(cfg->cmdline, sizeof cfg->cmdline, "%s",
		 argc - optind > 2 ? argv[optind + 2] : CMDLINE);
}

static int fail(const char *what, const struct cm_err *err)
{
	fprintf(stderr, "soft_boot: %s: %s\n", what, err->text);
	return 1;
}

static void report(struct boot *b, double seconds)
{
	struct hv_engine_counters n;

	hv_vm_engine_ops(b->vm)->counters(hv_vm_engine(b->vm), UINT32_MAX, &n);
	fprintf(stderr,
		"soft_boot: %.2f s, %" PRIu64 " M instructions, %.0f MIPS; MMIO %" PRIu64
		" PIO %" PRIu64 " HLT %" PRIu64 " IRQ %" PRIu64 " TLB misses %" PRIu64
		" blocks %" PRIu64 " unknown %" PRIu64 "\n",
		seconds, n.insns / 1000000, (double)n.insns / seconds / 1e6, n.exits_mmio,
		n.exits_pio, n.exits_halt, n.exits_irq, n.tlb_misses, n.block_misses,
		n.unknown_insns);
}

/* For who looks for the fault. */
static void dump(struct hv_vm *vm)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_json j;

	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	if (hv_vm_dump(vm, &j, &err) < 0)
		fprintf(stderr, "no dump: %s\n", err.text);
	hv_json_close(&j, '}');
	fprintf(stderr, "%s\n", hv_json_text(&j));
	hv_json_fini(&j);
}

int main(int argc, char **argv)
{
	struct hv_vm_config cfg = {.name = "soft",
				   .memory_bytes = 256u << 20,
				   .cpus = 1,
				   .engine = &hv_engine_soft,
				   .kvm_fd = -1};
	struct cm_err err = CM_ERR_INIT;
	struct boot b = {0};
	struct hv_vm_owner owner = {.event = on_event, .arg = &b};
	double start;
	int code;

	for (unsigned i = 0; i < HV_SLOT_NET_MAX; i++)
		cfg.net[i].tap_fd = -1;
	options(argc, argv, &cfg, &b);
	b.loop = cm_loop_new(&err);
	if (!b.loop || hv_vm_new(&b.vm, &cfg, b.loop, &owner, &err))
		return fail("new", &err);
	hv_char_attach(hv_vm_serial(b.vm), -1, STDOUT_FILENO, 0, NULL, NULL);
	if (hv_vm_boot(b.vm, &err))
		return fail("boot", &err);
	hv_vm_set_run_until(b.vm, HV_RUN_FOREVER);
	if (b.copying)
		copy_start(&b);
	start = now();
	if (hv_vm_run(b.vm, &err))
		return fail("run", &err);
	code = cm_loop_run(b.loop);
	report(&b, now() - start);
	if (b.copying)
		code |= copy_compare(&b);
	if (code)
		dump(b.vm);
	hv_vm_free(b.vm);
	cm_loop_free(b.loop);
	return code;
}
