/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_probe.h - the self-test of a target: what it can do, and what it lets a host do that is shut
 * out.
 *
 * Believes no page that the target shows about itself: each ability is tried. Two sessions of one
 * initiator (two I_T nexuses, as two VMs of a host are) are opened, one registered and reserving
 * (type 7), one not; the second one tries to change a scratch sector in every way that there is.
 *
 * Safe while VMs use the LUN: nothing but the scratch sector is written, and that is put back (for
 * STOR_VOL_SCRATCH_SECTOR of a volume nobody minds); nobody's key is touched, nothing is cleared or
 * reset, and the tool's own key goes at the end. With lock=LUN the data LUN is tested. Never for a
 * LUN that is a disk as a whole: there is no sector to spare.
 *
 * Thread: [loop]. Ownership: the probe frees itself after done.
 */
#ifndef STOR_PROBE_H
#define STOR_PROBE_H

#include "sharedstorage/dev/stor_dev.h"

/* What a shut-out host may try. */
enum stor_leak {
	STOR_LEAK_WRITE = 1u << 0,
	STOR_LEAK_WRITE_SAME = 1u << 1,
	STOR_LEAK_UNMAP = 1u << 2,
	STOR_LEAK_CAW = 1u << 3,
	STOR_LEAK_WRITE_VERIFY = 1u << 4,
	STOR_LEAK_ORWRITE = 1u << 5,
};

struct stor_probe_report {
	bool iscsi; /* false: a file, nothing to probe: locks do it all */
	bool native_caw, preempt_abort, aptpl, can_unmap, write_same;
	bool has_lock, unmap_off; /* what the URL says: lock=LUN, unmap=no */
	unsigned leaks;		  /* STOR_LEAK_*: what got through */
	/* by stor_probe_judge: */
	bool safe;	   /* may carry HA VMs, in the mode below, with this URL */
	bool needs_lock;   /* a lock LUN (lock=LUN) must carry the shared metadata */
	bool no_unmap;	   /* UNMAP and WRITE SAME must not be used here (unmap=no) */
	char mode[192];	   /* words: which mode is in force */
	char refused[192]; /* words: why it is not safe, and the remedy; "" if it is */
	char leaky[96];	   /* words: what got through; "" nothing */
};

/* What must be so before anything is written; with neither the caller knows that it may be. */
#define STOR_PROBE_ALONE  (1u << 0) /* nobody else is registered there, or CM_E_DISK_BUSY */
#define STOR_PROBE_VOLUME (1u << 1) /* there is a volume, or CM_E_VOL_FORMAT */

struct stor_probe_cfg {
	struct cm_loop *loop;
	const char *url;
	const char *initiator; /* of this host, or NULL */
	unsigned flags;
	/* for STOR_PROBE_VOLUME: do the first sectors (1 or 2) of the LUN belong to a volume? */
	unsigned head_sectors;
	bool (*is_volume)(const uint8_t *head, uint32_t sector_bytes);
	uint64_t scratch_sector;
	uint32_t io_timeout_ms;
};

typedef void (*stor_probe_fn)(int rc, const struct stor_probe_report *report,
			      const struct cm_err *err, void *arg);
int stor_probe_run(const struct stor_probe_cfg *cfg, stor_probe_fn done, void *arg,
		   struct cm_err *err) cm_must_check;
/* The last part of a report, from the facts. Pure. */
void stor_probe_judge(struct stor_probe_report *report);

#endif
