/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check_fuzz: guests that run random bytes, and saved states made of random bytes, must harm nothing but themselves.
 *
 *   check_fuzz [--seconds N] [--seed S] [--round R]
 *
 * Each round: RAM full of instruction-like noise, random registers that often point into it, descriptor tables that are
 * sometimes good, CPL 0 or 3; runs for a millisecond or two until it is kicked, shuts down or fails. The rounds run in a
 * child process; if it dies, the parent says which round it was, and --round R runs that one alone. Best built with
 * --with-sanitizers=asan,ubsan. Exit: 0 unharmed, 1 not.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_err.h"
#include "common/cm_log.h"
#include "tests/engine/insn_gen.h"
#include "tests/engine/rig.h"

#define CODE RIG_PAYLOAD
#define CODE_BYTES 0x4000u
#define KICK_NS 1000000
#define POOL 4096u

struct shared {
	_Atomic uint64_t round;
	_Atomic uint64_t kicked, shut_down, failed, refused, insns, unknown;
};

struct fuzz {
	struct rig rig;
	struct insn_gen gen;
	struct insn_case *pool;
	struct shared *shared;
	atomic_bool stop;
	_Atomic uint64_t running; /* number of the round that is inside the engine, from 1; 0 none */
};

/* Ends each run after one to two periods. */
static void *kick(void *arg)
{
	const struct timespec period = { .tv_nsec = KICK_NS };
	struct fuzz *f = arg;
	uint64_t before = 0;

	while (!atomic_load(&f->stop)) {
		uint64_t running;

		nanosleep(&period, NULL);
		running = atomic_load(&f->running);
		if (running && running == before)
			f->rig.ops->vcpu_kick(f->rig.engine, 0);
		before = running;
	}
	return NULL;
}

/* Instructions to draw from; making them takes longer than running them. */
static void make_pool(struct fuzz *f, uint64_t seed)
{
	insn_gen_seed(&f->gen, seed);
	for (unsigned int i = 0; i < POOL; i++)
		insn_gen_case(&f->gen, i % insn_form_count, &f->pool[i]);
}

/* Bytes that are often the beginning of an instruction that exists. */
static void make_code(struct fuzz *f)
{
	uint32_t at = 0;

	while (at < CODE_BYTES - 32) {
		uint64_t r = insn_gen_next(&f->gen);
		const struct insn_case *c = &f->pool[(r >> 16) % POOL];

		if (r % 8 == 0) {
			memcpy(f->rig.ram + CODE + at, &r, 8);
			at += 1 + (r >> 8) % 8;
			continue;
		}
		memcpy(f->rig.ram + CODE + at, c->code, c->len);
		at += c->len;
	}
}

/* System instructions that the forms of the differential test leave out. */
static void sprinkle_system(struct fuzz *f)
{
	static const uint8_t two[] = { 0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x09, 0x20, 0x21, 0x22, 0x23, 0x30,
				       0x31, 0x32, 0x33, 0x34, 0x35, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xae, 0xb2, 0xc7 };
	static const uint8_t one[] = { 0x6c, 0x6d, 0x6e, 0x6f, 0x8c, 0x8e, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xe4, 0xe5, 0xe6,
				       0xe7, 0xec, 0xed, 0xee, 0xef, 0xf4, 0xfa, 0xfb, 0xff };

	for (int i = 0; i < 400; i++) {
		uint64_t r = insn_gen_next(&f->gen);
		uint8_t *p = f->rig.ram + CODE + r % (CODE_BYTES - 16);

		if (r >> 32 & 1) {
			p[0] = 0x0f;
			p[1] = two[(r >> 40) % sizeof two];
		} else {
			p[0] = one[(r >> 40) % sizeof one];
		}
	}
}

static uint64_t pointer(struct fuzz *f)
{
	uint64_t r = insn_gen_next(&f->gen);

	switch (r & 7) {
	case 0:
		return r;
	case 1:
		return 0xfee00000 + (r >> 8) % 0x400;
	case 2:
		return (r >> 8) % 64;
	default:
		return CODE + (r >> 8) % (RIG_RAM_BYTES - CODE);
	}
}

