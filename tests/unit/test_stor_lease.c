/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_lease.c - ownership blocks on the file backend: every operation, the races between two owners,
 * unknown outcomes, expiry, and the completeness of the machine's table.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease.h"
#include "sharedstorage/lease/stor_lease_int.h"
#include "sharedstorage/stor_open.h"

/*
 * The io_timeout: short where a test waits for renewals or an expiry. An owner with a short one who does not get the CPU for
 * 400 ms expires, as he must, and then comes back: these tests allow for it. All others have time.
 */
#define QUICK_MS   100u
#define PATIENT_MS 10000u

struct party {
	struct stor_dev *dev;
	struct stor_lease *lease;
	int rc;
	bool answered, dev_up, dev_gone, lease_gone;
	char words[CM_ERR_TEXT];
	unsigned renewals;
	enum stor_lost lost;
	uint64_t until; /* of the last renewal */
};

struct world {
	struct cm_loop *loop;
	char path[64];
	struct party a, b;
	struct stor_uuid vm;
};

static void turn_until(struct world *w, const bool *flag)
{
	while (!*flag)
		cm_loop_turn(w->loop, 1000);
}

static void on_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		     void *arg)
{
	struct party *p = arg;

	(void)dev;
	(void)err;
	if (event == STOR_EVENT_READY)
		p->dev_up = true;
}

static void on_lost(struct stor_lease *l, enum stor_lost reason, void *arg)
{
	struct party *p = arg;

	(void)l;
	p->lost = reason;
	if (reason == STOR_LOST_EXPIRED)
		assert_true(cm_now_ns() >= p->until);
}

static void on_renewed(struct stor_lease *l, uint64_t until, void *arg)
{
	struct party *p = arg;

	assert_int_equal(until, stor_lease_valid_until(l));
	p->until = until;
	p->renewals++;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed};

static void party_open(struct world *w, struct party *p, const char *node, unsigned io_timeout_ms)
{
	struct cm_err err = CM_ERR_INIT;
	struct stor_dev_opts opts = {.gated = true, .event = on_event, .event_arg = p};
	char url[96];
	struct stor_lease_cfg cfg;

	snprintf(url, sizeof url, "file:%s", w->path);
	p->dev = stor_dev_open(w->loop, url, &opts, &err);
	assert_non_null(p->dev);
	turn_until(w, &p->dev_up);
	cfg = (struct stor_lease_cfg){.dev = p->dev,
				      .offset_bytes = 1024,
				      .vm = w->vm,
				      .node = node,
				      .io_timeout_ms = io_timeout_ms,
				      .label = node,
				      .ops = &lease_ops,
				      .arg = p};
	p->lease = stor_lease_new(&cfg, &err);
	assert_non_null(p->lease);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void party_close(struct world *w, struct party *p)
{
	if (p->lease) {
		stor_lease_close(p->lease, set_flag, &p->lease_gone);
		turn_until(w, &p->lease_gone);
	}
	stor_dev_close(p->dev, set_flag, &p->dev_gone);
	turn_until(w, &p->dev_gone);
	p->lease = NULL;
}

static void answered(struct stor_lease *l, int rc, const struct cm_err *err, void *arg)
{
	struct party *p = arg;

	(void)l;
	p->rc = rc;
	p->answered = true;
	snprintf(p->words, sizeof p->words, "%s", err->text);
}

static int wait_answer(struct world *w, struct party *p)
{
	turn_until(w, &p->answered);
	p->answered = false;
	return p->rc;
}

#define DO(w, p, call, ...) (stor_lease_##call((p)->lease, ##__VA_ARGS__, answered, p), wait_answer(w, p))

static int setup_with(void **state, unsigned io_timeout_ms)
{
	struct world *w = calloc(1, sizeof *w);
	int fd;

	cm_log_set_level(CM_LOG_NONE);
	w->loop = cm_loop_new(NULL);
	snprintf(w->path, sizeof w->path, "/tmp/hv-test-lease-XXXXXX");
	fd = mkstemp(w->path);
	assert_true(fd >= 0 && !ftruncate(fd, 65536));
	close(fd);
	stor_uuid_random(&w->vm);
	party_open(w, &w->a, "node-a", io_timeout_ms);
	party_open(w, &w->b, "node-b", PATIENT_MS);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, PATIENT_MS);
}

