/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_shut_out.c - proof (d), the visibly expired lease, on a file; and a takeover with it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "sharedstorage/stor_open.h"

struct world {
	struct cm_loop *loop;
	struct stor_dev *dev[2];
	struct stor_lease *lease[2];
	unsigned ready;
	int rc[2], shut_rc;
	bool done[2], shut_done;
	struct fen_proof *proof;
	bool late; /* the owner did not renew in time: it, and we, did not get the CPU */
};

static void on_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
		     void *arg)
{
	struct world *w = arg;

	(void)dev;
	(void)err;
	if (ev == STOR_EVENT_READY)
		w->ready++;
}

static void on_lost(struct stor_lease *l, enum stor_lost why, void *arg)
{
	struct world *w = arg;

	(void)l;
	(void)why;
	w->late = true;
}

static void on_renewed(struct stor_lease *l, uint64_t until_ns, void *arg)
{
	(void)l;
	(void)until_ns;
	(void)arg;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed};

static void on_done0(struct stor_lease *l, int rc, const struct cm_err *err, void *arg)
{
	struct world *w = arg;

	(void)l;
	(void)err;
	w->rc[0] = rc;
	w->done[0] = true;
}

static void on_done1(struct stor_lease *l, int rc, const struct cm_err *err, void *arg)
{
	struct world *w = arg;

	(void)l;
	(void)err;
	w->rc[1] = rc;
	w->done[1] = true;
}

static void on_shut(struct fen_proof *p, const struct cm_err *err, void *arg)
{
	struct world *w = arg;

	w->proof = p;
	w->late |= w->lease[0] && stor_lease_valid_until(w->lease[0]) <= cm_now_ns();
	w->shut_rc = err->code;
	w->shut_done = true;
}

static void on_gone(void *arg)
{
	(*(unsigned *)arg)++;
}

static void lease_make(struct world *w, unsigned i, const char *url, const struct stor_uuid *vm,
		       const char *node)
{
	struct stor_dev_opts o = {.gated = true,
				  .io_timeout_ms = 100,
				  .event = on_event,
				  .event_arg = w,
				  .exclusive_create = true,
				  .size_bytes = 1 << 20};
	struct stor_lease_cfg cfg = {.vm = *vm,
				     .node = node,
				     .io_timeout_ms = 100,
				     .label = node,
				     .ops = &lease_ops,
				     .arg = w};

	w->dev[i] = stor_dev_open(w->loop, url, &o, NULL);
	assert_non_null(w->dev[i]);
	while (w->ready <= i)
		cm_loop_turn(w->loop, 10);
	cfg.dev = w->dev[i];
	w->lease[i] = stor_lease_new(&cfg, NULL);
	assert_non_null(w->lease[i]);
}

static void test_shut_out(void **state)
{
	char path[] = "/tmp/test_fen.XXXXXX", url[64];
	struct world w;
	struct stor_uuid vm;
	unsigned gone = 0;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	snprintf(url, sizeof url, "file:%s", path);
	memset(&w, 0, sizeof w);
	w.loop = cm_loop_new(NULL);
	stor_uuid_random(&vm);
	lease_make(&w, 0, url, &vm, "node1");
	lease_make(&w, 1, url, &vm, "node2");
	stor_lease_acquire(w.lease[0], on_done0, &w);
	while (!w.done[0])
		cm_loop_turn(w.loop, 10);
	assert_int_equal(w.rc[0], 0);

	/* While the owner renews there is no proof. One for an owner who was late is right, and says nothing: once more. */
	do {
		fen_proof_free(w.proof);
		w.proof = NULL;
		w.shut_done = w.late = false;
		assert_non_null(fen_shut_out_start(w.dev[1], 0, on_shut, &w, NULL));
		while (!w.shut_done)
			cm_loop_turn(w.loop, 10);
	} while (w.shut_rc == 0 && w.late);
	assert_int_equal(w.shut_rc, CM_E_LEASE_HELD);
	assert_null(w.proof);

	/* The owner vanishes without a release: after STOR_DEAD there is one, and the takeover
	 * succeeds. */
	stor_lease_close(w.lease[0], on_gone, &gone);
	w.lease[0] = NULL;
	stor_dev_close(w.dev[0], on_gone, &gone);
	while (gone < 2)
		cm_loop_turn(w.loop, 10);
	w.shut_done = false;
	assert_non_null(fen_shut_out_start(w.dev[1], 0, on_shut, &w, NULL));
	while (!w.shut_done)
		cm_loop_turn(w.loop, 10);
	assert_int_equal(w.shut_rc, 0);
	assert_non_null(w.proof);
	fen_take_over(w.lease[1], w.proof, false, on_done1, &w);
	while (!w.done[1])
		cm_loop_turn(w.loop, 10);
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(stor_lease_epoch(w.lease[1]), 2);
	stor_lease_close(w.lease[1], on_gone, &gone);
	stor_dev_close(w.dev[1], on_gone, &gone);
	while (gone < 4)
		cm_loop_turn(w.loop, 10);
	cm_loop_free(w.loop);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shut_out),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
