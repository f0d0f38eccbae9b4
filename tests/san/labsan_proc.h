/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_proc.h - starts a labsan for one test, talks to its control socket and ends it.
 *
 * [any], one thread per object. The directory is the object's own and goes with labsan_proc_stop(),
 * labsan itself dies with its parent. Errors: 0 or -errno; reasons are printed on stderr.
 */
#ifndef LABSAN_PROC_H
#define LABSAN_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LABSAN_IQN "iqn.2026-01.org.hvcluster:labsan"

struct labsan_proc {
	pid_t pid;
	pid_t janitor; /* removes the directory when we end, however we end */
	int janitor_fd;
	int port[2]; /* of the first two portals, both on 127.0.0.1 */
	char dir[64];
	char control[108];
	char log[96];
	char args[24][128]; /* what it was started with, for a restart */
	int nargs;
};

/* Starts $LABSAN (default ./tests/san/labsan) with two portals, a control socket, a write log and
 * the words of args (ended by NULL). "%s" in a word becomes the object's directory. */
int labsan_proc_start(struct labsan_proc *p, const char *const *args);
/* Kills it (0 = it is already gone), keeps the directory. */
void labsan_proc_kill(struct labsan_proc *p, int sig);
/* Starts it again on the same directory with the same words; ports change. */
int labsan_proc_restart(struct labsan_proc *p);
/* SIGTERM, removes the directory; returns the exit code, or -1 if a signal ended it. */
int labsan_proc_stop(struct labsan_proc *p);
/* One control command; answer (may be NULL) gets the JSON line. 0 = labsan said ok, -EIO = not ok.
 */
int labsan_proc_ctl(struct labsan_proc *p, char *answer, size_t cap, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
