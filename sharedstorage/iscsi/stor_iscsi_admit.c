/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_admit.c - what is asked of a target after a login, and the admission: REGISTER a new
 * key, RESERVE type 7, abort what our own older sessions left, and prove it by READ KEYS.
 *
 * Order of design: log in -> look (gate) -> this -> gate -> I/O. Parses data of the target through
 * stor_scsi and stor_pr.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

/* Says what went wrong and drops the session; a lost session says it itself. */
static void admit_bad(struct stor_iscsi *d, const struct stor_adm *a, const char *what)
{
	char words[64];

	if (a->cmd.status == STOR_CMD_LOST)
		return;
	stor__adm_words(a, words, sizeof words);
	stor__iscsi_bad(d, a->cmd.status == STOR_SCSI_CONFLICT ? CM_E_SAN_CONFLICT : CM_E_SAN_SENSE,
			"%s: %s: %s", d->label, what, words);
}

/* --- what the LUN is ------------------------------------------------------------------------- */

static void probe_done(struct stor_iscsi *d)
{
	struct stor_dev_info *i = &d->dev.info;

	if (d->url.no_unmap)
		d->thin = d->unmap = d->ws_unmap = false;
	i->can_discard = d->thin && (d->unmap || d->ws_unmap) && !d->no_unmap;
	i->can_write_zeroes = d->thin && d->ws_unmap && i->discard_zeroes && !d->no_ws_unmap;
	i->native_caw = !d->guarded && !d->no_caw;
	i->readonly = d->dev.opts.readonly;
	i->shared = true;
	stor__iscsi_feed(d, IE_PROBED, "");
}

static void probe_keys(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	uint64_t keys[ISCSI_KEYS];
	int n;

	(void)arg;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	n = stor__adm_keys(a, keys);
	if (n < 0)
		cm_debug("%s: no READ KEYS here", d->label); /* needed only by who registers */
	stor__exclusive_look(d, keys, n);
	probe_done(d);
}

static void probe_provisioning(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)arg;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor__decode_provisioning(a->buf, a->cmd.actual_bytes, &d->unmap, &d->ws_unmap))
		d->unmap = d->ws_unmap = false; /* an optional page */
	/* before anything is registered: whether the target is the one we left */
	stor__adm_read_keys(d, probe_keys, NULL);
}

static void probe_limits(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_dev_info *i = &d->dev.info;

	(void)arg;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor__decode_limits(a->buf, a->cmd.actual_bytes, &d->limits))
		d->limits = (struct stor_limits){0};
	i->max_transfer_bytes = 1u << 20;
	if (d->limits.max_transfer_blocks &&
	    d->limits.max_transfer_blocks < i->max_transfer_bytes / i->sector_bytes)
		i->max_transfer_bytes = d->limits.max_transfer_blocks * i->sector_bytes;
	stor__adm_send(d, stor__cdb_inquiry(0xb2, 255), STOR_DIR_IN, NULL, 255, 0,
		       probe_provisioning, NULL);
}

/* "": it has none. Keys are tagged by it, and a session must find the same disk as the last one. */
static void probe_identity(struct stor_iscsi *d, const char *serial)
{
	struct cm_err err = CM_ERR_INIT;

	if (!*serial) {
		cm_err_set(&err, CM_E_SAN_UNSAFE,
			   "%s has neither a serial number (VPD page 80) nor a designator of the LUN (page 83): it cannot be "
			   "told from another LUN; give it one at the array",
			   d->label);
		stor_dev_open_failed(&d->dev, &err);
		stor__iscsi_bad(d, err.code, "%s", err.text);
		return;
	}
	if (d->dev.opened && strcmp(serial, d->dev.info.serial)) {
		stor__iscsi_bad(d, CM_E_SAN_UNSAFE,
				"%s: another disk answers now: serial '%s', was '%s'", d->label,
				serial, d->dev.info.serial);
		return;
	}
	snprintf(d->dev.info.serial, sizeof d->dev.info.serial, "%s", serial);
	stor__adm_send(d, stor__cdb_inquiry(0xb0, 255), STOR_DIR_IN, NULL, 255, 0, probe_limits,
		       NULL);
}

static void probe_designator(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	char id[sizeof d->dev.info.serial];

	(void)arg;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor__decode_lun_id(a->buf, a->cmd.actual_bytes, id, sizeof id))
		id[0] = 0;
	probe_identity(d, id);
}

