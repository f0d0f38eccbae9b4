/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_lease.c - ownership on a SAN, against labsan and stock tgt: renewal, takeover with fencing, stale writes,
 * unknown outcomes, a target that restarts, frozen and cut-off owners, hand-overs.
 *
 * The same tests over each way to compare and write; arguments: see sanparty.h.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_permit_int.h"
#include "tests/san/sanparty.h"

/* A file has no wire and no target that could go away. */
#define NOT_ON_FILE() \
	do { \
		if (kind == SAN_FILE) \
			skip(); \
	} while (0)

static int setup_sloppy(void **state)
{
	return fix_setup_with(state, "--reinstate sloppy");
}

static void both(struct fix *f)
{
	party_open(f, &f->a, "node-a", 1);
	party_open(f, &f->b, "node-b", 2);
}

static void test_own_and_move(void **state)
{
	struct fix *f = *state;
	struct stor_owner d;

	both(f);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, acquire), CM_E_LEASE_HELD);
	assert_int_equal(write_data(&f->a, 1), 0);
	SAN_UNTIL(f->loop, f->a.own.renewals >= 3);
	stor_lease_self(f->b.own.lease, &d);
	assert_int_equal(d.keys[0].key != 0, kind != SAN_FILE);
	assert_int_equal(SAN_LEASE(&f->a.own, intent, &d), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, accept), -EAGAIN);
	assert_int_equal(SAN_LEASE(&f->a.own, commit), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, accept), 0);
	assert_int_equal(read_data(&f->b), 1);
	assert_int_equal(write_data(&f->b, 2), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, release), 0);
}

/* A's write is under way for a second; B takes over and writes: A's old data must not land behind it. */
static void test_fence_delayed_write(void **state)
{
	struct fix *f = *state;
	static uint8_t d[4096]; /* the request outlives the function: it ends with its device */
	static struct iovec iov;
	static struct stor_req r;

	if (kind != SAN_LABSAN)
		skip();
	both(f);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	san_ctl(&f->t, "delay ms=1000 lun=0 class=write count=1");
	memset(d, 'A', sizeof d);
	iov = (struct iovec){d, sector};
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(&f->a.own, &r);
	san_turn_ms(f->loop, 100);
	assert_int_equal(SAN_LEASE(&f->b.own, take_over, permit_now(f, &f->b), false), 0);
	assert_int_equal(write_data(&f->b, 'B'), 0);
	san_turn_ms(f->loop, 1300);
	assert_int_equal(read_data(&f->b), 'B');
	SAN_UNTIL(f->loop, f->a.own.lost == STOR_LOST_TAKEN);
	assert_false(f->a.own.answered);
}

/* The session dies with a write under way, and the target lets it land late: the retry and what follows win. */
static void test_own_stale_write(void **state)
{
	struct fix *f = *state;
	uint8_t d[4096];
	struct iovec iov = {d, sector};
	struct stor_req r;

	if (kind != SAN_LABSAN)
		skip();
	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	san_ctl(&f->t, "delay ms=1200 lun=0 class=write count=1");
	memset(d, 1, sizeof d);
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(&f->a.own, &r);
	san_turn_ms(f->loop, 50);
	san_ctl(&f->t, "drop all");
	assert_int_equal(san_wait(&f->a.own), 0);
	assert_int_equal(write_data(&f->a, 2), 0);
	san_turn_ms(f->loop, 1400);
	assert_int_equal(read_data(&f->a), 2);
	assert_int_equal(f->a.own.lost, STOR_LOST_NONE);
}

static void test_target_restart(void **state)
{
	NOT_ON_FILE();
	struct fix *f = *state;
	uint8_t d[4096];
	struct iovec iov = {d, sector};
	struct stor_req r;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 7), 0);
	san_kill9(&f->t);
	memset(d, 8, sizeof d);
	stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
	san_submit(f->a.data, &r);
	san_turn_ms(f->loop, 300);
	san_restart(&f->t);
	assert_int_equal(san_wait(f->a.data), 0);
	assert_int_equal(read_data(&f->a), 8);
	f->a.own.renewals = 0;
	SAN_UNTIL(f->loop, f->a.own.renewals > 1);
	assert_int_equal(block_now(f, &f->a).epoch, 1);
}