static void make_idt(struct fuzz *f)
{
	bool ist = insn_gen_next(&f->gen) & 1;

	for (unsigned int i = 0; i < 256; i++) {
		uint64_t r = insn_gen_next(&f->gen), at = CODE + r % CODE_BYTES;
		uint64_t low = (at & 0xffff) | (uint64_t)RIG_CS << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48;

		if (ist)
			low |= 1ull << 32;
		if (r >> 60 == 0)
			low = r * 0x9e3779b97f4a7c15ull;
		memcpy(f->rig.ram + RIG_IDT + i * 16, &low, 8);
		memset(f->rig.ram + RIG_IDT + i * 16 + 8, 0, 8);
	}
}

/* Of every kind and length, often where the guest comes by. */
static void make_breakpoints(struct fuzz *f, struct hv_vcpu_state *s)
{
	for (int i = 0; i < 4; i++)
		s->dr[i] = pointer(f);
	s->dr7 = insn_gen_next(&f->gen) & 0xffff23ff;
	s->cr4 |= 8; /* DE: also of ports */
}

static void make_registers(struct fuzz *f, struct hv_vcpu_state *s)
{
	for (int i = 0; i < HV_GPR_COUNT; i++)
		s->gpr[i] = pointer(f);
	s->rip = CODE + insn_gen_next(&f->gen) % CODE_BYTES;
	s->rflags = 2 | (insn_gen_next(&f->gen) & 0x240ed5);
	if (insn_gen_next(&f->gen) % 8 == 0)
		s->rflags |= INSN_TF;
	if (insn_gen_next(&f->gen) % 4 == 0)
		make_breakpoints(f, s);
	for (unsigned int i = 0; i < 512; i += 8) {
		uint64_t v = insn_gen_next(&f->gen);

		memcpy(s->xsave + i, &v, 8);
	}
	memset(s->xsave + 24, 0, 8);
	if (insn_gen_next(&f->gen) % 4 == 0)
		s->cr0 ^= insn_gen_next(&f->gen) & 0x6003e;
}

enum mode { KERNEL_64, USER_64, COMPATIBILITY, PROTECTED, REAL, MODES };

/* Out of 64-bit mode: the code then lies below 1 MiB as well. */
static void make_mode(struct hv_vcpu_state *s, enum mode mode, uint64_t r)
{
	if (mode <= USER_64)
		return;
	s->seg[HV_CS].attr &= (uint16_t)~HV_SEG_L;
	if (r & 1)
		s->seg[HV_CS].attr |= HV_SEG_DB;
	if (mode == COMPATIBILITY)
		return;
	s->cr0 &= ~0x80000000ull; /* no paging */
	s->efer &= ~0x500ull;
	if (mode == PROTECTED)
		return;
	s->cr0 &= ~1ull;
	for (int i = 0; i < HV_SEG_COUNT; i++) {
		s->seg[i].selector = (uint16_t)(r >> 8 & 0xff00);
		s->seg[i].base = (uint64_t)s->seg[i].selector << 4;
		s->seg[i].limit = 0xffff;
	}
	s->seg[HV_CS].base = CODE;
	s->seg[HV_CS].attr &= (uint16_t)~HV_SEG_DB;
	s->rip &= 0x3fff;
	s->idt = (struct hv_dtable){ 0, 0x3ff };
}

/* A state as a hostile peer might send it: one part of it is noise. */
static void spoil(struct fuzz *f, struct hv_vcpu_state *s)
{
	uint64_t r = insn_gen_next(&f->gen);
	uint8_t *p = (uint8_t *)s;
	size_t at = r % sizeof *s, n = 1 + (r >> 32) % 64;

	for (size_t i = at; i < at + n && i < sizeof *s; i++)
		p[i] = (uint8_t)insn_gen_next(&f->gen);
}

static enum hv_run run(struct fuzz *f, uint64_t round)
{
	enum hv_run how;

	atomic_store(&f->running, round + 1);
	how = rig_run(&f->rig);
	atomic_store(&f->running, 0);
	return how;
}

