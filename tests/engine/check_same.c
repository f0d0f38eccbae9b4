/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_same: the payload on the soft engine and on KVM, without interrupts. Both must end with the same registers and
 * the same memory, after the same port and MMIO accesses, and with the same pages in the dirty log.
 *
 *   check_same PAYLOAD [--self] [--corrupt] [--odd-host]
 *
 * Not compared: page tables (a shadow MMU need not set accessed and dirty bits as a CPU does). What KVM does differently is
 * done again there: if it comes out as on the soft engine then, the first time is counted as the host's.
 *
 * --self takes the soft engine for both, to try this test where there is no KVM. --corrupt spoils what the soft engine did,
 * --odd-host what the other did the first time. Exit: 0 same, 1 not, 77 if there is no KVM.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_err.h"
#include "tests/engine/rig.h"

#define PAGE 4096u
#define PAGES (RIG_RAM_BYTES / PAGE)
#define RFLAGS_RF 0x10000ull
#define AGAIN 8u
#define AGREE 7u

struct options {
	const char *payload;
	const struct hv_engine_ops *other;
	bool corrupt, odd_host;
};

struct outcome {
	struct hv_vcpu_state state;
	uint64_t dirty[PAGES / 64];
	uint64_t accesses, result;
};

static const struct {
	const char *name;
	unsigned int work;
	uint64_t amount;
} cases[] = {
	{ "integer", RIG_INTEGER, 3000 }, { "sha256", RIG_SHA256, 20 }, { "string", RIG_STRING, 40 },
	{ "sort", RIG_SORT, 300 },	  { "faults", RIG_FAULTS, 50 },
};

/* The rig's tables, and the payload's table of the window, which is not at a fixed place. */
static bool is_page_table(const uint8_t *ram, uint64_t page)
{
	uint64_t window;

	if (page * PAGE >= RIG_PML4 && page * PAGE < RIG_PML4 + 0x6000)
		return true;
	memcpy(&window, ram + RIG_PML4 + 0x3000, 8);
	return page == window >> 12;
}

static void *kick_later(void *arg)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct rig *r = arg;

	nanosleep(&pause, NULL);
	r->ops->vcpu_kick(r->engine, 0);
	return NULL;
}

/* How far an engine goes on behind the last access is its own business; in the end the payload halts. */
static int settle(struct rig *r, struct hv_vcpu_state *s)
{
	struct cm_err err = CM_ERR_INIT;
	pthread_t kicker;

	for (int tries = 0; tries < 1000; tries++) {
		if (r->ops->vcpu_get(r->engine, 0, s, &err))
			break;
		if (s->mp_state == HV_MP_HALTED)
			return 0;
		pthread_create(&kicker, NULL, kick_later, r);
		rig_run(r);
		pthread_join(kicker, NULL);
	}
	printf("%s: does not halt %s\n", r->ops->name, err.text);
	return -EIO;
}

static int run(struct rig *r, const char *payload, unsigned int i, struct outcome *o)
{
	enum hv_run how = HV_RUN_KICKED;
	struct cm_err err = CM_ERR_INIT;

	if (rig_load(r, payload, cases[i].work | RIG_NO_TIMER, cases[i].amount))
		return -EIO;
	memset(o, 0, sizeof *o);
	memset(o->dirty, 0xff, sizeof o->dirty);
	if (r->ops->dirty_start(r->engine, 0, &err) || r->ops->dirty_clear(r->engine, 0, 0, PAGES, o->dirty)) {
		printf("%s: dirty log: %s\n", r->ops->name, err.text);
		return -EIO;
	}
	memset(o->dirty, 0, sizeof o->dirty);
	while (how == HV_RUN_KICKED && !r->done && r->panic_words < 3)
		how = rig_run(r);
	if (!r->done) {
		printf("%s %s: did not end: run %d %s\n", r->ops->name, cases[i].name, how, r->ops->vcpu_error(r->engine, 0));
		return -EIO;
	}
	if (settle(r, &o->state))
		return -EIO;
	o->accesses = r->accesses;
	o->result = r->result;
	return r->ops->dirty_fetch(r->engine, 0, o->dirty) || r->ops->dirty_stop(r->engine, 0) ? -EIO : 0;
}

/* to: NULL to say nothing. */
static bool differ(FILE *to, const char *what, uint64_t soft, uint64_t kvm)
{
	if (soft == kvm)
		return false;
	if (to)
		fprintf(to, "  %s: soft %" PRIx64 ", kvm %" PRIx64 "\n", what, soft, kvm);
	return true;
}

