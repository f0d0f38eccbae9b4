/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stor_sense.c - what each SCSI answer proves: the whole table, what a row must not swallow, and
 * every answer that there is.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_err.h"
#include "sharedstorage/iscsi/stor_scsi.h"
#include "sharedstorage/iscsi/stor_sense.h"

#define C(key, asc, ascq, sense) {STOR_SCSI_CHECK, key, asc, ascq, STOR_SENSE_##sense}
#define S(status, sense)	 {status, 0, 0, 0, STOR_SENSE_##sense}

static const struct {
	int status;
	uint8_t key, asc, ascq;
	enum stor_sense sense;
} table[] = {
	S(0x00, GOOD),
	S(0x04, GOOD),
	S(0x08, BUSY),
	S(0x28, BUSY),
	S(0x18, CONFLICT),
	S(0x40, ABORTED),
	S(0x10, UNKNOWN), /* INTERMEDIATE: obsolete */
	S(0x22, UNKNOWN), /* COMMAND TERMINATED: obsolete */
	S(0x30, UNKNOWN), /* ACA ACTIVE: we ask for none */
	S(0xff, UNKNOWN),
	S(-1, UNKNOWN),

	C(0x0, 0x00, 0x00, RECOVERED),
	C(0x1, 0x17, 0x01, RECOVERED), /* recovered data with retries */
	C(0x1, 0x5d, 0x00, RECOVERED), /* failure prediction threshold exceeded */
	C(0x1, 0x1d, 0x00, RECOVERED),
	C(0xf, 0x00, 0x00, RECOVERED),
	C(0xe, 0x1d, 0x00, MISCOMPARE),
	C(0xe, 0x1d, 0x01, MISCOMPARE),

	C(0x2, 0x04, 0x00, PATH), /* cause not reportable */
	C(0x2, 0x04, 0x01, BUSY),
	C(0x2, 0x04, 0x02, PATH), /* initializing command required */
	C(0x2, 0x04, 0x03, PATH), /* manual intervention required */
	C(0x2, 0x04, 0x07, BUSY),
	C(0x2, 0x04, 0x09, BUSY),
	C(0x2, 0x04, 0x0a, PATH), /* asymmetric access state transition */
	C(0x2, 0x04, 0x0b, PATH), /* standby */
	C(0x2, 0x04, 0x0c, PATH), /* unavailable */
	C(0x2, 0x04, 0x12, PATH), /* offline */
	C(0x2, 0x04, 0x14, BUSY),
	C(0x2, 0x3a, 0x00, PATH),
	C(0x2, 0x3a, 0x01, PATH), /* as becoming ready, of another ASC */
	C(0x2, 0x3e, 0x01, PATH), /* logical unit failure */

	C(0x3, 0x0c, 0x02, FAILED), /* write error, auto-reallocation failed */
	C(0x3, 0x11, 0x00, FAILED), /* unrecovered read error */
	C(0x4, 0x44, 0x00, FAILED), /* internal target failure */
	C(0x4, 0x04, 0x01, FAILED), /* as becoming ready, of another key */
	C(0x4, 0x27, 0x07, FAILED),

	C(0x5, 0x20, 0x00, REFUSED),
	C(0x5, 0x21, 0x00, REFUSED),
	C(0x5, 0x24, 0x00, REFUSED),
	C(0x5, 0x25, 0x00, REFUSED), /* LUN not supported */
	C(0x5, 0x27, 0x07, REFUSED),

	C(0x6, 0x28, 0x00, LOOK),
	C(0x6, 0x29, 0x00, LOOK),
	C(0x6, 0x29, 0x01, LOOK),
	C(0x6, 0x29, 0x04, LOOK),
	C(0x6, 0x29, 0x07, LOOK), /* I_T nexus loss occurred */
	C(0x6, 0x2a, 0x01, ATTENTION), /* mode parameters changed */
	C(0x6, 0x2a, 0x03, LOOK),
	C(0x6, 0x2a, 0x04, LOOK),
	C(0x6, 0x2a, 0x05, LOOK),
	C(0x6, 0x2a, 0x06, ATTENTION), /* asymmetric access state changed */
	C(0x6, 0x2a, 0x09, LOOK),
	C(0x6, 0x2f, 0x00, LOOK),
	C(0x6, 0x38, 0x07, ATTENTION), /* thin provisioning soft threshold reached */
	C(0x6, 0x3f, 0x01, ATTENTION), /* microcode changed */
	C(0x6, 0x3f, 0x03, LOOK),
	C(0x6, 0x3f, 0x05, LOOK),
	C(0x6, 0x3f, 0x0e, LOOK),
	C(0x6, 0x28, 0x01, ATTENTION),

	C(0x7, 0x27, 0x00, PROTECT),
	C(0x7, 0x27, 0x01, PROTECT), /* hardware write protected */
	C(0x7, 0x27, 0x07, SPACE),
	C(0x7, 0x20, 0x07, PROTECT), /* as space, of another ASC */
	C(0x7, 0x74, 0x71, PROTECT),

	C(0x8, 0x00, 0x00, UNKNOWN), /* BLANK CHECK */
	C(0x9, 0x80, 0x00, UNKNOWN), /* VENDOR SPECIFIC */
	C(0xa, 0x0d, 0x00, UNKNOWN), /* COPY ABORTED */
	C(0xb, 0x00, 0x00, ABORTED),
	C(0xb, 0x47, 0x03, ABORTED), /* CRC error detected */
	C(0xb, 0x4b, 0x00, ABORTED), /* data phase error */
	C(0xc, 0x00, 0x00, UNKNOWN),
	C(0xd, 0x00, 0x00, UNKNOWN), /* VOLUME OVERFLOW */
	C(0x1f, 0x00, 0x00, UNKNOWN),
};

