/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_flush.c - a flush after the SAN lost its volatile cache must not be reported as a
 * success.
 *
 * Counted: writes that are done, and those that a SYNCHRONIZE CACHE which was sent after them made
 * durable. If the target had a power cut with some in between, the next flush fails, and every
 * flush that was waiting when the loss was seen.
 *
 * A deferred MEDIUM or HARDWARE ERROR (SPC-4 4.5.7) is such a loss, too.
 * A unit attention does not tell a power cut: 29/00 is also what a new nexus and, on some targets,
 * a LUN RESET gets. READ KEYS tells: PRGENERATION counts every change of the keys and begins at 0
 * with the power. So the unit was restarted if the count went back, or the keys changed while it
 * stood still, or the key of our last session is gone (a fencer may have done that too: then the
 * failed flush is a false alarm on a shut out host, never the other way round). Not seen: a restart
 * after which others changed more keys than before it, with our key kept. Parses nothing.
 */
#include "config.h"

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

void stor__flush_write_done(struct stor_iscsi *d, const struct stor_req *req)
{
	bool changes = req->op == STOR_OP_WRITE || req->op == STOR_OP_WRITE_ZEROES ||
		       req->op == STOR_OP_DISCARD;

	if (changes && !(req->op == STOR_OP_WRITE && req->flags & STOR_REQ_FUA))
		d->flushed.writes++;
}

void stor__flush_sent(struct stor_io *io)
{
	io->covers = io->dev->flushed.writes;
}

int stor__flush_done(struct stor_io *io)
{
	struct stor_flushed *f = &io->dev->flushed;

	if (f->failing || (f->lost_ns && io->req->submitted_ns <= f->lost_ns)) {
		f->failing = false;
		return CM_E_IO;
	}
	f->safe = CM_MAX(f->safe, io->covers);
	return 0;
}

void stor__flush_lost(struct stor_iscsi *d, const char *why)
{
	struct stor_flushed *f = &d->flushed;

	if (f->writes == f->safe)
		return;
	cm_error("%s: the SAN lost writes that were not flushed yet: %s; the next flush fails", d->label, why);
	f->safe = f->writes;
	f->failing = true;
	f->lost_ns = cm_now_ns();
	d->dev.lost_flushes++;
}

void stor__flush_witness(struct stor_iscsi *d, const uint64_t *keys, unsigned nkeys,
			 uint32_t generation)
{
	struct stor_flushed *f = &d->flushed;
	uint64_t sum = 0;
	bool kept = !f->entered_key;

	for (unsigned i = 0; i < nkeys; i++) {
		sum += keys[i] * 0x9e3779b97f4a7c15ull;
		kept |= keys[i] == f->entered_key;
	}
	if (f->looked &&
	    ((int32_t)(generation - f->generation) < 0 || !kept ||
	     (generation == f->generation && (nkeys != f->nkeys || sum != f->keys_sum))))
		stor__flush_lost(d, "it was restarted");
	if (!kept)
		f->entered_key = 0;
	for (unsigned i = 0; i < nkeys; i++)
		if (d->key && keys[i] == d->key)
			f->entered_key = d->key;
	f->looked = true;
	f->generation = generation;
	f->nkeys = nkeys;
	f->keys_sum = sum;
}
