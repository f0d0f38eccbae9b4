/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blockload_iscsi.c - the bare peer of the block benches: libiscsi and poll(), nothing else.
 *
 *   blockload_iscsi PORTAL IQN LUN --op read|write --size BYTES --depth N --count N [--step BYTES]
 *
 * It does what any initiator on libiscsi has to do and not one thing more: one session with the
 * parameters of stor_sess.c, one command per request straight from and to its memory, what is
 * queued is written at once and poll() is asked only when there is nothing to write. No time-outs,
 * no recovery, no checks of the target: it is the yardstick, not an alternative.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "tests/bench/blockload.h"

struct slot {
	struct bench *bench;
	struct iovec iov;
};

struct bench {
	struct iscsi_context *ctx;
	struct load load;
	int lun;
	uint32_t sector_bytes;
	bool over;
};

static void die(struct bench *b, const char *what)
{
	fprintf(stderr, "blockload_iscsi: %s: %s\n", what, iscsi_get_error(b->ctx));
	exit(1);
}

static void slot_done(struct iscsi_context *ctx, int status, void *data, void *arg);

static void slot_go(struct slot *s)
{
	struct bench *b = s->bench;
	struct scsi_iovec *iov = (struct scsi_iovec *)(void *)&s->iov;
	uint32_t n = b->load.size_bytes;
	struct scsi_task *task;
	uint64_t offset;

	if (!load_next(&b->load, &offset))
		return;
	task = b->load.write ? iscsi_write16_iov_task(b->ctx, b->lun, offset / b->sector_bytes,
						      NULL, n, (int)b->sector_bytes, 0, 0, 0, 0, 0,
						      slot_done, s, iov, 1)
			     : iscsi_read16_iov_task(b->ctx, b->lun, offset / b->sector_bytes, n,
						     (int)b->sector_bytes, 0, 0, 0, 0, 0, slot_done,
						     s, iov, 1);
	if (!task)
		die(b, "cannot send");
}

static void slot_done(struct iscsi_context *ctx, int status, void *data, void *arg)
{
	struct slot *s = arg;

	(void)ctx;
	if (status != SCSI_STATUS_GOOD)
		die(s->bench, "a request failed");
	scsi_free_scsi_task(data);
	if (load_end(&s->bench->load))
		s->bench->over = true;
	else
		slot_go(s);
}

static void serve(struct bench *b)
{
	struct pollfd p = {.fd = iscsi_get_fd(b->ctx)};

	while (!b->over) {
		p.events = (short)iscsi_which_events(b->ctx);
		p.revents = p.events & POLLOUT;
		if (p.revents && iscsi_service(b->ctx, p.revents) < 0)
			die(b, "the session broke");
		p.events = (short)iscsi_which_events(b->ctx); /* POLLOUT: the socket is full */
		if (poll(&p, 1, -1) < 0 || iscsi_service(b->ctx, p.revents) < 0)
			die(b, "the session broke");
	}
}

static void connect_to(struct bench *b, const char *portal, const char *iqn)
{
	b->ctx = iscsi_create_context("iqn.2026-01.test.bench:bare");
	if (!b->ctx)
		exit(1);
	iscsi_set_targetname(b->ctx, iqn);
	iscsi_set_session_type(b->ctx, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(b->ctx, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_immediate_data(b->ctx, ISCSI_IMMEDIATE_DATA_YES);
	iscsi_set_initial_r2t(b->ctx, ISCSI_INITIAL_R2T_NO);
	iscsi_set_noautoreconnect(b->ctx, 1);
	iscsi_set_timeout(b->ctx, 0);
	if (iscsi_full_connect_sync(b->ctx, portal, b->lun))
		die(b, portal);
}

static uint64_t capacity(struct bench *b)
{
	struct scsi_task *t = iscsi_readcapacity16_sync(b->ctx, b->lun);
	struct scsi_readcapacity16 *rc;
	uint64_t bytes;

	if (!t || t->status != SCSI_STATUS_GOOD || !(rc = scsi_datain_unmarshall(t)))
		die(b, "no capacity");
	b->sector_bytes = rc->block_length;
	bytes = (rc->returned_lba + 1) * rc->block_length;
	scsi_free_scsi_task(t);
	return bytes;
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	const char *word[3];
	struct slot *slots;
	void *memory;

	if (load_parse(&b.load, argc, argv, word, 3) != 3) {
		fprintf(stderr, "usage: blockload_iscsi PORTAL IQN LUN " LOAD_USAGE "\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	b.lun = atoi(word[2]);
	connect_to(&b, word[0], word[1]);
	memory = load_memory(&b.load);
	slots = calloc(b.load.depth, sizeof *slots);
	if (!slots || !load_start(&b.load, capacity(&b)))
		return 1;
	for (unsigned i = 0; i < b.load.depth; i++) {
		slots[i] = (struct slot){&b, load_part(&b.load, memory, i)};
		slot_go(&slots[i]);
	}
	serve(&b);
	load_report(&b.load);
	iscsi_logout_sync(b.ctx);
	iscsi_destroy_context(b.ctx);
	free(memory);
	free(slots);
	return 0;
}
