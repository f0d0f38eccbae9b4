/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanparty.c - see sanparty.h.
 */
#include "config.h"

#include "tests/san/sanparty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/lease/stor_permit_int.h"

enum san_kind kind = SAN_LABSAN;
bool joined;
unsigned sector = 512;

void fix_args(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "labsan"))
			kind = SAN_LABSAN;
		else if (!strcmp(argv[i], "tgt"))
			kind = SAN_TGT;
		else if (!strcmp(argv[i], "file"))
			kind = SAN_FILE;
		else if (!strcmp(argv[i], "joined"))
			joined = true;
		else if (!strcmp(argv[i], "4k"))
			sector = 4096;
		else
			cmocka_set_test_filter(argv[i]);
	}
}

int fix_setup_luns(void **state, const char *disk, const char *lock, const char *extra)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = kind, .luns = {disk, lock}, .extra = extra};
	f->loop = cm_loop_new(NULL);
	stor_uuid_random(&f->vm);
	if (san_start(&f->t))
		exit(77);
	*state = f;
	return 0;
}

int fix_setup_with(void **state, const char *extra)
{
	return fix_setup_luns(state, sector == 4096 ? "disk0,thin,blocksize=4096,size=64M" : "disk0,thin,size=64M",
			      "lock1,size=16M", extra);
}

int fix_setup(void **state)
{
	return fix_setup_with(state, NULL);
}

int fix_teardown(void **state)
{
	struct fix *f = *state;

	cm_fault_arm("", NULL);
	party_close(&f->a);
	party_close(&f->b);
	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f);
	return 0;
}

void party_open(struct fix *f, struct party *p, const char *node, uint16_t slot)
{
	struct stor_dev_opts o = {
		.gated = true, .host_slot = slot, .io_timeout_ms = T_MS, .isid = slot};
	char url[256], initiator[96], options[64] = "";

	snprintf(initiator, sizeof initiator, "iqn.2026-01.test.host:%s", node);
	o.initiator = initiator;
	if (joined)
		snprintf(options, sizeof options, "?lock=%d&unmap=no", kind == SAN_TGT ? 2 : 1);
	else if (kind == SAN_FILE)
		snprintf(options, sizeof options, "?sector=%u", sector);
	o.guarded = kind == SAN_TGT && !joined;
	san_url(&f->t, o.guarded ? 1 : 0, options, url, sizeof url);
	assert_int_equal(san_open(&p->own, f->loop, url, &o), 0);
	p->data = &p->own;
	if (o.guarded) {
		o.guarded = false;
		o.isid = slot + 1000u;
		san_url(&f->t, 0, NULL, url, sizeof url);
		assert_int_equal(san_open(&p->extra, f->loop, url, &o), 0);
		p->data = &p->extra;
	}
	san_lease(&p->own, node, slot, BLOCK, &f->vm, T_MS);
	if (p->extra.dev)
		assert_int_equal(stor_lease_guard(p->own.lease, p->extra.dev), 0);
}

void party_close(struct party *p)
{
	san_close(&p->own);
	san_close(&p->extra);
	memset(p, 0, sizeof *p);
}

void party_enters(struct fix *f, struct party *p)
{
	if (kind != SAN_FILE)
		SAN_UNTIL(f->loop, stor_dev_pr_key(p->own.dev) && stor_dev_pr_key(p->data->dev));
}

int write_data(struct party *p, int value)
{
	static uint8_t d[4096];

	memset(d, value, sector);
	return san_rw(p->data, true, DATA, d, sector, 0);
}

int read_data(struct party *p)
{
	static uint8_t d[4096];

	assert_int_equal(san_rw(p->data, false, DATA, d, sector, 0), 0);
	return d[0];
}

struct seen {
	struct stor_block b;
	int rc;
	bool done;
};

static void on_seen(int rc, const struct stor_block *b, void *arg)
{
	struct seen *s = arg;

	s->rc = rc;
	if (!rc)
		s->b = *b;
	s->done = true;
}

struct stor_block block_now(struct fix *f, struct party *p)
{
	struct seen s;

	do {
		s = (struct seen){0};
		stor_block_read(p->own.dev, BLOCK, on_seen, &s);
		SAN_UNTIL(f->loop, s.done);
		if (s.rc == CM_E_SAN_LOST)
			san_turn_ms(f->loop, 20);
	} while (s.rc == CM_E_SAN_LOST);
	if (s.rc) /* never used */
		s.b = (struct stor_block){.state = STOR_BLOCK_NONE};
	return s.b;
}

struct stor_permit *permit_now(struct fix *f, struct party *p)
{
	struct stor_block b = block_now(f, p);

	return stor_permit_new(&b, false, "test");
}
