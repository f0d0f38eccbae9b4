/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_run.c - one VM in the foreground: starts hvcore with the terminal as its serial console and
 * waits.
 *
 * No daemon, no cluster, no ownership block: disks must not be shared. Exit code: 0 powered off by
 * the guest, 3 panic, 1 failed; 2 wrong usage. Parses data of the operator.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/hvctl.h"

#define RUN_START_FD 3
#define RUN_DISKS    4u

struct run {
	struct hvctl *h;
	Hv__CoreStart start;
	Hv__VmConfig vm;
	Hv__DiskConfig disk[RUN_DISKS], *disks[RUN_DISKS];
	Hv__Arg option, *options[1];
	char urls[RUN_DISKS][PATH_MAX + 8], kernel[PATH_MAX], initrd[PATH_MAX], node[64];
	char boot[40], uuid[40];
	char *disk_list;
};

static int run_file(const char *what, const char *path, char out[PATH_MAX], struct cm_err *err)
{
	if (!realpath(path, out) || access(out, R_OK) < 0)
		return cm_err_set(err, CM_E_NO_FILE, "%s %s cannot be read: %s", what, path,
				  strerror(errno));
	return 0;
}

static int run_disks(struct run *r, const char *list, struct cm_err *err)
{
	char *save = NULL;

	r->disk_list = strdup(list);
	CM_ASSERT(r->disk_list);
	for (char *w = strtok_r(r->disk_list, ";", &save); w; w = strtok_r(NULL, ";", &save)) {
		size_t i = r->vm.n_disks;
		char path[PATH_MAX];

		if (i == RUN_DISKS)
			return cm_err_set(err, CM_E_BAD_VALUE, "more than %u disks", RUN_DISKS);
		if (strncmp(w, "file:", 5) == 0 || strncmp(w, "iscsi:", 6) == 0) {
			snprintf(r->urls[i], sizeof r->urls[i], "%s", w);
		} else {
			if (run_file("disk", w, path, err))
				return err->code;
			snprintf(r->urls[i], sizeof r->urls[i], "file:%s", path);
		}
		hv__disk_config__init(&r->disk[i]);
		r->disk[i].url = r->urls[i];
		r->disks[i] = &r->disk[i];
		r->vm.n_disks++;
	}
	return 0;
}

static int run_arg(struct run *r, const char *key, const char *v, struct cm_err *err)
{
	uint64_t n = 0;

	if (strcmp(key, "kernel") == 0) {
		r->vm.kernel = r->kernel;
		return run_file("kernel", v, r->kernel, err);
	}
	if (strcmp(key, "initrd") == 0) {
		r->vm.initrd = r->initrd;
		return run_file("initrd", v, r->initrd, err);
	}
	if (strcmp(key, "disk") == 0)
		return run_disks(r, v, err);
	if (strcmp(key, "memory") == 0) {
		if (px_parse_size(v, &n) || n < (32u << 20) || n > (1ull << 40) || n % (2u << 20))
			return cm_err_set(err, CM_E_BAD_VALUE,
					  "--memory: '%s' is not 32M to 1T in steps of 2M", v);
		r->vm.memory_bytes = n;
	} else if (strcmp(key, "cpus") == 0) {
		if (px_parse_size(v, &n) || n < 1 || n > 64)
			return cm_err_set(err, CM_E_BAD_VALUE, "--cpus: '%s' is not 1 to 64", v);
		r->vm.cpus = (uint32_t)n;
	} else if (strcmp(key, "engine") == 0) {
		if (strcmp(v, "auto") && strcmp(v, "kvm") && strcmp(v, "soft"))
			return cm_err_set(err, CM_E_BAD_VALUE,
					  "--engine: '%s' is not auto, kvm or soft", v);
		r->vm.engine = (char *)(uintptr_t)v;
	} else if (strcmp(key, "cmdline") == 0) {
		r->vm.cmdline = (char *)(uintptr_t)v;
	} else if (strcmp(key, "heartbeat") == 0) {
		r->start.heartbeat_socket = (char *)(uintptr_t)v;
	} else if (strcmp(key, "control") == 0) {
		r->start.control_socket = (char *)(uintptr_t)v;
	} else {
		hv__arg__init(&r->option);
		r->option.key = (char *)(uintptr_t) "insns_per_us";
		r->option.value = (char *)(uintptr_t)v;
		r->options[0] = &r->option;
		r->start.options = r->options;
		r->start.n_options = 1;
	}
	return 0;
}

/* One word of at most 36 characters, "" if there is none. */
static char *run_word(const char *path, char out[40])
{
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (f) {
		if (fscanf(f, "%36s", out) != 1)
			out[0] = '\0';
		fclose(f);
	}
	return out;
}

