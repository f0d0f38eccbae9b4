/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_lease_disk.c - the ownership block, byte by byte; every damage is noticed. UUIDs.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_buf.h"
#include "sharedstorage/lease/stor_lease_disk.h"

static struct stor_block sample(void)
{
	struct stor_block b = {.state = STOR_BLOCK_RUNNING,
			       .epoch = 0x1122334455667788,
			       .renewal = 42,
			       .io_timeout_ms = 2000,
			       .owner = {.node = "node-a", .pid = 4711, .host_slot = 3, .watchdog = STOR_WATCHDOG_HARD},
			       .peer = {.node = "node-b", .pid = 815, .host_slot = 9, .watchdog = STOR_WATCHDOG_SOFT}};

	for (unsigned i = 0; i < 16; i++) {
		b.vm.b[i] = (uint8_t)(i + 1);
		b.nonce.b[i] = (uint8_t)(0x80 + i);
		b.owner.boot.b[i] = (uint8_t)(0x20 + i);
		b.owner.instance.b[i] = (uint8_t)(0x40 + i);
		b.peer.boot.b[i] = (uint8_t)(0x60 + i);
	}
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		b.owner.keys[i] = (struct stor_key){.key = 0x4856000300000001 + i, .lun = 0xcdefab00 + i};
	for (unsigned i = 0; i < 6; i++)
		b.peer.keys[i] = (struct stor_key){.key = 0x4856000900000002 + i};
	for (unsigned i = 0; i < 4; i++) /* as many as there is room for */
		b.shut[i] = (struct stor_key){.key = 0x4856000700000003 + i, .lun = 7 + i};
	return b;
}

/* Part of format: this checksum of the encoded sample must never change. */
static void test_block_golden(void **state)
{
	struct stor_block b = sample(), c;
	uint8_t raw[4096];

	(void)state;
	stor_block_encode(&b, raw, 512);
	assert_memory_equal(raw, "HVOWNBLK\3\0\0\0\2\0\0\0\1\2\3\4", 20);
	assert_int_equal(cm_le64(raw + 32), b.epoch);
	assert_int_equal(raw[80], 'n');
	assert_int_equal(raw[184], 'n');
	assert_int_equal(raw[80 + 102], 2);
	assert_int_equal(raw[184 + 102], 1);
	assert_memory_equal(raw + 68, "\14\6\4", 3);
	assert_memory_equal(raw + 288 + 110, "\14\0\0\0\3\0\13\253\357\315", 10); /* the owner's last */
	assert_memory_equal(raw + 288 + 210, "\6\0\0\0\7\0\12\0\0\0", 10);	   /* the last one of all */
	assert_int_equal(cm_le32(raw + 508), cm_crc32c(0, raw, 508));
	assert_int_equal(cm_le32(raw + 508), 0x20ce663eu);
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
	stor_block_encode(&b, raw, 512); /* whole, but of another release */
	cm_put_le16(raw + 8, 2); /* no level: an older one would be taken for NONE */
	cm_put_le32(raw + 508, cm_crc32c(0, raw, 508));
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_FORMAT);
	b.state = 7; /* well sealed, but impossible */
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	b = sample();
	b.owner.node[0] = 0;
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	b = sample();
	b.peer.watchdog = STOR_WATCHDOG_HARD + 1;
	assert_false(stor_owner_valid(&b.peer));
	stor_block_encode(&b, raw, 512);
	assert_int_equal(stor_block_decode(raw, 512, &c), CM_E_LEASE_CORRUPT);
	b = sample();
	b.owner.watchdog = 255;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_golden),
		cmocka_unit_test(test_block_damage),
		cmocka_unit_test(test_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
