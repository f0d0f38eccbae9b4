/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sansteps.c - times of what happens on the SAN when a VM is fenced or handed over, for
 * scripts/bench.
 *
 *   sansteps fence URL ROUNDS VMS   shut VMS registered sessions of one host slot out, proof by
 * READ KEYS included sansteps hand-over URL ROUNDS   the storage part of a live migration's
 * blackout: flush, the COMPARE AND WRITE that gives the block away, the destination's read and
 * first renewal
 *
 * Everything else of a round (logins, admission, the migration's intent) happens outside of the
 * measured time. Prints the rounds in microseconds as a JSON array. URL is a LUN whose sectors from
 * byte 4096 on may be overwritten.
 *
 * Thread: the program's only thread.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "sharedstorage/lease/stor_lease.h"
#include "sharedstorage/stor_open.h"

#define BLOCK_AT    4096u
#define MAX_VMS	    64u
#define OUR_SLOT    1u
#define VICTIM_SLOT 2u

struct host {
	struct stor_dev *dev;
	struct stor_lease *lease;
	bool ready, gone, answered;
	int rc;
};

static struct cm_loop *loop;
static const char *url;

static void die(const char *what, const char *words)
{
	fprintf(stderr, "sansteps: %s: %s\n", what, words);
	exit(1);
}

#define UNTIL(cond)                                                                                \
	do {                                                                                       \
		while (!(cond))                                                                    \
			cm_loop_turn(loop, 1000);                                                  \
	} while (0)

/* --- devices and leases, waited for --------------------------------------------------------- */

static void on_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		     void *arg)
{
	struct host *h = arg;

	(void)dev;
	if (event == STOR_EVENT_FAILED)
		die(url, err->text);
	if (event == STOR_EVENT_READY)
		h->ready = true;
}

static void on_gone(void *arg)
{
	((struct host *)arg)->gone = true;
}

static void host_open(struct host *h, uint16_t slot, unsigned number, bool gated)
{
	char initiator[64];
	struct stor_dev_opts o = {.gated = gated,
				  .host_slot = slot,
				  .isid = (uint64_t)slot << 8 | number,
				  .initiator = initiator,
				  .event = on_event,
				  .event_arg = h};
	struct cm_err err = CM_ERR_INIT;

	snprintf(initiator, sizeof initiator, "iqn.2026-01.test.bench:node%u", slot);
	*h = (struct host){0};
	h->dev = stor_dev_open(loop, url, &o, &err);
	if (!h->dev)
		die(url, err.text);
}

static void host_registered(struct host *h)
{
	UNTIL(h->ready && stor_dev_pr_key(h->dev));
}

static void host_close(struct host *h)
{
	if (h->lease) {
		h->gone = false;
		stor_lease_close(h->lease, on_gone, h);
		UNTIL(h->gone);
	}
	h->gone = false;
	stor_dev_close(h->dev, on_gone, h);
	UNTIL(h->gone);
}

static void on_fenced(int rc, const struct cm_err *err, void *arg)
{
	struct host *h = arg;

	if (rc)
		die("fence", err->text);
	h->answered = true;
}

static void on_answer(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct host *h = arg;

	(void)lease;
	if (rc)
		die("lease", err->text);
	h->answered = true;
}

static void on_flushed(struct stor_req *req, int rc)
{
	if (rc)
		die("flush", cm_err_text(rc));
	((struct host *)req->arg)->answered = true;
}

static void on_lost(struct stor_lease *lease, enum stor_lost reason, void *arg)
{
	(void)lease;
	(void)reason;
	(void)arg;
}

static void on_renewed(struct stor_lease *lease, uint64_t until, void *arg)
{
	(void)lease;
	(void)until;
	(void)arg;
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed};

static void host_lease(struct host *h, uint16_t slot, const struct stor_uuid *vm)
{
	struct stor_lease_cfg cfg = {.dev = h->dev,
				     .offset_bytes = BLOCK_AT,
				     .vm = *vm,
				     .node = slot == OUR_SLOT ? "node1" : "node2",
				     .host_slot = slot,
				     .label = "bench",
				     .ops = &lease_ops,
				     .arg = h};
	struct cm_err err = CM_ERR_INIT;

	UNTIL(h->ready);
	h->lease = stor_lease_new(&cfg, &err);
	if (!h->lease)
		die("lease", err.text);
}

