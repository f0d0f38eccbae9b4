/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs instruction cases on the host CPU, in a child process that can do nothing else (seccomp strict). */
#ifndef INSN_NATIVE_H
#define INSN_NATIVE_H

#include "tests/engine/insn_case.h"
#include "tests/engine/insn_form.h"

#define INSN_BATCH 256u

struct insn_native {
	struct insn_case *cases;	/* INSN_BATCH, shared with the child */
	struct insn_result *results;
	volatile uint32_t *running;	/* the case that the child is at */
	bool *struck;			/* INSN_BATCH: not run, #UD instead, as an odd host does; the caller's to set */
	int to_child, from_child;
	int pid;
};

/* Does the host CPU have this form at all? Those of SSE4.2 and older are taken for granted. */
bool insn_native_has(const struct insn_form *f);

/* 0 or -errno; -ENOTSUP: this host is no x86-64. */
int insn_native_start(struct insn_native *n);
/* Runs the first `count` cases. -EIO: the child died (says how on stderr). */
int insn_native_run(struct insn_native *n, unsigned int count);
void insn_native_stop(struct insn_native *n);

#endif
