/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volcheck_int.h - a check of a volume while it runs, for stor_volcheck.c and stor_volleak.c
 * only. Thread: [worker].
 */
#ifndef STOR_VOLCHECK_INT_H
#define STOR_VOLCHECK_INT_H

#include "sharedstorage/volume/stor_volume_int.h"

struct checker {
	struct stor_volume *vol;
	bool repair;
	void (*complaint)(const char *text, void *arg);
	void *arg;
	struct stor_volume_report *r;
	struct cm_err *err;
	/* stor_volleak.c's own */
	struct stor_slots *slots;
	uint8_t *seen[STOR_VOL_DISKS]; /* one byte per logical extent of a disk that has extents */
	bool moved[STOR_VOL_DISKS]; /* somebody works on that slot: read again during the check */
	bool fresh[STOR_VOL_DISKS]; /* ... and after the sector of the table that is looked at */
	uint64_t sector; /* of the table, that is being looked at */
	int rc;		 /* why the walk of the table is over */
};

/* --- stor_volleak.c --- */

void stor__check_complain(struct checker *c, const char *fmt, ...) cm_printf(2, 3);

/* Disk slots and the extent table; last, since it needs nothing else of a volume to be whole. */
int stor__check_disks(struct checker *c, struct cm_err *err);

#endif
