/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_judge.c - the decisions of a lease, as pure functions over blocks: no I/O, no clock,
 * no log.
 *
 * Parses nothing itself (blocks come decoded), but believes no field more than the rules of design
 * allow. The exhaustive model under tests/sim runs exactly these functions.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "sharedstorage/lease/stor_lease_int.h"

const char *stor__lease_op_name(enum stor_lease_op op)
{
	static const char *const names[] = {"none",    "renew",	 "acquire", "take over", "accept",
					    "decline", "intent", "resume",  "commit",	 "release"};

	return (unsigned)op < CM_ARRAY_LEN(names) ? names[op] : "?";
}

static unsigned keys_count(const struct stor_key *keys, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += keys[i].key != 0;
	return count;
}

/* Of those that have not ended. There is room: no block has more than shut can take. */
static void shut_add(struct stor_block *next, const struct stor_key *keys, unsigned n)
{
	unsigned at = keys_count(next->shut, STOR_SHUT_KEYS);

	for (unsigned i = 0; i < n; i++) {
		if (!keys[i].key || keys[i].ended)
			continue;
		CM_ASSERT(at < STOR_SHUT_KEYS);
		next->shut[at++] = keys[i];
	}
}

/* The owner is gone: what it had not shut out and its own keys, without those that the permit knows the end of. */
static void shut_owner(struct stor_block *next, const struct stor_block *b, const struct stor_permit *permit)
{
	struct stor_block of = *b;

	stor_keys_ended(of.shut, STOR_SHUT_KEYS, permit->shut, STOR_SHUT_KEYS);
	stor_keys_ended(of.owner.keys, STOR_OWNER_KEYS, permit->victim.keys, STOR_OWNER_KEYS);
	memset(next->shut, 0, sizeof next->shut);
	shut_add(next, of.shut, STOR_SHUT_KEYS);
	shut_add(next, of.owner.keys, STOR_OWNER_KEYS);
}

/* The peer's keys only spare it a question on exclusive LUNs: they get what room is left. */
static void fit_peer(struct stor_block *next)
{
	unsigned room = STOR_SHUT_KEYS - keys_count(next->owner.keys, STOR_OWNER_KEYS) -
			keys_count(next->shut, STOR_SHUT_KEYS);

	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++) {
		if (next->peer.keys[i].key && !room)
			next->peer.keys[i] = (struct stor_key){0};
		room -= next->peer.keys[i].key != 0;
	}
}

static enum stor_seek refuse_held(const struct stor_block *b, struct cm_err *err)
{
	cm_err_set(err, CM_E_LEASE_HELD, "%s owns the VM (pid %u, epoch %llu)%s%s", b->owner.node,
		   b->owner.pid, (unsigned long long)b->epoch,
		   b->peer.node[0] ? ", it is moving to " : "", b->peer.node);
	return STOR_SEEK_REFUSE;
}

static void next_owner(const struct stor_lease_picture *p, const struct stor_block *b,
		       struct stor_block *next)
{
	*next = (struct stor_block){
		.state = STOR_BLOCK_RUNNING,
		.vm = p->vm,
		.epoch = b->epoch + 1,
		.renewal = 1,
		.nonce = p->nonce,
		.io_timeout_ms = p->io_timeout_ms,
		.owner = p->self,
	};
	memcpy(next->shut, b->shut, sizeof next->shut);
}

/* Nobody writes guest data before former owners are shut out: until then it has no keys. */
static void no_keys_before_the_end(struct stor_block *next)
{
	if (keys_count(next->shut, STOR_SHUT_KEYS))
		memset(next->owner.keys, 0, sizeof next->owner.keys);
}

static bool permit_fits(const struct stor_permit *permit, const struct stor_block *b)
{
	return permit && stor_uuid_equal(&permit->vm, &b->vm) && permit->epoch == b->epoch &&
	       stor_owner_same(&permit->victim, &b->owner) &&
	       (!permit->exact ||
		(permit->renewal == b->renewal && stor_uuid_equal(&permit->nonce, &b->nonce)));
}

static enum stor_seek seek_take_over(const struct stor_lease_picture *p, const struct stor_block *b,
				     struct stor_block *next, struct cm_err *err)
{
	if (p->only_with_intent && !stor_owner_same(&b->peer, &p->self)) {
		cm_err_set(err, CM_E_LEASE_NO_PROOF,
			   "the intent to move to us is not in the block any more: "
			   "the source ran on, our memory is stale");
		return STOR_SEEK_REFUSE;
	}
	if (b->state == STOR_BLOCK_FREE) {
		next_owner(p, b, next);
		no_keys_before_the_end(next);
		return STOR_SEEK_TAKE;
	}
	if (!permit_fits(p->permit, b)) {
		cm_err_set(err, CM_E_LEASE_NO_PROOF,
			   "the proof is not about what the block says now: %s, pid %u, epoch %llu",
			   b->owner.node, b->owner.pid, (unsigned long long)b->epoch);
		return STOR_SEEK_REFUSE;
	}
	next_owner(p, b, next);
	shut_owner(next, b, p->permit);
	no_keys_before_the_end(next);
	return STOR_SEEK_TAKE;
}

static enum stor_seek seek_decline(const struct stor_lease_picture *p, const struct stor_block *b,
				   struct stor_block *next, struct cm_err *err)
{
	if (b->state == STOR_BLOCK_RUNNING && stor_owner_same(&b->owner, &p->self)) {
		cm_err_set(err, -EALREADY, "the source has committed: this node owns the VM");
		return STOR_SEEK_REFUSE;
	}
	if (!stor_owner_same(&b->peer, &p->self))
		return STOR_SEEK_DONE;
	*next = *b;
	next->nonce = p->nonce;
	memset(&next->peer, 0, sizeof next->peer);
	return STOR_SEEK_TAKE;
}

