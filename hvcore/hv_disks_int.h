/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks_int.h - the body of struct hv_disks, for hv_disks*.c. Everything [loop], but what the
 * two helper threads read.
 */
#ifndef HV_DISKS_INT_H
#define HV_DISKS_INT_H

#include "hvcore/hv_disks.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume.h"

#define HV_STORES_MAX (HV_SLOT_BLK_MAX + 1u)

struct hv_store {
	struct hv_disks *set;
	char url[STOR_URL_MAX];
	struct stor_dev *dev;
	bool volume_wanted, opened;
	struct stor_volume *vol;
	/* the whole store is a disk of this VM alone */
	bool exclusive, alone, awaited;
	struct cm_err busy;
};

struct hv_disk {
	struct hv_disks *set;
	unsigned store;
	char name[STOR_DISK_NAME]; /* "": the whole store */
	bool read_only;
	struct stor_dev *dev; /* the store's own if name is "" */
	bool ready;
	struct stor_uuid id; /* of a volume's disk */
	bool claimed;	     /* by this process */
};

struct hv_disks {
	struct cm_loop *loop;
	char node[STOR_NODE_NAME];
	struct stor_uuid vm;
	uint16_t host_slot;
	uint32_t io_timeout_ms, io_fail_after_ms;
	bool leased;
	unsigned lease_store;
	uint64_t lease_offset_bytes;
	unsigned stores, disks;
	struct hv_store store[HV_STORES_MAX];
	struct hv_disk disk[HV_SLOT_BLK_MAX];

	hv_disks_done_fn done;
	void *done_arg;
	unsigned waiting;
	struct cm_err failed;
	char trouble[192];
	hv_disks_done_fn reloaded;
	void *reloaded_arg;
	unsigned reloading; /* disks whose size is being read, and one */
	struct cm_err reload_err;
	struct stor_uuid home; /* where the ownership block lies, as claims say it */
	hv_disks_done_fn released; /* not NULL: the claims are to be released, or are being */
	void *released_arg;
	uint64_t release_epoch;
	bool working, closing_wanted, closing;
	cm_close_fn closed;
	void *closed_arg;
	unsigned to_close;
};

/* hv_disks.c: the step under way is over when each of its `waiting` parts is done; then the caller
 * hears. */
void hv__disks_answer(struct hv_disks *d);
void hv__disks_step_done(struct hv_disks *d);
void hv__disks_step_failed(struct hv_disks *d, const struct cm_err *err, const char *what);
/* hv_disks_close.c: once nothing works on a thread any more. */
void hv__disks_close_all(struct hv_disks *d);
/* hv_disks_claim.c: claims the disks on a thread (d->working), then claimed(d); d->failed says how it went. */
void hv__disks_claim(struct hv_disks *d, enum hv_disks_claim claim, uint64_t epoch,
		     void (*claimed)(struct hv_disks *d));

#endif
