/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * santarget.c - targets for tests, and wires to them; see santest.h. Everything that is started dies with the test
 * (PDEATHSIG), everything lies in one temporary folder that is removed.
 */
#include "config.h"

#include "tests/san/santest.h"

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0), port;

	assert_true(fd >= 0 && !bind(fd, (struct sockaddr *)&a, n));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	port = ntohs(a.sin_port);
	close(fd);
	return port;
}

/* Starts argv with its output to FILE in the folder; returns the pid. */
static int spawn(struct san_target *t, char *const argv[], bool new_group)
{
	char log[96];
	int pid, fd;

	snprintf(log, sizeof log, "%s/output", t->dir);
	pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (new_group)
		setpgid(0, 0);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execvp(argv[0], argv);
	_exit(127);
}

static int run(struct san_target *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int run(struct san_target *t, const char *fmt, ...)
{
	char cmd[1024];
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", cmd, NULL};
	int status = 0, pid;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	pid = spawn(t, argv, false);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool port_open(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a);

	close(fd);
	return ok;
}

static void labsan_exec(struct san_target *t)
{
	char portal[40], portal2[40], ctl[80], state[80], log[80];
	char *argv[32], *specs[4] = {NULL}, *words = NULL;
	const char *bin = getenv("LABSAN");
	int n = 0;

	snprintf(portal, sizeof portal, "127.0.0.1:%d", t->port);
	snprintf(portal2, sizeof portal2, "127.0.0.2:%d", t->port);
	snprintf(ctl, sizeof ctl, "%s/ctl", t->dir);
	snprintf(state, sizeof state, "%s/state", t->dir);
	snprintf(log, sizeof log, "%s/writes.jsonl", t->dir);
	unlink(ctl);
	argv[n++] = (char *)(uintptr_t)(bin ? bin : "tests/san/labsan");
	char *fixed[] = {(char *)"--portal", portal, (char *)"--portal", portal2, (char *)"--iqn",
			 (char *)SAN_IQN, (char *)"--control", ctl, (char *)"--state", state,
			 (char *)"--write-log", log};
	for (unsigned i = 0; i < CM_ARRAY_LEN(fixed); i++)
		argv[n++] = fixed[i];
	for (unsigned i = 0; i < 4 && t->luns[i]; i++) {
		assert_true(asprintf(&specs[i], "%s/%s", t->dir, t->luns[i]) > 0);
		argv[n++] = (char *)"--lun";
		argv[n++] = specs[i];
	}
	if (t->extra) {
		words = strdup(t->extra);
		for (char *w = strtok(words, " "); w && n < 31; w = strtok(NULL, " "))
			argv[n++] = w;
	}
	argv[n] = NULL;
	t->pid = spawn(t, argv, false);
	for (unsigned i = 0; i < 4; i++)
		free(specs[i]);
	free(words);
}

#define TGTADM "TGT_IPC_SOCKET=%s/tgt.sock tgtadm -C %d --lld iscsi "

/* "NAME,words,size=64M": makes the file NAME in the folder, as large as it says. */
static void make_file(struct san_target *t, const char *spec)
{
	const char *size = strstr(spec, "size=");

	while (size && size > spec && size[-1] != ',') /* not blocksize= */
		size = strstr(size + 1, "size=");
	run(t, "test -e %s/%.*s || truncate -s %.*s %s/%.*s", t->dir, (int)strcspn(spec, ","), spec,
	    size ? (int)strcspn(size + 5, ",") : 4, size ? size + 5 : "256M", t->dir,
	    (int)strcspn(spec, ","), spec);
}

static int tgt_exec(struct san_target *t)
{
	char cmd[512];
	char *argv[] = {(char *)"/bin/sh", (char *)"-c", cmd, NULL};

	snprintf(cmd, sizeof cmd,
		 "TGT_IPC_SOCKET=%s/tgt.sock exec tgtd -f -C %d -t 2 --iscsi "
		 "portal=127.0.0.1:%d,portal=127.0.0.2:%d",
		 t->dir, t->ctl, t->port, t->port);
	t->pid = spawn(t, argv, false);
	for (int i = 0; i < 200 && run(t, TGTADM "--mode sys --op show >/dev/null 2>&1", t->dir, t->ctl);
	     i++)
		usleep(20000);
	if (run(t, TGTADM "--mode target --op new --tid 1 --targetname " SAN_IQN, t->dir, t->ctl))
		return -1;
	for (int i = 0; i < 4 && t->luns[i]; i++) {
		char file[64];
		unsigned blocksize = strstr(t->luns[i], "blocksize=4096") ? 4096 : 512;

		snprintf(file, sizeof file, "%.*s", (int)strcspn(t->luns[i], ","), t->luns[i]);
		make_file(t, t->luns[i]);
		if (run(t,
			TGTADM "--mode logicalunit --op new --tid 1 --lun %d --backing-store %s/%s "
			       "--bstype rdwr --blocksize %u",
			t->dir, t->ctl, i + 1, t->dir, file, blocksize))
			return -1;
		if (strstr(t->luns[i], ",thin") &&
		    run(t,
			TGTADM "--mode logicalunit --op update --tid 1 --lun %d --params "
			       "thin_provisioning=1",
			t->dir, t->ctl, i + 1))
			return -1;
	}
	return run(t, TGTADM "--mode target --op bind --tid 1 --initiator-address ALL", t->dir, t->ctl);
}

static int target_exec(struct san_target *t)
{
	if (t->kind == SAN_TGT)
		return tgt_exec(t);
	labsan_exec(t);
	for (int i = 0; i < 500; i++) {
		if (port_open(t->port))
			return 0;
		if (waitpid(t->pid, NULL, WNOHANG) == t->pid)
			break;
		usleep(10000);
	}
	return -1;
}

/* Removes the folder when this process is gone, however it went: the pipe ends with it. */
static void janitor(const char *dir)
{
	int fd[2];
	char c;

	assert_int_equal(pipe(fd), 0);
	if (fork()) {
		close(fd[0]); /* the other end stays open until we end */
		return;
	}
	close(fd[1]);
	setsid();
	for (int i = 1; i < 3; i++) /* do not hold the pipes of whoever reads our output */
		dup2(fd[0], i);
	while (read(fd[0], &c, 1) < 0)
		;
	usleep(200000); /* what dies with the test is dying now */
	execlp("rm", "rm", "-rf", dir, NULL);
	_exit(1);
}

int san_start(struct san_target *t)
{
	if (t->kind == SAN_TGT && system("command -v tgtd >/dev/null && command -v tgtadm >/dev/null")) {
		puts("SKIP: the tgt package is not installed");
		return 77;
	}
	snprintf(t->dir, sizeof t->dir, "/tmp/hv-san-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	janitor(t->dir);
	if (t->kind == SAN_FILE) {
		for (int i = 0; i < 4 && t->luns[i]; i++)
			make_file(t, t->luns[i]);
		return 0;
	}
	t->port = free_port();
	t->ctl = t->port % 32000 + 100;
	if (target_exec(t)) {
		run(t, "cat %s/output >&2", t->dir);
		(void)!system("true");
		fail_msg("the target did not start");
	}
	return 0;
}

void san_kill9(struct san_target *t)
{
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	t->pid = 0;
}

void san_restart(struct san_target *t)
{
	assert_int_equal(target_exec(t), 0);
}

void san_stop(struct san_target *t)
{
	if (t->pid)
		san_kill9(t);
	if (t->dir[0] && !strncmp(t->dir, "/tmp/hv-san-", 12))
		run(t, "cd /tmp && rm -r %s", t->dir);
}

void san_ask(struct san_target *t, const char *line, char *answer, size_t cap)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n = 0;

	snprintf(a.sun_path, sizeof a.sun_path, "%s/ctl", t->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	assert_int_equal(write(fd, "\n", 1), 1);
	while (n < cap - 1) {
		ssize_t got = read(fd, answer + n, cap - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		if (answer[n - 1] == '\n')
			break;
	}
	answer[n] = 0;
	close(fd);
	if (!strstr(answer, "\"ok\":true"))
		fail_msg("labsan: %s -> %s", line, answer);
}

void san_ctl(struct san_target *t, const char *fmt, ...)
{
	char line[256], answer[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	san_ask(t, line, answer, sizeof answer);
}

void san_url(const struct san_target *t, unsigned lun, const char *options, char *out, size_t cap)
{
	if (t->kind == SAN_FILE) {
		snprintf(out, cap, "file:%s/%.*s%s", t->dir, (int)strcspn(t->luns[lun], ","), t->luns[lun],
			 options ? options : "");
		return;
	}
	snprintf(out, cap, "iscsi://127.0.0.1:%d/%s/%u%s", t->port, SAN_IQN,
		 t->kind == SAN_TGT ? lun + 1 : lun, options ? options : "");
}

const char *san_log_path(const struct san_target *t, char *out, size_t cap)
{
	snprintf(out, cap, "%s/writes.jsonl", t->dir);
	return out;
}

/* --- wires ------------------------------------------------------------------------------- */

static bool forward(int from, int to)
{
	char buf[65536];
	ssize_t n = read(from, buf, sizeof buf);

	for (ssize_t at = 0; at < n;) {
		ssize_t put = write(to, buf + at, (size_t)(n - at));

		if (put <= 0)
			return false;
		at += put;
	}
	return n > 0;
}

static void wire_connection(int in, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int out = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct pollfd p[2] = {{.fd = in, .events = POLLIN}, {.fd = out, .events = POLLIN}};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(out, (struct sockaddr *)&a, sizeof a))
		_exit(0);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			_exit(0);
		if (p[0].revents && !forward(in, out))
			_exit(0);
		if (p[1].revents && !forward(out, in))
			_exit(0);
	}
}

int san_wire(struct san_target *t, int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pid;

	*port = free_port();
	a.sin_port = htons((uint16_t)*port);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 16), 0);
	pid = fork();
	if (pid) {
		setpgid(pid, pid);
		close(fd);
		return pid;
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int in = accept(fd, NULL, NULL);

		if (in >= 0 && !fork())
			wire_connection(in, t->port);
		close(in);
	}
}

void san_wire_cut(int wire, bool cut)
{
	assert_int_equal(kill(-wire, cut ? SIGSTOP : SIGCONT), 0);
}

void san_wire_end(int wire)
{
	kill(-wire, SIGKILL);
	waitpid(wire, NULL, 0);
}
