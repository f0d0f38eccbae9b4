/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_process.c - one VM, one process: reads its configuration from descriptor 3, gives up every
 * privilege, wires hvcore, fencing and migration together, and runs the loop.
 *
 * Parses: the start message of its parent. Which system calls it may do and why: hvcore_seccomp.c.
 */
#include "config.h"

#include "programs/hvcore_process.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cap-ng.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "common/cm_trace.h"
#include "hvcore/control/hv_ctl.h"
#include "hvcore/hv_core.h"
#include "programs/hvcore_engine.h"
#include "programs/hvcore_hooks.h"
#include "programs/hvcore_seccomp.h"
#include "proto/px_frame.h"

#define START_FD    3
#define NOFILE_MAX  256u
#define START_BYTES (512u << 10)

/* fd: START_FD, or where the program before us left what it had read there (hvcore_engine.c). */
static Hv__CoreStart *read_start(int fd, struct cm_err *err)
{
	struct cm_buf b;
	struct px_msg m = {0};
	size_t used = 0;

	cm_buf_init(&b, START_BYTES);
	while (!used) {
		uint8_t *p = cm_buf_reserve(&b, 4096);
		ssize_t n = p ? read(fd, p, 4096) : -1;

		if (n < 0 && p && errno == EINTR)
			continue;
		if (n <= 0) {
			cm_err_set(err, CM_E_USAGE,
				   "hvcore is started by hvclusterd or by hvctl run, with its "
				   "configuration on descriptor %d",
				   START_FD);
			break;
		}
		cm_buf_commit(&b, (size_t)n);
		if (px_frame_get(b.data, b.len, &used, &m) < 0) {
			cm_err_set(err, CM_E_PROTO, "the start message is malformed");
			break;
		}
	}
	cm_buf_fini(&b);
	if (m.msg && m.type != PX_CORE_START) {
		px_msg_free(&m);
		cm_err_set(err, CM_E_PROTO, "the first message is no start message");
	}
	return m.msg;
}

static int limit(int what, rlim_t n)
{
	struct rlimit l = {n, n};

	return setrlimit(what, &l) == 0 ? 0 : -errno;
}

/* What was opened stays; nothing more can be gained from here on. */
static int drop_privileges(const Hv__CoreStart *s, struct cm_err *err)
{
	int rc = 0;

	/* A core dump would hold guest secrets (RAM is left out, keys and rings are not). */
	rc = limit(RLIMIT_CORE, 0);
	if (rc == 0)
		rc = limit(RLIMIT_NOFILE, NOFILE_MAX);
	if (rc < 0)
		return cm_err_set(err, rc, "setting limits: %s", strerror(-rc));
	if (s->gid && (setgroups(0, NULL) < 0 || setresgid(s->gid, s->gid, s->gid) < 0))
		return cm_err_set(err, -errno, "cannot become group %u: %s", s->gid,
				  strerror(errno));
	if (s->uid && setresuid(s->uid, s->uid, s->uid) < 0)
		return cm_err_set(err, -errno, "cannot become user %u: %s", s->uid,
				  strerror(errno));
	capng_clear(CAPNG_SELECT_BOTH);
	/* `sudo hvctl run` with a disk file of the person who typed it: files are opened later. */
	if (s->foreground && geteuid() == 0)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	/* Without CAP_SETPCAP (in a container) the bounding set stays; no_new_privs makes it
	 * harmless. */
	if ((geteuid() != 0 || capng_apply(CAPNG_SELECT_BOTH) < 0) &&
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		return cm_err_set(err, -EPERM, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cm_err_set(err, -errno, "no_new_privs: %s", strerror(errno));
	return hvcore_seccomp_process(err);
}

static void on_signal(struct cm_signal *sig, int signo, void *arg)
{
	(void)sig;
	cm_notice("signal %d: the VM is stopped", signo);
	hv_core_end(arg, 0, true);
}

static struct termios saved_tty; /* atexit hands nothing over */

static void restore_tty(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &saved_tty);
}

/* The guest's terminal: every key goes to it. Ctrl-A x ends the VM. */
static void raw_tty(void)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved_tty) < 0)
		return;
	t = saved_tty;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) < 0)
		return;
	atexit(restore_tty);
	fprintf(stderr, "hvcore: Ctrl-A x ends the VM\n");
}

static enum cm_log_level log_level(const Hv__CoreStart *s)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (strcmp(s->options[i]->key, "log-level") == 0)
			return cm_log_level_find(s->options[i]->value);
	return s->foreground ? CM_LOG_ERR : CM_LOG_INFO;
}

/* A start that has failed already answers nobody any more. */
static void listen_for_verbs(struct hv_core *core)
{
	struct cm_err err = CM_ERR_INIT;

	if (!hv_core_is_ending(core) && hv_ctl_new(core, hvcore_verbs, HVCORE_VERBS, &err) < 0)
		hv_core_start_failed(core, err.code, NULL, "%s", err.text);
}

static int run(const Hv__CoreStart *start, const struct hv_engine_choice *engine,
	       struct cm_err *err)
{
	struct cm_signal term, intr;
	struct hvcore_parts parts;
	struct hv_core *core;
	struct cm_loop *loop = cm_loop_new(err);
	int code;

	if (!loop)
		return 1;
	hvcore_parts_init(&parts, loop, start, engine);
	if (hv_core_new(&core, loop, start, START_FD, &parts.hooks, err) < 0)
		return 1;
	parts.core = core;
	listen_for_verbs(core);
	if (drop_privileges(start, err) < 0)
		return 1;
	if (start->foreground)
		raw_tty();
	if (cm_signal_init(&term, loop, SIGTERM, on_signal, core) < 0 ||
	    cm_signal_init(&intr, loop, SIGINT, on_signal, core) < 0)
		return 1;
	code = cm_loop_run(loop);
	cm_signal_fini(&term);
	cm_signal_fini(&intr);
	hvcore_parts_fini(&parts);
	cm_loop_free(loop);
	hv_core_free(core);
	return code;
}

int hvcore_process(const struct hvcore_program *program, int argc, char **argv)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_engine_choice engine;
	Hv__CoreStart *start;
	char context[80];
	int code = 1, fd = argc > 1 ? (int)strtol(argv[1], NULL, 10) : START_FD;

	umask(0027);
	signal(SIGPIPE, SIG_IGN);
	start = read_start(fd, &err);
	if (fd != START_FD)
		close(fd);
	if (start) {
		hvcore_engine_choose(program, start, &engine);
		cm_log_init("hvcore", log_level(start), STDERR_FILENO);
		cm_trace_install_handlers();
		snprintf(context, sizeof context, "vm=%.64s", start->vm ? start->vm->name : "?");
		cm_log_set_context(context);
		/* hvclusterd hands no environment on: only a test that starts hvcore by itself. */
		if (!getenv("HV_FAULT") || cm_fault_arm(getenv("HV_FAULT"), &err) == 0)
			code = run(start, &engine, &err);
	}
	if (err.code)
		fprintf(stderr, "hvcore: %s\n", err.text);
	cm_log_fini();
	if (start)
		hv__core_start__free_unpacked(start, NULL);
	return code;
}
