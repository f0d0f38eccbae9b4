/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_format.c - what is parsed and computed without I/O: URLs, the ownership block's bytes, timing.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_buf.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/lease/stor_lease_disk.h"
#include "sharedstorage/lease/stor_timing.h"

static void test_url_good(void **state)
{
	struct stor_url u;

	(void)state;
	assert_int_equal(stor_url_parse("file:/tmp/x.img?sector=4096&direct=no#d1", &u, NULL), 0);
	assert_int_equal(u.kind, STOR_URL_FILE);
	assert_string_equal(u.path, "/tmp/x.img");
	assert_string_equal(u.disk, "d1");
	assert_int_equal(u.sector_bytes, 4096);
	assert_int_equal(u.direct, 0);
	assert_int_equal(stor_url_parse("iscsi://joe@10.0.0.1,[::1]:99/iqn.2024-01.a:b/3?lock=4&header-"
					"digest=no&secret-file=/etc/s",
					&u, NULL),
			 0);
	assert_int_equal(u.portals, 2);
	assert_string_equal(u.portal[0], "10.0.0.1:3260");
	assert_string_equal(u.portal[1], "[::1]:99");
	assert_string_equal(u.target, "iqn.2024-01.a:b");
	assert_string_equal(u.user, "joe");
	assert_string_equal(u.secret_file, "/etc/s");
	assert_int_equal(u.lun, 3);
	assert_int_equal(u.lock_lun, 4);
	assert_false(u.header_digest);
	assert_int_equal(stor_url_parse("vol1/web.disk", &u, NULL), 0);
	assert_int_equal(u.kind, STOR_URL_VOLUME);
	assert_string_equal(u.volume, "vol1");
	assert_string_equal(u.disk, "web.disk");
}

static void test_url_bad(void **state)
{
	static const char *const bad[] = {
		"", "file:", "nothing", "a/b/c", "/b", "a/", "../x", "-a/b", "file:x?sector=513",
		"file:x?lock=1", "file:x?sector", "file:x#", "file:x#a/b", "iscsi://", "iscsi://1.2.3.4",
		"iscsi://1.2.3.4/iqn", "iscsi://1.2.3.4/iqn/", "iscsi://1.2.3.4/iqn/x",
		"iscsi://1.2.3.4/iqn/99999", "iscsi://1.2.3.4:0/iqn/1", "iscsi://1.2.3.4:65536/iqn/1",
		"iscsi://host.name/iqn/1", "iscsi://[::1/iqn/1", "iscsi://[::1]x/iqn/1",
		"iscsi://1.2.3.4,1.2.3.5,1.2.3.6/iqn/1", "iscsi://1.2.3.4,/iqn/1",
		"iscsi://joe%secret@1.2.3.4/iqn/1", "iscsi://joe:secret@1.2.3.4/iqn/1",
		"iscsi://@1.2.3.4/iqn/1", "iscsi://1.2.3.4/iqn/1?color=red", "iscsi://1.2.3.4//1",
	};
	struct stor_url u;
	struct cm_err err;
	char longer[2 * STOR_URL_MAX];

	(void)state;
	for (unsigned i = 0; i < CM_ARRAY_LEN(bad); i++) {
		cm_err_clear(&err);
		if (stor_url_parse(bad[i], &u, &err) != CM_E_BAD_URL || !err.text[0])
			fail_msg("'%s' was taken", bad[i]);
	}
	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	assert_int_equal(stor_url_parse(longer, &u, NULL), CM_E_BAD_URL);
}

static struct stor_block sample(void)
{
	struct stor_block b = {.state = STOR_BLOCK_RUNNING,
			       .epoch = 0x1122334455667788,
			       .renewal = 42,
			       .io_timeout_ms = 2000,
			       .owner = {.node = "node-a", .pid = 4711, .host_slot = 3},
			       .peer = {.node = "node-b", .pid = 815, .host_slot = 9}};

	for (unsigned i = 0; i < 16; i++) {
		b.vm.b[i] = (uint8_t)(i + 1);
		b.nonce.b[i] = (uint8_t)(0x80 + i);
		b.owner.boot.b[i] = (uint8_t)(0x20 + i);
		b.owner.instance.b[i] = (uint8_t)(0x40 + i);
		b.peer.boot.b[i] = (uint8_t)(0x60 + i);
	}
	b.owner.keys[0] = 0x4856000300000001;
	b.peer.keys[3] = 0x4856000900000002;
	b.shut[11] = 0x4856000100000007;
	return b;
}

/* Part of format: this checksum of the encoded sample must never change. */
static void test_block_golden(void **state)
{
	struct stor_block b = sample(), c;
	uint8_t raw[4096];

	(void)state;
	stor_block_encode(&b, raw, 512);
	assert_memory_equal(raw, "HVOWNBLK\1\0\0\0\2\0\0\0\1\2\3\4", 20);
	assert_int_equal(cm_le64(raw + 32), b.epoch);
	assert_int_equal(raw[80], 'n');
	assert_int_equal(raw[240], 'n');
	assert_int_equal(cm_le64(raw + 400 + 88), b.shut[11]);
	assert_int_equal(cm_le32(raw + 508), cm_crc32c(0, raw, 508));
	assert_int_equal(cm_le32(raw + 508), 0x2f554af8u);
	assert_int_equal(stor_block_decode(raw, 512, &c), 0);
	assert_memory_equal(&b, &c, sizeof b);
	stor_block_encode(&b, raw, 4096);
	assert_int_equal(stor_block_decode(raw, 4096, &c), 0);
	assert_memory_equal(&b, &c, sizeof b);
}