static bool registers_differ(FILE *to, const struct hv_vcpu_state *a, const struct hv_vcpu_state *b)
{
	static const char *const names[HV_GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
							 "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	bool bad = false;

	for (int i = 0; i < HV_GPR_COUNT; i++)
		bad |= differ(to, names[i], a->gpr[i], b->gpr[i]);
	for (int i = 0; i < HV_SEG_COUNT; i++)
		bad |= differ(to, "selector", a->seg[i].selector, b->seg[i].selector);
	bad |= differ(to, "rip", a->rip, b->rip);
	bad |= differ(to, "rflags", a->rflags & ~RFLAGS_RF, b->rflags & ~RFLAGS_RF);
	bad |= differ(to, "cr0", a->cr0, b->cr0);
	bad |= differ(to, "cr2", a->cr2, b->cr2);
	bad |= differ(to, "cr3", a->cr3, b->cr3);
	bad |= differ(to, "cr4", a->cr4, b->cr4);
	bad |= differ(to, "efer", a->efer, b->efer);
	bad |= differ(to, "idt", a->idt.base, b->idt.base);
	return bad;
}

static bool tell_page(FILE *to, uint64_t page, const char *how)
{
	if (to)
		fprintf(to, "  page %#" PRIx64 " %s\n", page * PAGE, how);
	return true;
}

static bool memory_differs(FILE *to, const uint8_t *soft, const uint8_t *kvm, const struct outcome *a, const struct outcome *b)
{
	bool bad = false;

	for (uint64_t page = 0; page < PAGES; page++) {
		if (is_page_table(soft, page))
			continue;
		if (memcmp(soft + page * PAGE, kvm + page * PAGE, PAGE))
			bad = tell_page(to, page, "differs");
		if ((a->dirty[page / 64] ^ b->dirty[page / 64]) >> page % 64 & 1)
			bad = tell_page(to, page, "is dirty on one of them only");
	}
	return bad;
}

/* Runs case i on the other engine; is it as soft has it? */
static bool is_same(const struct options *o, unsigned int i, const struct rig *soft, const struct outcome *a, bool spoil,
		    FILE *to)
{
	struct outcome *b = calloc(1, sizeof *b);
	struct rig other;
	bool good = false;

	if (!b || rig_new(&other, o->other, 0, NULL)) {
		free(b);
		return false;
	}
	if (run(&other, o->payload, i, b) == 0) {
		b->result ^= spoil;
		good = !registers_differ(to, &a->state, &b->state);
		good &= !memory_differs(to, soft->ram, other.ram, a, b);
		good &= !differ(to, "accesses", a->accesses, b->accesses);
		good &= !differ(to, "result", a->result, b->result);
	}
	rig_free(&other);
	free(b);
	return good;
}

static bool one(const struct options *o, unsigned int i)
{
	struct outcome *a = calloc(1, sizeof *a);
	struct rig soft;
	unsigned int again = 0;
	bool good = false;

	if (!a || rig_new(&soft, &hv_engine_soft, 0, NULL)) {
		free(a);
		return false;
	}
	if (run(&soft, o->payload, i, a) == 0) {
		a->state.gpr[HV_RAX] ^= o->corrupt;
		good = is_same(o, i, &soft, a, o->odd_host, stdout);
		for (unsigned int n = 0; !good && n < AGAIN; n++)
			again += is_same(o, i, &soft, a, false, NULL);
	}
	if (again >= AGREE) {
		printf("%s: host: not repeatable: %s differed once, and was the same in %u of %u more runs\n", cases[i].name,
		       o->other->name, again, AGAIN);
		good = true;
	}
	printf("%s: %s\n", cases[i].name, good ? "same" : "DIFFERENT");
	rig_free(&soft);
	free(a);
	return good;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "self", no_argument, NULL, 's' },
					       { "corrupt", no_argument, NULL, 'x' },
					       { "odd-host", no_argument, NULL, 'o' },
					       { 0 } };
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 's')
			o->other = &hv_engine_soft;
		else if (opt == 'x')
			o->corrupt = true;
		else if (opt == 'o')
			o->odd_host = true;
		else
			return false;
	}
	o->payload = argv[optind];
	return optind + 1 == argc;
}

int main(int argc, char **argv)
{
	struct options o = { .other = &hv_engine_kvm };
	struct hv_engine_caps caps = { 0 };
	struct cm_err err = CM_ERR_INIT;
	bool good = true;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: check_same PAYLOAD [--self] [--corrupt] [--odd-host]\n");
		return 2;
	}
	if (o.other->probe(&caps, &err) || !caps.usable) {
		printf("SKIP: check_same: no KVM here to compare the soft engine with\n");
		return 77;
	}
	for (unsigned int i = 0; i < sizeof cases / sizeof cases[0]; i++)
		good &= one(&o, i);
	printf("check_same: %s\n", good ? "the engines agree" : "DIFFERENT");
	return good ? 0 : 1;
}
