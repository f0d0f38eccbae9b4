/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_io.c - stor_dev over iSCSI against both targets: data, sizes, sectors, many requests at once, compare and
 * write, sessions that die, authentication. `test_san_io tgt` runs against stock tgt, otherwise against labsan.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "tests/san/santest.h"

static enum san_kind kind = SAN_LABSAN;

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	char url[256], lock[256], big[256];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	f->t = (struct san_target){.kind = kind,
				   .luns = {"disk0,thin,size=256M", "lock1,size=16M",
					    "disk2,blocksize=4096,size=256M", "disk3,thin,size=3T"}};
	f->loop = cm_loop_new(NULL);
	if (san_start(&f->t))
		exit(77);
	san_url(&f->t, 0, NULL, f->url, sizeof f->url);
	san_url(&f->t, 1, NULL, f->lock, sizeof f->lock);
	san_url(&f->t, 2, NULL, f->big, sizeof f->big);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	san_stop(&f->t);
	cm_loop_free(f->loop);
	free(f);
	return 0;
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void test_read_write(void **state)
{
	struct fix *f = *state;
	struct san_host h;
	size_t n = 5u << 20; /* longer than one command */
	uint8_t *a = aligned_alloc(4096, n), *b = aligned_alloc(4096, n);

	for (int i = 0; i < 3; i++) {
		struct stor_req r;
		uint32_t s;
		char plain[256];

		san_url(&f->t, 0, "?unmap=no&header-digest=no", plain, sizeof plain);
		assert_int_equal(san_open(&h, f->loop, i == 2 ? plain : i ? f->big : f->url, NULL), 0);
		s = stor_dev_info(h.dev)->sector_bytes;
		assert_int_equal(s, i == 1 ? 4096 : 512);
		assert_int_equal(stor_dev_info(h.dev)->capacity_bytes, 256u << 20);
		fill(a, n, 7);
		assert_int_equal(san_rw(&h, true, 8192, a, n, 0), 0);
		assert_int_equal(san_rw(&h, false, 8192, b, n, 0), 0);
		assert_memory_equal(a, b, n);
		assert_int_equal(san_rw(&h, true, 4096, a, s, STOR_REQ_FUA), 0);
		stor_req_flush(&r, NULL, NULL);
		assert_int_equal(san_do(&h, &r), 0);
		stor_req_write_zeroes(&r, 8192, n, false, NULL, NULL);
		assert_int_equal(san_do(&h, &r), 0);
		assert_int_equal(san_rw(&h, false, 8192, b, n, 0), 0);
		for (size_t k = 0; k < n; k += 499)
			assert_int_equal(b[k], 0);
		stor_req_discard(&r, 8192, 1u << 20, NULL, NULL);
		assert_int_equal(san_do(&h, &r), 0);
		assert_int_equal(san_rw(&h, true, 256u << 20, a, s, 0), -EINVAL);
		assert_int_equal(san_rw(&h, true, 100, a, s, 0), -EINVAL);
		san_close(&h);
	}
	free(a);
	free(b);
}

