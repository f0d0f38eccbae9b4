/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_url.c - URLs of devices: the good ones, and many bad ones.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sharedstorage/dev/stor_url.h"

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
	assert_int_equal(u.data_timeout_ms, 30000);
	assert_int_equal(stor_url_parse("iscsi://10.0.0.1/iqn/3?data-timeout=120", &u, NULL), 0);
	assert_int_equal(u.data_timeout_ms, 120000);
	assert_int_equal(stor_url_parse("vol1/web.disk", &u, NULL), 0);
	assert_int_equal(u.kind, STOR_URL_VOLUME);
	assert_string_equal(u.volume, "vol1");
	assert_string_equal(u.disk, "web.disk");
}

/* What the cluster's list of volumes adds. */
static void test_url_bind(void **state)
{
	static const char *const urls[][3] = {
		{"file:/x", "file:/x?volume=00000000-0000-0000-0000-000000000007", "file:/x"},
		{"file:/x?sector=4096", "file:/x?sector=4096&volume=00000000-0000-0000-0000-000000000007",
		 "file:/x?sector=4096"},
		{"iscsi://1.2.3.4/iqn/1?lock=2&volume=11111111-0000-0000-0000-000000000000&tag=12&unmap=no",
		 "iscsi://1.2.3.4/iqn/1?lock=2&unmap=no&volume=00000000-0000-0000-0000-000000000007",
		 "iscsi://1.2.3.4/iqn/1?lock=2&unmap=no"},
	};
	struct stor_uuid id = {{[15] = 7}}, none = {{0}};
	char out[STOR_URL_MAX];
	struct stor_url u;

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(urls); i++) {
		assert_int_equal(stor_url_bind(urls[i][0], &id, 0, out, sizeof out, NULL), 0);
		assert_string_equal(out, urls[i][1]);
		assert_int_equal(stor_url_parse(out, &u, NULL), 0);
		assert_true(stor_uuid_equal(&u.volume_id, &id));
		assert_int_equal(stor_url_bind(out, &none, 0, out, sizeof out, NULL), 0);
		assert_string_equal(out, urls[i][2]);
	}
	assert_int_equal(stor_url_bind(urls[0][0], &none, 0xabc, out, sizeof out, NULL), 0);
	assert_string_equal(out, "file:/x?tag=00000abc");
	assert_int_equal(stor_url_parse(out, &u, NULL), 0);
	assert_int_equal(u.tag, 0xabc);
	for (size_t cap = 1; cap < 60; cap++) /* no room: said, and not written behind the end */
		assert_int_equal(stor_url_bind(urls[0][0], &id, 0xabc, out, cap, NULL), CM_E_BAD_URL);
}

static void test_url_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"file:/x", "file:/x?sector=4096", true},
		{"file:/x", "file:/y", false},
		{"file:/x", "iscsi://1.2.3.4/iqn/1", false},
		{"iscsi://1.2.3.4/iqn/1", "iscsi://5.6.7.8,1.2.3.4/iqn/1?lock=3", true},
		{"iscsi://1.2.3.4/iqn/1", "iscsi://5.6.7.8/iqn/1", false}, /* the serial number tells */
		{"iscsi://1.2.3.4/iqn/1", "iscsi://1.2.3.4/iqn/2", false},
		{"iscsi://1.2.3.4/iqn/1?lock=3", "iscsi://1.2.3.4/iqn/2?lock=3", true},
		{"iscsi://1.2.3.4/iqn/1?lock=3", "iscsi://1.2.3.4/iqn/3", true},
		{"iscsi://1.2.3.4/iqn/1", "iscsi://1.2.3.4/iqm/1", false},
	};
	struct stor_url a, b;

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++) {
		assert_int_equal(stor_url_parse(rows[i].a, &a, NULL), 0);
		assert_int_equal(stor_url_parse(rows[i].b, &b, NULL), 0);
		assert_int_equal(stor_url_same(&a, &b), rows[i].same);
		assert_int_equal(stor_url_same(&b, &a), rows[i].same);
	}
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
		"iscsi://1.2.3.4/iqn/1?data-timeout=0", "iscsi://1.2.3.4/iqn/1?data-timeout=601",
		"file:x?data-timeout=5",
		"iscsi://@1.2.3.4/iqn/1", "iscsi://1.2.3.4/iqn/1?color=red", "iscsi://1.2.3.4//1",
		"file:x?volume=7", "file:x?tag=", "file:x?tag=123456789", "file:x?tag=1g",
		"file:x?volume=00000000-0000-0000-0000-000000000000",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_good),
		cmocka_unit_test(test_url_bind),
		cmocka_unit_test(test_url_same),
		cmocka_unit_test(test_url_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
