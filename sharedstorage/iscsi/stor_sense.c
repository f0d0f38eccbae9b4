/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_sense.c - the table of SCSI answers. Pure; parses four numbers.
 *
 * Sources: status codes: SAM-5, "Status". Sense keys: SPC-4 4.5.6, additional sense codes: SPC-4,
 * "ASC and ASCQ assignments". That a unit attention ends a command before it is processed: SAM-5,
 * "Unit attention conditions". NOT READY of an asymmetric access state: SPC-4, "Asymmetric logical
 * unit access". Thin LUNs (07/27/07, 02/04/14): SBC-3 4.7.3.6. MISCOMPARE of COMPARE AND WRITE:
 * SBC-3 5.2. RECOVERED ERROR, NO SENSE and COMPLETED go with a command that was successful (SPC-4 4.5.6).
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_sense.h"

#include "common/cm_err.h"
#include "sharedstorage/iscsi/stor_scsi.h"

#define ANY (-1)

struct sense_row {
	int16_t key, asc, ascq; /* ANY: every one */
	uint8_t sense;
};

static const struct {
	uint8_t status, sense;
} by_status[] = {
	{STOR_SCSI_GOOD, STOR_SENSE_GOOD},	   {0x04, STOR_SENSE_GOOD}, /* CONDITION MET */
	{STOR_SCSI_BUSY, STOR_SENSE_BUSY},	   {STOR_SCSI_FULL, STOR_SENSE_BUSY},
	{STOR_SCSI_CONFLICT, STOR_SENSE_CONFLICT}, {STOR_SCSI_ABORTED, STOR_SENSE_ABORTED},
};

/* The first row that fits counts. */
static const struct sense_row by_sense[] = {
	{STOR_KEY_NONE, ANY, ANY, STOR_SENSE_RECOVERED},
	{STOR_KEY_RECOVERED, ANY, ANY, STOR_SENSE_RECOVERED},
	{STOR_KEY_COMPLETED, ANY, ANY, STOR_SENSE_RECOVERED},
	{STOR_KEY_MISCOMPARE, ANY, ANY, STOR_SENSE_MISCOMPARE},

	{STOR_KEY_NOT_READY, 0x04, 0x01, STOR_SENSE_BUSY}, /* becoming ready */
	{STOR_KEY_NOT_READY, 0x04, 0x07, STOR_SENSE_BUSY}, /* operation in progress */
	{STOR_KEY_NOT_READY, 0x04, 0x09, STOR_SENSE_BUSY}, /* self-test in progress */
	{STOR_KEY_NOT_READY, 0x04, 0x14, STOR_SENSE_BUSY}, /* space allocation in progress */
	{STOR_KEY_NOT_READY, ANY, ANY,
	 STOR_SENSE_PATH}, /* 04/0A transition, 0B standby, 0C unavailable */

	{STOR_KEY_ATTENTION, 0x28, 0x00, STOR_SENSE_LOOK}, /* the medium may have changed */
	{STOR_KEY_ATTENTION, 0x29, ANY, STOR_SENSE_LOOK},  /* power on, reset */
	{STOR_KEY_ATTENTION, 0x2a, 0x03, STOR_SENSE_LOOK}, /* reservations preempted */
	{STOR_KEY_ATTENTION, 0x2a, 0x04, STOR_SENSE_LOOK}, /* reservations released */
	{STOR_KEY_ATTENTION, 0x2a, 0x05, STOR_SENSE_LOOK}, /* registrations preempted */
	{STOR_KEY_ATTENTION, 0x2a, 0x09, STOR_SENSE_LOOK}, /* capacity changed */
	{STOR_KEY_ATTENTION, 0x2f, ANY, STOR_SENSE_LOOK},  /* commands cleared */
	{STOR_KEY_ATTENTION, 0x3f, 0x03, STOR_SENSE_LOOK}, /* INQUIRY data changed */
	{STOR_KEY_ATTENTION, 0x3f, 0x05, STOR_SENSE_LOOK}, /* device identifier changed */
	{STOR_KEY_ATTENTION, 0x3f, 0x0e, STOR_SENSE_LOOK}, /* reported LUNs changed */
	{STOR_KEY_ATTENTION, ANY, ANY, STOR_SENSE_ATTENTION},

	{STOR_KEY_PROTECT, 0x27, 0x07, STOR_SENSE_SPACE},
	{STOR_KEY_PROTECT, ANY, ANY, STOR_SENSE_PROTECT},
	{STOR_KEY_ILLEGAL, ANY, ANY, STOR_SENSE_REFUSED},

	{STOR_KEY_MEDIUM, ANY, ANY, STOR_SENSE_FAILED},
	{STOR_KEY_HARDWARE, ANY, ANY, STOR_SENSE_FAILED},
	{STOR_KEY_ABORTED, ANY, ANY, STOR_SENSE_ABORTED},
};

static bool is(int16_t want, uint8_t have)
{
	return want == ANY || want == have;
}

enum stor_sense stor__sense_class(int status, uint8_t key, uint8_t asc, uint8_t ascq)
{
	if (status == STOR_SCSI_CHECK)
		for (size_t i = 0; i < CM_ARRAY_LEN(by_sense); i++)
			if (is(by_sense[i].key, key) && is(by_sense[i].asc, asc) &&
			    is(by_sense[i].ascq, ascq))
				return by_sense[i].sense;
	for (size_t i = 0; i < CM_ARRAY_LEN(by_status); i++)
		if (by_status[i].status == status)
			return by_status[i].sense;
	return STOR_SENSE_UNKNOWN;
}

/* What each class proves, and its words. */
static const struct {
	bool not_executed, done;
	const char *words;
} facts[STOR_SENSE_COUNT] = {
	[STOR_SENSE_NONE] = {false, false, "no answer"},
	[STOR_SENSE_GOOD] = {false, true, "done"},
	[STOR_SENSE_RECOVERED] = {false, true, "done, after the array had recovered from an error"},
	[STOR_SENSE_MISCOMPARE] = {true, false, "the block has other bytes"},
	[STOR_SENSE_CONFLICT] = {true, false, "a reservation of somebody else forbids it"},
	[STOR_SENSE_ATTENTION] = {true, false, "the array has news"},
	[STOR_SENSE_LOOK] = {true, false, "the array was reset or reservations changed"},
	[STOR_SENSE_BUSY] = {true, false, "the array is busy"},
	[STOR_SENSE_PATH] = {true, false, "the LUN is not ready on this path"},
	[STOR_SENSE_SPACE] = {true, false, "the array has no space left for this LUN"},
	[STOR_SENSE_PROTECT] = {true, false, "the LUN is write protected"},
	[STOR_SENSE_REFUSED] = {true, false, "the array does not accept the command"},
	[STOR_SENSE_FAILED] = {false, false, "the array failed: medium or hardware"},
	[STOR_SENSE_ABORTED] = {false, false, "the array aborted the command"},
	[STOR_SENSE_UNKNOWN] = {false, false, "the array gave an answer that proves nothing"},
};

bool stor__sense_not_executed(enum stor_sense sense)
{
	return (unsigned)sense < STOR_SENSE_COUNT && facts[sense].not_executed;
}

bool stor__sense_done(enum stor_sense sense)
{
	return (unsigned)sense < STOR_SENSE_COUNT && facts[sense].done;
}

const char *stor__sense_words(enum stor_sense sense)
{
	return facts[(unsigned)sense < STOR_SENSE_COUNT ? sense : STOR_SENSE_UNKNOWN].words;
}
