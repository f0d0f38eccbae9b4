/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous child processes on the event loop: posix_spawn, two pipes, a pidfd and a time limit.
 * Does not interpret anything. Carries the output of the programs the cluster agent runs.
 */
#include "config.h"

#include "cluster/pcmk/clu_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_buf.h"

extern char **environ;

struct stream {
	struct cm_io io;
	struct cm_buf buf;
	int fd;
	bool watched;
};

struct clu_exec {
	struct cm_loop *loop;
	struct cm_timer timer;
	struct cm_io exit_io;
	struct stream out, errs;
	clu_exec_fn fn;
	void *arg;
	int pidfd;
	pid_t pid;
	bool timed_out, too_much;
};

static void stream_fini(struct stream *s)
{
	if (s->watched)
		cm_io_fini(&s->io);
	s->watched = false;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	cm_buf_fini(&s->buf);
}

static void free_exec(void *arg)
{
	free(arg);
}

static void dispose(struct clu_exec *x)
{
	cm_timer_fini(&x->timer);
	cm_io_fini(&x->exit_io);
	if (x->pidfd >= 0)
		close(x->pidfd);
	stream_fini(&x->out);
	stream_fini(&x->errs);
	cm_loop_defer(x->loop, free_exec, x);
}

/* Reads what is there; stops watching at the end of the stream. */
static void drain(struct clu_exec *x, struct stream *s)
{
	while (s->fd >= 0) {
		uint8_t *room = cm_buf_reserve(&s->buf, 16384);
		ssize_t n;

		if (!room) {
			x->too_much = true;
			kill(x->pid, SIGKILL);
			break;
		}
		n = read(s->fd, room, 16384);
		if (n > 0) {
			cm_buf_commit(&s->buf, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		break;
	}
	cm_io_want(&s->io, 0);
}

static void on_output(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_exec *x = arg;

	(void)events;
	drain(x, io == &x->out.io ? &x->out : &x->errs);
}

static void on_timeout(struct cm_timer *t, void *arg)
{
	struct clu_exec *x = arg;

	(void)t;
	x->timed_out = true;
	kill(x->pid, SIGKILL);
}

static void on_exit_io(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_exec *x = arg;
	struct clu_exec_result r = {.exit_code = -1};
	siginfo_t si;

	(void)io;
	(void)events;
	memset(&si, 0, sizeof si);
	if (waitid(P_PIDFD, (id_t)x->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
		return;
	drain(x, &x->out);
	drain(x, &x->errs);
	if (si.si_code == CLD_EXITED && !x->timed_out && !x->too_much)
		r.exit_code = si.si_status;
	r.timed_out = x->timed_out;
	r.too_much = x->too_much;
	r.out_len = x->out.buf.len;
	r.errs_len = x->errs.buf.len;
	cm_buf_u8(&x->out.buf, 0);
	cm_buf_u8(&x->errs.buf, 0);
	r.out = x->out.buf.err ? "" : (const char *)x->out.buf.data;
	r.errs = x->errs.buf.err ? "" : (const char *)x->errs.buf.data;
	if (x->out.buf.err)
		r.out_len = 0;
	if (x->errs.buf.err)
		r.errs_len = 0;
	x->fn(&r, x->arg);
	dispose(x);
}

static int spawn(pid_t *pid, const char *const argv[], int out_fd, int err_fd)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	int rc;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&at);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&at, &none);
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out_fd, 1);
	posix_spawn_file_actions_adddup2(&fa, err_fd, 2);
	rc = posix_spawnp(pid, argv[0], &fa, &at, (char *const *)(void *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	return -rc;
}

static int stream_init(struct clu_exec *x, struct stream *s, int *write_end)
{
	int fd[2];

	cm_buf_init(&s->buf, CLU_EXEC_OUT_MAX);
	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	s->fd = fd[0];
	*write_end = fd[1];
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	cm_io_init(&s->io, x->loop, s->fd, on_output, x);
	s->watched = true;
	return cm_io_want(&s->io, CM_READ);
}

static int begin(struct clu_exec *x, const char *const argv[], unsigned timeout_ms)
{
	int out = -1, errs = -1;
	int rc;

	rc = stream_init(x, &x->out, &out);
	if (rc == 0)
		rc = stream_init(x, &x->errs, &errs);
	if (rc == 0)
		rc = spawn(&x->pid, argv, out, errs);
	if (out >= 0)
		close(out);
	if (errs >= 0)
		close(errs);
	if (rc != 0)
		return rc;
	x->pidfd = pidfd_open(x->pid, 0);
	if (x->pidfd < 0) {
		rc = -errno;
		kill(x->pid, SIGKILL);
		waitpid(x->pid, NULL, 0);
		return rc;
	}
	cm_io_init(&x->exit_io, x->loop, x->pidfd, on_exit_io, x);
	rc = cm_io_want(&x->exit_io, CM_READ);
	if (rc != 0) {
		kill(x->pid, SIGKILL);
		waitpid(x->pid, NULL, 0);
		return rc;
	}
	if (timeout_ms)
		cm_timer_arm_ms(&x->timer, timeout_ms);
	return 0;
}

struct clu_exec *clu_exec_start(struct cm_loop *loop, const char *const argv[], unsigned timeout_ms,
				clu_exec_fn fn, void *arg, struct cm_err *err)
{
	struct clu_exec *x = calloc(1, sizeof *x);
	int rc;

	if (!x) {
		cm_err_set(err, -ENOMEM, "cannot run %s: out of memory", argv[0]);
		return NULL;
	}
	x->loop = loop;
	x->fn = fn;
	x->arg = arg;
	x->pidfd = x->out.fd = x->errs.fd = -1;
	cm_timer_init(&x->timer, loop, on_timeout, x);
	cm_io_init(&x->exit_io, loop, -1, on_exit_io, x);
	rc = begin(x, argv, timeout_ms);
	if (rc == 0)
		return x;
	cm_err_set(err, rc, "cannot run %s: %s", argv[0], strerror(-rc));
	dispose(x);
	return NULL;
}

void clu_exec_kill(struct clu_exec *x)
{
	if (!x)
		return;
	kill(x->pid, SIGKILL);
	waitid(P_PIDFD, (id_t)x->pidfd, &(siginfo_t){0}, WEXITED);
	dispose(x);
}