static int setup_quick(void **state)
{
	return setup_with(state, QUICK_MS);
}

static int teardown(void **state)
{
	struct world *w = *state;

	cm_fault_arm("", NULL);
	party_close(w, &w->a);
	party_close(w, &w->b);
	cm_loop_free(w->loop);
	unlink(w->path);
	free(w);
	return 0;
}

static struct stor_block block_now(struct world *w)
{
	uint8_t raw[512];
	struct stor_block b;
	int fd = open(w->path, O_RDONLY);

	assert_int_equal(pread(fd, raw, sizeof raw, 1024), 512);
	close(fd);
	assert_int_equal(stor_block_decode(raw, 512, &b), 0);
	return b;
}

static void test_acquire_release(void **state)
{
	struct world *w = *state;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	assert_true(w->a.renewals >= 1);
	assert_true(stor_lease_valid_until(w->a.lease) > cm_now_ns());
	assert_int_equal(DO(w, &w->b, acquire), CM_E_LEASE_HELD);
	assert_non_null(strstr(w->b.words, "node-a"));
	assert_int_equal(DO(w, &w->a, release), 0);
	assert_int_equal(stor_lease_valid_until(w->a.lease), 0);
	assert_int_equal(DO(w, &w->b, acquire), 0);
	assert_int_equal(block_now(w).epoch, 2);
	assert_int_equal(DO(w, &w->a, acquire), CM_E_LEASE_LOST); /* a lease is used once */
}

static void test_renews(void **state)
{
	struct world *w = *state;
	uint64_t first;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	first = block_now(w).renewal;
	do { /* four in a row */
		w->a.renewals = 0;
		w->a.lost = STOR_LOST_NONE;
		while (w->a.renewals < 4 && w->a.lost == STOR_LOST_NONE)
			cm_loop_turn(w->loop, 1000);
	} while (w->a.lost == STOR_LOST_EXPIRED);
	assert_true(block_now(w).renewal > first);
	assert_int_equal(w->a.lost, STOR_LOST_NONE);
}

static void move(struct world *w)
{
	struct stor_owner d;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	stor_lease_self(w->b.lease, &d);
	assert_int_equal(DO(w, &w->b, accept), CM_E_LEASE_HELD); /* no intent */
	assert_int_equal(DO(w, &w->a, intent, &d), 0);
	assert_string_equal(block_now(w).peer.node, "node-b");
	assert_int_equal(DO(w, &w->b, accept), -EAGAIN);
}

static void test_hand_over(void **state)
{
	struct world *w = *state;

	move(w);
	assert_int_equal(DO(w, &w->a, commit), 0);
	assert_int_equal(stor_lease_valid_until(w->a.lease), 0);
	assert_int_equal(DO(w, &w->b, accept), 0);
	assert_true(stor_lease_valid_until(w->b.lease) > cm_now_ns());
	assert_int_equal(DO(w, &w->a, resume), CM_E_LEASE_LOST);
	assert_string_equal(block_now(w).owner.node, "node-b");
	assert_int_equal(block_now(w).epoch, 2);
}

static void test_resume_clears_intent(void **state)
{
	struct world *w = *state;

	move(w);
	assert_int_equal(DO(w, &w->a, resume), 0);
	assert_string_equal(block_now(w).peer.node, "");
	assert_int_equal(DO(w, &w->b, accept), CM_E_LEASE_HELD);
	/* Rule 3: no commit without the intent. */
	assert_int_equal(DO(w, &w->a, commit), CM_E_LEASE_MISCOMPARE);
	assert_int_equal(DO(w, &w->a, resume), 0);
}

static void test_decline(void **state)
{
	struct world *w = *state;

	move(w);
	assert_int_equal(DO(w, &w->b, decline), 0);
	assert_string_equal(block_now(w).peer.node, "");
	assert_int_equal(DO(w, &w->a, commit), CM_E_LEASE_MISCOMPARE);
	assert_int_equal(DO(w, &w->a, resume), 0);
	assert_true(stor_lease_valid_until(w->a.lease) > cm_now_ns());
	assert_int_equal(DO(w, &w->b, decline), 0); /* again: nothing to do */
}

static void test_decline_after_commit(void **state)
{
	struct world *w = *state;

	move(w);
	assert_int_equal(DO(w, &w->a, commit), 0);
	assert_int_equal(DO(w, &w->b, decline), -EALREADY);
	assert_int_equal(DO(w, &w->b, accept), 0);
}

