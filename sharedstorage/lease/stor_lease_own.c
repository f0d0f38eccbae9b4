/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_own.c - actions of a lease that owns: renew and everything else that is written, look
 * again after trouble, lose, expire. What a block means is decided in stor_lease_judge.c. Parses
 * the block through stor_lease_disk.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/lease/stor_lease_int.h"

/* We have just won a COMPARE AND WRITE that began at write_start_ns. */
static void lease_won(struct stor_lease *l)
{
	struct cm_mark mark = cm_mark();
	uint64_t now = mark.now_ns, until = l->write_start.now_ns +
					    STOR_FAIL(l->io_timeout_ms) * CM_NS_PER_MS -
					    cm_jump_ns(&l->write_start);

	l->last = l->next;
	memcpy(l->last_raw, l->next_raw, l->sector_bytes);
	l->in_doubt = false;
	l->doubts = 0;
	if (until <= now) /* the answer came too late to run on it: renew at once */
		return;
	l->won = mark;
	atomic_store(&l->valid_until_ns, until);
	cm_timer_arm_ns(&l->expire, until - now);
	for (unsigned i = 0; i < l->ndevs; i++)
		if (l->devs[i].written &&
		    l->devs[i].written == stor_dev_incarnation(l->devs[i].dev))
			stor_dev_admit(l->devs[i].dev, l->devs[i].written);
	stor__lease_guards(l);
	if (l->ops && l->ops->renewed)
		l->ops->renewed(l, until, l->arg);
}

/* The caller has seen every request answered: what sessions of now have sent is over. */
static void lease_drained(struct stor_lease *l)
{
	for (unsigned i = 0; i < l->ndevs; i++) {
		struct stor_key keys[STOR_DEV_LUNS];
		unsigned n = stor_dev_usable(l->devs[i].dev) ? stor_dev_keys(l->devs[i].dev, keys) : 0;

		for (unsigned k = 0; k < n; k++)
			for (unsigned j = 0; j < STOR_OWNER_KEYS; j++)
				if (l->self.keys[j].key == keys[k].key)
					l->self.keys[j].ended = true;
	}
}

unsigned stor__act_write(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	struct stor_uuid nonce;

	(void)arg;
	if (l->cancelled) { /* not begun yet: renew instead */
		stor__lease_answer(l, -ECANCELED, NULL);
		if (l->closing)
			return 0;
	}
	if (!stor_dev_usable(l->devs[0].dev))
		return E_CAW_UNSURE;
	l->writing = STOR_LEASE_RENEW;
	if (l->op >= STOR_LEASE_INTENT)
		l->writing = l->op;
	stor_uuid_random(&nonce);
	stor__lease_fill_self(l);
	if (l->writing == STOR_LEASE_COMMIT || l->writing == STOR_LEASE_RELEASE)
		lease_drained(l);
	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++) /* we own: the barrier was on all that we have */
		l->last.shut[i].ended |= stor__lease_reaches(l, &l->last.shut[i]);
	if (stor__lease_next(&l->last, &l->self, l->writing, &l->peer, l->io_timeout_ms, &nonce,
			     &l->next)) {
		struct cm_err err = CM_ERR_INIT;

		cm_err_set(&err, CM_E_LEASE_MISCOMPARE,
			   "the destination gave up: no intent is left");
		stor__lease_answer(l, CM_E_LEASE_MISCOMPARE, &err);
		return E_AGAIN; /* renew instead */
	}
	if (l->writing == STOR_LEASE_COMMIT || l->writing == STOR_LEASE_RELEASE)
		atomic_store(&l->valid_until_ns,
			     0); /* whatever comes, nobody runs on the old term */
	stor__lease_caw(l, l->last_raw);
	return 0;
}

unsigned stor__act_wrote(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	enum stor_lease_op did = l->writing;

	(void)arg;
	l->writing = STOR_LEASE_NONE;
	if (did == STOR_LEASE_COMMIT || did == STOR_LEASE_RELEASE) {
		l->in_doubt = false;
		stor__lease_no_more(l, did == STOR_LEASE_COMMIT ? "the VM was handed over"
								: "released");
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	}
	lease_won(l);
	if (cm_now_ns() >= atomic_load(&l->valid_until_ns))
		return E_TICK;
	/* acquire, take over and accept end with the first renewal that they won */
	if (l->op == did || (l->op && l->op < STOR_LEASE_INTENT))
		stor__lease_answer(l, 0, NULL);
	cm_timer_arm_ns(&l->tick, STOR_RENEW(l->io_timeout_ms) * CM_NS_PER_MS);
	return l->op ? E_TICK : 0;
}

/* A renewal goes on; of what was asked for, only what is under way must be waited for. */
unsigned stor__act_cancel_write(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;

	(void)arg;
	if (l->writing == l->op)
		stor__lease_hurry(l);
	else
		stor__lease_answer(l, -ECANCELED, NULL);
	return 0;
}

