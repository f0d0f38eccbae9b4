/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_spawn.c - makes the process of a VM: its taps, control socket and log, the fork, and the
 * configuration on descriptor 3. Watches nothing (clu_super.c does). Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cluster/node/clu_conf.h"
#include "cluster/vm/clu_tap.h"
#include "common/cm_buf.h"
#include "proto/px_frame.h"

static int spawn_listen(const char *path, struct cm_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	if (fd < 0 || strlen(path) >= sizeof un.sun_path)
		goto fail;
	strcpy(un.sun_path, path);
	unlink(path);
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&un, sizeof un);
	umask(mask);
	if (rc < 0 || listen(fd, 32) < 0)
		goto fail;
	return fd;
fail:
	cm_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err ? err->code : -EIO;
}

struct spawn_fds {
	int start[2], control, log, tap[4];
	unsigned n_taps;
};

static void fds_close(struct spawn_fds *f)
{
	int all[] = {f->start[0], f->start[1], f->control, f->log,
		     f->tap[0],	  f->tap[1],   f->tap[2],  f->tap[3]};

	for (size_t i = 0; i < CM_ARRAY_LEN(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

static int fds_open(const struct clu_conf *conf, const char *socket, Hv__CoreStart *start,
		    struct spawn_fds *f, struct cm_err *err)
{
	char path[256];

	*f = (struct spawn_fds){
		.start = {-1, -1}, .control = -1, .log = -1, .tap = {-1, -1, -1, -1}};
	for (; f->n_taps < start->vm->n_nets && f->n_taps < 4; f->n_taps++) {
		Hv__NetConfig *net = start->vm->nets[f->n_taps];

		f->tap[f->n_taps] = clu_tap_open(net->bridge, start->vm->name, err);
		if (f->tap[f->n_taps] < 0)
			return f->tap[f->n_taps];
		net->tap_fd = CLU_TAP_FD + (int)f->n_taps;
	}
	f->control = spawn_listen(socket, err);
	if (f->control < 0)
		return f->control;
	start->control_fd = CLU_CONTROL_FD;
	snprintf(path, sizeof path, "%s/log/%s.log", conf->state_dir, start->vm->name);
	f->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (f->log < 0)
		return cm_err_set(err, CM_E_NO_FILE, "cannot write %s: %s", path, strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->start) < 0)
		return cm_err_set(err, -errno, "socketpair: %s", strerror(errno));
	return 0;
}

/* In the child: descriptors to their numbers, everything else closed. Only async-signal-safe calls.
 */
static _Noreturn void child_exec(const char *hvcore, const struct spawn_fds *f)
{
	char *const argv[] = {(char *)(uintptr_t) "hvcore", NULL};
	char *const envp[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL, NULL};
	int high[7], n = 0;
	sigset_t none;

	setsid();
	/* First out of the way of the target numbers, then into place. */
	high[n++] = fcntl(f->start[1], F_DUPFD, 64);
	high[n++] = fcntl(f->control, F_DUPFD, 64);
	high[n++] = fcntl(f->log, F_DUPFD, 64);
	for (unsigned i = 0; i < f->n_taps; i++)
		high[n++] = fcntl(f->tap[i], F_DUPFD, 64);
	for (int i = 0; i < n; i++)
		if (high[i] < 0)
			_exit(126);
	if (open("/dev/null", O_RDWR) < 0)
		_exit(126);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(high[2], 1);
	dup2(high[2], 2);
	dup2(high[0], CLU_START_FD);
	dup2(high[1], CLU_CONTROL_FD);
	for (unsigned i = 0; i < f->n_taps; i++)
		dup2(high[3 + i], CLU_TAP_FD + (int)i);
	close_range(CLU_CONTROL_FD + 1, CLU_TAP_FD - 1, 0);
	close_range(CLU_TAP_FD + f->n_taps, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(hvcore, argv, envp);
	_exit(127);
}

static int send_start(int fd, const Hv__CoreStart *start, struct cm_err *err)
{
	struct cm_buf b;
	int rc;

	cm_buf_init(&b, 1u << 20);
	rc = px_frame_put(&b, PX_CORE_START, start);
	if (rc == 0 && send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		rc = -EIO;
	cm_buf_fini(&b);
	return rc ? cm_err_set(err, rc, "cannot hand the configuration to hvcore") : 0;
}

int clu__spawn(const struct clu_conf *conf, const char *socket, Hv__CoreStart *start,
	       struct clu__spawned *out, struct cm_err *err)
{
	struct spawn_fds f;
	pid_t pid;
	int rc;

	if (access(conf->hvcore, X_OK) < 0)
		return cm_err_set(err, CM_E_NO_FILE, "cannot run %s: %s", conf->hvcore,
				  strerror(errno));
	rc = fds_open(conf, socket, start, &f, err);
	if (rc == 0)
		rc = send_start(f.start[0], start, err);
	if (rc) {
		fds_close(&f);
		return rc;
	}
	pid = fork();
	if (pid == 0)
		child_exec(conf->hvcore, &f);
	if (pid < 0) {
		rc = cm_err_set(err, -errno, "fork: %s", strerror(errno));
		fds_close(&f);
		return rc;
	}
	*out = (struct clu__spawned){pid, f.start[0]};
	f.start[0] = -1;
	fds_close(&f);
	return 0;
}