/* From 16 MiB to beyond what 32 bits of blocks can name: first, last, and both sides of 2 TiB. */
static void test_sizes(void **state)
{
	struct fix *f = *state;
	static const uint64_t huge = 3ull << 40, edge = 2ull << 40;
	const uint64_t places[] = {0, edge - 65536, edge - 4096, edge, edge + (1ull << 30), huge - 8192};
	uint8_t *data = aligned_alloc(4096, 131072), *back = aligned_alloc(4096, 131072);
	struct san_host h;
	struct stor_req r;
	char url[256];

	assert_int_equal(san_open(&h, f->loop, f->lock, NULL), 0);
	assert_int_equal(stor_dev_info(h.dev)->capacity_bytes, 16u << 20);
	fill(data, 8192, 1);
	assert_int_equal(san_rw(&h, true, (16u << 20) - 8192, data, 8192, 0), 0);
	assert_int_equal(san_rw(&h, false, (16u << 20) - 8192, back, 8192, 0), 0);
	assert_memory_equal(data, back, 8192);
	assert_int_equal(san_rw(&h, true, (16u << 20) - 4096, data, 8192, 0), -EINVAL);
	san_close(&h);

	san_url(&f->t, 3, NULL, url, sizeof url);
	assert_int_equal(san_open(&h, f->loop, url, NULL), 0);
	assert_int_equal(stor_dev_info(h.dev)->capacity_bytes, huge);
	for (unsigned i = 0; i < CM_ARRAY_LEN(places); i++) { /* all first: none may land on another */
		fill(data, 8192, 100 + i);
		assert_int_equal(san_rw(&h, true, places[i], data, 4096 + 4096 * (i != 2), 0), 0);
	}
	for (unsigned i = 0; i < CM_ARRAY_LEN(places); i++) {
		fill(data, 8192, 100 + i);
		assert_int_equal(san_rw(&h, false, places[i], back, 4096 + 4096 * (i != 2), 0), 0);
		assert_memory_equal(data, back, 4096 + 4096 * (i != 2));
	}
	fill(data, 131072, 7); /* across the edge, cleared and given back there */
	assert_int_equal(san_rw(&h, true, edge - 65536, data, 131072, 0), 0);
	stor_req_write_zeroes(&r, edge - 4096, 8192, true, NULL, NULL);
	assert_int_equal(san_do(&h, &r), 0);
	stor_req_discard(&r, huge - 4096, 4096, NULL, NULL);
	assert_int_equal(san_do(&h, &r), 0);
	memset(data + 65536 - 4096, 0, 8192);
	assert_int_equal(san_rw(&h, false, edge - 65536, back, 131072, 0), 0);
	assert_memory_equal(data, back, 131072);
	assert_int_equal(san_rw(&h, true, huge, data, 4096, 0), -EINVAL);
	san_close(&h);
	free(data);
	free(back);
}

#define MANY 600
static unsigned many_left, many_bad;
static void many_done(struct stor_req *req, int rc)
{
	(void)req;
	many_left--;
	many_bad += rc != 0;
}

/* Many at once, each in odd pieces, and sessions cut in the middle: all end well, all data is right. */
static void test_many_with_drops(void **state)
{
	struct fix *f = *state;
	struct san_host h;
	struct stor_req *r = calloc(MANY, sizeof *r);
	struct iovec *iov = calloc(MANY * 3, sizeof *iov);
	uint8_t *data = aligned_alloc(4096, MANY * 4096), *back = aligned_alloc(4096, MANY * 4096);

	assert_int_equal(san_open(&h, f->loop, f->url, NULL), 0);
	fill(data, MANY * 4096, 99);
	many_left = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		uint8_t *p = data + 4096 * i;

		iov[3 * i] = (struct iovec){p, 100};
		iov[3 * i + 1] = (struct iovec){p + 100, 3000};
		iov[3 * i + 2] = (struct iovec){p + 3100, 996};
		stor_req_writev(&r[i], 4096ull * i, &iov[3 * i], 3, many_done, NULL);
		stor_dev_submit(h.dev, &r[i]);
	}
	while (many_left > MANY / 2)
		cm_loop_turn(f->loop, 100);
	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "drop all");
	SAN_UNTIL(f->loop, !many_left);
	assert_int_equal(many_bad, 0);
	assert_int_equal(san_rw(&h, false, 0, back, MANY * 4096, 0), 0);
	assert_memory_equal(data, back, MANY * 4096);
	san_close(&h);
	free(r);
	free(iov);
	free(data);
	free(back);
}

