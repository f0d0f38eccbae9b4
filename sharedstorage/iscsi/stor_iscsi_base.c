/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_base.c - what every part of an iSCSI device stands on: events for its machine, the end
 * of a session that is of no use any more, and a LUN RESET with nothing else under way. Parses
 * nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>

#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

void stor__iscsi_feed(struct stor_iscsi *d, enum stor_iscsi_event event, const char *reason)
{
	cm_fsm_feed(&d->fsm, event, reason, NULL);
}

static void iscsi_bad_later(void *arg)
{
	struct stor_iscsi *d = arg;

	if (d->why.code)
		stor__iscsi_feed(d, IE_BAD, d->why.text);
}

void stor__iscsi_bad(struct stor_iscsi *d, int code, const char *fmt, ...)
{
	va_list ap;

	if (d->why.code)
		return;
	va_start(ap, fmt);
	cm_err_vset(&d->why, code, fmt, ap);
	va_end(ap);
	if (code == CM_E_SAN_CONFLICT && d->fsm.state == IS_UP)
		stor_dev_tell(&d->dev, STOR_EVENT_CONFLICT, &d->why);
	cm_loop_defer(d->dev.loop, iscsi_bad_later, d);
}

/* --- LUN RESET with nothing else under way ------------------------------------------ */

static void iscsi_reset_done(int rc, void *arg)
{
	struct stor_iscsi *d = arg;
	stor_reset_fn done = d->reset_done;

	d->holding = d->resetting = false;
	d->reset_done = NULL;
	done(rc, d->reset_arg);
	stor__iscsi_pump(d);
}

static void iscsi_reset_try(struct stor_iscsi *d)
{
	/* Administrative commands do not wait for it: once it was sent, their ends mean nothing to it. */
	if (!d->holding || d->resetting || !d->reset_done || d->ncmds || !d->sess)
		return;
	d->resetting = true;
	stor__sess_lun_reset(d->sess, d->url.lun, iscsi_reset_done, d);
}

static void iscsi_reset_begin(void *arg)
{
	iscsi_reset_try(arg);
}

void stor__iscsi_cmd_ended(struct stor_iscsi *d)
{
	CM_ASSERT(d->ncmds > 0);
	d->ncmds--;
	/* deferred: this runs inside of a libiscsi callback */
	if (d->holding && !d->ncmds)
		cm_loop_defer(d->dev.loop, iscsi_reset_begin, d);
}

void stor__iscsi_lun_reset(struct stor_iscsi *d, stor_reset_fn done, void *arg)
{
	if (d->holding || !d->sess) {
		done(-EBUSY, arg);
		return;
	}
	d->holding = true;
	d->reset_done = done;
	d->reset_arg = arg;
	if (!d->ncmds)
		cm_loop_defer(d->dev.loop, iscsi_reset_begin, d);
}
