/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_exclusive.c - a LUN that one VM has for itself: is anybody else registered there?
 *
 * Type 7 lets every registrant write, so a second VM (or another cluster) must not get as far as
 * its first write. Each newcomer registers first and reads the keys afterwards: of two that come at
 * the same time at least one sees the other, and goes; both may. Whoever has the LUN keeps a key
 * there without a gap, over all its sessions, so it need not ask again (and a newcomer that is
 * about to go does not disturb it); if its key was gone, it asks like a newcomer.
 *
 * Not foreign: tools (they write a scratch sector at most), keys that the ownership block of the VM
 * names (stor_dev_allow: the source of a move sees its destination), and sessions that have our own
 * ISID: it is made from the VM, so they are left from a process of this VM that died. Those are
 * aborted as older sessions of our own are: a write of one may be under way still. (The other end
 * of a move that has just come back and is not in the block yet looks the same; it only has to come
 * back once more.) Stock tgt cannot tell those; there such a key counts as foreign until the fencer
 * removes it.
 *
 * Parses keys and nexuses through stor_pr.
 */
#include "config.h"

#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"

#define ISID_MASK 0x7fffffffffull /* without the bit that tells two sessions of one device apart   \
				   */

void stor__exclusive_look(struct stor_iscsi *d, const uint64_t *keys, int nkeys)
{
	struct stor_exclusive *x = &d->exclusive;

	x->kept = false;
	for (int i = 0; i < nkeys; i++)
		x->kept |= x->key && keys[i] == x->key;
}

static void exclusive_ok(struct stor_iscsi *d)
{
	struct stor_exclusive *x = &d->exclusive;

	x->key = d->key;
	x->since_ns = 0;
	if (!x->said) {
		x->said = true;
		stor_dev_tell(&d->dev, STOR_EVENT_EXCLUSIVE, NULL);
	}
	stor__iscsi_feed(d, IE_ENTERED, "nobody else is registered");
}

static void exclusive_left(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_exclusive *x = &d->exclusive;
	uint64_t key = x->foreign[0], now = cm_now_ns();

	(void)arg;
	if (d->fsm.state != IS_ENTER || a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status == STOR_SCSI_GOOD)
		d->key = 0; /* there is nothing of it to abort */
	if (!x->since_ns)
		x->since_ns = now;
	if (stor_pr_key_ours(key))
		stor__iscsi_bad(d, CM_E_DISK_BUSY,
				"%s is in use: host slot %u has registered there (key %016llx)",
				d->label, stor_pr_key_slot(key), (unsigned long long)key);
	else
		stor__iscsi_bad(d, CM_E_DISK_BUSY,
				"%s is in use by another system, which has registered key %016llx",
				d->label, (unsigned long long)key);
	/* A move's other end may have logged in anew, a VM that stops may be about to go. */
	if (now - x->since_ns >= STOR_RENEW(d->dev.opts.io_timeout_ms) * CM_NS_PER_MS)
		stor_dev_tell(&d->dev, STOR_EVENT_BUSY, &d->why);
}

#define LEFT_AT_A_TIME 8

/* Foreign keys whose sessions are of this VM, whatever process it was, become older sessions of ours. */
static void exclusive_nexuses(struct stor_iscsi *d, struct stor_adm *a, void *arg)
{
	struct stor_exclusive *x = &d->exclusive;
	struct stor_pr_nexus nexus[64];
	unsigned n = 0, left = 0, olders = 0;

	(void)arg;
	if (d->fsm.state != IS_ENTER || a->cmd.status == STOR_CMD_LOST)
		return;
	if (a->cmd.status != STOR_SCSI_GOOD ||
	    stor_pr_decode_nexuses(a->buf, a->cmd.actual_bytes, nexus, CM_ARRAY_LEN(nexus), &n) ||
	    n > CM_ARRAY_LEN(nexus))
		n = 0; /* it cannot tell */
	for (unsigned i = 0; i < x->nforeign; i++) {
		bool ours = false, others = false;

		for (unsigned k = 0; k < n; k++) {
			if (nexus[k].key != x->foreign[i])
				continue;
			if ((nexus[k].isid >> 1 & ISID_MASK) == (d->dev.opts.isid & ISID_MASK))
				ours = true;
			else
				others = true;
		}
		if (!ours || others)
			x->foreign[left++] = x->foreign[i];
		else if (++olders <= LEFT_AT_A_TIME)
			stor__iscsi_older(d, x->foreign[i]);
	}
	x->nforeign = left;
	if (left)
		stor__iscsi_unregister(d, exclusive_left);
	else if (olders)
		stor__adm_read_keys(d, x->again, NULL);
	else
		exclusive_ok(d);
}

static bool exclusive_allows(const struct stor_iscsi *d, uint64_t key)
{
	if (key == d->key || (stor_pr_key_ours(key) && stor_pr_key_slot(key) == STOR_SLOT_TOOL))
		return true;
	for (unsigned i = 0; i < d->dev.nallowed; i++)
		if (d->dev.allowed[i] == key)
			return true;
	return false;
}

void stor__exclusive_check(struct stor_iscsi *d, const uint64_t *keys, int nkeys, stor_adm_fn again)
{
	struct stor_exclusive *x = &d->exclusive;

	x->again = again;
	x->nforeign = 0;
	for (int i = 0; i < nkeys && !x->kept; i++) {
		if (exclusive_allows(d, keys[i]))
			continue;
		if (x->nforeign == CM_ARRAY_LEN(x->foreign)) /* no LUN of one VM at all */
			return stor__iscsi_unregister(d, exclusive_left);
		x->foreign[x->nforeign++] = keys[i];
	}
	if (x->nforeign)
		stor__adm_send(d, stor__cdb_pr_in(STOR_PR_FULL_STATUS, ISCSI_ADM_BYTES),
			       STOR_DIR_IN, NULL, ISCSI_ADM_BYTES, 0, exclusive_nexuses, NULL);
	else
		exclusive_ok(d);
}
