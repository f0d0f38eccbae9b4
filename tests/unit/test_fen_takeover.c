/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_takeover.c - a takeover with evidence, on a file: about the block's owner or refused, and left alone by whoever
 * ends it, at every stage.
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

#include "common/cm_log.h"
#include "fencing/fen_takeover.h"
#include "sharedstorage/stor_open.h"

#define PATIENT_MS 10000u

struct world {
	struct cm_loop *loop;
	char path[64];
	struct stor_uuid vm, boot;
	struct stor_dev *dev;
	struct stor_lease *lease;
	bool up, done, gone;
	int rc;
};

static void on_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	struct world *w = arg;

	(void)dev;
	(void)err;
	w->up |= ev == STOR_EVENT_READY;
}

static void on_lost(struct stor_lease *l, enum stor_lost why, void *arg)
{
	(void)l;
	(void)why;
	(void)arg;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost};

static void on_done(struct stor_lease *l, int rc, const struct cm_err *err, void *arg)
{
	struct world *w = arg;

	assert_ptr_equal(l, w->lease);
	assert_int_equal(rc, err->code);
	w->rc = rc;
	w->done = true;
}

static void on_gone(void *arg)
{
	*(bool *)arg = true;
}

static void turn_until(struct world *w, const bool *flag)
{
	while (!*flag)
		cm_loop_turn(w->loop, 1000);
}

static void world_open(struct world *w, const char *node)
{
	struct stor_dev_opts o = {.gated = true, .event = on_event, .event_arg = w};
	struct stor_lease_cfg cfg = {
		.vm = w->vm, .node = node, .io_timeout_ms = PATIENT_MS, .label = node, .ops = &lease_ops};
	char url[96];

	snprintf(url, sizeof url, "file:%s", w->path);
	w->up = false;
	w->dev = stor_dev_open(w->loop, url, &o, NULL);
	assert_non_null(w->dev);
	turn_until(w, &w->up);
	cfg.dev = w->dev;
	w->lease = stor_lease_new(&cfg, NULL);
	assert_non_null(w->lease);
}

/* As hvcore ends: the lease first, and its memory is gone before the device answers what is under way. */
static void world_close(struct world *w)
{
	w->gone = false;
	stor_lease_close(w->lease, on_gone, &w->gone);
	turn_until(w, &w->gone);
	w->lease = NULL;
	w->gone = false;
	stor_dev_close(w->dev, on_gone, &w->gone);
	turn_until(w, &w->gone);
}

/* node1 owns the block (epoch 1) and is gone; node2 has a lease of its own. */
static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	int fd;

	strcpy(w->path, "/tmp/test_fen.XXXXXX");
	fd = mkstemp(w->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	w->loop = cm_loop_new(NULL);
	stor_uuid_random(&w->vm);
	assert_int_equal(stor_boot_id(&w->boot), 0);
	world_open(w, "node1");
	stor_lease_acquire(w->lease, on_done, w);
	turn_until(w, &w->done);
	assert_int_equal(w->rc, 0);
	world_close(w);
	world_open(w, "node2");
	w->done = false;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->lease)
		world_close(w);
	cm_loop_free(w->loop);
	unlink(w->path);
	free(w);
	return 0;
}

static struct fen_takeover *start(struct world *w, const char *evidence, const struct stor_uuid *boot, uint64_t epoch)
{
	struct fen_takeover_cfg cfg = {
		.lease = w->lease, .dev = w->dev, .evidence = evidence, .boot = *boot, .epoch = epoch};

	w->done = false;
	return fen_takeover_start(&cfg, on_done, w);
}

static void test_about_the_owner(void **state)
{
	struct world *w = *state;
	struct stor_uuid other, none = {{0}};

	stor_uuid_random(&other);
	start(w, "powered-off node1 off 50 60", &w->boot, 2); /* of another life of the VM */
	turn_until(w, &w->done);
	assert_int_equal(w->rc, CM_E_LEASE_NO_PROOF);
	start(w, "powered-off node1 off 50 60", &other, 1); /* of another life of the node */
	turn_until(w, &w->done);
	assert_int_equal(w->rc, CM_E_LEASE_NO_PROOF);
	start(w, "powered-off node3 off 50 60", &none, 1);
	turn_until(w, &w->done);
	assert_int_equal(w->rc, CM_E_LEASE_NO_PROOF);
	start(w, "powered-off node1 off 50 60", &w->boot, 1);
	turn_until(w, &w->done);
	assert_int_equal(w->rc, 0);
	assert_int_equal(stor_lease_epoch(w->lease), 2);
}

static void test_ended_at_the_look(void **state)
{
	struct world *w = *state;

	fen_takeover_cancel(start(w, "powered-off node1 off 50 60", &w->boot, 1));
	world_close(w);
	assert_false(w->done);
}

static void test_ended_while_it_watches(void **state)
{
	struct world *w = *state;
	struct fen_takeover *t = start(w, "watch node1", &w->boot, 1);

	for (unsigned i = 0; i < 20; i++) /* the watch begins, or does not yet: both are right */
		cm_loop_turn(w->loop, 1);
	fen_takeover_cancel(t);
	world_close(w);
	assert_false(w->done);
}

static void test_ended_with_the_lease_at_work(void **state)
{
	struct world *w = *state;
	struct fen_takeover *t = start(w, "powered-off node1 off 50 60", &w->boot, 1);

	while (strcmp(stor_lease_state_name(w->lease), "IDLE") == 0)
		cm_loop_turn(w->loop, 1000);
	assert_false(w->done);
	fen_takeover_cancel(t);
	world_close(w);
	assert_false(w->done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_about_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_at_the_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_while_it_watches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_with_the_lease_at_work, setup, teardown),
	};

	cm_log_set_level(CM_LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
