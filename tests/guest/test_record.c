/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_record.c - the pure part of the record protocol: known checksums, malformed lines, range
 * sets against a plain model.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record_proto.h"

#define MODEL 90 /* numbers of the model; at most RECORD_RANGES_MAX ranges fit in them */

static void test_crc(void **state)
{
	(void)state;
	assert_int_equal(record_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(record_crc32(record_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(record_crc32(0, "", 0), 0);
}

static void test_parse(void **state)
{
	static const char *const wrong[] = {
		"",
		"R",
		"R ",
		"R 1",
		"R 1 cbf43926",
		"R 1 cbf4392 123456789",
		"R 1 CBF43926 123456789",
		"R x cbf43926 123456789",
		"R 1 cbf43926 123456788",
		"R 99999999999999999999 cbf43926 123456789",
		"Q 1 cbf43926 123456789",
	};
	const char *line = "R 42 cbf43926 123456789", *payload;
	uint64_t seq;
	size_t len;

	(void)state;
	assert_null(record_parse(line, strlen(line), &seq, &payload, &len));
	assert_int_equal(seq, 42);
	assert_int_equal(len, 9);
	assert_memory_equal(payload, "123456789", 9);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_non_null(record_parse(wrong[i], strlen(wrong[i]), &seq, &payload, &len));
}

static void compare(const struct record_ranges *set, const unsigned char *model)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < MODEL; i++) {
		assert_int_equal(record_ranges_has(set, i), model[i]);
		count += model[i];
	}
	assert_int_equal(record_ranges_count(set), count);
	for (unsigned i = 1; i < set->n; i++)
		assert_true(set->r[i - 1].last + 1 < set->r[i].first);
}

static void test_ranges(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 300; round++) {
		struct record_ranges a = {.n = 0}, b = {.n = 0};
		unsigned char in_a[MODEL] = {0}, in_b[MODEL] = {0};
		uint64_t missing = 0, lowest = 0, first;

		for (unsigned i = 0; i < 40; i++) {
			unsigned from = (unsigned)rand() % MODEL, to = from + (unsigned)rand() % 4;

			to = to < MODEL ? to : MODEL - 1;
			record_ranges_add(i % 2 ? &a : &b, from, to);
			memset((i % 2 ? in_a : in_b) + from, 1, to - from + 1);
		}
		compare(&a, in_a);
		compare(&b, in_b);
		for (unsigned i = MODEL; i-- > 0;) {
			if (in_a[i] && !in_b[i]) {
				missing++;
				lowest = i;
			}
		}
		assert_int_equal(record_ranges_missing(&a, &b, &first), missing);
		assert_int_equal(first, lowest);
	}
}

static void test_overflow(void **state)
{
	struct record_ranges set = {.n = 0};

	(void)state;
	for (unsigned i = 0; i < RECORD_RANGES_MAX; i++)
		record_ranges_add(&set, 2 * i, 2 * i);
	assert_false(set.overflowed);
	record_ranges_add(&set, 1000, 1000);
	assert_true(set.overflowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