static void test_caw(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 3, .guarded = kind == SAN_TGT};
	struct san_host h;
	uint8_t zero[512] = {0}, one[512], two[512], got[512];

	assert_int_equal(san_open(&h, f->loop, f->lock, &o), 0);
	memset(one, 1, sizeof one);
	memset(two, 2, sizeof two);
	assert_int_equal(san_caw(&h, 512, zero, one), 0);
	assert_int_equal(san_caw(&h, 512, zero, two), CM_E_LEASE_MISCOMPARE);
	assert_int_equal(san_caw(&h, 512, one, two), 0);
	assert_int_equal(san_rw(&h, false, 512, got, 512, 0), 0);
	assert_memory_equal(got, two, 512);
	san_close(&h);
}

/* Without the command and without a lock LUN there is no compare and write, and it says so. */
static void test_caw_refused(void **state)
{
	struct fix *f = *state;
	struct san_host h;
	uint8_t zero[512] = {0};

	if (kind != SAN_TGT)
		return;
	assert_int_equal(san_open(&h, f->loop, f->url, NULL), 0);
	assert_int_equal(san_caw(&h, 0, zero, zero), CM_E_SAN_UNSAFE);
	san_close(&h);
}

static void test_target_restart(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 4, .io_timeout_ms = 400};
	struct san_host h;
	uint8_t data[4096], got[4096];
	uint64_t keys[8], before;
	struct iovec iov = {data, sizeof data};
	struct stor_req r;

	fill(data, sizeof data, 5);
	assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	assert_int_equal(san_rw(&h, true, 0, data, sizeof data, STOR_REQ_FUA), 0);
	before = stor_dev_pr_key(h.dev);
	assert_int_not_equal(before, 0);
	san_kill9(&f->t);
	stor_req_writev(&r, 4096, &iov, 1, NULL, NULL);
	san_submit(&h, &r);
	SAN_UNTIL(f->loop, h.stalls);
	assert_false(h.answered);
	san_restart(&f->t);
	assert_int_equal(san_wait(&h), 0);
	assert_int_equal(h.resumes, 1);
	assert_int_equal(san_keys(&h, keys, 8), 1);
	assert_int_not_equal(keys[0], before);
	assert_int_equal(keys[0], stor_dev_pr_key(h.dev));
	assert_int_equal(san_rw(&h, false, 4096, got, sizeof got, 0), 0);
	assert_memory_equal(got, data, sizeof data);
	san_close(&h);
}

static int flush(struct san_host *h)
{
	struct stor_req r;

	stor_req_flush(&r, NULL, NULL);
	return san_do(h, &r);
}

static uint64_t lost_flushes(struct san_host *h)
{
	struct stor_dev_status st;

	stor_dev_get_status(h->dev, &st);
	return st.lost_flushes;
}

/* A power cut of the target, seen by the device; with_flush: a flush is under way meanwhile. */
static int power_cycle(struct fix *f, struct san_host *h, bool with_flush)
{
	unsigned stalls = h->stalls, resumes = h->resumes;
	struct stor_req r;

	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "power-cut");
	else
		san_kill9(&f->t);
	SAN_UNTIL(f->loop, h->stalls > stalls);
	stor_req_flush(&r, NULL, NULL);
	if (with_flush)
		san_submit(h, &r);
	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "power-on");
	else
		san_restart(&f->t);
	SAN_UNTIL(f->loop, h->resumes > resumes);
	return with_flush ? san_wait(h) : 0;
}

