/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_sense.h - what a SCSI answer proves: one table of status, sense key, ASC and ASCQ. Pure;
 * inside iscsi/ only. Any bytes are survived. Thread: [any].
 */
#ifndef STOR_SENSE_H
#define STOR_SENSE_H

#include <stdbool.h>
#include <stdint.h>

enum stor_sense {
	STOR_SENSE_NONE = 0,
	STOR_SENSE_GOOD,      /* done */
	STOR_SENSE_RECOVERED, /* done, with words of the target beside it */
	STOR_SENSE_MISCOMPARE,
	STOR_SENSE_CONFLICT,  /* a reservation forbids it */
	STOR_SENSE_ATTENTION, /* news: send the command again */
	STOR_SENSE_LOOK,    /* news after which ownership must be looked at before it is sent again:
				 reset, reservations changed, perhaps another or another sized LUN */
	STOR_SENSE_BUSY,    /* send it again, after a delay */
	STOR_SENSE_PATH,    /* this path cannot now: the other portal, or again after a delay */
	STOR_SENSE_SPACE,   /* the pool behind a thin LUN is full: again when there is space */
	STOR_SENSE_PROTECT, /* write protected */
	STOR_SENSE_REFUSED, /* the command itself is refused; sending it again is no use */
	STOR_SENSE_FAILED, /* medium or hardware. A read or write of data has failed; whether a COMPARE
				 AND WRITE has happened is unknown */
	STOR_SENSE_ABORTED, /* it may have happened, in part or not at all */
	STOR_SENSE_UNKNOWN, /* nothing is proved */
	STOR_SENSE_COUNT,
};

/* Of an answer that came; status is the status byte, the others count with CHECK CONDITION only. */
enum stor_sense stor__sense_class(int status, uint8_t key, uint8_t asc, uint8_t ascq);

/*
 * Is it a fact that the command has changed nothing, and will not later? For SPACE that holds for a
 * command of one block only: of a longer write a part may be on the disk.
 */
bool stor__sense_not_executed(enum stor_sense sense);

/* Has it been done in full? */
bool stor__sense_done(enum stor_sense sense);

/* "the array is busy", for people. */
const char *stor__sense_words(enum stor_sense sense);

#endif