/* The SAN is away for longer than the lease: the vCPUs must stop, and may go on when nobody took the VM. */
static void test_expire_and_return(void **state)
{
	NOT_ON_FILE();
	struct fix *f = *state;

	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	san_kill9(&f->t);
	SAN_UNTIL(f->loop, f->a.own.lost == STOR_LOST_EXPIRED);
	assert_int_equal(stor_lease_valid_until(f->a.own.lease), 0);
	san_restart(&f->t);
	SAN_UNTIL(f->loop, f->a.own.lost == STOR_LOST_NONE);
	assert_true(stor_lease_valid_until(f->a.own.lease) > cm_now_ns());
	assert_int_equal(write_data(&f->a, 3), 0);
}

struct proof {
	struct fen_proof *p;
	int rc;
	bool done;
	char words[CM_ERR_TEXT];
};

static void on_proof(struct fen_proof *p, const struct cm_err *err, void *arg)
{
	struct proof *x = arg;

	x->p = p;
	x->rc = err ? err->code : 0;
	snprintf(x->words, sizeof x->words, "%s", err ? err->text : "");
	x->done = true;
}

/* In a child: owns the VM and writes its data again and again while it may. Exit 42: lost it, as it should. */
static int owner_child(struct fix *f, int ready_fd)
{
	struct party p = {0};
	int pid = fork();
	int value = 0;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	f->loop = cm_loop_new(NULL);
	party_open(f, &p, "node-a", 1);
	if (SAN_LEASE(&p.own, acquire))
		_exit(1);
	while (p.own.lost == STOR_LOST_NONE || p.own.lost == STOR_LOST_EXPIRED) {
		uint8_t d[4096];
		struct iovec iov = {d, sector};
		struct stor_req r;

		if (cm_now_ns() >= stor_lease_valid_until(p.own.lease)) { /* as a vCPU does */
			cm_loop_turn(f->loop, 20);
			continue;
		}
		memset(d, 100 + value++ % 50, sizeof d);
		stor_req_writev(&r, DATA, &iov, 1, NULL, NULL);
		p.data->answered = false;
		san_submit(p.data, &r);
		while (!p.data->answered && (p.own.lost == STOR_LOST_NONE || p.own.lost == STOR_LOST_EXPIRED))
			cm_loop_turn(f->loop, 20);
		if (value == 1 && write(ready_fd, "r", 1) != 1)
			_exit(2);
		if (!p.data->answered)
			_exit(42); /* lost with a write that never went through */
		usleep(1000);
	}
	_exit(42);
}

/*
 * Frozen for longer than the lease: others take over with proof (d); when it wakes, nothing of it lands. Nobody can be
 * shut out of a file: there hvwatchdogd has killed it by then (STOR_KILL < STOR_DEAD), and so does this test.
 */