/* Writes that were done but not flushed went with the target's cache: exactly one flush says so. */
static void test_lost_flush(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.host_slot = 4, .io_timeout_ms = 400};
	struct san_host h;
	uint8_t data[4096], got[4096];

	fill(data, sizeof data, 5);
	if (kind == SAN_LABSAN)
		san_ctl(&f->t, "cache volatile");
	assert_int_equal(san_open(&h, f->loop, f->url, &o), 0);
	for (unsigned i = 1; kind == SAN_LABSAN && i <= 3; i++) { /* sessions die, the target lives */
		assert_int_equal(san_rw(&h, true, 0, data, sizeof data, 0), 0);
		san_ctl(&f->t, "drop all");
		SAN_UNTIL(f->loop, h.resumes == i);
		assert_int_equal(flush(&h), 0);
	}
	assert_int_equal(san_rw(&h, true, 0, data, sizeof data, 0), 0);
	assert_int_equal(flush(&h), 0);
	power_cycle(f, &h, false); /* everything was flushed: nothing to say */
	assert_int_equal(flush(&h), 0);
	assert_int_equal(san_rw(&h, true, 8192, data, sizeof data, STOR_REQ_FUA), 0);
	power_cycle(f, &h, false);
	assert_int_equal(flush(&h), 0);
	assert_int_equal(lost_flushes(&h), 0);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(san_rw(&h, true, 16384, data, sizeof data, 0), 0);
		assert_int_equal(power_cycle(f, &h, i == 2), i == 2 ? CM_E_IO : 0);
		assert_int_equal(lost_flushes(&h), i);
		if (i == 1)
			assert_int_equal(flush(&h), CM_E_IO);
		assert_int_equal(flush(&h), 0);
	}
	assert_int_equal(san_rw(&h, false, 16384, got, sizeof got, 0), 0);
	if (kind == SAN_LABSAN)
		assert_memory_not_equal(got, data, sizeof data);
	assert_int_equal(san_rw(&h, true, 16384, data, sizeof data, 0), 0);
	assert_int_equal(flush(&h), 0);
	san_close(&h);
}

/* The victim's key goes, its later writes never land, and it notices. */
static void test_fence(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts oa = {.host_slot = 1, .gated = true, .io_timeout_ms = 500}, ob = oa;
	struct san_host a, b;
	uint64_t keys[8], victim;
	struct stor_uuid vm;
	uint8_t data[512];
	struct iovec iov = {data, sizeof data};
	struct stor_req r;

	if (kind != SAN_LABSAN)
		return; /* its ownership block needs COMPARE AND WRITE on this LUN; see test_san_lease */
	ob.host_slot = 2;
	stor_uuid_random(&vm);
	assert_int_equal(san_open(&a, f->loop, f->url, &oa), 0);
	assert_int_equal(san_open(&b, f->loop, f->url, &ob), 0);
	san_lease(&a, "node-a", 1, 0, &vm, 500);
	assert_int_equal(SAN_LEASE(&a, acquire), 0);
	memset(data, 'a', sizeof data);
	assert_int_equal(san_rw(&a, true, 8192, data, 512, 0), 0);
	san_lease(&b, "node-b", 2, 512, &vm, 500); /* any block: lets b in */
	assert_int_equal(SAN_LEASE(&b, acquire), 0);
	victim = stor_dev_pr_key(a.dev);
	assert_int_equal(san_fence(&b, &victim, 1), 0);
	assert_int_equal(san_keys(&b, keys, 8), 1);
	/* a is shut out of the SAN, but owns its block still: it looks, and may come back. */
	memset(data, 'A', sizeof data);
	stor_req_writev(&r, 8192, &iov, 1, NULL, NULL);
	san_submit(&a, &r);
	assert_int_equal(san_wait(&a), 0);
	assert_true(a.conflicts || a.stalls);
	assert_int_not_equal(stor_dev_pr_key(a.dev), victim);
	san_close(&a);
	san_close(&b);
}

/* A LUN of many VMs: each has a nexus and a key of its own, and one of them is shut out among all. */
static void test_many_registrants(void **state)
{
	enum { HOSTS = 600 };
	struct fix *f = *state;
	struct san_host *h = calloc(HOSTS, sizeof *h);
	uint64_t *keys = calloc(HOSTS + 1, sizeof *keys), victim;
	uint8_t data[512] = {0};

	assert_true(h && keys);
	for (unsigned i = 0; i < HOSTS; i++) {
		struct stor_dev_opts o = {
			.host_slot = (uint16_t)(1 + i % 64), .isid = 1 + i, .io_timeout_ms = 5000};

		assert_int_equal(san_open(&h[i], f->loop, f->url, &o), 0);
	}
	for (unsigned i = 0; i < HOSTS; i++)
		SAN_UNTIL(f->loop, stor_dev_pr_key(h[i].dev));
	assert_int_equal(san_keys(&h[0], keys, HOSTS + 1), HOSTS);
	victim = stor_dev_pr_key(h[HOSTS - 1].dev);
	assert_int_equal(san_fence(&h[0], &victim, 1), 0);
	assert_int_equal(san_rw(&h[1], true, 8192, data, 512, 0), 0);
	for (int i = san_keys(&h[0], keys, HOSTS + 1) - 1; i >= 0; i--)
		assert_true(keys[i] != victim);
	for (unsigned i = 0; i < HOSTS; i++)
		san_close(&h[i]);
	free(keys);
	free(h);
}

