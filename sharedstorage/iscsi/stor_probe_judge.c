/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_probe_judge.c - from what the self-test of a target found to what may be done with it. Pure;
 * parses nothing.
 *
 * Not safe: WRITE or COMPARE AND WRITE get through. WRITE SAME and UNMAP are sent by our own hosts,
 * too, unless the URL says unmap=no: a shut-out one would go on with them. WRITE AND VERIFY and
 * ORWRITE are sent by nobody of ours; they are only told.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "sharedstorage/iscsi/stor_probe.h"

static void probe_leaky(struct stor_probe_report *r)
{
	static const struct {
		unsigned leak;
		const char *name;
	} names[] = {
		{STOR_LEAK_WRITE, "WRITE"},
		{STOR_LEAK_CAW, "COMPARE AND WRITE"},
		{STOR_LEAK_WRITE_SAME, "WRITE SAME"},
		{STOR_LEAK_UNMAP, "UNMAP"},
		{STOR_LEAK_WRITE_VERIFY, "WRITE AND VERIFY"},
		{STOR_LEAK_ORWRITE, "ORWRITE"},
	};
	size_t n = 0;

	r->leaky[0] = 0;
	for (unsigned i = 0; i < CM_ARRAY_LEN(names); i++)
		if (r->leaks & names[i].leak)
			n += (size_t)snprintf(r->leaky + n, sizeof r->leaky - n, "%s%s",
					      n ? ", " : "", names[i].name);
}

void stor_probe_judge(struct stor_probe_report *r)
{
	r->needs_lock = r->iscsi && !r->native_caw;
	r->no_unmap = r->leaks & (STOR_LEAK_WRITE_SAME | STOR_LEAK_UNMAP);
	r->refused[0] = 0;
	probe_leaky(r);
	if (r->leaks & (STOR_LEAK_WRITE | STOR_LEAK_CAW))
		snprintf(
			r->refused, sizeof r->refused,
			"a host that is shut out gets through with %s: no fencing is possible here",
			r->leaky);
	else if (r->no_unmap && !r->unmap_off)
		snprintf(r->refused, sizeof r->refused,
			 "a host that is shut out gets through with %s: forbid WRITE SAME and "
			 "UNMAP there (URL?unmap=no)",
			 r->leaky);
	else if (r->needs_lock && !r->has_lock)
		snprintf(r->refused, sizeof r->refused,
			 "the target has no COMPARE AND WRITE: give it a LUN for locks and "
			 "metadata, 32M or more (URL?lock=LUN)");
	r->safe = !r->refused[0];
	if (!r->iscsi)
		snprintf(r->mode, sizeof r->mode, "a file of this host: locks");
	else
		snprintf(r->mode, sizeof r->mode, "%s, %s, %s%s%s",
			 r->native_caw ? "COMPARE AND WRITE" : "a lock LUN for COMPARE AND WRITE",
			 r->preempt_abort ? "PREEMPT AND ABORT" : "PREEMPT and LUN RESET",
			 r->aptpl ? "reservations survive a restart (APTPL)"
				  : "a restart drops reservations (no APTPL)",
			 r->no_unmap && r->unmap_off ? ", no WRITE SAME and UNMAP" : "",
			 !r->write_same && !r->unmap_off ? ", zeroes are written (no WRITE SAME)" : "");
}
