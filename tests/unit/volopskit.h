/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volopskit.h - operations on a volume, each with what it needs before and a judge of what is there
 * after: for test_stor_vol. Run in a child process: they _exit(2) with words when a thing
 * must not be.
 */
#ifndef VOLOPSKIT_H
#define VOLOPSKIT_H

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/volkit.h"

extern char vo_where[96]; /* what is going on, for the words */
extern uint32_t vo_sector;

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s: %s:%d: %s\n", vo_where, __FILE__, __LINE__, #x);      \
			_exit(2);                                                                  \
		}                                                                                  \
	} while (0)

struct vo_op {
	const char *name;
	void (*prepare)(struct stor_volume *vol); /* by a process that lives */
	int (*run)(struct stor_volume *vol);
	/* 0 it has not happened, 1 it has; dies if it is neither */
	int (*state)(struct stor_volume *vol);
	bool formats;
	bool no_end;	/* it ends where it began: state is 0 before and after */
	bool no_repeat; /* not without repair (docs/DISK.md) */
	bool repairs;
	bool large; /* depends on the sector size */
};
extern const struct vo_op vo_disk_ops[], vo_vm_ops[];
extern const unsigned vo_disk_count, vo_vm_count;

int vo_write(struct stor_volume *vol, const char *disk, uint64_t at, size_t n, unsigned seed);
/* 1: all of it is there; 0: each sector is either there or zero (not acknowledged). */
int vo_read(struct stor_volume *vol, const char *disk, uint64_t at, size_t n, unsigned seed);
bool vo_has_disk(struct stor_volume *vol, const char *name, struct stor_disk_info *info);
/* For prepare: a disk "d"; nothing. */
void vo_with_disk(struct stor_volume *vol);
void vo_nothing(struct stor_volume *vol);
/* A disk that was deleted: its data lies in free extents, and nobody may ever see it. */
void vo_leave_junk(struct stor_volume *vol);

#endif