enum stor_seek stor__lease_seek(const struct stor_lease_picture *p, int read_rc,
				const struct stor_block *b, struct stor_block *next,
				struct cm_err *err)
{
	bool unused = read_rc == -ENODATA;
	bool ours =
		!read_rc && b->state == STOR_BLOCK_RUNNING && stor_owner_same(&b->owner, &p->self);

	if (read_rc && !unused) {
		cm_err_set(err, read_rc, "the ownership block cannot be read: %s", cm_err_text(read_rc));
		return STOR_SEEK_REFUSE;
	}
	if (!unused && !stor_uuid_equal(&b->vm, &p->vm)) {
		cm_err_set(err, CM_E_LEASE_CORRUPT, "the ownership block is of another VM");
		return STOR_SEEK_REFUSE;
	}
	if (ours && p->op != STOR_LEASE_DECLINE)
		return keys_count(b->shut, STOR_SHUT_KEYS) ? STOR_SEEK_FENCE : STOR_SEEK_OWN;
	if (p->op == STOR_LEASE_DECLINE)
		return unused ? STOR_SEEK_DONE : seek_decline(p, b, next, err);
	if (p->op == STOR_LEASE_TAKE_OVER && !unused)
		return seek_take_over(p, b, next, err);
	if (p->op == STOR_LEASE_ACCEPT) {
		if (unused || b->state == STOR_BLOCK_FREE) {
			cm_err_set(err, CM_E_LEASE_HELD,
				   "nobody hands this VM over: its block is free");
			return STOR_SEEK_REFUSE;
		}
		if (!stor_owner_same(&b->peer, &p->self))
			return refuse_held(b, err);
		cm_err_set(err, -EAGAIN, "%s owns the VM still", b->owner.node);
		return STOR_SEEK_REFUSE;
	}
	if (!unused && b->state == STOR_BLOCK_RUNNING)
		return refuse_held(b, err);
	if (p->op == STOR_LEASE_TAKE_OVER && p->only_with_intent)
		return seek_take_over(p, b, next, err);
	next_owner(p, b, next);
	no_keys_before_the_end(next);
	return STOR_SEEK_TAKE;
}

enum stor_judge stor__lease_judge(const struct stor_owner *self, enum stor_lease_op tried_op,
				  const struct stor_block *last, const struct stor_block *tried,
				  int read_rc, const struct stor_block *b)
{
	if (read_rc)
		return STOR_JUDGE_LOST;
	if (tried && stor_uuid_equal(&tried->nonce, &b->nonce))
		return tried_op == STOR_LEASE_COMMIT || tried_op == STOR_LEASE_RELEASE
			       ? STOR_JUDGE_DONE
			       : STOR_JUDGE_MINE;
	if (b->state == STOR_BLOCK_RUNNING && stor_owner_same(&b->owner, self) &&
	    b->epoch == last->epoch)
		return STOR_JUDGE_MINE;
	/* The new owner may have renewed before we could look. */
	if (tried && tried_op == STOR_LEASE_COMMIT && b->state == STOR_BLOCK_RUNNING &&
	    b->epoch == tried->epoch && stor_owner_same(&b->owner, &tried->owner))
		return STOR_JUDGE_DONE;
	return STOR_JUDGE_LOST;
}

int stor__lease_next(const struct stor_block *last, const struct stor_owner *self,
		     enum stor_lease_op op, const struct stor_owner *peer, uint32_t io_timeout_ms,
		     const struct stor_uuid *nonce, struct stor_block *next)
{
	*next = *last;
	next->nonce = *nonce;
	next->renewal++;
	next->io_timeout_ms = io_timeout_ms;
	next->owner = *self;
	memset(next->shut, 0, sizeof next->shut);
	shut_add(next, last->shut, STOR_SHUT_KEYS);
	switch (op) {
	case STOR_LEASE_INTENT:
		next->peer = *peer;
		fit_peer(next);
		return 0;
	case STOR_LEASE_RESUME:
		memset(&next->peer, 0, sizeof next->peer);
		return 0;
	case STOR_LEASE_COMMIT:
		if (!last->peer.node[0])
			return CM_E_LEASE_MISCOMPARE;
		next->epoch++;
		next->renewal = 1;
		next->owner = last->peer;
		shut_add(next, self->keys, STOR_OWNER_KEYS);
		no_keys_before_the_end(next);
		memset(&next->peer, 0, sizeof next->peer);
		return 0;
	case STOR_LEASE_RELEASE:
		next->state = STOR_BLOCK_FREE;
		shut_add(next, self->keys, STOR_OWNER_KEYS);
		memset(&next->owner, 0, sizeof next->owner);
		memset(&next->peer, 0, sizeof next->peer);
		return 0;
	case STOR_LEASE_NONE:
	case STOR_LEASE_RENEW:
	case STOR_LEASE_ACQUIRE:
	case STOR_LEASE_TAKE_OVER:
	case STOR_LEASE_ACCEPT:
	case STOR_LEASE_DECLINE:
		fit_peer(next); /* our own keys may be more than they were */
		return 0;
	}
	return -EINVAL;
}

int stor__lease_vacate(const struct stor_permit *permit, const struct stor_block *b,
		       const struct stor_uuid *nonce, struct stor_block *next)
{
	if (b->state != STOR_BLOCK_RUNNING || !permit_fits(permit, b))
		return CM_E_LEASE_NO_PROOF;
	*next = *b;
	next->state = STOR_BLOCK_FREE;
	next->nonce = *nonce;
	next->renewal++;
	memset(&next->owner, 0, sizeof next->owner);
	memset(&next->peer, 0, sizeof next->peer);
	shut_owner(next, b, permit);
	return 0;
}
