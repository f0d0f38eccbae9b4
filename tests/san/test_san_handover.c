/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_handover.c - hand-overs of a VM from host to host: many in a row, and with either end
 * killed at each of its steps. Arguments: see sanparty.h.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "fencing/fen_proof.h"
#include "tests/san/sanparty.h"

/* Rounds of hand-over between ever new processes' worth of leases. */
static void test_many_moves(void **state)
{
	struct fix *f = *state;
	unsigned rounds = kind == SAN_TGT ? 60 : 200;
	struct party *from = &f->a, *to = &f->b;

	party_open(f, from, "node-a", 1);
	assert_int_equal(SAN_LEASE(&from->own, acquire), 0);
	for (unsigned i = 0; i < rounds; i++) {
		struct stor_owner d;
		struct party *old = from;

		party_open(f, to, i % 2 ? "node-a" : "node-b", (uint16_t)(i % 2 ? 1 : 2));
		/* registered at both ends before the commit */
		party_enters(f, to);
		stor_lease_self(to->own.lease, &d);
		assert_int_equal(SAN_LEASE(&from->own, intent, &d), 0);
		assert_int_equal(write_data(from, (int)(i & 0x7f)), 0);
		assert_int_equal(SAN_LEASE(&from->own, commit), 0);
		assert_int_equal(SAN_LEASE(&to->own, accept), 0);
		assert_int_equal(read_data(to), (int)(i & 0x7f));
		assert_int_equal(block_now(f, to).epoch, i + 2);
		party_close(old);
		from = to;
		to = old;
	}
}

/* The peer's end of a hand-over: dies where the fault says, or does not. */
struct child {
	int pid, in, out; /* pipes: to it, and from it */
};

/* In the child, f->loop is its own; in the parent the loop is as it was. */
static struct child child_begin(struct fix *f)
{
	int to[2], from[2];
	struct child c;

	assert_int_equal(pipe(to) | pipe(from), 0);
	c.pid = fork();
	if (!c.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		f->loop = cm_loop_new(NULL);
		c.in = to[0];
		c.out = from[1];
		close(to[1]);
		close(from[0]);
		return c;
	}
	c.in = to[1];
	c.out = from[0];
	close(to[0]);
	close(from[1]);
	return c;
}

static void child_end(struct fix *f, struct child *c)
{
	int status;

	SAN_UNTIL(f->loop, waitpid(c->pid, &status, WNOHANG) == c->pid);
	close(c->in);
	close(c->out);
}

static void take(int fd, void *p, size_t n)
{
	if (read(fd, p, n) != (ssize_t)n)
		_exit(9);
}

static void give(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		_exit(9);
}

/* The source dies at one of its writes. The destination, or whoever starts the VM anew, goes on
 * with the data. */
static void crash_source(struct fix *f, const char *fault)
{
	struct stor_owner d;
	struct stor_block b;
	struct child c = child_begin(f);
	char go = 0;
	int rc;

	if (!c.pid) {
		struct party p = {0};

		party_open(f, &p, "node-a", 1);
		if (SAN_LEASE(&p.own, acquire) || write_data(&p, 'A'))
			_exit(1);
		give(c.out, &go, 1);
		take(c.in, &d, sizeof d);
		cm_fault_arm(fault, NULL);
		if (SAN_LEASE(&p.own, intent, &d) || SAN_LEASE(&p.own, commit))
			_exit(3);
		_exit(0);
	}
	party_open(f, &f->b, "node-b", 2);
	party_enters(f, &f->b);
	take(c.out, &go, 1);
	stor_lease_self(f->b.own.lease, &d);
	give(c.in, &d, sizeof d);
	child_end(f, &c);
	rc = SAN_LEASE(&f->b.own, accept);
	b = block_now(f, &f->b);
	if (rc == 0) {
		assert_string_equal(b.owner.node, "node-b");
	} else if (rc == -EAGAIN) { /* the intent stands: with proof that the source is dead, run on
				       with the memory */
		struct fen_reaped r = {
			.node = "node-a", .pid = (uint32_t)c.pid, .boot = b.owner.boot};
		struct fen_proof *proof = NULL;
		struct cm_err err = CM_ERR_INIT;

		assert_string_equal(b.peer.node, "node-b");
		if (fen_proof_reaped(&b, &r, &proof, &err))
			fail_msg("%s", err.text);
		fen_take_over(f->b.own.lease, proof, true, san_answer, &f->b.own);
		assert_int_equal(san_wait(&f->b.own), 0);
	} else { /* no intent: only a cold start, never with this memory */
		assert_int_equal(rc, CM_E_LEASE_HELD);
		assert_string_equal(b.peer.node, "");
		assert_int_equal(SAN_LEASE(&f->b.own, take_over, permit_now(f, &f->b), true),
				 CM_E_LEASE_NO_PROOF);
		assert_int_equal(SAN_LEASE(&f->b.own, take_over, permit_now(f, &f->b), false), 0);
	}
	assert_int_equal(read_data(&f->b), 'A');
	assert_int_equal(write_data(&f->b, 'B'), 0);
	assert_int_equal(SAN_LEASE(&f->b.own, release), 0);
	party_close(&f->b);
}