static void test_frozen_owner(void **state)
{
	struct fix *f = *state;
	struct cm_loop *loop = f->loop;
	struct proof x = {0};
	int pipefd[2], pid, status;
	char c;

	assert_int_equal(pipe(pipefd), 0);
	pid = owner_child(f, pipefd[1]);
	f->loop = loop;
	assert_int_equal(read(pipefd[0], &c, 1), 1);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	assert_non_null(fen_shut_out_start(f->b.own.dev, BLOCK, on_proof, &x, NULL));
	SAN_UNTIL(f->loop, x.done);
	if (!x.p)
		fail_msg("no proof: %s", x.words);
	if (kind == SAN_FILE) {
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	fen_take_over(f->b.own.lease, x.p, false, san_answer, &f->b.own);
	assert_int_equal(san_wait(&f->b.own), 0);
	assert_int_equal(write_data(&f->b, 'B'), 0);
	if (kind != SAN_FILE) {
		kill(pid, SIGCONT);
		SAN_UNTIL(f->loop, waitpid(pid, &status, WNOHANG) == pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 42);
	}
	assert_int_equal(read_data(&f->b), 'B');
	assert_int_equal(f->b.own.lost, STOR_LOST_NONE);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* The same, but it is alive: no proof. */
static void test_living_owner(void **state)
{
	struct fix *f = *state;
	struct proof x = {0};

	both(f);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_non_null(fen_shut_out_start(f->b.own.dev, BLOCK, on_proof, &x, NULL));
	SAN_UNTIL(f->loop, x.done);
	assert_null(x.p);
	assert_int_equal(x.rc, CM_E_LEASE_HELD);
	assert_int_equal(f->a.own.lost, STOR_LOST_NONE);
}

/* Cut off from the SAN, taken over, and back: ends as one who has lost. */
static void test_cut_off(void **state)
{
	NOT_ON_FILE();
	struct fix *f = *state;
	struct proof x = {0};
	int port, real = f->t.port, wire = san_wire(&f->t, &port);

	f->t.port = port; /* a reaches the target by a wire of its own */
	party_open(f, &f->a, "node-a", 1);
	f->t.port = real;
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 'A'), 0);
	san_wire_cut(wire, true);
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	assert_non_null(fen_shut_out_start(f->b.own.dev, BLOCK, on_proof, &x, NULL));
	SAN_UNTIL(f->loop, x.done);
	if (!x.p)
		fail_msg("no proof: %s", x.words);
	assert_int_equal(f->a.own.lost, STOR_LOST_EXPIRED); /* it stopped before anybody could take over */
	fen_take_over(f->b.own.lease, x.p, false, san_answer, &f->b.own);
	assert_int_equal(san_wait(&f->b.own), 0);
	assert_int_equal(write_data(&f->b, 'B'), 0);
	san_wire_cut(wire, false);
	SAN_UNTIL(f->loop, f->a.own.lost == STOR_LOST_TAKEN);
	assert_int_equal(read_data(&f->b), 'B');
	san_wire_end(wire);
}

/* One of two paths is cut in the middle of I/O: the other one carries on, after a full admission. */
static void test_two_paths(void **state)
{
	NOT_ON_FILE();
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 5, .io_timeout_ms = T_MS, .isid = 5};
	struct stor_dev_status st;
	struct san_host h;
	uint8_t d[4096] = {9};
	char url[256];
	int port, wire = san_wire(&f->t, &port);

	snprintf(url, sizeof url, "iscsi://127.0.0.1:%d,127.0.0.1:%d/%s/%d", port, f->t.port, SAN_IQN,
		 kind == SAN_TGT ? 1 : 0);
	assert_int_equal(san_open(&h, f->loop, url, &o), 0);
	for (unsigned i = 0; i < 50; i++) {
		d[0] = (uint8_t)i;
		if (i == 20)
			san_wire_cut(wire, true);
		assert_int_equal(san_rw(&h, true, DATA, d, sector, 0), 0);
		assert_int_equal(san_rw(&h, false, DATA, d, sector, 0), 0);
		assert_int_equal(d[0], i);
	}
	stor_dev_get_status(h.dev, &st);
	assert_int_equal(st.reconnects, 1);
	assert_non_null(strchr(st.path, ':'));
	assert_int_equal(atoi(strrchr(st.path, ':') + 1), f->t.port);
	san_wire_end(wire);
	san_close(&h);
}

/* The next compare and write has no clear end. Guarded by a lock LUN: the WRITE that stands for it. */
static void lose_caw(struct fix *f, unsigned k)
{
	static const char *const how[] = {"drop-after", "drop-before", "lose", "0b/47/03"};
	static const char *const file[] = {"file_caw_after_write=error:5@1", "file_caw_before_write=error:5@1"};

	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "error what=%s class=%s lun=%d count=1", how[k], joined ? "write" : "caw",
			joined);
	else
		assert_int_equal(cm_fault_arm(kind == SAN_FILE ? file[k % 2] : "iscsi_guard_write=error:5@1",
					      NULL), 0);
}

