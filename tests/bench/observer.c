/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * observer.c - the one observer on one clock of the benches: listens on UNIX sockets that get the
 *debug port bytes of guests, and notes when each arrives.
 *
 *	observer SOCKET...
 *
 * Commands on standard input, a line each, words parted by tabs:
 *	mark TEXT		notes the time
 *	spawn FRAME PROGRAM ARG...	runs a program; FRAME "-" or a file whose bytes wait for it
 *on descriptor 3, a socket (whatever it writes there is noted as `reply`); output goes to standard
 *error quit Lines on standard output, times are CLOCK_MONOTONIC nanoseconds:
 *	mark NS TEXT	spawn NS PID	open NS SOURCE	bytes NS SOURCE HEX	close NS SOURCE
 *reply NS	exit NS PID STATUS SOURCE is the index of the socket. The programs it started are
 *killed when it ends.
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOURCES	 16
#define CHILDREN 256
#define WORDS	 96

enum kind { KIND_NONE, KIND_COMMAND, KIND_SIGNAL, KIND_LISTEN, KIND_SOURCE, KIND_REPLY };

static struct pollfd fds[512];
static struct {
	enum kind kind;
	int source;
} what[512];
static unsigned fd_count;
static pid_t children[CHILDREN];

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

static void add(int fd, enum kind kind, int source)
{
	if (fd_count == sizeof fds / sizeof fds[0])
		errx(1, "too many descriptors");
	fds[fd_count] = (struct pollfd){.fd = fd, .events = POLLIN};
	what[fd_count].kind = kind;
	what[fd_count++].source = source;
}

static void drop(unsigned i)
{
	close(fds[i].fd);
	fds[i] = fds[--fd_count];
	what[i] = what[fd_count];
}

static int listen_on(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof a.sun_path)
		errx(1, "%s is too long", path);
	strcpy(a.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0)
		err(1, "%s", path);
	return fd;
}

/* A socket pair whose far end holds the bytes of the file; returns the far end, watches the near
 * one. */
static int prepare_frame(const char *path)
{
	int pair[2], fd = open(path, O_RDONLY | O_CLOEXEC);
	char data[65536];
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof data);

	if (n < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    write(pair[0], data, (size_t)n) != n)
		err(1, "%s", path);
	close(fd);
	add(pair[0], KIND_REPLY, 0);
	return pair[1];
}

static void child(char **words, int frame_fd)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(2, 1);
	if (frame_fd >= 0)
		dup2(frame_fd, 3);
	execv(words[2], words + 2);
	_exit(127);
}

static void spawn(char **words)
{
	int frame_fd = strcmp(words[1], "-") != 0 ? prepare_frame(words[1]) : -1;
	unsigned long long at = now_ns();
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		child(words, frame_fd);
	if (frame_fd >= 0)
		close(frame_fd);
	for (unsigned i = 0; i < CHILDREN; i++) {
		if (!children[i]) {
			children[i] = pid;
			break;
		}
	}
	printf("spawn %llu %d\n", at, pid);
}

static bool command(char *line)
{
	char *words[WORDS + 1] = {NULL}, *save;
	unsigned n = 0;

	if (strncmp(line, "mark\t", 5) == 0) {
		printf("mark %llu %s\n", now_ns(), line + 5);
		return true;
	}
	for (char *w = strtok_r(line, "\t", &save); w && n < WORDS; w = strtok_r(NULL, "\t", &save))
		words[n++] = w;
	if (n >= 3 && strcmp(words[0], "spawn") == 0)
		spawn(words);
	return n != 1 || strcmp(words[0], "quit") != 0;
}

static bool read_commands(int fd)
{
	static char in[65536];
	static size_t len;
	ssize_t n = read(fd, in + len, sizeof in - 1 - len);
	char *at = in, *end;

	if (n <= 0)
		return false;
	len += (size_t)n;
	in[len] = 0;
	while ((end = strchr(at, '\n'))) {
		*end = 0;
		if (!command(at))
			return false;
		at = end + 1;
	}
	len -= (size_t)(at - in);
	memmove(in, at, len);
	return len < sizeof in - 1;
}

/* Notes the bytes that came on a descriptor; returns false when it has ended. */
static bool note_bytes(const char *kind, int fd, int source)
{
	unsigned char data[4096];
	ssize_t n = read(fd, data, sizeof data);
	unsigned long long at = now_ns();

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	printf("%s %llu ", kind, at);
	if (source >= 0)
		printf("%d ", source);
	for (ssize_t i = 0; i < n; i++)
		printf("%02x", data[i]);
	putchar('\n');
	return true;
}

static void collect_children(int fd)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(fd, &info, sizeof info) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		printf("exit %llu %d %d\n", now_ns(), pid, status);
		for (unsigned i = 0; i < CHILDREN; i++)
			if (children[i] == pid)
				children[i] = 0;
	}
}

static bool handle(unsigned i)
{
	int fd;

	switch (what[i].kind) {
	case KIND_COMMAND:
		return read_commands(fds[i].fd);
	case KIND_SIGNAL:
		collect_children(fds[i].fd);
		break;
	case KIND_LISTEN:
		fd = accept4(fds[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			printf("open %llu %d\n", now_ns(), what[i].source);
			add(fd, KIND_SOURCE, what[i].source);
		}
		break;
	case KIND_SOURCE:
		if (!note_bytes("bytes", fds[i].fd, what[i].source)) {
			printf("close %llu %d\n", now_ns(), what[i].source);
			drop(i);
		}
		break;
	case KIND_REPLY:
		if (!note_bytes("reply", fds[i].fd, -1))
			drop(i);
		break;
	case KIND_NONE:
		break;
	}
	return true;
}

int main(int argc, char **argv)
{
	sigset_t set;
	bool go_on = true;

	if (argc - 1 > SOURCES)
		errx(2, "too many sockets");
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	add(0, KIND_COMMAND, 0);
	add(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), KIND_SIGNAL, 0);
	for (int i = 1; i < argc; i++)
		add(listen_on(argv[i]), KIND_LISTEN, i - 1);
	while (go_on) {
		fflush(stdout);
		if (poll(fds, fd_count, -1) < 0 && errno != EINTR)
			err(1, "poll");
		for (unsigned i = fd_count; i-- > 0 && go_on;)
			if (fds[i].revents)
				go_on = handle(i);
	}
	fflush(stdout);
	for (unsigned i = 0; i < CHILDREN; i++)
		if (children[i])
			kill(children[i], SIGKILL);
	for (int i = 1; i < argc; i++)
		unlink(argv[i]);
	return 0;
}