static void one_round(struct fuzz *f, uint64_t seed, uint64_t round)
{
	struct hv_vcpu_state *s = calloc(1, sizeof *s);
	struct cm_err err = CM_ERR_INIT;
	uint64_t r;
	int rc;

	insn_gen_seed(&f->gen, seed + round * 0x10001);
	r = insn_gen_next(&f->gen);
	memset(f->rig.ram, 0, CODE);
	rig_boot_state(&f->rig, s, (r >> 16) % MODES == USER_64);
	make_code(f);
	sprinkle_system(f);
	make_idt(f);
	make_registers(f, s);
	make_mode(s, (enum mode)((r >> 16) % MODES), insn_gen_next(&f->gen));
	if (r >> 8 & 1)
		spoil(f, s);
	rc = f->rig.ops->vcpu_set(f->rig.engine, 0, s, &err);
	if (rc) {
		atomic_fetch_add(&f->shared->refused, 1);
	} else {
		switch (run(f, round)) {
		case HV_RUN_KICKED:
			atomic_fetch_add(&f->shared->kicked, 1);
			break;
		case HV_RUN_SHUTDOWN:
			atomic_fetch_add(&f->shared->shut_down, 1);
			break;
		case HV_RUN_FAILED:
		case HV_RUN_INVALID:
		default:
			atomic_fetch_add(&f->shared->failed, 1);
			break;
		}
	}
	f->rig.ops->vcpu_get(f->rig.engine, 0, s, &err);
	free(s);
}

static int rounds(struct shared *shared, uint64_t seed, uint64_t first, uint64_t count, unsigned int seconds)
{
	struct fuzz f = { .shared = shared };
	struct hv_engine_counters counters = { 0 };
	time_t end = time(NULL) + (time_t)seconds;
	pthread_t kicker;

	f.pool = calloc(POOL, sizeof *f.pool);
	if (!f.pool || rig_new(&f.rig, &hv_engine_soft, 0, NULL))
		return 1;
	make_pool(&f, seed);
	pthread_create(&kicker, NULL, kick, &f);
	for (uint64_t round = first; round - first < count && time(NULL) <= end; round++) {
		atomic_store(&shared->round, round);
		one_round(&f, seed, round);
	}
	atomic_store(&f.stop, true);
	pthread_join(kicker, NULL);
	f.rig.ops->counters(f.rig.engine, 0, &counters);
	atomic_store(&shared->insns, counters.insns);
	atomic_store(&shared->unknown, counters.unknown_insns);
	rig_free(&f.rig);
	free(f.pool);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "seconds", required_argument, NULL, 't' },
					       { "seed", required_argument, NULL, 's' },
					       { "round", required_argument, NULL, 'r' },
					       { 0 } };
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = (uint64_t)time(NULL), round = 0, count = UINT64_MAX;
	unsigned int seconds = 60;
	int opt, status = 0;
	pid_t pid;

	while ((opt = getopt_long(argc, argv, "t:s:r:", longs, NULL)) != -1) {
		if (opt == 't')
			seconds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'r')
			round = strtoull(optarg, NULL, 0), count = 1;
		else
			return 2;
	}
	if (shared == MAP_FAILED)
		return 1;
	cm_log_set_level(CM_LOG_ERR); /* unknown instructions are warnings */
	printf("check_fuzz: seed %" PRIu64 "\n", seed);
	fflush(stdout);
	if (count == 1)
		return rounds(shared, seed, round, 1, seconds);
	pid = fork();
	if (pid == 0)
		exit(rounds(shared, seed, 0, count, seconds));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	printf("check_fuzz: %" PRIu64 " rounds: %" PRIu64 " kicked, %" PRIu64 " shut down, %" PRIu64 " failed, %" PRIu64
	       " states refused; %" PRIu64 " instructions, %" PRIu64 " unknown\n", shared->round, shared->kicked,
	       shared->shut_down, shared->failed, shared->refused, shared->insns, shared->unknown);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	printf("check_fuzz: HARM in round %" PRIu64 ": check_fuzz --seed %" PRIu64 " --round %" PRIu64 "\n", shared->round,
	       seed, shared->round);
	return 1;
}
