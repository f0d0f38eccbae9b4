/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_exec.h - runs a program without blocking the loop and collects what it wrote.
 *
 * Thread: [loop]. Ownership: the handle is dead after the callback, or after clu_exec_kill. The process is
 * waited for by its pidfd: nobody else in this program may wait for "any child".
 */
#ifndef CLU_EXEC_H
#define CLU_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cm_loop.h"

#define CLU_EXEC_OUT_MAX (16u << 20) /* more output than this ends the program */

struct clu_exec;

struct clu_exec_result {
	int exit_code; /* -1: it was killed (signal, time limit, too much output) */
	bool timed_out, too_much;
	const char *out, *errs; /* stdout and stderr, NUL-terminated, borrowed for the callback */
	size_t out_len, errs_len;
};

typedef void (*clu_exec_fn)(const struct clu_exec_result *r, void *arg);

/* argv[0] is looked up in PATH; stdin is empty. NULL and err when it cannot be started. fn is called
 * exactly once, never from within this call. */
struct clu_exec *clu_exec_start(struct cm_loop *loop, const char *const argv[], unsigned timeout_ms,
				clu_exec_fn fn, void *arg, struct cm_err *err);
/* Kills it; fn is not called any more. Also from within other callbacks of the loop. */
void clu_exec_kill(struct clu_exec *x);

#endif