static void test_table(void **state)
{
	bool seen[STOR_SENSE_COUNT] = {0};

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(table); i++) {
		enum stor_sense is = stor__sense_class(table[i].status, table[i].key, table[i].asc, table[i].ascq);

		if (is != table[i].sense)
			fail_msg("%d %02x %02x/%02x: %s, not: %s", table[i].status, table[i].key, table[i].asc,
				 table[i].ascq, stor__sense_words(is), stor__sense_words(table[i].sense));
		seen[is] = true;
	}
	for (int s = STOR_SENSE_NONE + 1; s < STOR_SENSE_COUNT; s++)
		assert_true(seen[s]);
}

/* Sense bytes beside a status that has none are not read. */
static void test_status_alone(void **state)
{
	(void)state;
	assert_int_equal(stor__sense_class(STOR_SCSI_GOOD, STOR_KEY_HARDWARE, 0x44, 0), STOR_SENSE_GOOD);
	assert_int_equal(stor__sense_class(STOR_SCSI_BUSY, STOR_KEY_MISCOMPARE, 0x1d, 0), STOR_SENSE_BUSY);
}

/* For every answer that there is: what it proves goes with its key, whatever ASC and ASCQ are. */
static void test_all(void **state)
{
	static const bool not_executed[16] = {[0x2] = true, [0x5] = true, [0x6] = true, [0x7] = true, [0xe] = true};
	static const bool done[16] = {[0x0] = true, [0x1] = true, [0xf] = true};

	(void)state;
	for (unsigned key = 0; key < 256; key++)
		for (unsigned code = 0; code < 65536; code++) {
			enum stor_sense s = stor__sense_class(STOR_SCSI_CHECK, (uint8_t)key, (uint8_t)(code >> 8),
							      (uint8_t)code);

			if (stor__sense_not_executed(s) != (key < 16 && not_executed[key]) ||
			    stor__sense_done(s) != (key < 16 && done[key]))
				fail_msg("%02x %04x: %s", key, code, stor__sense_words(s));
		}
}

/* A class is done, or not executed, or neither; and has words of its own. */
static void test_facts(void **state)
{
	(void)state;
	for (int s = 0; s < STOR_SENSE_COUNT; s++) {
		assert_false(stor__sense_done(s) && stor__sense_not_executed(s));
		assert_non_null(stor__sense_words(s));
		for (int t = 0; t < s; t++)
			assert_string_not_equal(stor__sense_words(s), stor__sense_words(t));
	}
	assert_false(stor__sense_not_executed(STOR_SENSE_FAILED));
	assert_false(stor__sense_not_executed(STOR_SENSE_ABORTED));
	assert_false(stor__sense_not_executed(STOR_SENSE_UNKNOWN));
	assert_false(stor__sense_not_executed(STOR_SENSE_NONE));
	assert_false(stor__sense_not_executed(STOR_SENSE_COUNT));
	assert_false(stor__sense_done(STOR_SENSE_COUNT));
	assert_string_equal(stor__sense_words(STOR_SENSE_COUNT), stor__sense_words(STOR_SENSE_UNKNOWN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_status_alone),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
