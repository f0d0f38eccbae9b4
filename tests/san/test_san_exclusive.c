/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_exclusive.c - a LUN, or a file, that is one VM's whole disk: a second VM is refused,
 * both ends of a move are not, and of two that come at once never both get in. `test_san_exclusive
 * tgt` runs against stock tgt.
 *
 * The ownership blocks lie on another LUN (the lock LUN), as those of a volume do.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/lease/stor_permit_int.h"
#include "tests/san/santest.h"

#define T_MS 400u

static enum san_kind kind = SAN_LABSAN;

/* One hvcore's storage: the block, and the disk. */
struct vm {
	struct san_host own, disk;
};

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	struct stor_uuid vm[2];
	struct vm a, b;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = kind, .luns = {"disk0,thin,size=64M", "lock1,size=16M"}};
	f->loop = cm_loop_new(NULL);
	stor_uuid_random(&f->vm[0]);
	stor_uuid_random(&f->vm[1]);
	if (san_start(&f->t))
		exit(77);
	*state = f;
	return 0;
}

/* The process of VM `which` on host `slot`. */
static void vm_open(struct fix *f, struct vm *v, unsigned which, uint16_t slot)
{
	struct stor_dev_opts o = {.gated = true, .host_slot = slot, .io_timeout_ms = T_MS};
	char url[256], initiator[96], node[16];

	snprintf(node, sizeof node, "node-%u", slot);
	snprintf(initiator, sizeof initiator, "iqn.2026-01.test.host:%s", node);
	o.initiator = initiator;
	o.isid = 1000 + which;
	o.guarded = kind == SAN_TGT;
	san_url(&f->t, 1, NULL, url, sizeof url);
	assert_int_equal(san_open(&v->own, f->loop, url, &o), 0);
	o.guarded = false;
	o.isid = 2000 + which;
	o.exclusive_to = 1 + which;
	san_url(&f->t, 0, NULL, url, sizeof url);
	assert_int_equal(san_open(&v->disk, f->loop, url, &o), 0);
	san_lease(&v->own, node, slot, 4096u * (1 + which), &f->vm[which], T_MS);
	assert_int_equal(stor_lease_guard(v->own.lease, v->disk.dev), 0);
}

static void vm_close(struct vm *v)
{
	san_close(&v->own);
	san_close(&v->disk);
	memset(v, 0, sizeof *v);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	vm_close(&f->a);
	vm_close(&f->b);
	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f);
	return 0;
}

static int write_byte(struct vm *v, int value)
{
	uint8_t d[512];

	memset(d, value, sizeof d);
	return san_rw(&v->disk, true, 65536, d, sizeof d, 0);
}

static int read_byte(struct vm *v)
{
	uint8_t d[512];

	assert_int_equal(san_rw(&v->disk, false, 65536, d, sizeof d, 0), 0);
	return d[0];
}

/* Keys of a slot on the disk. */
static unsigned keys_of(struct vm *from, uint16_t slot)
{
	uint64_t keys[64];
	unsigned n = 0;

	for (int i = san_keys(&from->disk, keys, 64) - 1; i >= 0; i--)
		n += stor_pr_key_slot(keys[i]) == slot;
	return n;
}

/* The second VM owns its own block, and still gets no byte onto the first one's disk. */
static void test_second_vm(void **state)
{
	struct fix *f = *state;
	struct iovec iov;
	struct stor_req r;
	uint8_t d[512];

	vm_open(f, &f->a, 0, 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_byte(&f->a, 'A'), 0);
	assert_true(f->a.disk.alone);
	vm_open(f, &f->b, 1, 2);
	assert_int_equal(SAN_LEASE(&f->b.own, acquire), 0);
	memset(d, 'B', sizeof d);
	iov = (struct iovec){d, sizeof d};
	stor_req_writev(&r, 65536, &iov, 1, NULL, NULL);
	san_submit(&f->b.disk, &r);
	SAN_UNTIL(f->loop, f->b.disk.busy >= 2);
	assert_false(f->b.disk.answered || f->b.disk.alone);
	assert_non_null(strstr(f->b.disk.words, "host slot 1"));
	assert_int_equal(write_byte(&f->a, 'a'), 0);
	assert_int_equal(read_byte(&f->a), 'a');
	assert_int_equal(f->a.disk.stalls, 0);
	SAN_UNTIL(f->loop, keys_of(&f->a, 2) == 0); /* it leaves nothing behind, each time */
	/* The first one ends: the second one gets in by itself. */
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	vm_close(&f->a);
	assert_int_equal(san_wait(&f->b.disk), 0);
	assert_true(f->b.disk.alone);
	assert_int_equal(read_byte(&f->b), 'B');
}

