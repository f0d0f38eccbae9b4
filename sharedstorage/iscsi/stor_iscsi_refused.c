/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_refused.c - requests that the target refuses for now: asked again, soon and then less often; by the other
 * path where this one does not serve; with words when it lasts. The guest sees none of it before its operator's limit.
 *
 * Parses no data of the target beyond status and sense.
 */
#include "config.h"

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

#define IO_DELAY_MS	  5
#define IO_DELAY_STUCK_MS 50
#define IO_DELAY_SPACE_MS 1000

enum stor_sense stor__io_sense(const struct stor_io *io)
{
	return stor__sense_class(io->cmd.status, io->cmd.key, io->cmd.asc, io->cmd.ascq);
}

/*
 * Is this path to be left for the other one? At once where it says that it does not serve; otherwise when it has refused
 * for a while, and for longer if that was no use the last time.
 */
static bool io_path_is_bad(const struct stor_io *io, enum stor_sense sense, uint64_t since_ns)
{
	const struct stor_iscsi *d = io->dev;
	uint64_t t = STOR_IO(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS;
	bool standby = sense == STOR_SENSE_PATH && io->cmd.asc == 0x04 &&
		       (io->cmd.ascq == 0x0b || io->cmd.ascq == 0x0c);

	if (d->url.portals < 2 || d->fsm.state != IS_UP)
		return false;
	if (standby && !d->nleft)
		return true;
	if (sense == STOR_SENSE_PATH)
		return since_ns >= (t / 4) << CM_MIN(d->nleft, 5u);
	if (sense == STOR_SENSE_ABORTED || (sense == STOR_SENSE_BUSY && io->cmd.status != STOR_SCSI_FULL))
		return since_ns >= t << CM_MIN(d->nleft, 3u);
	return false;
}

static void io_leave_path(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	char words[64];

	stor__sense_print(io->cmd.status, io->cmd.key, io->cmd.asc, io->cmd.ascq, words, sizeof words);
	d->nleft++;
	stor__iscsi_bad(d, CM_E_SAN_SENSE, "%s: %s refuses: %s; the other portal is tried", d->label, d->at, words);
	TAILQ_INSERT_TAIL(&d->held, io, link);
}

/* When to ask again: soon, and less often the longer it lasts. */
static uint64_t io_delay_ms(const struct stor_iscsi *d, enum stor_sense sense, uint64_t since_ns)
{
	uint64_t most = sense == STOR_SENSE_SPACE ? IO_DELAY_SPACE_MS : IO_DELAY_STUCK_MS;
	uint64_t limit = d->dev.opts.fail_after_ms;

	if (limit)
		most = CM_MIN(most, limit / 8);
	return CM_MAX(CM_MIN(since_ns / CM_NS_PER_MS / 4, most), (uint64_t)IO_DELAY_MS);
}

static void io_say(struct stor_io *io, enum stor_sense sense)
{
	struct stor_iscsi *d = io->dev;
	struct cm_err err = CM_ERR_INIT;
	char words[64];

	stor__sense_print(io->cmd.status, io->cmd.key, io->cmd.asc, io->cmd.ascq, words, sizeof words);
	if (sense == STOR_SENSE_SPACE)
		cm_err_set(&err, CM_E_VOL_FULL,
			   "%s: the SAN has no space left for this LUN (%s): writes wait, and go on when its pool is larger",
			   d->label, words);
	else
		cm_err_set(&err, CM_E_SAN_SENSE, "%s: refused again and again: %s: %s", d->label, words,
			   stor__sense_words(sense));
	stor_dev_stuck(&d->dev, &err);
}

/* It was refused, for now: by the other path, or asked again later. */
void stor__io_refused(struct stor_io *io)
{
	struct stor_iscsi *d = io->dev;
	enum stor_sense sense = stor__io_sense(io);
	uint64_t now = cm_now_ns(), since, due;

	if (!d->refused_ns)
		d->refused_ns = now;
	since = now - d->refused_ns;
	if (!io->refused)
		d->nrefused++;
	io->refused = true;
	if (io_path_is_bad(io, sense, since))
		return io_leave_path(io);
	TAILQ_INSERT_TAIL(&d->delayed, io, link);
	due = now + io_delay_ms(d, sense, since) * CM_NS_PER_MS;
	if (!d->delay.armed || due < d->delay_ns) {
		d->delay_ns = due;
		cm_timer_arm_ns(&d->delay, due - now);
	}
	if (sense == STOR_SENSE_SPACE || since > STOR_IO(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS)
		io_say(io, sense);
}

/* While one of them is refused, another that gets through (a renewal, a read) says nothing about it. */
void stor__io_not_refused(struct stor_io *io, bool done)
{
	struct stor_iscsi *d = io->dev;

	if (io->refused)
		d->nrefused--;
	io->refused = false;
	if (!done || d->nrefused || !d->refused_ns)
		return;
	d->refused_ns = 0;
	d->nleft = 0;
	stor_dev_unstuck(&d->dev);
}