/*
 * The destination dies: before the commit (NULL) the source takes its intent back and runs on;
 * behind it, at one of the destination's first writes, only a proof brings the VM back, and never
 * on the source's old term.
 */
static void crash_destination(struct fix *f, const char *fault)
{
	struct stor_owner d;
	struct child c = child_begin(f);
	char go = 0;

	if (!c.pid) {
		struct party p = {0};

		party_open(f, &p, "node-b", 2);
		party_enters(f, &p);
		stor_lease_self(p.own.lease, &d);
		give(c.out, &d, sizeof d);
		take(c.in, &go, 1);
		if (!fault)
			raise(SIGKILL);
		cm_fault_arm(fault, NULL);
		if (SAN_LEASE(&p.own, accept) || write_data(&p, 'D'))
			_exit(3);
		SAN_UNTIL(f->loop, p.own.renewals > 3);
		_exit(0);
	}
	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(write_data(&f->a, 'A'), 0);
	take(c.out, &d, sizeof d);
	assert_int_equal(SAN_LEASE(&f->a.own, intent, &d), 0);
	if (!fault) {
		give(c.in, &go, 1);
		child_end(f, &c);
		assert_int_equal(SAN_LEASE(&f->a.own, resume), 0);
		assert_int_equal(write_data(&f->a, 'a'), 0);
		assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
		party_close(&f->a);
		return;
	}
	assert_int_equal(SAN_LEASE(&f->a.own, commit), 0);
	give(c.in, &go, 1);
	child_end(f, &c);
	assert_int_equal(SAN_LEASE(&f->a.own, resume), CM_E_LEASE_LOST);
	party_close(&f->a);
	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), CM_E_LEASE_HELD);
	assert_string_equal(block_now(f, &f->a).owner.node, "node-b");
	assert_int_equal(SAN_LEASE(&f->a.own, take_over, permit_now(f, &f->a), false), 0);
	assert_true(read_data(&f->a) == 'A' || read_data(&f->a) == 'D');
	assert_int_equal(write_data(&f->a, 'a'), 0);
	assert_int_equal(SAN_LEASE(&f->a.own, release), 0);
	party_close(&f->a);
}

/* Each end, each of its writes, before and behind it: 200 hand-overs where the target is quick. */
static void test_crash_at_each_step(void **state)
{
	struct fix *f = *state;
	static const char *const source[] = {"lease_write=kill@1", "lease_written=kill@1",
					     "lease_write=kill@2", "lease_written=kill@2",
					     "lease_write=kill@3", "iscsi_registered=kill@1"};
	static const char *const destination[] = {NULL, "lease_write=kill@1",
						  "lease_written=kill@1", "lease_write=kill@2"};
	unsigned rounds = kind == SAN_LABSAN && !joined && sector == 512 ? 20 : 3;

#ifndef HV_FAULT_POINTS
	skip();
#endif
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned k = 0; k < CM_ARRAY_LEN(source); k++)
			crash_source(f, source[k]);
		for (unsigned k = 0; k < CM_ARRAY_LEN(destination); k++)
			crash_destination(f, destination[k]);
	}
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {T(test_many_moves), T(test_crash_at_each_step)};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
