/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_disks.h - opens everything on storage that one VM needs: its disks and the place of its
 * ownership block.
 *
 * A store is one file or LUN; disks and the block may share it. With a lease all stores are opened
 * gated: nothing but the block's own traffic passes until the lease admits it.
 *
 * Threads: [loop]. Ownership: hv_disks owns the devices; hv_disks_close gives them back, after the
 * VM and the lease are gone.
 */
#ifndef HV_DISKS_H
#define HV_DISKS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "hvcore/machine/hv_machine.h"
#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/lease/stor_lease_disk.h"

struct hv_disks;
struct stor_volume;

struct hv_disks_config {
	unsigned disks;
	struct {
		const char *url;
		bool read_only;
	} disk[HV_SLOT_BLK_MAX];
	const char *lease_url; /* "" none */
	struct stor_uuid vm;
	const char *node;
	uint16_t host_slot; /* 0: made from the node's name */
	uint32_t io_timeout_ms;
	uint32_t io_fail_after_ms; /* 0: disk I/O that cannot proceed waits for ever */
};

typedef void (*hv_disks_done_fn)(void *arg, int rc, const struct cm_err *err);

/* Strings are copied. Opens the stores and finds the ownership block; then done. */
int hv_disks_new(struct hv_disks **out, struct cm_loop *loop, const struct hv_disks_config *cfg,
		 hv_disks_done_fn done, void *arg, struct cm_err *err) cm_must_check;
/*
 * Second step: the disks themselves. done again. Disks of a volume that are written to are claimed for the VM first, so
 * that no other VM has them, and no verb takes them away, at the same time (CM_E_DISK_BUSY, CM_E_DISK_CLAIMED).
 * epoch: of the ownership that was won; 0: the VM has no block.
 */
enum hv_disks_claim {
	HV_DISKS_CLAIM_NONE = 0, /* whoever owns the VM now has claimed them (an incoming VM): seen to be so */
	HV_DISKS_CLAIM_TAKE,	 /* the VM boots */
	HV_DISKS_CLAIM_KEEP,	 /* a saved state goes on: refused if anybody else claimed one since */
};
void hv_disks_open(struct hv_disks *d, enum hv_disks_claim claim, uint64_t epoch,
		   hv_disks_done_fn done, void *arg);
/* The VM has come to this process, which owns it now by that epoch: so its claims say. In the background; that they do
 * not say so yet does no harm. */
void hv_disks_claim_anew(struct hv_disks *d, uint64_t epoch);
/*
 * Before the ownership of that epoch is released, when nothing is written any more: the VM does not use its disks now.
 * Also what an earlier process of the VM left behind. Only the owner may. done once; what could not be released stays
 * claimed until the VM's next start. Nothing but hv_disks_close may follow.
 */
void hv_disks_release(struct hv_disks *d, uint64_t epoch, hv_disks_done_fn done, void *arg);
/* Third, any time later: the sizes of the VM's disks on volumes are read again (they may have grown;
 * then stor_dev_info of hv_disks_dev says so). done once, also when the disks are closed meanwhile;
 * -EBUSY while another one is under way. */
void hv_disks_reload(struct hv_disks *d, hv_disks_done_fn done, void *arg);
/* Ends all I/O; done(arg) when every device is gone; d is freed then. */
void hv_disks_close(struct hv_disks *d, cm_close_fn done, void *arg);

struct stor_dev *hv_disks_dev(struct hv_disks *d, unsigned disk); /* after the second step */
struct stor_dev *hv_disks_lease_dev(struct hv_disks *d,
				    uint64_t *offset_bytes); /* NULL: no lease */
/* The file or LUN below it; the disk's own device if it is all of that. */
struct stor_dev *hv_disks_below(struct hv_disks *d, unsigned disk);
/* The volume that has the ownership block: NULL if the block is on no volume. Lives as long as d. */
struct stor_volume *hv_disks_lease_volume(struct hv_disks *d);
/* Id of a disk of a volume; zero for any other device. After the second step. */
struct stor_uuid hv_disks_id(const struct hv_disks *d, unsigned disk);
unsigned hv_disks_stores(const struct hv_disks *d);
struct stor_dev *hv_disks_store(struct hv_disks *d, unsigned i);
uint16_t hv_disks_host_slot(const struct hv_disks *d);
/* What a device said last, for status: "" or words. */
const char *hv_disks_trouble(const struct hv_disks *d);

#endif