static void test_bad_open(void **state)
{
	struct fix *f = *state;
	struct stor_dev_opts o = {.io_timeout_ms = 200};
	struct san_host h;
	char url[300], file[128];
	FILE *s;

	snprintf(url, sizeof url, "iscsi://127.0.0.1:%d/iqn.2026-01.test:none/0", f->t.port);
	assert_int_equal(san_open(&h, f->loop, url, &o), CM_E_SAN_LOGIN);
	san_close(&h);
	snprintf(url, sizeof url, "iscsi://127.0.0.1:1/%s/0", SAN_IQN);
	assert_int_equal(san_open(&h, f->loop, url, &o), CM_E_SAN_LOST);
	san_close(&h);
	/* a secret that others may read is refused */
	snprintf(file, sizeof file, "%s/secret", f->t.dir);
	s = fopen(file, "w");
	fputs("abcdefghijklmnop\n", s);
	fclose(s);
	chmod(file, 0644);
	snprintf(url, sizeof url, "iscsi://joe@127.0.0.1:%d/%s/0?secret-file=%s", f->t.port, SAN_IQN, file);
	assert_int_equal(san_open(&h, f->loop, url, &o), CM_E_DENIED);
}

static void secret_file(struct fix *f, const char *name, const char *secret)
{
	char path[128];
	FILE *s;

	snprintf(path, sizeof path, "%s/%s", f->t.dir, name);
	unlink(path);
	s = fopen(path, "w");
	assert_non_null(s);
	fprintf(s, "%s\n", secret);
	fclose(s);
	assert_int_equal(chmod(path, 0400), 0);
}

static void tgt_admin(struct fix *f, const char *words)
{
	char cmd[256];

	snprintf(cmd, sizeof cmd, "TGT_IPC_SOCKET=%s/tgt.sock tgtadm -C %d --lld iscsi %s", f->t.dir,
		 f->t.ctl, words);
	assert_int_equal(system(cmd), 0);
}

#define FRIEND "iqn.2026-01.test:friend"
/* Initiators prove themselves as joe, the target as san, and only FRIEND may come in at all. */
static void want_secrets(struct fix *f, char *extra, size_t cap)
{
	secret_file(f, "joe", "abcdefghijklmnop");
	secret_file(f, "san", "qrstuvwxyz012345");
	secret_file(f, "wrong", "AAAABBBBCCCCDDDD");
	if (kind == SAN_LABSAN) {
		snprintf(extra, cap, "--chap joe:%s/joe --chap-mutual san:%s/san --acl " FRIEND, f->t.dir,
			 f->t.dir);
		san_kill9(&f->t);
		f->t.extra = extra;
		san_restart(&f->t);
		return;
	}
	tgt_admin(f, "--mode account --op new --user joe --password abcdefghijklmnop");
	tgt_admin(f, "--mode account --op bind --tid 1 --user joe");
	tgt_admin(f, "--mode account --op new --user san --password qrstuvwxyz012345");
	tgt_admin(f, "--mode account --op bind --tid 1 --user san --outgoing");
	tgt_admin(f, "--mode target --op unbind --tid 1 --initiator-address ALL");
	tgt_admin(f, "--mode target --op bind --tid 1 --initiator-name " FRIEND);
}

