/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migkit.h - two "hosts" in one process for tests of migration: each with its own session to one ownership block (a
 * file), its own lease and its own VM, which runs the bare-metal test guest. One loop drives both.
 */
#ifndef MIGKIT_H
#define MIGKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"
#include "sharedstorage/lease/stor_lease.h"

/* Of moves that are to succeed: on a busy machine a round trip may take seconds, and a source that forecasts them rightly refuses to move. */
#define BENCH_BLACKOUT_MS 60000

#define BENCH_GUEST   "tests/guest/bare.elf"
#define BENCH_STEPPER "mode=step,beat pages=1024 rate=200"

struct bench;

struct host {
	struct bench *b;
	const char *name;
	struct stor_dev *lease_dev, *disk_dev;
	struct stor_lease *lease;
	struct hv_vm *vm;
	struct hv_vm_config cfg;
	int op_rc;              /* of the last lease operation; 1: under way */
	unsigned ready;         /* devices that are open */
	bool lost, off, closed;
};

struct bench {
	struct cm_loop *loop;
	char dir[64];
	struct stor_uuid uuid;
	int kernel_fd;
	struct host host[2];
	const struct hv_engine_ops *engine;
	char cmdline[256];
	unsigned cpus;
	struct mig_src *src;
	struct mig_dst *dst;
	struct mig_result src_result, dst_result;
	bool src_done, dst_done, ready_told;
	bool wrong_key; /* the next move's destination gets another one */
	unsigned progresses;
};

/* False: the guest image or the engine is missing (a reason was printed). */
bool bench_open(struct bench *b, const struct hv_engine_ops *engine, const char *cmdline, unsigned cpus);
void bench_close(struct bench *b);
/* Opens sessions, lease and an empty VM on host i. */
void bench_host(struct bench *b, unsigned i);
/* Closes them without releasing (as the end of a process does after a hand-over). */
void bench_drop(struct bench *b, unsigned i);
/* Acquires, boots, runs, and waits until the guest is ready. */
void bench_boot(struct bench *b, unsigned i);
/* Turns the loop until *flag or 60 s; false: time over. */
bool bench_until(struct bench *b, const bool *flag);
void bench_for_ms(struct bench *b, unsigned ms);
/* Starts both ends over a socket pair with a fresh key. cfg: what matters of it is used, may be NULL. */
void bench_move(struct bench *b, unsigned from, unsigned to, Hv__MigrationMode mode, const struct mig_src_config *cfg);
/* ... and waits for both ends. */
void bench_wait(struct bench *b);
/* Beats of the guest on host i so far. */
uint64_t bench_beats(struct bench *b, unsigned i);
/* The guest on host i has seen something wrong. */
bool bench_guest_failed(struct bench *b, unsigned i);
bool bench_runs(struct bench *b, unsigned i);

/* First thing of main(): [soft|kvm [filter]], else HV_TEST_ENGINE; the name of the engine. */
const char *bench_begin(int argc, char **argv);
/* Of a test whose state is a struct bench: the guest runs on host 0. Nothing to test with: the state is NULL. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Skips the test if there is nothing to test with. */
void bench_need(void **state);
/* The guest runs on host i, beats on, and has found nothing wrong. */
void bench_lives_on(struct bench *b, unsigned i);
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

#endif
