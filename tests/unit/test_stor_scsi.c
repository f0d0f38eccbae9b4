/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_scsi.c - which designator of a VPD page 0x83 names the LUN, and how.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sharedstorage/iscsi/stor_scsi.h"

struct page {
	uint8_t b[512];
	size_t n;
};

static void page_new(struct page *p)
{
	*p = (struct page){.b = {0, 0x83}, .n = 4};
}

static void add(struct page *p, uint8_t code_set, uint8_t type, const void *id, size_t n)
{
	uint8_t *d = p->b + p->n;

	d[0] = code_set;
	d[1] = type;
	d[3] = (uint8_t)n;
	memcpy(d + 4, id, n);
	p->n += 4 + n;
	p->b[2] = (uint8_t)((p->n - 4) >> 8);
	p->b[3] = (uint8_t)(p->n - 4);
}

static const uint8_t naa6[16] = {0x60, 0x01, 0x40, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t naa5[8] = {0x50, 1, 2, 3, 4, 5, 6, 7}, naa3[8] = {0x30, 1}, eui[8] = {0, 0x25, 0x38, 1, 2, 3, 4, 5};
static const char t10[] = "VENDOR  disk 0815";

static const char *id_of(const struct page *p)
{
	static char out[64];

	return stor__decode_lun_id(p->b, p->n, out, sizeof out) ? "none" : out;
}

/* From the worst to the best; each that comes wins over those before it, in either order. */
static void test_preference(void **state)
{
	struct page p, back;

	(void)state;
	page_new(&p);
	assert_string_equal(id_of(&p), "none");
	add(&p, 0x01, 0x13, naa6, sizeof naa6); /* of the port */
	add(&p, 0x02, 0x20, t10, strlen(t10));	/* of the device */
	add(&p, 0x02, 0x00, t10, strlen(t10));	/* vendor specific */
	add(&p, 0x01, 0x03, naa6, 4);		/* too short */
	assert_string_equal(id_of(&p), "none");
	add(&p, 0x01, 0x03, naa3, sizeof naa3); /* locally assigned: somebody else may have it */
	assert_string_equal(id_of(&p), "naa.3001000000000000");
	add(&p, 0x02, 0x01, t10, strlen(t10));
	assert_string_equal(id_of(&p), "t10.VENDORdisk0815");
	back = p;
	add(&p, 0x01, 0x02, eui, sizeof eui);
	assert_string_equal(id_of(&p), "eui.0025380102030405");
	add(&back, 0x01, 0x03, naa5, sizeof naa5);
	assert_string_equal(id_of(&back), "naa.5001020304050607");
	add(&p, 0x51, 0x03, naa6, sizeof naa6); /* with a protocol, still the unit's */
	assert_string_equal(id_of(&p), "naa.6001405a0102030405060708090a0b0c");
	add(&p, 0x01, 0x03, naa5, sizeof naa5);
	assert_string_equal(id_of(&p), "naa.6001405a0102030405060708090a0b0c");
}

/* Long ones that differ at their ends only are two; a page that is cut short gives what is whole. */
static void test_long_and_short(void **state)
{
	char a[200], first[64], one[64];
	struct page p;

	(void)state;
	memset(a, 'x', sizeof a);
	page_new(&p);
	add(&p, 0x02, 0x01, a, sizeof a);
	strcpy(first, id_of(&p));
	a[sizeof a - 1] = 'y';
	page_new(&p);
	add(&p, 0x02, 0x01, a, sizeof a);
	assert_string_not_equal(id_of(&p), first);
	assert_true(strlen(id_of(&p)) < sizeof first);
	page_new(&p);
	add(&p, 0x01, 0x03, naa5, sizeof naa5);
	strcpy(one, id_of(&p));
	add(&p, 0x01, 0x03, naa6, sizeof naa6);
	for (p.n--; p.n >= 4 + 12; p.n--)
		assert_string_equal(id_of(&p), one);
	for (; p.n; p.n--)
		assert_string_equal(id_of(&p), "none");
	p.n = 16;
	p.b[1] = 0x80;
	assert_string_equal(id_of(&p), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preference),
		cmocka_unit_test(test_long_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