#define LEASE(h, call, ...)                                                                        \
	do {                                                                                       \
		(h)->answered = false;                                                             \
		stor_lease_##call((h)->lease, ##__VA_ARGS__, on_answer, (h));                      \
		UNTIL((h)->answered);                                                              \
	} while (0)

/* --- what is measured ------------------------------------------------------------------------ */

static void result(unsigned round, uint64_t ns)
{
	printf("%s%.1f", round ? ", " : "[", (double)ns / 1000);
}

static void fence_round(struct host *fencer, unsigned vms, unsigned round)
{
	struct host victim[MAX_VMS];
	struct stor_key keys[MAX_VMS];
	uint64_t begun;

	for (unsigned i = 0; i < vms; i++)
		host_open(&victim[i], VICTIM_SLOT, i, false);
	for (unsigned i = 0; i < vms; i++) {
		host_registered(&victim[i]);
		keys[i] = (struct stor_key){.key = stor_dev_pr_key(victim[i].dev),
					    .lun = stor_dev_lun(victim[i].dev)};
	}
	fencer->answered = false;
	begun = cm_now_ns();
	stor_dev_fence(fencer->dev, keys, vms, on_fenced, fencer);
	UNTIL(fencer->answered);
	result(round, cm_now_ns() - begun);
	for (unsigned i = 0; i < vms; i++)
		host_close(&victim[i]);
}

static void fence(unsigned rounds, unsigned vms)
{
	struct host fencer;

	host_open(&fencer, OUR_SLOT, 0, false);
	host_registered(&fencer);
	for (unsigned i = 0; i < rounds; i++)
		fence_round(&fencer, vms, i);
	host_close(&fencer);
}

static void write_something(struct host *h)
{
	static uint8_t data[4096];
	struct iovec iov = {data, sizeof data};
	struct stor_req req;

	h->answered = false;
	stor_req_writev(&req, 1u << 20, &iov, 1, on_flushed, h);
	stor_dev_submit(h->dev, &req);
	UNTIL(h->answered);
}

/* Each round is a migration: the destination's session is up and registered before the source
 * pauses. */
static void hand_over_round(struct host *from, struct host *to, uint16_t slot,
			    const struct stor_uuid *vm, unsigned round)
{
	struct stor_owner self;
	struct stor_req flush;
	uint64_t begun;

	host_open(to, slot, 0, true);
	host_lease(to, slot, vm);
	host_registered(to);
	stor_lease_self(to->lease, &self);
	LEASE(from, intent, &self);
	write_something(from);
	from->answered = false;
	begun = cm_now_ns();
	stor_req_flush(&flush, on_flushed, from);
	stor_dev_submit(from->dev, &flush);
	UNTIL(from->answered);
	LEASE(from, commit);
	LEASE(to, accept);
	result(round, cm_now_ns() - begun);
	host_close(from);
}

static void hand_over(unsigned rounds)
{
	struct host host[2];
	struct stor_uuid vm;

	stor_uuid_random(&vm);
	host_open(&host[0], 1, 0, true);
	host_lease(&host[0], 1, &vm);
	LEASE(&host[0], acquire);
	for (unsigned i = 0; i < rounds; i++)
		hand_over_round(&host[i % 2], &host[(i + 1) % 2], i % 2 ? 1 : 2, &vm, i);
	LEASE(&host[rounds % 2], release);
	host_close(&host[rounds % 2]);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	unsigned vms = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;

	loop = cm_loop_new(NULL);
	signal(SIGPIPE, SIG_IGN);
	url = argc > 2 ? argv[2] : "";
	if (argc == 5 && !strcmp(argv[1], "fence") && rounds && vms && vms <= MAX_VMS) {
		fence(rounds, vms);
	} else if (argc == 4 && !strcmp(argv[1], "hand-over") && rounds) {
		hand_over(rounds);
	} else {
		fprintf(stderr,
			"usage: sansteps fence URL ROUNDS VMS | sansteps hand-over URL ROUNDS\n");
		return 2;
	}
	puts("]");
	cm_loop_free(loop);
	return 0;
}
