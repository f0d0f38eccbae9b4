/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * santest.h - what tests against iSCSI targets share: a target of either kind that dies with the test, faults on
 * it, and devices and leases driven on one loop.
 *
 * Thread: the test's only thread.
 */
#ifndef SANTEST_H
#define SANTEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sharedstorage/lease/stor_lease.h"

/* FILE: no target; the LUNs are files that devices open by themselves. */
enum san_kind { SAN_LABSAN = 1, SAN_TGT = 2, SAN_FILE = 3 };

struct san_target {
	enum san_kind kind;
	char dir[64];
	int pid, port, ctl;
	const char *luns[4]; /* labsan's words; NULL ends */
	const char *extra;   /* labsan: one more option, or NULL */
};
#define SAN_IQN "iqn.2026-01.test:san"

/* 77 if the target is not on this machine. LUN numbers of both kinds: 0.. in san_url. */
int san_start(struct san_target *t);
void san_stop(struct san_target *t);
/* kill -9 and start again on the same port and files. */
void san_kill9(struct san_target *t);
void san_restart(struct san_target *t);
/* labsan: one control command, answer thrown away; fails the test if it is refused. */
void san_ctl(struct san_target *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, without "%"; with labsan's answer. */
void san_ask(struct san_target *t, const char *line, char *answer, size_t cap);
void san_url(const struct san_target *t, unsigned lun, const char *options, char *out, size_t cap);
const char *san_log_path(const struct san_target *t, char *out, size_t cap);

/*
 * A wire to the target that can be cut: a process group that forwards TCP. SIGSTOP to the group is a cable that is out,
 * SIGCONT puts it back. Returns its pid (= group); *port is where to connect.
 */
int san_wire(struct san_target *t, int *port);
void san_wire_cut(int wire, bool cut);
void san_wire_end(int wire);

/* One host's view: a device, maybe a lease. */
struct san_host {
	struct cm_loop *loop;
	struct stor_dev *dev;
	struct stor_lease *lease;
	bool ready, failed, gone, lease_gone, answered, stalled;
	bool alone;
	unsigned busy, stalls, resumes, conflicts, renewals;
	enum stor_watchdog watchdog; /* that its lease claims; SOFT unless a test sets it after san_open */
	enum stor_lost lost;
	int rc;
	char words[CM_ERR_TEXT];
};
/* 0 or the code of FAILED. opts may be NULL. */
int san_open(struct san_host *h, struct cm_loop *loop, const char *url, const struct stor_dev_opts *opts);
void san_close(struct san_host *h);
/* One request, waited for. */
int san_rw(struct san_host *h, bool write, uint64_t offset, void *data, size_t n, unsigned flags);
int san_do(struct san_host *h, struct stor_req *req);
void san_submit(struct san_host *h, struct stor_req *req); /* answered, rc when done */
int san_caw(struct san_host *h, uint64_t offset, const void *compare, const void *swap);
int san_fence(struct san_host *h, const uint64_t *keys, unsigned n);
int san_keys(struct san_host *h, uint64_t *keys, unsigned cap); /* count */
void san_lease(struct san_host *h, const char *node, uint16_t slot, uint64_t offset,
	       const struct stor_uuid *vm, uint32_t io_timeout_ms);
void san_answer(struct stor_lease *lease, int rc, const struct cm_err *err, void *host);
int san_wait(struct san_host *h);
#define SAN_LEASE(h, call, ...) \
	(stor_lease_##call((h)->lease, ##__VA_ARGS__, san_answer, (h)), san_wait(h))
/* Turns the loop until cond; a test never gives up by itself (its runner has a time limit). */
#define SAN_UNTIL(loop, cond) \
	do { \
		while (!(cond)) \
			cm_loop_turn(loop, 100); \
	} while (0)
void san_turn_ms(struct cm_loop *loop, unsigned ms);

#endif
