/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volguard.h - is there anything of value on a device that is to become a volume? A volume of
 * ours with its disks, part of one (a lock LUN, a data LUN), an ownership block, SBD's or sanlock's
 * sectors, and what libblkid knows: file systems, swap, LVM, RAID, LUKS, partition tables, other
 * products' signatures. With a lock LUN both LUNs are looked at. Data without a signature is not
 * seen.
 *
 * Thread: [worker] (stor_volume.h). Reads only.
 */
#ifndef STOR_VOLGUARD_H
#define STOR_VOLGUARD_H

#include "sharedstorage/volume/stor_volume.h"

struct stor_found {
	bool any;
	struct stor_uuid volume; /* of ours, or that it is part of; zero: none */
	char words[256];	 /* "volume 'san0' (3 disks, 2 VM definitions)", "ext4 (label 'x')" */
};
/* 0 also if there is something. An error: it cannot be read, so nobody knows. */
int stor_volume_look(struct stor_dev *dev, struct stor_found *found,
		     struct cm_err *err) cm_must_check;
/*
 * Does a VM run on the volume that is there? Looks at ownership blocks that have an owner until one
 * is renewed (CM_E_DISK_BUSY, with words) or none was for as long as a dead owner's must rest. Dead
 * owners only, or no volume: 0. For a device without the protection of opts.exclusive_to.
 */
int stor_volume_alive(struct stor_dev *dev, struct cm_err *err) cm_must_check;

#endif