static void probe_serial(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	char serial[sizeof d->dev.info.serial];

	(void)arg;
	if (a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status == STOR_SCSI_GOOD &&
	    !stor__decode_serial(a->buf, a->cmd.actual_bytes, serial, sizeof serial) && serial[0])
		probe_identity(d, serial);
	else
		stor__adm_send(d, stor__cdb_inquiry(0x83, 4096), STOR_DIR_IN, NULL, 4096, 0,
			       probe_designator, NULL);
}

static void probe_capacity(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_dev_info *i = &d->dev.info;
	struct stor_capacity c;
	bool resized;

	(void)arg;
	if (a->cmd.status != STOR_SCSI_GOOD) {
		admit_bad(d, a, "no capacity");
		return;
	}
	if (stor__decode_capacity(a->buf, a->cmd.actual_bytes, &c) ||
	    (d->dev.opened && c.block_bytes != i->sector_bytes)) {
		stor__iscsi_bad(d, CM_E_SAN_SENSE, "%s: the capacity makes no sense", d->label);
		return;
	}
	resized = d->dev.opened && i->capacity_bytes != c.blocks * c.block_bytes;
	i->sector_bytes = c.block_bytes;
	i->capacity_bytes = c.blocks * c.block_bytes;
	d->thin = c.thin;
	i->discard_zeroes = c.thin && c.zeroes;
	if (resized)
		stor_dev_tell(&d->dev, STOR_EVENT_RESIZED, NULL);
	stor__adm_send(d, stor__cdb_inquiry(0x80, 255), STOR_DIR_IN, NULL, 255, 0, probe_serial,
		       NULL);
}

static void probe_ready(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)arg;
	if (a->cmd.status != STOR_SCSI_GOOD && a->cmd.status != STOR_SCSI_CONFLICT) {
		admit_bad(d, a, "not ready");
		return;
	}
	stor__adm_send(d, stor__cdb_read_capacity(32), STOR_DIR_IN, NULL, 32, 0, probe_capacity,
		       NULL);
}

void stor__iscsi_probe(struct stor_iscsi *d)
{
	stor__adm_send(d, stor__cdb_tur(), STOR_DIR_NONE, NULL, 0, 0, probe_ready, NULL);
}

/* --- admission -------------------------------------------------------------------------------- */

static void enter_check(struct stor_iscsi *d, struct stor_adm *a, void *arg);

static void enter_reset_done(int rc, void *arg)
{
	struct stor_iscsi *d = arg;

	if (d->fsm.state != IS_ENTER)
		return;
	if (rc && rc != CM_E_SAN_LOST)
		stor__iscsi_bad(d, rc, "%s: the target refused a LUN RESET", d->label);
	if (rc)
		return;
	d->nolder = 0;
	if (d->key) {
		stor__adm_read_keys(d, enter_check, d);
		return;
	}
	stor__iscsi_feed(d, IE_ENTERED, "older sessions are reset");
}

static void enter_preempted(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	if (d->fsm.state != IS_ENTER)
		return;
	if (!d->no_pa && stor__adm_is(a, STOR_KEY_ILLEGAL)) {
		cm_info("%s: no PREEMPT AND ABORT here: PREEMPT and LUN RESET instead", d->label);
		d->no_pa = true;
	} else if (a->cmd.status == STOR_SCSI_GOOD) {
		((struct stor_older *)arg)->ended = !d->no_pa;
	} else if (a->cmd.status != STOR_SCSI_CONFLICT) {
		admit_bad(d, a, "an older key of ours cannot be aborted");
		return;
	}
	stor__adm_read_keys(d, enter_check, d); /* a conflict: it went by itself, or we did */
}

/* After READ KEYS: our key must be there; of the older ones none, else abort the first. */
static void enter_check(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_older *old = NULL, *is;
	uint64_t keys[ISCSI_KEYS];
	int n = stor__adm_keys(a, keys);
	bool mine = false;

	(void)arg;
	if (d->fsm.state != IS_ENTER)
		return;
	if (n < 0) {
		admit_bad(d, a, "READ KEYS failed");
		return;
	}
	for (int i = 0; i < n; i++) {
		mine |= keys[i] == d->key;
		is = stor__older_find(d, keys[i]);
		old = is ? is : old;
	}
	if (!mine) {
		stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: our key was removed", d->label);
		return;
	}
	if (old) {
		stor__adm_pr_out(d, d->no_pa ? STOR_PR_PREEMPT : STOR_PR_PREEMPT_ABORT,
				 d->guarded ? STOR_PR_WE : STOR_PR_WEAR, old->key, enter_preempted,
				 old);
		return;
	}
	if (stor__older_may_write(d)) {
		cm_info("%s: nobody saw the end of our last session: LUN RESET", d->label);
		stor__iscsi_lun_reset(d, enter_reset_done, d);
		return;
	}
	d->nolder = 0;
	if (d->dev.opts.exclusive_to)
		return stor__exclusive_check(d, keys, n, enter_check);
	stor__iscsi_feed(d, IE_ENTERED, "registered");
}