static struct stor_permit *permit_now(struct world *w, bool exact)
{
	struct stor_block b = block_now(w);

	return stor_permit_new(&b, exact, "test");
}

static void test_take_over(void **state)
{
	struct world *w = *state;
	struct stor_permit *stale;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	stale = permit_now(w, true);
	while (w->a.renewals < 3)
		cm_loop_turn(w->loop, 1000);
	/* An exact permit is void after a renewal. */
	assert_int_equal(DO(w, &w->b, take_over, stale, false), CM_E_LEASE_NO_PROOF);
	assert_int_equal(DO(w, &w->b, take_over, permit_now(w, false), true), CM_E_LEASE_NO_PROOF);
	assert_int_equal(DO(w, &w->b, take_over, permit_now(w, false), false), 0);
	while (w->a.lost != STOR_LOST_TAKEN)
		cm_loop_turn(w->loop, 1000);
	assert_int_equal(stor_lease_valid_until(w->a.lease), 0);
	assert_string_equal(block_now(w).owner.node, "node-b");
	assert_string_equal(stor_lease_state_name(w->a.lease), "GONE");
}

static void test_take_over_with_intent(void **state)
{
	struct world *w = *state;

	move(w);
	assert_int_equal(DO(w, &w->b, take_over, permit_now(w, false), true), 0);
	assert_int_equal(DO(w, &w->a, commit), CM_E_LEASE_LOST);
}

/* The write happens but its answer is lost: the block is read back, nothing is done twice. */
static void test_unknown_outcome(void **state)
{
	struct world *w = *state;
	static const char *const faults[] = {"file_caw_after_write=error:5@1",
					     "file_caw_before_write=error:5@1"};

	for (unsigned i = 0; i < 2; i++) {
		struct stor_owner d;

		cm_fault_arm(faults[i], NULL);
		if (!i)
			assert_int_equal(DO(w, &w->a, acquire), 0);
		assert_int_equal(block_now(w).epoch, 1);
		stor_lease_self(w->b.lease, &d);
		cm_fault_arm(faults[i], NULL);
		assert_int_equal(DO(w, &w->a, intent, &d), 0);
		assert_string_equal(block_now(w).peer.node, "node-b");
		cm_fault_arm(faults[i], NULL);
		assert_int_equal(DO(w, &w->a, resume), 0);
		assert_string_equal(block_now(w).peer.node, "");
	}
	assert_int_equal(w->a.lost, STOR_LOST_NONE);
}

static void test_unknown_commit(void **state)
{
	struct world *w = *state;

	move(w);
	cm_fault_arm("file_caw_after_write=error:5@1", NULL);
	assert_int_equal(DO(w, &w->a, commit), 0);
	assert_int_equal(block_now(w).epoch, 2);
	assert_int_equal(DO(w, &w->b, accept), 0);
}

/* No write succeeds any more: the vCPUs must stop; when it works again, nobody took it: run on. */
static void test_expires_and_comes_back(void **state)
{
	struct world *w = *state;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	cm_fault_arm("file_caw_before_write=error:5", NULL);
	while (w->a.lost == STOR_LOST_NONE)
		cm_loop_turn(w->loop, 1000);
	assert_int_equal(w->a.lost, STOR_LOST_EXPIRED);
	assert_int_equal(stor_lease_valid_until(w->a.lease), 0);
	w->a.renewals = 0;
	cm_fault_arm("", NULL);
	while (!w->a.renewals || stor_lease_valid_until(w->a.lease) <= cm_now_ns())
		cm_loop_turn(w->loop, 1000);
}

static void test_expired_and_taken(void **state)
{
	struct world *w = *state;

	assert_int_equal(DO(w, &w->a, acquire), 0);
	cm_fault_arm("lease_write=error:5", NULL); /* only owners' writes, and takers' */
	while (w->a.lost == STOR_LOST_NONE)
		cm_loop_turn(w->loop, 1000);
	cm_fault_arm("", NULL);
	stor_lease_take_over(w->b.lease, permit_now(w, false), false, answered, &w->b);
	assert_int_equal(wait_answer(w, &w->b), 0);
	while (w->a.lost != STOR_LOST_TAKEN)
		cm_loop_turn(w->loop, 1000);
}

