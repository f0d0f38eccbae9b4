/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_probe.h - the self-test of a target: what it can do, and what it lets a host do that is shut
 * out.
 *
 * Believes no page that the target shows about itself: each ability is tried. Two sessions are
 * opened, one registered and reserving (type 7), one not; the second one tries to change a scratch
 * sector in every way that there is. The scratch sector is read first and put back at the end; its
 * contents must matter to nobody meanwhile.
 *
 * Thread: [loop]. Ownership: the probe frees itself after done.
 */
#ifndef STOR_PROBE_H
#define STOR_PROBE_H

#include "sharedstorage/stor_dev.h"

struct stor_probe_report {
	bool iscsi; /* false: a file, nothing to probe: locks do it all */
	bool native_caw, preempt_abort, aptpl, can_unmap;
	/* what got through from the session that is shut out */
	bool leaks_write, leaks_write_same, leaks_unmap, leaks_caw;
	bool safe;	   /* may carry HA VMs, in the mode below */
	bool needs_lock;   /* a lock LUN (lock=LUN) must carry the shared metadata */
	bool no_unmap;	   /* UNMAP and WRITE SAME must not be used here */
	char mode[160];	   /* words: which mode is in force */
	char refused[160]; /* words: why it is not safe; "" if it is */
};

typedef void (*stor_probe_fn)(int rc, const struct stor_probe_report *report,
			      const struct cm_err *err, void *arg);
/* initiator: of this host, or NULL. The second session adds ":probe" to it. */
int stor_probe_run(struct cm_loop *loop, const char *url, const char *initiator,
		   uint64_t scratch_offset_bytes, uint32_t io_timeout_ms, stor_probe_fn done,
		   void *arg, struct cm_err *err) cm_must_check;
/* The words, from the facts. Pure. */
void stor_probe_judge(struct stor_probe_report *report);

#endif