/*
 * No success. What was answered and not executed is tried again by the same session, after a pause. What is
 * in doubt waits for a new session, and goes on as soon as that is there, unless answers leave it in doubt again and again.
 */
unsigned stor__act_unsure(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	uint64_t now = cm_now_ns(), pause = 0;
	bool answered = stor_dev_usable(l->devs[0].dev); /* else its session is gone already */

	(void)arg;
	if (answered && (!l->in_doubt || l->doubts))
		pause = stor__lease_pause_ns(now, atomic_load(&l->valid_until_ns), l->in_doubt,
					     l->io_timeout_ms);
	l->doubts += answered && l->in_doubt;
	l->not_before_ns = now + pause;
	if (pause)
		cm_timer_arm_ns(&l->tick, CM_MAX(pause, CM_NS_PER_MS));
	else
		stor__lease_retry_soon(l);
	return l->cancelled && l->op ? E_CANCEL : 0;
}

/* May we look? A write in doubt on a SAN is over only when a new session has aborted the old one.
 */
unsigned stor__act_unsure_tick(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	const struct stor_dev *dev = l->devs[0].dev;
	uint64_t now = cm_now_ns();

	(void)arg;
	if (now < l->not_before_ns) {
		cm_timer_arm_ns(&l->tick, l->not_before_ns - now);
		return 0;
	}
	if (stor_dev_usable(l->devs[0].dev) && (!l->in_doubt || !stor_dev_info(dev)->shared ||
						stor_dev_incarnation(dev) != l->devs[0].written))
		return E_AGAIN;
	stor__lease_retry_soon(l);
	return 0;
}

static unsigned lease_judged(struct stor_lease *l, const uint8_t *raw, bool mine_writes)
{
	struct stor_block b;
	int rc = stor_block_decode(raw, l->sector_bytes, &b);

	if (rc == CM_E_LEASE_CORRUPT) {
		cm_crit("%s: the ownership block is damaged", l->label);
		return 0;
	}
	switch (stor__lease_judge(&l->self, l->writing, &l->last, l->in_doubt ? &l->next : NULL, rc,
				  &b)) {
	case STOR_JUDGE_MINE:
		if (!mine_writes)
			return E_UP;
		if (l->op == STOR_LEASE_COMMIT && l->last.peer.node[0] && !b.peer.node[0])
			cm_notice("%s: the destination has declined", l->label);
		l->last = b;
		memcpy(l->last_raw, raw, l->sector_bytes);
		l->in_doubt = false;
		return E_DO_WRITE;
	case STOR_JUDGE_DONE:
		l->in_doubt = false;
		stor__lease_no_more(l, "the VM was handed over or released");
		stor__lease_answer(l, 0, NULL);
		return E_ENDED;
	case STOR_JUDGE_LOST:
	case STOR_JUDGE_NONE:
		break;
	}
	l->seen = b;
	return E_LOST;
}

unsigned stor__act_check(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	unsigned e = lease_judged(l, l->seen_raw, true);

	(void)arg;
	return e ? e : E_READ_FAIL;
}

unsigned stor__act_lost(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	struct cm_err err = CM_ERR_INIT;
	char words[256] = "the block was never used";

	(void)arg;
	if (l->seen.state)
		stor_block_print(&l->seen, words, sizeof words);
	cm_err_set(&err, CM_E_LEASE_LOST, "ownership is lost: %s", words);
	cm_crit("%s: %s", l->label, err.text);
	stor__lease_no_more(l, err.text);
	if (l->ops && l->ops->lost)
		l->ops->lost(l, STOR_LOST_TAKEN, l->arg);
	if (l->op)
		stor__lease_answer(l, CM_E_LEASE_LOST, &err);
	return 0;
}

unsigned stor__act_expire(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	uint64_t until = atomic_load(&l->valid_until_ns), now = cm_now_ns();

	(void)arg;
	if (!until)
		return 0;
	if (now < until) {
		cm_timer_arm_ns(&l->expire, until - now);
		return 0;
	}
	atomic_store(&l->valid_until_ns, 0);
	cm_crit("%s: no renewal succeeded for %llu ms: the vCPUs stop%s%s", l->label,
		(unsigned long long)STOR_FAIL(l->io_timeout_ms),
		l->refusal ? "; the last try: " : "",
		l->refusal ? cm_err_text(l->refusal) : "");
	if (l->ops && l->ops->lost)
		l->ops->lost(l, STOR_LOST_EXPIRED, l->arg);
	return 0;
}

/* A new session may look; the answer says whether we may register. */
unsigned stor__act_looked(void *ctx, void *arg)
{
	struct stor_lease *l = ctx;
	unsigned e = lease_judged(l, l->look_raw, false);

	(void)arg;
	if (e != E_UP)
		return e;
	stor_dev_enter(l->devs[0].dev, l->look_incarnation);
	return 0;
}