/* The whole log of this process, from here on, in a file. */
static int log_to(struct fix *f, const char *name)
{
	char path[128];
	int old = dup(2), fd;

	snprintf(path, sizeof path, "%s/%s", f->t.dir, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(old >= 0 && fd >= 0 && dup2(fd, 2) == 2);
	close(fd);
	cm_log_set_level(CM_LOG_DEBUG);
	return old;
}

static void log_has_no_secret(struct fix *f, const char *name, int old)
{
	static const char *const secrets[] = {"abcdefghijklmnop", "qrstuvwxyz012345", "AAAABBBBCCCCDDDD"};
	char cmd[256];

	dup2(old, 2);
	close(old);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	for (unsigned i = 0; i < CM_ARRAY_LEN(secrets); i++) {
		snprintf(cmd, sizeof cmd, "test -s %s/%s && ! grep -q %s %s/%s", f->t.dir, name, secrets[i],
			 f->t.dir, name);
		assert_int_equal(system(cmd), 0);
	}
}

/* Who may come in, who not, and one clear line for each refusal; no secret in it, nor in any log. */
static void test_authentication(void **state)
{
	static const struct {
		const char *user, *secret, *target_secret, *initiator;
		int rc;
	} cases[] = {
		{"joe@", "joe", NULL, FRIEND, 0},
		{"joe@", "joe", "san", FRIEND, 0},
		{"joe@", "wrong", NULL, FRIEND, CM_E_SAN_LOGIN},
		{"jim@", "joe", NULL, FRIEND, CM_E_SAN_LOGIN},
		{"", NULL, NULL, FRIEND, CM_E_SAN_LOGIN},
		{"joe@", "joe", "wrong", FRIEND, CM_E_SAN_LOGIN},
		{"joe@", "joe", NULL, "iqn.2026-01.test:stranger", CM_E_SAN_LOGIN},
	};
	struct fix *f = *state;
	char extra[320], url[700], *end;
	uint8_t data[512];
	struct san_host h;
	int log;

	want_secrets(f, extra, sizeof extra);
	log = log_to(f, "log");
	for (unsigned i = 0; i < CM_ARRAY_LEN(cases); i++) {
		struct stor_dev_opts o = {.io_timeout_ms = 200, .initiator = cases[i].initiator};

		end = url + sprintf(url, "iscsi://%s127.0.0.1:%d/%s/%d", cases[i].user, f->t.port, SAN_IQN,
				    kind == SAN_TGT);
		if (cases[i].secret)
			end += sprintf(end, "?secret-file=%s/%s", f->t.dir, cases[i].secret);
		if (cases[i].target_secret)
			end += sprintf(end, "&target-user=san&target-secret-file=%s/%s", f->t.dir,
				       cases[i].target_secret);
		print_message("%s\n", url);
		assert_int_equal(san_open(&h, f->loop, url, &o), cases[i].rc);
		if (cases[i].rc)
			print_message("  %s\n", h.words);
		else
			assert_int_equal(san_rw(&h, false, 0, data, sizeof data, 0), 0);
		if (cases[i].rc) {
			assert_non_null(strstr(h.words, "127.0.0.1")); /* which target */
			assert_null(strstr(h.words, "abcdefgh"));
			assert_null(strstr(h.words, "AAAABBBB"));
		}
		san_close(&h);
	}
	log_has_no_secret(f, "log", log);
}

int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_read_write),	T(test_sizes),	 T(test_many_with_drops),
		T(test_caw),		T(test_caw_refused), T(test_fence), T(test_many_registrants),
		T(test_bad_open),	T(test_target_restart), T(test_lost_flush),
		T(test_authentication),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	cm_log_set_level(getenv("SANTEST_VERBOSE") ? CM_LOG_DEBUG : CM_LOG_NONE);
	if (argc > 1 && !strcmp(argv[1], "tgt"))
		kind = SAN_TGT;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
