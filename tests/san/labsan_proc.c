/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_proc.c - starts a labsan for one test, talks to its control socket and ends it.
 *
 * Parses labsan's ready line. Does not wait by time: the ready line is a pipe's.
 */
#include "config.h"

#include "tests/san/labsan_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void child(struct labsan_proc *p, int out)
{
	const char *prog = getenv("LABSAN");
	const char *argv[48];
	int n = 0, i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	prog = prog ? prog : "./tests/san/labsan";
	argv[n++] = prog;
	argv[n++] = "--portal";
	argv[n++] = "127.0.0.1:0";
	argv[n++] = "--portal";
	argv[n++] = "127.0.0.1:0";
	argv[n++] = "--iqn";
	argv[n++] = LABSAN_IQN;
	argv[n++] = "--control";
	argv[n++] = p->control;
	argv[n++] = "--write-log";
	argv[n++] = p->log;
	for (i = 0; i < p->nargs; i++)
		argv[n++] = p->args[i];
	argv[n] = NULL;
	execv(prog, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "%s: %s\n", prog, strerror(errno));
	_exit(127);
}

int labsan_proc_restart(struct labsan_proc *p)
{
	char line[256];
	int fd[2], ok;
	FILE *f;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	p->pid = fork();
	if (p->pid < 0)
		return -errno;
	if (p->pid == 0) {
		close(fd[0]);
		child(p, fd[1]);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	if (!f)
		return -errno;
	ok = fgets(line, sizeof line, f) &&
	     sscanf(line, "ready 127.0.0.1:%d 127.0.0.1:%d", &p->port[0], &p->port[1]) == 2;
	fclose(f);
	if (ok)
		return 0;
	fprintf(stderr, "labsan did not get ready\n");
	labsan_proc_kill(p, SIGKILL);
	return -EIO;
}

/* Waits until the other end of the pipe is closed, by us or by our death. */
static void clean_later(const char *dir, int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char ch;

	setsid();
	signal(SIGINT, SIG_IGN);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	while (read(fd, &ch, 1) < 0 && errno == EINTR)
		;
	execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
	_exit(127);
}

static int start_janitor(struct labsan_proc *p)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	p->janitor = fork();
	if (p->janitor == 0) {
		close(fd[1]);
		clean_later(p->dir, fd[0]);
	}
	close(fd[0]);
	p->janitor_fd = fd[1];
	return p->janitor < 0 ? -errno : 0;
}

int labsan_proc_start(struct labsan_proc *p, const char *const *args)
{
	const char *tmp = getenv("TMPDIR");
	int i, rc;

	memset(p, 0, sizeof *p);
	snprintf(p->dir, sizeof p->dir, "%.30s/labsan.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(p->dir))
		return -errno;
	rc = start_janitor(p);
	if (rc < 0)
		return rc;
	snprintf(p->control, sizeof p->control, "%s/ctl", p->dir);
	snprintf(p->log, sizeof p->log, "%s/log", p->dir);
	for (i = 0; args[i]; i++) {
		const char *at = strstr(args[i], "%s");

		if (i == (int)(sizeof p->args / sizeof p->args[0]))
			return -E2BIG;
		snprintf(p->args[i], sizeof p->args[i], "%.*s%s%s",
			 at ? (int)(at - args[i]) : (int)strlen(args[i]), args[i], at ? p->dir : "",
			 at ? at + 2 : "");
	}
	p->nargs = i;
	return labsan_proc_restart(p);
}

void labsan_proc_kill(struct labsan_proc *p, int sig)
{
	if (p->pid <= 0)
		return;
	if (sig)
		kill(p->pid, sig);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

int labsan_proc_stop(struct labsan_proc *p)
{
	int status = 0, code = -1;

	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		if (waitpid(p->pid, &status, 0) == p->pid && WIFEXITED(status))
			code = WEXITSTATUS(status);
		p->pid = 0;
	}
	if (p->janitor > 0) {
		close(p->janitor_fd);
		waitpid(p->janitor, NULL, 0);
		p->janitor = 0;
	}
	return code;
}

static int read_line(int fd, char *buf, size_t cap)
{
	size_t n = 0;

	while (n < cap - 1) {
		ssize_t got = read(fd, buf + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EPIPE;
		if (buf[n] == '\n')
			break;
		n++;
	}
	buf[n] = 0;
	return 0;
}

int labsan_proc_ctl(struct labsan_proc *p, char *answer, size_t cap, const char *fmt, ...)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char line[1024], reply[16384];
	va_list ap;
	int fd, rc = 0;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	strcpy(sa.sun_path, p->control);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
	    write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		rc = -errno;
	if (rc == 0)
		rc = read_line(fd, reply, sizeof reply);
	close(fd);
	if (rc < 0)
		return rc;
	if (answer)
		snprintf(answer, cap, "%s", reply);
	if (strncmp(reply, "{\"ok\":true", 10) == 0)
		return 0;
	fprintf(stderr, "labsan: %s: %s\n", fmt, reply);
	return -EIO;
}