/* The answer of a COMPARE AND WRITE is lost, in every way that there is, at every operation. */
static void test_unknown_caw(void **state)
{
	struct fix *f = *state;
	struct stor_owner d;

	for (unsigned k = 0; k < 4; k++) {
		uint64_t epoch;

#define LOSE() lose_caw(f, k)
		both(f);
		LOSE();
		assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
		epoch = block_now(f, &f->a).epoch;
		LOSE();
		stor_lease_self(f->b.own.lease, &d);
		assert_int_equal(SAN_LEASE(&f->a.own, intent, &d), 0);
		assert_string_equal(block_now(f, &f->a).peer.node, "node-b");
		LOSE();
		assert_int_equal(SAN_LEASE(&f->a.own, resume), 0);
		assert_string_equal(block_now(f, &f->a).peer.node, "");
		stor_lease_self(f->b.own.lease, &d);
		assert_int_equal(SAN_LEASE(&f->a.own, intent, &d), 0);
		LOSE();
		assert_int_equal(SAN_LEASE(&f->a.own, commit), 0);
		assert_int_equal(block_now(f, &f->b).epoch, epoch + 1);
		LOSE();
		assert_int_equal(SAN_LEASE(&f->b.own, accept), 0);
		LOSE();
		assert_int_equal(SAN_LEASE(&f->b.own, release), 0);
		assert_int_equal(block_now(f, &f->b).state, STOR_BLOCK_FREE);
		if (kind == SAN_LABSAN)
			san_ctl(&f->t, "clear");
		cm_fault_arm("", NULL);
		party_close(&f->a);
		party_close(&f->b);
	}
}

static void test_attention_storm(void **state)
{
	struct fix *f = *state;
	static const char *const ua[] = {"29/00", "29/03", "2A/03", "2A/04", "3F/0E", "2A/01", "2A/09"};

	if (kind != SAN_LABSAN)
		skip();
	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	for (unsigned i = 0; i < 140; i++) {
		san_ctl(&f->t, "attention all %s", ua[i % CM_ARRAY_LEN(ua)]);
		assert_int_equal(write_data(&f->a, (int)(i & 0x7f)), 0);
		assert_int_equal(read_data(&f->a), (int)(i & 0x7f));
	}
	assert_int_equal(f->a.own.lost, STOR_LOST_NONE);
}

/* Four processes count in one sector by compare and write: nothing is lost. */
static void count_child(struct fix *f, unsigned k, unsigned rounds)
{
	struct stor_dev_opts o = {.host_slot = (uint16_t)(10 + k), .isid = 10 + k, .guarded = kind == SAN_TGT,
				  .io_timeout_ms = 3000};
	uint8_t old[512], new[512];
	struct san_host h;
	char url[256];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	f->loop = cm_loop_new(NULL);
	san_url(&f->t, 1, NULL, url, sizeof url);
	if (san_open(&h, f->loop, url, &o))
		_exit(1);
	for (unsigned i = 0; i < rounds;) {
		int rc;

		if (san_rw(&h, false, 0, old, 512, 0))
			_exit(2);
		memcpy(new, old, 512);
		(*(uint32_t *)(void *)new)++;
		rc = san_caw(&h, 0, old, new);
		if (rc && rc != CM_E_LEASE_MISCOMPARE) {
			fprintf(stderr, "compare and write: %s; %s\n", cm_err_name(rc), h.words);
			_exit(3);
		}
		i += !rc;
	}
	san_close(&h);
	_exit(0);
}

static void test_counter(void **state)
{
	struct fix *f = *state;
	unsigned rounds = kind == SAN_TGT ? 25 : 250;
	struct san_host h;
	uint8_t d[512];
	char url[256];
	int pid[4], status;

	for (unsigned k = 0; k < 4; k++) {
		pid[k] = fork();
		if (!pid[k])
			count_child(f, k, rounds);
	}
	for (unsigned k = 0; k < 4; k++) {
		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
	san_url(&f->t, 1, NULL, url, sizeof url);
	assert_int_equal(san_open(&h, f->loop, url, NULL), 0);
	assert_int_equal(san_rw(&h, false, 0, d, 512, 0), 0);
	assert_int_equal(*(uint32_t *)(void *)d, 4 * rounds);
	san_close(&h);
}

int main(int argc, char **argv)
{
#define T(t)	  cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)
#define SLOPPY(t) cmocka_unit_test_setup_teardown(t, setup_sloppy, fix_teardown)
	const struct CMUnitTest tests[] = {
		T(test_own_and_move),	  T(test_fence_delayed_write), SLOPPY(test_own_stale_write),
		T(test_own_stale_write),  T(test_target_restart),      T(test_expire_and_return),
		T(test_frozen_owner),	  T(test_living_owner),	       T(test_cut_off),
		T(test_two_paths),	  T(test_unknown_caw),	       T(test_attention_storm),
		T(test_counter),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
