/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_land.c - takes memory and state off a stream, up to the trailer, and checks that all of it
 * came.
 *
 * Parses what a peer or an image says. Memory goes into a VM that does not run; the state is only
 * kept, not applied.
 */
#include "config.h"

#include "migration/mig_land.h"

#include "common/cm_fault.h"

static int land_round(struct mig_landing *l, const struct mig_frame *f, struct cm_err *err)
{
	struct mig_note n, ack = {0};
	int rc = mig_io_payload(l->io, f, err);

	if (rc == 0)
		rc = mig_note_decode(l->io->buf.data, l->io->buf.len, &n, err);
	if (rc < 0)
		return rc;
	if (l->round)
		l->round(l->arg, &n);
	ack.round = n.round;
	ack.pages = l->ram->pages;
	ack.zero_pages = l->ram->zero_pages;
	return l->acknowledge ? mig_io_send_note(l->io, MIG_FRAME_ROUND_ACK, &ack, err) : 0;
}

static int land_state(struct mig_landing *l, const struct mig_frame *f, struct cm_err *err)
{
	int rc;

	if (l->state->len)
		return cm_err_set(err, CM_E_STREAM_SECTION, "the state came twice");
	rc = mig_io_payload(l->io, f, err);
	if (rc < 0)
		return rc;
	cm_buf_put(l->state, l->io->buf.data, l->io->buf.len);
	return l->state->err ? cm_err_set(err, l->state->err, "no room for the state") : 0;
}

/* Nothing missing, nothing doubled, and (if asked) every page as it was. */
static int land_final(struct mig_landing *l, const struct mig_frame *f, struct cm_err *err)
{
	uint64_t hash;
	int rc = mig_io_payload(l->io, f, err);

	if (rc == 0)
		rc = mig_final_decode(l->io->buf.data, l->io->buf.len, l->final, err);
	if (rc < 0)
		return rc;
	if (l->final->pages != l->ram->pages || l->final->zero_pages != l->ram->zero_pages ||
	    l->final->frames != f->sequence)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "%llu pages came, %llu were sent",
				  (unsigned long long)(l->ram->pages + l->ram->zero_pages),
				  (unsigned long long)(l->final->pages + l->final->zero_pages));
	if (!l->state->len || l->final->state_bytes != l->state->len ||
	    l->final->state_crc != cm_crc32c(0, l->state->data, l->state->len))
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "the state is missing or damaged");
	if (!l->final->has_hash)
		return 0;
	hash = mig_ram_hash(l->ram->mem);
	if (hash != l->final->ram_hash)
		return cm_err_set(err, CM_E_STREAM_CORRUPT,
				  "memory differs: checksum %016llx here, %016llx there",
				  (unsigned long long)hash, (unsigned long long)l->final->ram_hash);
	return 0;
}

static int land_ram(struct mig_landing *l, const struct mig_frame *f, struct cm_err *err)
{
	int rc = cm_fault_err("mig.land.memory", err);

	if (rc < 0)
		return rc;
	if (l->state->len)
		return cm_err_set(err, CM_E_STREAM_SECTION, "memory after the state");
	return mig_ram_in_frame(l->ram, f, err);
}

int mig_land(struct mig_landing *l, struct cm_err *err)
{
	struct mig_frame f;

	for (;;) {
		int rc = mig_io_next(l->io, &f, err);

		if (rc < 0)
			return rc;
		switch (f.type) {
		case MIG_FRAME_RAM:
		case MIG_FRAME_ZERO:
			rc = land_ram(l, &f, err);
			break;
		case MIG_FRAME_ROUND:
			rc = land_round(l, &f, err);
			break;
		case MIG_FRAME_STATE:
			rc = land_state(l, &f, err);
			break;
		case MIG_FRAME_FINAL:
			return land_final(l, &f, err);
		case MIG_FRAME_BYE:
			rc = mig_io_payload(l->io, &f, err);
			return rc < 0 ? rc : mig_io_bye(l->io, err);
		default:
			return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s is out of place",
					  mig_frame_name(f.type));
		}
		if (rc < 0)
			return rc;
	}
}