static int run_config(struct run *r, struct px_ask *ask, struct cm_err *err)
{
	hv__core_start__init(&r->start);
	hv__vm_config__init(&r->vm);
	r->vm.name = (char *)(uintptr_t) "run";
	r->vm.engine = (char *)(uintptr_t) "auto";
	r->vm.machine = (char *)(uintptr_t) "hv-1";
	r->vm.memory_bytes = 256u << 20;
	r->vm.cpus = 1;
	r->vm.disks = r->disks;
	r->vm.uuid = run_word("/proc/sys/kernel/random/uuid", r->uuid);
	r->start.vm = &r->vm;
	r->start.foreground = true;
	r->start.control_fd = -1;
	gethostname(r->node, sizeof r->node - 1);
	r->start.node = r->node;
	r->start.boot_id = run_word("/proc/sys/kernel/random/boot_id", r->boot);
	for (size_t i = 0; i < ask->req.n_args; i++) {
		if (run_arg(r, ask->args[i]->key, ask->args[i]->value, err))
			return err->code;
	}
	if (!r->vm.kernel[0])
		return cm_err_set(err, CM_E_USAGE,
				  "hvctl run needs --kernel FILE (a bzImage or an x86-64 ELF)");
	return 0;
}

/* In a build tree hvcore is in programs/, else in libexec. */
static void run_find(char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		snprintf(out, PATH_MAX, "%.*s/programs/hvcore", (int)(slash - self), self);
		if (access(out, X_OK) == 0)
			return;
	}
	snprintf(out, PATH_MAX, "%s/hvcore", HV_LIBEXECDIR);
}

static int run_wait(struct run *r, pid_t pid, int fd)
{
	struct cm_err err = CM_ERR_INIT;
	uint8_t buf[65536];
	size_t have = 0, used = 0;
	struct px_msg m = {.msg = NULL};
	int status = 0;

	/* Its one word about the start; then it lives until the guest ends. */
	while (!used && have < sizeof buf) {
		ssize_t n = recv(fd, buf + have, sizeof buf - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		if (px_frame_get(buf, have, &used, &m))
			break;
	}
	if (m.type == PX_REPLY && ((Hv__Reply *)m.msg)->code)
		cm_err_set(&err, ((Hv__Reply *)m.msg)->code, "%s", ((Hv__Reply *)m.msg)->error);
	px_msg_free(&m);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (err.code)
		return hvctl_fail(r->h, &err);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		cm_err_set(
			&err, CM_E_NO_FILE,
			"hvcore could not be started (make install, or run from the build tree)");
	else if (WIFSIGNALED(status))
		cm_err_set(&err, CM_E_GUEST_FAILED, "hvcore was ended by signal %d",
			   WTERMSIG(status));
	if (err.code)
		return hvctl_fail(r->h, &err);
	return WEXITSTATUS(status);
}

static int send_frame(int fd, const Hv__CoreStart *start)
{
	struct cm_buf b;
	int rc;

	cm_buf_init(&b, 1u << 20);
	rc = px_frame_put(&b, PX_CORE_START, start);
	if (rc == 0 && send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		rc = -EIO;
	cm_buf_fini(&b);
	return rc;
}

/* In the child: becomes hvcore, which finds its configuration on RUN_START_FD. */
static _Noreturn void run_exec(const char *hvcore, int fd)
{
	int high = fcntl(fd, F_DUPFD, 64);

	dup2(high, RUN_START_FD);
	close(high);
	execl(hvcore, "hvcore", (char *)NULL);
	_exit(127);
}

static int run_it(struct run *r, struct cm_err *err)
{
	struct termios saved;
	bool tty = isatty(0) && tcgetattr(0, &saved) == 0;
	char hvcore[PATH_MAX];
	int sv[2], rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0 ||
	    send_frame(sv[0], &r->start)) {
		cm_err_set(err, -EIO, "cannot hand the configuration to hvcore");
		return hvctl_fail(r->h, err);
	}
	run_find(hvcore);
	pid = fork();
	if (pid == 0)
		run_exec(hvcore, sv[1]);
	close(sv[1]);
	/* Ctrl-C belongs to the guest or to hvcore; we only wait. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	rc = pid > 0 ? run_wait(r, pid, sv[0]) : 1;
	if (tty)
		tcsetattr(0, TCSADRAIN, &saved);
	close(sv[0]);
	return rc;
}

int hvctl_run(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	struct run *r = calloc(1, sizeof *r);
	struct cm_err err = CM_ERR_INIT;
	int rc;

	(void)v;
	CM_ASSERT(r);
	r->h = h;
	rc = run_config(r, ask, &err) ? hvctl_fail(h, &err) : run_it(r, &err);
	free(r->disk_list);
	free(r);
	return rc;
}