static void test_busy_and_misuse(void **state)
{
	struct world *w = *state;
	struct stor_owner d;

	assert_int_equal(DO(w, &w->a, release), -EINVAL);
	stor_lease_acquire(w->a.lease, answered, &w->a);
	stor_lease_acquire(w->a.lease, answered, &w->b);
	assert_int_equal(wait_answer(w, &w->b), -EBUSY);
	assert_int_equal(wait_answer(w, &w->a), 0);
	assert_int_equal(DO(w, &w->a, acquire), -EINVAL);
	stor_lease_self(w->b.lease, &d);
	stor_lease_intent(w->a.lease, &d, answered, &w->a);
	stor_lease_cancel(w->a.lease);
	assert_int_equal(wait_answer(w, &w->a), -ECANCELED);
}

/* Ordinary I/O waits for the lease, and never flows again after ownership is lost. */
static void io_done(struct stor_req *req, int rc)
{
	struct party *p = req->arg;

	p->rc = rc;
	p->answered = true;
}

static void test_gate(void **state)
{
	struct world *w = *state;
	struct stor_req req;
	char data[512] = "guest data";
	struct iovec iov = {data, sizeof data};

	stor_req_writev(&req, 8192, &iov, 1, io_done, &w->b);
	stor_dev_submit(w->a.dev, &req);
	cm_loop_turn(w->loop, 50);
	assert_false(w->b.answered);
	assert_int_equal(DO(w, &w->a, acquire), 0);
	assert_int_equal(wait_answer(w, &w->b), 0);
	assert_int_equal(DO(w, &w->b, take_over, permit_now(w, false), false), 0);
	while (w->a.lost != STOR_LOST_TAKEN)
		cm_loop_turn(w->loop, 1000);
	stor_dev_submit(w->a.dev, &req);
	cm_loop_turn(w->loop, 50);
	assert_false(w->b.answered);
	stor_dev_cancel(w->a.dev, &req);
	assert_int_equal(wait_answer(w, &w->b), -ECANCELED);
}

/* The pause before the next try: short, and never so long that the permit would run out in it. */
static void test_pause(void **state)
{
	(void)state;
	for (uint32_t t = STOR_IO_TIMEOUT_MIN_MS; t <= STOR_IO_TIMEOUT_MAX_MS; t += 100) {
		uint64_t usual = STOR_OBSERVE(t) * CM_NS_PER_MS, now = 1000 * CM_NS_PER_S;

		for (uint64_t left = 1; left <= STOR_FAIL(t) * CM_NS_PER_MS; left = 3 * left + 1)
			for (unsigned doubted = 0; doubted < 2; doubted++) {
				uint64_t pause = stor__lease_pause_ns(now, now + left, doubted, t);

				assert_true(pause <= usual && pause <= left / 2);
				assert_true(pause == usual || pause == left / 2);
			}
		/* with no permit left: a doubt, which costs a login, is not to be had as often */
		assert_int_equal(stor__lease_pause_ns(now, 0, false, t), usual);
		assert_int_equal(stor__lease_pause_ns(now, now - 1, false, t), usual);
		assert_true(stor__lease_pause_ns(now, now, true, t) > usual);
		assert_true(stor__lease_pause_ns(now, now, true, t) < STOR_FAIL(t) * CM_NS_PER_MS);
	}
}

static void test_table_is_full(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	if (cm_fsm_check(stor_lease_fsm(), &err))
		fail_msg("%s", err.text);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define Q(t) cmocka_unit_test_setup_teardown(t, setup_quick, teardown)
	const struct CMUnitTest tests[] = {
		T(test_acquire_release), Q(test_renews), T(test_hand_over), T(test_resume_clears_intent),
		T(test_decline), T(test_decline_after_commit), Q(test_take_over),
		T(test_take_over_with_intent), T(test_busy_and_misuse), Q(test_gate),
		cmocka_unit_test(test_pause), cmocka_unit_test(test_table_is_full),
	};
	const struct CMUnitTest faults[] = {
		T(test_unknown_outcome), T(test_unknown_commit), Q(test_expires_and_comes_back),
		Q(test_expired_and_taken),
	};
	int bad = cmocka_run_group_tests(tests, NULL, NULL);

#ifdef HV_FAULT_POINTS
	bad += cmocka_run_group_tests(faults, NULL, NULL);
#else
	(void)faults;
	puts("fault points are not built in: 4 tests left out");
#endif
	return bad;
}
