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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"

struct fix {
	char dir[64], sock[96], dev[96], table[112];
	int pid, fifo;
	uid_t uid;	/* of hvwatchdogd; 0: ours */
	unsigned files; /* that hvwatchdogd starts with at most; 0: as we have it */
};

static int launch(struct fix *f)
{
	const char *bin = getenv("HVWATCHDOGD");
	int pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (f->files) {
			struct rlimit r;

			getrlimit(RLIMIT_NOFILE, &r);
			r.rlim_cur = f->files;
			setrlimit(RLIMIT_NOFILE, &r);
		}
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		if (f->uid && setresuid(f->uid, f->uid, f->uid))
			_exit(125);
		execl(bin ? bin : "./hvwatchdogd", "hvwatchdogd", "--socket", f->sock, "--test-device", f->dev,
		      "--timeout", "1", "--grace", "300", NULL);
		_exit(127);
	}
	return pid;
}

static void start(struct fix *f)
{
	struct stat st;

	unlink(f->sock);
	f->pid = launch(f);
	while (stat(f->sock, &st))
		usleep(1000);
}

/* How it ends. */
static void end(struct fix *f, int sig)
{
	kill(f->pid, sig);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/hv-test-wd-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->sock, sizeof f->sock, "%s/sock", f->dir);
	snprintf(f->table, sizeof f->table, "%s.table", f->sock);
	snprintf(f->dev, sizeof f->dev, "%s/watchdog", f->dir);
	assert_int_equal(mkfifo(f->dev, 0600), 0);
	f->fifo = open(f->dev, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	start(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (f->pid)
		end(f, SIGTERM);
	close(f->fifo);
	unlink(f->sock);
	unlink(f->table);
	unlink(f->dev);
	assert_int_equal(rmdir(f->dir), 0);
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

static int say(int fd, enum fen_wd_type type, uint64_t ms)
{
	struct fen_wd_msg m = {.type = type, .until_ns = type == FEN_WD_ALIVE ? cm_now_ns() + ms * CM_NS_PER_MS : 0};

	return fen_wd_send(fd, &m);
}

/* Waits for an answer. */
static struct fen_wd_msg answer(int fd)
{
	struct fen_wd_msg m = {.type = FEN_WD_NONE};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, -1) < 0)
		;
	if (fen_wd_recv(fd, &m))
		m.type = FEN_WD_NONE;
	return m;
}

static bool tell(int fd, enum fen_wd_type type, uint64_t ms)
{
	return say(fd, type, ms) == 0 && answer(fd).type == type;
}

