/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host CPU as a judge that is judged itself. What the host does every time is what the interpreter must do; what it
 * does only sometimes says nothing about the interpreter, and is counted here and named as the host's.
 *
 * A case that differs is run natively INSN_AGAIN times more. INSN_AGREE of these runs as the interpreter has it: the run
 * that differed was the odd one. INSN_AGREE of all runs the same, but not as the interpreter has it: the interpreter is
 * wrong. Neither: the host gives no answer.
 *
 * Thread: one. Ownership: the host and its child process are the caller's from open() to close().
 */
#ifndef INSN_HOST_H
#define INSN_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/engine/insn_case.h"
#include "tests/engine/insn_gen.h"
#include "tests/engine/insn_native.h"

#define INSN_AGAIN 16u
#define INSN_AGREE 12u
#define INSN_VECTORS 33u /* no exception, and 32 of them */
#define INSN_ODD_LIMIT 200u /* more odd cases than one in so many: the host is no judge ... */
#define INSN_ODD_FEW 20u    /* ... if there are more than these */

enum insn_verdict {
	INSN_VERDICT_NONE,
	INSN_ENGINE_WRONG,
	INSN_HOST_ODD,
	INSN_NO_ANSWER,
};

struct insn_host {
	struct insn_native native;
	uint64_t odd, no_answer;
	uint64_t odd_stack; /* of the odd: RSP was not canonical */
	uint32_t how[INSN_VECTORS][INSN_VECTORS]; /* odd cases by [what the host does mostly][what it did], exception + 1 */
	uint32_t plant_one_in; /* one in so many native results is spoilt on purpose; 0: none */
	struct insn_gen random;
};

/* 0 or -errno; -ENOTSUP: this host is no x86-64. */
int insn_host_open(struct insn_host *h, uint64_t seed, uint32_t plant_one_in);
void insn_host_close(struct insn_host *h);

/* Runs the first `count` of h->native.cases. -EIO: the child died (says how on stderr). */
int insn_host_run(struct insn_host *h, unsigned int count);

/*
 * Whose fault is it that `first`, a native result of case c, is not what the interpreter has? Counts what is the host's.
 * Overwrites h->native.cases and its results. INSN_VERDICT_NONE: the child died.
 */
enum insn_verdict insn_host_judge(struct insn_host *h, const struct insn_case *c, const struct insn_result *first,
				  const struct insn_result *soft);

/* So much of what it does is not repeatable that it cannot judge anybody. */
bool insn_host_over_limit(const struct insn_host *h, uint64_t cases);

/* "142 of 1000000 cases are not repeatable here (131 #UD without a reason, 11 #AC missing), ..."; nothing if all are. */
void insn_host_print(const struct insn_host *h, uint64_t cases);

#endif
