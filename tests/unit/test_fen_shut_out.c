/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_shut_out.c - proof (d), the visibly expired lease, on a file; and a takeover with it.
 */
#include "config.h"

#include <errno.h>
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
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/stor_open.h"

struct world {
	struct cm_loop *loop;
	struct stor_dev *dev[2];
	struct stor_lease *lease[2];
	unsigned ready;
	int rc[2], shut_rc;
	bool done[2], shut_done, read;
	int level;
	char words[CM_ERR_TEXT];
	struct fen_proof *proof;
	enum stor_watchdog watchdog; /* of the owner */
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

static enum stor_watchdog on_watchdog(void *arg)
{
	return ((struct world *)arg)->watchdog;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed, .watchdog = on_watchdog};

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
	snprintf(w->words, sizeof w->words, "%s", err->text);
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

static void world_open(struct world *w, char *path, enum stor_watchdog watchdog)
{
	char url[64];
	struct stor_uuid vm;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	snprintf(url, sizeof url, "file:%s", path);
	*w = (struct world){.loop = cm_loop_new(NULL), .watchdog = watchdog};
	stor_uuid_random(&vm);
	lease_make(w, 0, url, &vm, "node1");
	lease_make(w, 1, url, &vm, "node2");
	stor_lease_acquire(w->lease[0], on_done0, w);
	while (!w->done[0])
		cm_loop_turn(w->loop, 10);
	assert_int_equal(w->rc[0], 0);
}

static void close_host(struct world *w, unsigned i)
{
	unsigned gone = 0;

	stor_lease_close(w->lease[i], on_gone, &gone);
	w->lease[i] = NULL;
	stor_dev_close(w->dev[i], on_gone, &gone);
	while (gone < 2)
		cm_loop_turn(w->loop, 10);
}

static int shut_out(struct world *w)
{
	w->shut_done = w->late = false;
	w->proof = NULL;
	assert_non_null(fen_shut_out_start(w->dev[1], 0, on_shut, w, NULL));
	while (!w->shut_done)
		cm_loop_turn(w->loop, 10);
	return w->shut_rc;
}

static void world_close(struct world *w, const char *path)
{
	close_host(w, 1);
	cm_loop_free(w->loop);
	unlink(path);
}

static void test_shut_out(void **state)
{
	char path[] = "/tmp/test_fen.XXXXXX";
	struct world w;

	(void)state;
	world_open(&w, path, STOR_WATCHDOG_SOFT);
	/* While the owner renews there is no proof. One for an owner who was late is right, and says nothing: once more. */
	do
		fen_proof_free(w.proof);
	while (shut_out(&w) == 0 && w.late);
	assert_int_equal(w.shut_rc, CM_E_LEASE_HELD);
	assert_null(w.proof);

	/* The owner vanishes without a release: after its time there is one, and the takeover
	 * succeeds. */
	close_host(&w, 0);
	assert_int_equal(shut_out(&w), 0);
	assert_non_null(w.proof);
	fen_take_over(w.lease[1], w.proof, false, on_done1, &w);
	while (!w.done[1])
		cm_loop_turn(w.loop, 10);
	assert_int_equal(w.rc[1], 0);
	assert_int_equal(stor_lease_epoch(w.lease[1]), 2);
	world_close(&w, path);
}

/* The wait is that of the level which stood in the block; and nothing ends an owner without one. */
static void test_levels(void **state)
{
	char path[] = "/tmp/test_fen.XXXXXX";
	struct world w;
	uint64_t begin;

	(void)state;
	world_open(&w, path, STOR_WATCHDOG_HARD);
	close_host(&w, 0);
	begin = cm_now_ns();
	assert_int_equal(shut_out(&w), 0);
	assert_true(cm_now_ns() - begin >= STOR_DEAD_WATCHDOG(100) * CM_NS_PER_MS);
	/* It goes on without a watchdog, and vanishes, too. */
	w.watchdog = STOR_WATCHDOG_NONE;
	fen_take_over(w.lease[1], w.proof, false, on_done1, &w);
	while (!w.done[1])
		cm_loop_turn(w.loop, 10);
	assert_int_equal(w.rc[1], 0);
	stor_lease_close(w.lease[1], NULL, NULL);
	w.lease[1] = NULL;
	begin = cm_now_ns();
	assert_int_equal(shut_out(&w), CM_E_LEASE_NO_PROOF);
	assert_true(cm_now_ns() - begin >= STOR_DEAD(100) * CM_NS_PER_MS);
	assert_null(w.proof);
	assert_non_null(strstr(w.words, "hvwatchdogd"));
	assert_non_null(strstr(w.words, "node2"));
	stor_dev_close(w.dev[1], NULL, NULL);
	cm_loop_free(w.loop);
	unlink(path);
}

/* The level follows what is true at each renewal, and a free block has none. */
static void on_read(int rc, const struct stor_block *b, void *arg)
{
	struct world *w = arg;

	w->level = rc || b->state != STOR_BLOCK_RUNNING ? -1 : b->owner.watchdog;
	w->read = true;
}

static int level_of(struct world *w)
{
	w->read = false;
	stor_block_read(w->dev[1], 0, on_read, w);
	while (!w->read)
		cm_loop_turn(w->loop, 10);
	return w->level;
}

static void test_level_follows(void **state)
{
	static const enum stor_watchdog levels[] = {STOR_WATCHDOG_SOFT, STOR_WATCHDOG_NONE, STOR_WATCHDOG_HARD};
	char path[] = "/tmp/test_fen.XXXXXX";
	struct world w;

	(void)state;
	world_open(&w, path, STOR_WATCHDOG_NONE);
	assert_int_equal(level_of(&w), STOR_WATCHDOG_NONE);
	for (unsigned i = 0; i < CM_ARRAY_LEN(levels); i++) {
		w.watchdog = levels[i];
		while (level_of(&w) != (int)levels[i])
			cm_loop_turn(w.loop, 10);
	}
	w.done[0] = false;
	stor_lease_release(w.lease[0], on_done0, &w);
	while (!w.done[0])
		cm_loop_turn(w.loop, 10);
	assert_int_equal(level_of(&w), -1);
	assert_int_equal(shut_out(&w), -ENODATA); /* no owner: nothing to prove, and no refusal */
	close_host(&w, 0);
	world_close(&w, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shut_out),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_level_follows),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
