/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hvwatchdogd.c - hvwatchdogd with a fake device: it kills who outlives his time, stopped processes too, spares all
 * others, and starves the device only when somebody does not die.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"

struct fix {
	char dir[64], sock[96], dev[96];
	int pid, fifo;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	const char *bin = getenv("HVWATCHDOGD");
	struct stat st;

	strcpy(f->dir, "/tmp/hv-test-wd-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->sock, sizeof f->sock, "%s/sock", f->dir);
	snprintf(f->dev, sizeof f->dev, "%s/watchdog", f->dir);
	assert_int_equal(mkfifo(f->dev, 0600), 0);
	f->fifo = open(f->dev, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	f->pid = fork();
	if (!f->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execl(bin ? bin : "./hvwatchdogd", "hvwatchdogd", "--socket", f->sock, "--device", f->dev,
		      "--timeout", "1", "--grace", "300", NULL);
		_exit(127);
	}
	while (stat(f->sock, &st))
		usleep(1000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->pid) {
		kill(f->pid, SIGTERM);
		waitpid(f->pid, NULL, 0);
	}
	close(f->fifo);
	unlink(f->sock);
	unlink(f->dev);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int connect_wd(struct fix *f)
{
	int fd = -1;

	while ((fd = fen_wd_connect(f->sock, NULL)) < 0)
		usleep(1000);
	return fd;
}

/* A client that lives until ms from now; action: what it does afterwards. */
static int client(struct fix *f, unsigned ms, char action)
{
	int pid = fork(), fd;
	uint8_t m[FEN_WD_MESSAGE];

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = connect_wd(f);
	fen_wd_encode(FEN_WD_ALIVE, cm_now_ns() + ms * CM_NS_PER_MS, m);
	if (send(fd, m, sizeof m, 0) != (ssize_t)sizeof m || recv(fd, m, sizeof m, 0) != (ssize_t)sizeof m)
		_exit(3);
	switch (action) {
	case 'S':
		raise(SIGSTOP);
		_exit(4); /* it must never get here */
	case 'C': /* closes and lives on */
		close(fd);
		break;
	case 'B':
		if (fen_wd_bye(fd))
			_exit(5);
		usleep(ms * 2000);
		_exit(0);
	case 'R': /* renews in time */
		for (int i = 0; i < 7; i++) { /* two lives */
			usleep(ms * 300);
			if (fen_wd_alive(fd, cm_now_ns() + ms * CM_NS_PER_MS))
				_exit(6);
		}
		if (fen_wd_bye(fd))
			_exit(7);
		_exit(0);
	default:
		break;
	}
	for (;;)
		pause();
}

static int end_of(int pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_kills(void **state)
{
	struct fix *f = *state;
	int hang = client(f, 200, 0), stopped = client(f, 200, 'S'), closed = client(f, 200, 'C');
	int status;

	status = end_of(hang);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = end_of(stopped);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = end_of(closed);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_spares(void **state)
{
	struct fix *f = *state;
	int bye, renews;

	/* Who is late is killed, and should be: on a busy machine only a longer life is lived in time. Who is killed for nothing
	 * is killed in each of them. */
	for (unsigned ms = 1500; ms <= 24000; ms *= 2) {
		int pids[2] = {client(f, ms, 'B'), client(f, ms, 'R')};

		bye = end_of(pids[0]);
		renews = end_of(pids[1]);
		if (!WIFSIGNALED(bye) && !WIFSIGNALED(renews))
			break;
	}
	assert_int_equal(bye, 0);
	assert_int_equal(renews, 0);
}

static unsigned fed(struct fix *f, char *last)
{
	char buf[256];
	ssize_t n;
	unsigned sum = 0;

	while ((n = read(f->fifo, buf, sizeof buf)) > 0) {
		sum += (unsigned)n;
		*last = buf[n - 1];
	}
	return sum;
}

static void test_feeds(void **state)
{
	struct fix *f = *state;
	char last = 'x';
	unsigned n = 0;

	while (n < 3) { /* it is fed again and again */
		n += fed(f, &last);
		usleep(10000);
	}
	assert_int_equal(last, 0);
	kill(f->pid, SIGTERM);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
	fed(f, &last);
	assert_int_equal(last, 'V'); /* disarmed: nobody was watched */
}

/* With a watched process alive it does not disarm. */
static void test_stays_armed(void **state)
{
	struct fix *f = *state;
	int fd = connect_wd(f);
	uint8_t m[FEN_WD_MESSAGE];
	char last = 'x';

	fen_wd_encode(FEN_WD_ALIVE, cm_now_ns() + 60 * CM_NS_PER_S, m);
	assert_int_equal(send(fd, m, sizeof m, 0), sizeof m);
	assert_int_equal(recv(fd, m, sizeof m, 0), sizeof m);
	kill(f->pid, SIGTERM);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
	fed(f, &last);
	assert_int_not_equal(last, 'V');
	close(fd);
}

static void test_bad_messages(void **state)
{
	struct fix *f = *state;
	int fd = connect_wd(f);
	uint8_t m[64] = {0};
	enum fen_wd_type type;
	uint64_t until;

	assert_int_equal(send(fd, m, 1, 0), 1);
	assert_int_equal(recv(fd, m, sizeof m, 0), FEN_WD_MESSAGE);
	assert_int_equal(fen_wd_decode(m, FEN_WD_MESSAGE, &type, &until), 0);
	assert_int_equal(type, FEN_WD_ERROR);
	fen_wd_encode(FEN_WD_ALIVE, cm_now_ns() + 2 * FEN_WD_MAX_NS, m);
	assert_int_equal(send(fd, m, FEN_WD_MESSAGE, 0), FEN_WD_MESSAGE);
	assert_int_equal(recv(fd, m, sizeof m, 0), FEN_WD_MESSAGE);
	assert_int_equal(fen_wd_decode(m, FEN_WD_MESSAGE, &type, &until), 0);
	assert_int_equal(type, FEN_WD_ERROR);
	close(fd);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_kills), T(test_spares), T(test_feeds), T(test_stays_armed),
					   T(test_bad_messages)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