static void test_block_damage(void **state)
{
	struct stor_block b = sample(), c;
	uint8_t raw[512];

	(void)state;
	for (unsigned bit = 0; bit < 512 * 8; bit++) {
		stor_block_encode(&b, raw, 512);
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	}
	memset(raw, 0, sizeof raw);
	assert_int_equal(stor_block_decode(raw, 512, &c), -ENODATA);
	assert_int_equal(stor_block_decode(raw, 100, &c), CM_E_LEASE_CORRUPT);
	b.state = 7; /* well sealed, but impossible */
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	b = sample();
	b.owner.node[0] = 0;
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	b = sample();
	b.io_timeout_ms = 1;
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
}

static void test_uuid(void **state)
{
	struct stor_uuid u, v;
	char text[STOR_UUID_TEXT];

	(void)state;
	stor_uuid_random(&u);
	stor_uuid_format(&u, text);
	assert_int_equal(stor_uuid_parse(text, &v), 0);
	assert_true(stor_uuid_equal(&u, &v));
	assert_int_not_equal(stor_uuid_parse("00000000-0000-0000-0000-00000000000", &v), 0);
	assert_int_not_equal(stor_uuid_parse("00000000-0000-0000-0000-00000000000g", &v), 0);
	assert_int_not_equal(stor_uuid_parse("000000000000-0000-0000-0000-00000000", &v), 0);
}

/* READ FULL STATUS: two iSCSI nexuses and one of another protocol; every shorter answer is refused. */
static void test_nexuses(void **state)
{
	static const char id[] = "iqn.2026-01.a:b,i,0x800000070002"; /* 32 bytes and the NUL */
	uint8_t d[8 + 3 * (24 + 40)] = {0};
	struct stor_pr_nexus out[2];
	unsigned n;

	(void)state;
	cm_put_be32(d + 4, sizeof d - 8);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *p = d + 8 + (size_t)i * 64;

		cm_put_be64(p, 0x4856000100000000ull + i);
		cm_put_be32(p + 20, 40);
		p[24] = i == 2 ? 0 : 0x45;
		p[27] = 36;
		memcpy(p + 28, id, sizeof id);
		p[28 + 31] = (uint8_t)('2' + i);
	}
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), 0);
	assert_int_equal(n, 3); /* how many there are, not how many fit */
	assert_int_equal(out[1].key, 0x4856000100000001ull);
	assert_int_equal(out[0].isid, 0x800000070002ull);
	assert_int_equal(out[1].isid, 0x800000070003ull);
	for (size_t len = 0; len < sizeof d; len++)
		assert_int_equal(stor_pr_decode_nexuses(d, len, out, 2, &n), CM_E_SAN_SENSE);
	cm_put_be32(d + 8 + 20, 41); /* a descriptor that ends in the next one's middle */
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), CM_E_SAN_SENSE);
	d[8 + 128 + 24] = 0x45;
	cm_put_be32(d + 8 + 20, 40);
	d[8 + 128 + 27] = 2; /* a name that is longer than it says */
	assert_int_equal(stor_pr_decode_nexuses(d, sizeof d, out, 2, &n), 0);
}

static void test_timing(void **state)
{
	(void)state;
	for (uint64_t t = STOR_IO_TIMEOUT_MIN_MS; t <= STOR_IO_TIMEOUT_MAX_MS; t += 7) {
		/* time for two new logins before the vCPUs must stop */
		assert_true(STOR_FAIL(t) >= STOR_RENEW(t) + 3 * STOR_IO(t));
		/* the owner stops before it is killed, and is killed before anybody may think it dead */
		assert_true(STOR_STOPPED(t) < STOR_KILL(t));
		assert_true(STOR_KILL(t) + STOR_IO(t) <= STOR_DEAD_OWNER(t));
		/* drift of both clocks fits into the slack */
		assert_true(STOR_DEAD(t) * 100 >= STOR_DEAD_OWNER(t) * (100 + 2 * STOR_DRIFT_PERCENT));
		/* an observer that misses nothing: it looks much more often than it waits */
		assert_true(STOR_OBSERVE(t) * 8 <= STOR_DEAD(t) && STOR_OBSERVE(t) > 0);
		/* a renewal is seen at least twice in the wait */
		assert_true(STOR_DEAD(t) > 2 * STOR_RENEW(t));
		assert_true(STOR_DEAD_WATCHDOG(t) > STOR_KILL(t) + STOR_IO(t) + STOR_WATCHDOG(t));
		assert_true(STOR_DEAD_WATCHDOG(t) > STOR_DEAD(t));
		assert_true(STOR_RECONNECT_MAX(t) < STOR_IO(t) && STOR_RECONNECT_MIN(t) > 0);
		assert_true(STOR_PING(t) < STOR_IO(t));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_good),    cmocka_unit_test(test_url_bad),
		cmocka_unit_test(test_block_golden), cmocka_unit_test(test_block_damage),
		cmocka_unit_test(test_uuid),	     cmocka_unit_test(test_nexuses),
		cmocka_unit_test(test_timing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
