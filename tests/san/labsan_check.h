/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_check.h - what the two test programs of labsan share: short names, and looks into the
 * write log.
 *
 * Every function fails the running cmocka test when it cannot do its work. Include after <cmocka.h>.
 */
#ifndef LABSAN_CHECK_H
#define LABSAN_CHECK_H

#include "tests/san/labsan_ini.h"
#include "tests/san/labsan_proc.h"

#define GOOD	 0x00
#define CHECK	 0x02
#define BUSY	 0x08
#define CONFLICT 0x18
#define WEAR	 7

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE };

/* One thin LUN of 64 MiB. */
extern const char *const plain[];

#define ctl(p, ...) assert_int_equal(labsan_proc_ctl(p, NULL, 0, __VA_ARGS__), 0)

void start(struct labsan_proc *p, const char *const *args);
void stop(struct labsan_proc *p);
/* Logs in and swallows the unit attentions of LUN 0. */
void login(struct ini *i, struct labsan_proc *p, const char *name, int isid);
/* First byte of a block of LUN 0 as it is now. */
int peek(struct ini *i, uint64_t lba);
/* Waits until labsan holds n commands on the medium: they passed the checks by then. */
void wait_on_medium(struct labsan_proc *p, int n);
/* Number of the first line of the write log that has both words (0 = none); how many have them. */
int log_line(struct labsan_proc *p, const char *a, const char *b);
int log_count(struct labsan_proc *p, const char *a, const char *b);
/* Registers both with type 7, A with key 0xa, B with key 0xb. */
void two_hosts(struct labsan_proc *p, struct ini *a, struct ini *b);

#endif
