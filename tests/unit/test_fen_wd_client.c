/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fen_wd_client.c - the client of hvwatchdogd against a daemon that the test plays: what level it claims when, and that
 * it connects again and says its last word again.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"
#include "fencing/fen_wd_client.h"

#define T_MS 400u

struct fix {
	struct cm_loop *loop;
	struct fen_wd_client c;
	char dir[64], path[96];
	int listener, fd;
	unsigned changes;
	enum stor_watchdog last;
};

static void on_changed(struct fen_wd_client *c, enum stor_watchdog level, void *arg)
{
	struct fix *f = arg;

	assert_ptr_equal(c, &f->c);
	assert_int_not_equal(level, f->last);
	f->last = level;
	f->changes++;
}

static void daemon_begins(struct fix *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memcpy(a.sun_path, f->path, strlen(f->path));
	f->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(f->listener, 4), 0);
}

static void daemon_accepts(struct fix *f)
{
	while ((f->fd = accept(f->listener, NULL, NULL)) < 0)
		cm_loop_turn(f->loop, 10);
}

static void daemon_ends(struct fix *f)
{
	if (f->fd >= 0)
		close(f->fd);
	close(f->listener);
	unlink(f->path);
	f->fd = f->listener = -1;
}

/* The next word of that type. */
static struct fen_wd_msg hears(struct fix *f, enum fen_wd_type type)
{
	struct fen_wd_msg m;

	for (;;) {
		while (fen_wd_recv(f->fd, &m))
			cm_loop_turn(f->loop, 10);
		if (m.type == type)
			return m;
	}
}

static void answers(struct fix *f, enum fen_wd_type type, uint32_t reset_ms)
{
	struct fen_wd_msg m = {.type = type, .reset_ms = reset_ms};

	assert_int_equal(fen_wd_send(f->fd, &m), 0);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/hv-test-wdc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/sock", f->dir);
	f->listener = f->fd = -1;
	f->loop = cm_loop_new(NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	fen_wd_client_fini(&f->c);
	cm_loop_free(f->loop);
	daemon_ends(f);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Who listens is not there yet: only an answer counts; and the level is that of the device. */
static void test_only_answers_count(void **state)
{
	struct fix *f = *state;

	fen_wd_client_init(&f->c, f->loop, f->path, T_MS, on_changed, f);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	assert_non_null(strstr(f->c.why, f->path));
	daemon_begins(f);
	daemon_accepts(f);
	hears(f, FEN_WD_HELLO);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	answers(f, FEN_WD_HELLO, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
	assert_string_equal(f->c.why, "");
	assert_int_equal(f->changes, 1);
	hears(f, FEN_WD_HELLO); /* it asks again now and then */
	answers(f, FEN_WD_HELLO, STOR_RESET(T_MS));
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_HARD);
	hears(f, FEN_WD_HELLO);
	answers(f, FEN_WD_HELLO, STOR_RESET(T_MS) + 1); /* too slow */
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
	assert_int_equal(f->changes, 3);
}

/* It listens and does not answer, as one that is frozen: not for long. Then it does. */
static void test_silent(void **state)
{
	struct fix *f = *state;
	uint64_t begin;

	daemon_begins(f);
	fen_wd_client_init(&f->c, f->loop, f->path, T_MS, on_changed, f);
	daemon_accepts(f);
	hears(f, FEN_WD_HELLO);
	answers(f, FEN_WD_HELLO, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
	begin = cm_now_ns();
	fen_wd_client_until(&f->c, begin + CM_NS_PER_S);
	while (f->last == STOR_WATCHDOG_SOFT) /* it is told, without being asked */
		cm_loop_turn(f->loop, 10);
	assert_int_equal(f->last, STOR_WATCHDOG_NONE);
	assert_true(cm_now_ns() - begin >= FEN_WD_LOOKS * STOR_STOP(T_MS) / 2 * CM_NS_PER_MS);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	hears(f, FEN_WD_ALIVE);
	answers(f, FEN_WD_ALIVE, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
}

/* It goes and comes: the last word is said again, without being asked. */
static void test_comes_back(void **state)
{
	struct fix *f = *state;
	uint64_t until_ns = cm_now_ns() + 9 * CM_NS_PER_S;

	daemon_begins(f);
	fen_wd_client_init(&f->c, f->loop, f->path, T_MS, on_changed, f);
	daemon_accepts(f);
	answers(f, FEN_WD_HELLO, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
	fen_wd_client_until(&f->c, until_ns);
	assert_true(hears(f, FEN_WD_ALIVE).until_ns == until_ns);
	answers(f, FEN_WD_ALIVE, 0);
	daemon_ends(f);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	fen_wd_client_until(&f->c, ++until_ns); /* nobody hears it */
	for (unsigned i = 0; i < 20; i++)
		cm_loop_turn(f->loop, 10);
	daemon_begins(f);
	daemon_accepts(f);
	assert_true(hears(f, FEN_WD_ALIVE).until_ns == until_ns);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	answers(f, FEN_WD_ALIVE, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
	fen_wd_client_until(&f->c, 0);
	hears(f, FEN_WD_BYE);
	answers(f, FEN_WD_ERROR, 0); /* another release */
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	assert_non_null(strstr(f->c.why, "release"));
}

/* It refuses: its table is full, or it is of another release. Asked again and again, but not without a pause. */
static void test_refused(void **state)
{
	struct fix *f = *state;

	daemon_begins(f);
	fen_wd_client_init(&f->c, f->loop, f->path, T_MS, on_changed, f);
	for (char how = 'a'; how <= 'b'; how++) {
		uint64_t end = cm_now_ns() + 2 * T_MS * CM_NS_PER_MS;
		unsigned n = 0;

		while (cm_now_ns() < end) {
			cm_loop_turn(f->loop, 1);
			f->fd = accept(f->listener, NULL, NULL);
			if (f->fd < 0)
				continue;
			n++;
			if (how == 'b')
				answers(f, FEN_WD_ERROR, 0);
			close(f->fd);
		}
		assert_in_range(n, 0, 2 * T_MS / STOR_RECONNECT_MIN(T_MS));
	}
	f->fd = -1;
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_NONE);
	daemon_accepts(f); /* it has not given up */
	hears(f, FEN_WD_HELLO);
	answers(f, FEN_WD_HELLO, 0);
	assert_int_equal(fen_wd_client_level(&f->c), STOR_WATCHDOG_SOFT);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_only_answers_count), T(test_silent), T(test_comes_back), T(test_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