/* A client that lives until ms from now; action: what it does afterwards. */
static int client(struct fix *f, unsigned ms, char action)
{
	int pid = fork(), fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = connect_wd(f);
	if (!tell(fd, FEN_WD_ALIVE, ms))
		_exit(3);
	switch (action) {
	case 'S':
		raise(SIGSTOP);
		_exit(4); /* it must never get here */
	case 'C': /* closes and lives on */
		close(fd);
		break;
	case 'B':
		if (!tell(fd, FEN_WD_BYE, 0))
			_exit(5);
		usleep(ms * 2000);
		_exit(0);
	case 'R': /* renews in time */
		for (int i = 0; i < 7; i++) { /* two lives */
			usleep(ms * 300);
			if (!tell(fd, FEN_WD_ALIVE, ms))
				_exit(6);
		}
		if (!tell(fd, FEN_WD_BYE, 0))
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
	end(f, SIGTERM);
	fed(f, &last);
	assert_int_equal(last, 'V'); /* disarmed: nobody was watched */
	assert_int_not_equal(access(f->table, F_OK), 0);
}

/* With a watched process alive it does not disarm, and says what it can do. */
static void test_stays_armed(void **state)
{
	struct fix *f = *state;
	int fd = connect_wd(f);
	struct fen_wd_msg m;
	char last = 'x';

	assert_int_equal(say(fd, FEN_WD_HELLO, 0), 0);
	m = answer(fd);
	assert_int_equal(m.type, FEN_WD_HELLO);
	assert_int_equal(m.reset_ms, 1000 + 300); /* its time-out and the grace */
	assert_true(tell(fd, FEN_WD_ALIVE, 60000));
	end(f, SIGTERM);
	fed(f, &last);
	assert_int_not_equal(last, 'V');
	close(fd);
}

static void test_bad_messages(void **state)
{
	struct fix *f = *state;
	int fd = connect_wd(f);
	uint8_t m[64] = {0};

	assert_int_equal(send(fd, m, 1, 0), 1);
	assert_int_equal(answer(fd).type, FEN_WD_ERROR);
	assert_int_equal(say(fd, FEN_WD_ALIVE, 2 * FEN_WD_MAX_NS / CM_NS_PER_MS), 0);
	assert_int_equal(answer(fd).type, FEN_WD_ERROR);
	close(fd);
}

static void wait_stopped(int pid)
{
	int status;

	do
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	while (!WIFSTOPPED(status));
}

/* The table: rows of until, pid and start behind 48 bytes. Waits until pid has one; its place. */
static long row_of(struct fix *f, int pid)
{
	uint64_t row[3];
	int fd = open(f->table, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (unsigned i = 0;; i = (i + 1) % 1024) {
		long at = 48 + (long)(i * sizeof row);

		if (pread(fd, row, sizeof row, at) == sizeof row && row[0] && row[1] == (uint64_t)pid) {
			close(fd);
			return at;
		}
		if (!i)
			usleep(1000);
	}
}

/* It is killed without a word, and comes back: what it had promised holds, also for who cannot connect again. */
static void test_comes_back(void **state)
{
	struct fix *f = *state;
	int frozen = client(f, 60000, 'S'), other = client(f, 60000, 'C'), gone = client(f, 60000, 'C'), status, fd;
	uint64_t soon = cm_now_ns();
	long at;

	at = row_of(f, frozen);
	wait_stopped(frozen);
	row_of(f, other);
	row_of(f, gone);
	end(f, SIGKILL);
	kill(gone, SIGKILL);
	end_of(gone);
	assert_int_equal(waitpid(frozen, &status, WNOHANG), 0);
	fd = open(f->table, O_RDWR | O_CLOEXEC); /* its time is over while nobody looks */
	assert_int_equal(pwrite(fd, &soon, sizeof soon, at), sizeof soon);
	close(fd);
	start(f);
	status = end_of(frozen);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* The other one is watched still: the successor knows that, and leaves it to its own. */
	end(f, SIGTERM);
	assert_int_equal(access(f->table, F_OK), 0);
	assert_int_equal(waitpid(other, &status, WNOHANG), 0);
	kill(other, SIGKILL);
	end_of(other);
	start(f);
}

/* It is started with fewer descriptors than it had promises: who was promised death does not live for want of one. */
static void test_few_descriptors(void **state)
{
	struct fix *f = *state;
	uint64_t soon = cm_now_ns(), until;
	int pids[12], status, fd;
	long at[12];

	for (unsigned i = 0; i < 12; i++) {
		pids[i] = client(f, 60000, 'S');
		at[i] = row_of(f, pids[i]);
		wait_stopped(pids[i]);
	}
	end(f, SIGKILL);
	fd = open(f->table, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(pwrite(fd, &soon, sizeof soon, at[i]), sizeof soon);
	f->files = 10;
	start(f);
	for (unsigned i = 0; i < 12; i++) {
		do { /* a row is emptied when its process has ended, and not before */
			usleep(1000);
			assert_int_equal(pread(fd, &until, sizeof until, at[i]), sizeof until);
		} while (until);
		assert_int_equal(waitpid(pids[i], &status, WNOHANG), pids[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	close(fd);
}

/* Who only has the number of a process that was watched is not killed, nor anybody by a table of another boot. */
static void test_table_of_others(void **state)
{
	struct fix *f = *state;

	for (unsigned round = 0; round < 2; round++) {
		int victim = client(f, 60000, 'C'), status, fd;
		uint64_t row[3];
		long at = row_of(f, victim);

		end(f, SIGKILL);
		fd = open(f->table, O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, row, sizeof row, at), sizeof row);
		row[0] = 1;
		row[2] += round == 0;
		assert_int_equal(pwrite(fd, row, sizeof row, at), sizeof row);
		if (round == 1)
			assert_int_equal(pwrite(fd, "x", 1, 8), 1); /* of the boot id */
		close(fd);
		start(f); /* it judges before it listens */
		usleep(20000);
		assert_int_equal(waitpid(victim, &status, WNOHANG), 0);
		kill(victim, SIGKILL);
		end_of(victim);
	}
}

/* It was late itself: what lies unread in its sockets is heard before anybody is killed. */
static void test_late_daemon(void **state)
{
	struct fix *f = *state;
	int pid, status, go[2], told[2];
	char c;

	for (char how = 'a'; how <= 'b'; how++) {
		assert_int_equal(pipe(go), 0);
		assert_int_equal(pipe(told), 0);
		pid = fork();
		if (!pid) {
			int fd;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			fd = connect_wd(f);
			if (write(told[1], "c", 1) != 1 || read(go[0], &c, 1) != 1)
				_exit(3);
			/* hvwatchdogd is stopped now */
			if (say(fd, FEN_WD_ALIVE, 50))
				_exit(4);
			if (how == 'b')
				fd = connect_wd(f); /* by a newer connection, which waits in line */
			if (say(fd, FEN_WD_ALIVE, 60000) || write(told[1], "s", 1) != 1 || read(go[0], &c, 1) != 1)
				_exit(5);
			if ((how == 'a' && answer(fd).type != FEN_WD_ALIVE) || answer(fd).type != FEN_WD_ALIVE)
				_exit(6);
			_exit(tell(fd, FEN_WD_BYE, 0) ? 0 : 7);
		}
		assert_int_equal(read(told[0], &c, 1), 1);
		kill(f->pid, SIGSTOP);
		wait_stopped(f->pid);
		assert_int_equal(write(go[1], "g", 1), 1);
		assert_int_equal(read(told[0], &c, 1), 1);
		usleep(60000); /* the first word's time is over for sure */
		kill(f->pid, SIGCONT);
		usleep(20000);
		assert_int_equal(write(go[1], "g", 1), 1);
		status = end_of(pid);
		assert_int_equal(status, 0);
		close(go[0]);
		close(go[1]);
		close(told[0]);
		close(told[1]);
	}
}

/* A process that has connected again is judged by what it says there. */
static void test_newest_connection(void **state)
{
	struct fix *f = *state;
	int pid = fork(), status;

	if (!pid) {
		int old = connect_wd(f), new = connect_wd(f);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Whatever was said by the old one, also by one that is closed. */
		if (!tell(old, FEN_WD_ALIVE, 300) || !tell(new, FEN_WD_ALIVE, 60000))
			_exit(3);
		if (say(old, FEN_WD_ALIVE, 1))
			_exit(4);
		usleep(50000); /* time to be killed in */
		if (!tell(new, FEN_WD_BYE, 0))
			_exit(5);
		close(old);
		usleep(400000);
		_exit(tell(new, FEN_WD_HELLO, 0) ? 0 : 6);
	}
	status = end_of(pid);
	assert_int_equal(status, 0);
}

/*
 * It was stopped when it had to kill, and whom it kills then does not die: what counts for who waits is the promised
 * instant and the grace after it, so the device gets nothing more. (Its tracer holds the victim at its exit.)
 */
static void test_late_and_in_vain(void **state)
{
	struct fix *f = *state;
	int pid = client(f, 60000, 'S'), fd = connect_wd(f), status, dev;
	uint64_t soon = cm_now_ns();
	char last;

	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT), 0);
	dev = open(f->table, O_RDWR | O_CLOEXEC);
	/* Its successor has the promise, and is stopped before it can be kept. */
	soon += 3000 * CM_NS_PER_MS;
	assert_int_equal(pwrite(dev, &soon, sizeof soon, row_of(f, pid)), sizeof soon);
	close(dev);
	close(fd);
	end(f, SIGKILL);
	start(f);
	fd = connect_wd(f);
	kill(f->pid, SIGSTOP);
	wait_stopped(f->pid);
	while (cm_now_ns() < soon + 300 * CM_NS_PER_MS)
		usleep(1000);
	fed(f, &last);
	kill(f->pid, SIGCONT);
	do
		assert_int_equal(say(fd, FEN_WD_HELLO, 0), 0);
	while (answer(fd).reset_ms); /* until it says that it gave up */
	assert_int_equal(fed(f, &last), 0);
	close(fd);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	do
		assert_int_equal(waitpid(pid, &status, __WALL), pid);
	while (!WIFSIGNALED(status) && (ptrace(PTRACE_CONT, pid, NULL, NULL), true));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* One process takes all the connections that it gets. Others are heard all the same. */
static void test_greedy(void **state)
{
	struct fix *f = *state;
	int told[2], pid, fd;
	char c;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (!pid) {
		struct rlimit r;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		getrlimit(RLIMIT_NOFILE, &r);
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		for (unsigned i = 0; i < 1100; i++)
			connect_wd(f);
		if (write(told[1], "c", 1) != 1)
			_exit(3);
		for (;;)
			pause();
	}
	assert_int_equal(read(told[0], &c, 1), 1);
	fd = connect_wd(f);
	assert_true(tell(fd, FEN_WD_HELLO, 0));
	close(fd);
	kill(pid, SIGKILL);
	end_of(pid);
	close(told[0]);
	close(told[1]);
}

/* It may not kill us: then it does not say that it will. */
static void test_no_right_to_kill(void **state)
{
	struct fix *f = *state;
	int fd;

	if (geteuid())
		skip();
	end(f, SIGTERM);
	assert_int_equal(chown(f->dir, 65534, 65534), 0);
	assert_int_equal(chown(f->dev, 65534, 65534), 0);
	f->uid = 65534;
	start(f);
	fd = connect_wd(f);
	assert_false(tell(fd, FEN_WD_ALIVE, 60000));
	close(fd);
}

/* A second one, started by mistake: it knows the promises of now and hears no later ones. It has to leave. */
static void test_second_daemon(void **state)
{
	struct fix *f = *state;
	int fd = connect_wd(f), first = f->pid, status;
	struct fen_wd_msg m;

	assert_true(tell(fd, FEN_WD_ALIVE, 60000));
	f->pid = launch(f);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	f->pid = first;
	assert_int_equal(say(fd, FEN_WD_HELLO, 0), 0);
	m = answer(fd);
	assert_int_equal(m.type, FEN_WD_HELLO);
	close(fd);
	fd = connect_wd(f); /* its socket is there, too */
	assert_true(tell(fd, FEN_WD_BYE, 0));
	close(fd);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_kills), T(test_spares), T(test_feeds), T(test_stays_armed),
					   T(test_bad_messages), T(test_comes_back), T(test_table_of_others), T(test_few_descriptors), T(test_second_daemon), T(test_no_right_to_kill), T(test_greedy), T(test_late_and_in_vain),
					   T(test_late_daemon), T(test_newest_connection)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