/* The first one's session dies while another VM tries to get in: it comes back at once. */
static void test_owner_reconnects(void **state)
{
	struct fix *f = *state;

	vm_open(f, &f->a, 0, 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_byte(&f->a, 1), 0);
	vm_open(f, &f->b, 1, 2);
	assert_int_equal(SAN_LEASE(&f->b.own, acquire), 0);
	for (int i = 0; kind == SAN_LABSAN && i < 20; i++) {
		san_ctl(&f->t, "drop all");
		assert_int_equal(write_byte(&f->a, i), 0);
		assert_int_equal(read_byte(&f->a), i);
	}
	assert_int_equal(f->a.disk.busy, 0);
	assert_false(f->b.disk.alone);
	/* Stock tgt forgets all keys: whoever comes first has it then, never both. */
	f->a.disk.resumes = 0;
	san_kill9(&f->t);
	SAN_UNTIL(f->loop, f->a.disk.stalled);
	san_restart(&f->t);
	SAN_UNTIL(f->loop, f->b.disk.alone || f->a.disk.resumes);
	san_turn_ms(f->loop, 2 * T_MS);
	assert_int_equal(f->b.disk.alone, f->a.disk.stalled);
	if (kind == SAN_LABSAN)
		assert_false(f->b.disk.alone);
}

/* Two come at the same instant, again and again. */
static void test_race(void **state)
{
	struct fix *f = *state;
	unsigned won[3] = {0};

	for (unsigned i = 0; i < 15; i++) {
		vm_open(f, i % 2 ? &f->a : &f->b, i % 2 ? 0 : 1, i % 2 ? 1 : 2);
		vm_open(f, i % 2 ? &f->b : &f->a, i % 2 ? 1 : 0, i % 2 ? 2 : 1);
		SAN_UNTIL(f->loop, f->a.disk.alone || f->b.disk.alone);
		san_turn_ms(f->loop, 20);
		assert_false(f->a.disk.alone && f->b.disk.alone);
		won[f->a.disk.alone]++;
		vm_close(&f->a);
		vm_close(&f->b);
	}
	print_message("the first VM won %u times, the second %u times\n", won[1], won[0]);
}