static void enter_reserved(struct stor_iscsi *d, struct stor_adm *a, void *arg);

/* RESERVE met a conflict: whose reservation is it? */
static void enter_reservation_words(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	uint64_t holder = 0;
	unsigned type = 0;

	(void)arg;
	if (d->fsm.state != IS_ENTER)
		return;
	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor_pr_decode_reservation(a->buf, a->cmd.actual_bytes, &holder, &type))
		holder = type = 0;
	if (!type && holder == d->key && !d->mended) {
		/* Stock tgt: a PREEMPT removed the registration of the holder, its memory is ours
		 * now, and the reservation has no type. Who preempts himself becomes the holder. */
		d->mended = true;
		stor__adm_pr_out(d, STOR_PR_PREEMPT, STOR_PR_WEAR, d->key, enter_reserved, NULL);
		return;
	}
	if (type)
		stor__iscsi_bad(d, CM_E_SAN_CONFLICT,
				"%s: key %016llx holds a reservation of type %u on it", d->label,
				(unsigned long long)holder, type);
	else
		stor__iscsi_bad(d, CM_E_SAN_CONFLICT, "%s: the reservation was refused", d->label);
}

static void enter_reserved(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)arg;
	if (d->fsm.state != IS_ENTER)
		return;
	if (a->cmd.status == STOR_SCSI_CONFLICT) {
		stor__adm_send(d, stor__cdb_pr_in(1, 64), STOR_DIR_IN, NULL, 64, 0,
			       enter_reservation_words, NULL);
		return;
	}
	if (a->cmd.status != STOR_SCSI_GOOD) {
		admit_bad(d, a, "no reservation");
		return;
	}
	stor__adm_read_keys(d, enter_check, d);
}

static void enter_register(struct stor_iscsi *d);

static void enter_registered(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	(void)arg;
	if (d->fsm.state != IS_ENTER)
		return;
	if (!d->no_aptpl && stor__adm_is(a, STOR_KEY_ILLEGAL)) {
		cm_info("%s: no APTPL here: a restart of the target drops its reservations",
			d->label);
		d->no_aptpl = true;
		enter_register(d);
		return;
	}
	if (a->cmd.status != STOR_SCSI_GOOD) {
		admit_bad(d, a, "registration refused");
		return;
	}
	if (cm_fault("iscsi_registered"))
		return stor__iscsi_bad(d, CM_E_SAN_LOST, "fault point");
	if (d->guarded)
		stor__adm_read_keys(d, enter_check, d);
	else
		stor__adm_pr_out(d, STOR_PR_RESERVE, STOR_PR_WEAR, 0, enter_reserved, d);
}

static void enter_register(struct stor_iscsi *d)
{
	d->flushed.entered_key = 0; /* it was looked for in the probe; now we may replace it */
	stor__adm_pr_out(d, STOR_PR_REGISTER_IGNORE, STOR_PR_NONE, d->key, enter_registered, NULL);
}

static void enter_plain(void *arg)
{
	struct stor_iscsi *d = arg;

	if (d->fsm.state == IS_ENTER)
		stor__iscsi_feed(d, IE_ENTERED, "no reservations asked for");
}

void stor__iscsi_enter(struct stor_iscsi *d)
{
	uint32_t incarnation = 0;

	if (!d->dev.opts.host_slot) {
		/* No reservations: what an older session left can be ended only for everybody. */
		if (d->dev.incarnation > 1 && !d->dev.opts.readonly)
			stor__iscsi_lun_reset(d, enter_reset_done, d);
		else
			cm_loop_defer(d->dev.loop, enter_plain, d);
		return;
	}
	while (!incarnation)
		CM_ASSERT(getrandom(&incarnation, sizeof incarnation, 0) == sizeof incarnation);
	d->key = stor_pr_key(d->dev.opts.host_slot, incarnation);
	d->key_entered = false;
	d->mended = false;
	enter_register(d);
}