/* Both ends of a move have it open, also when either loses its session in the middle. */
static void test_move(void **state)
{
	struct fix *f = *state;
	struct stor_owner d;

	vm_open(f, &f->a, 0, 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	for (unsigned round = 0; round < 6; round++) {
		struct vm *from = round % 2 ? &f->b : &f->a, *to = round % 2 ? &f->a : &f->b;

		assert_int_equal(write_byte(from, (int)round), 0);
		vm_open(f, to, 0, round % 2 ? 1 : 2);
		SAN_UNTIL(f->loop, to->disk.alone && stor_dev_pr_key(to->disk.dev) &&
					   stor_dev_pr_key(to->own.dev));
		if (kind == SAN_LABSAN && round >= 2)
			san_ctl(&f->t, "drop all"); /* the source, and the destination */
		assert_int_equal(write_byte(from, 100 + (int)round), 0);
		SAN_UNTIL(f->loop, stor_dev_pr_key(to->disk.dev) && stor_dev_pr_key(to->own.dev));
		stor_lease_self(to->own.lease, &d);
		assert_int_equal(SAN_LEASE(&from->own, intent, &d), 0);
		if (kind == SAN_LABSAN && round >= 4)
			san_ctl(&f->t, "drop all");
		assert_int_equal(write_byte(from, 200 + (int)round), 0);
		assert_int_equal(SAN_LEASE(&from->own, commit), 0);
		assert_int_equal(SAN_LEASE(&to->own, accept), 0);
		assert_int_equal(read_byte(to), 200 + (int)round);
		assert_int_equal(write_byte(to, 50), 0);
		assert_int_equal(from->disk.busy + to->disk.busy, 0);
		vm_close(from);
	}
}

/* A process that registers the disk and is killed, before or after it owned the block. */
static void crash(struct fix *f, uint16_t slot, bool owned)
{
	struct cm_loop *loop = f->loop;
	int fds[2], pid, status;
	char c;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		struct vm v = {0};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		f->loop = cm_loop_new(NULL);
		vm_open(f, &v, 0, slot);
		if (owned && (SAN_LEASE(&v.own, acquire) || write_byte(&v, 'x')))
			_exit(1);
		SAN_UNTIL(f->loop, v.disk.alone && stor_dev_pr_key(v.disk.dev));
		if (write(fds[1], "r", 1) == 1)
			pause();
		_exit(2);
	}
	f->loop = loop;
	assert_int_equal(read(fds[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	close(fds[1]);
}

struct seen {
	struct stor_block b;
	bool done;
};

static void on_seen(int rc, const struct stor_block *b, void *arg)
{
	struct seen *s = arg;

	assert_int_equal(rc, 0);
	s->b = *b;
	s->done = true;
}

/* What dead processes of this VM left does not keep it out, on whatever host; another VM stays out.
 */
static void test_zombies(void **state)
{
	struct fix *f = *state;
	struct seen s = {.done = false};

	crash(f, 1, true); /* its key is in the block */
	vm_open(f, &f->a, 0, 2);
	stor_block_read(f->a.own.dev, 4096, on_seen, &s);
	SAN_UNTIL(f->loop, s.done);
	assert_int_equal(
		SAN_LEASE(&f->a.own, take_over, stor_permit_new(&s.b, false, "killed"), false), 0);
	assert_int_equal(write_byte(&f->a, 'n'), 0);
	assert_int_equal(keys_of(&f->a, 1), 0);
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	vm_close(&f->a);

	crash(f, 1, false); /* nothing names its key */
	vm_open(f, &f->b, 1, 3);
	SAN_UNTIL(f->loop, f->b.disk.busy);
	vm_close(&f->b);
	vm_open(f, &f->a, 0, 2);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	if (kind == SAN_LABSAN) {
		assert_int_equal(write_byte(&f->a, 'm'), 0);
	} else { /* no READ FULL STATUS: it says who */
		SAN_UNTIL(f->loop, f->a.disk.busy);
		assert_non_null(strstr(f->a.disk.words, "host slot 1"));
	}
}

/* A file: by locks; the two ends of a move are one user. */
static void test_file(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.exclusive_to = 5}, p = {.exclusive_to = 6},
			     ro = {.readonly = true};
	struct san_host a, b, c;
	char url[128];
	FILE *s;

	snprintf(url, sizeof url, "file:%s/whole", f->t.dir);
	s = fopen(url + 5, "w");
	assert_non_null(s);
	assert_int_equal(ftruncate(fileno(s), 1 << 20), 0);
	fclose(s);
	assert_int_equal(san_open(&a, f->loop, url, &o), 0);
	assert_true(a.alone);
	assert_int_equal(san_open(&b, f->loop, url, &p), CM_E_DISK_BUSY);
	assert_non_null(strstr(b.words, "in use by another VM"));
	assert_int_equal(san_open(&b, f->loop, url, &o), 0);
	assert_int_equal(san_open(&c, f->loop, url, &ro), 0);
	san_close(&a);
	assert_int_equal(san_open(&a, f->loop, url, &p), CM_E_DISK_BUSY);
	san_close(&b);
	assert_int_equal(san_open(&a, f->loop, url, &p), 0);
	san_close(&a);
	san_close(&c);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_second_vm), T(test_owner_reconnects), T(test_race),
		T(test_move),	   T(test_zombies),	     T(test_file),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "tgt"))
		kind = SAN_TGT;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
