/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_key.h - the key under which a session may write (SPC-4, persistent reservations), and the
 * LUN that it was registered on.
 *
 * Key: 16 bit cluster magic | 16 bit host slot | 32 bit incarnation, new at every login. Pure.
 * Thread: [any].
 */
#ifndef STOR_KEY_H
#define STOR_KEY_H

#include <stdbool.h>
#include <stdint.h>

#define STOR_PR_MAGIC 0x4856u /* "HV" */
static inline uint64_t stor_pr_key(uint16_t host_slot, uint32_t incarnation)
{
	return (uint64_t)STOR_PR_MAGIC << 48 | (uint64_t)host_slot << 32 | incarnation;
}
static inline bool stor_pr_key_ours(uint64_t key)
{
	return key >> 48 == STOR_PR_MAGIC;
}
static inline uint16_t stor_pr_key_slot(uint64_t key)
{
	return (uint16_t)(key >> 32);
}

struct stor_key {
	uint64_t key; /* 0: none */
	uint32_t lun; /* stor_lun_tag() of where it was registered; 0: anywhere */
	/*
	 * Nothing of this session can land any more, and somebody of this process saw it: its PREEMPT AND ABORT was
	 * answered GOOD, or all that it ever sent was answered. (A LUN RESET says that of a LUN, not
	 * of a key: a tag says only where a key may have been.) Never written to a disk.
	 */
	bool ended;
};

/* What a key is tagged with; serial: of the LUN. 0 for "". Two LUNs may have the same one. */
uint32_t stor_lun_tag(const char *serial);
static inline bool stor_key_may_be_of(const struct stor_key *k, uint32_t lun)
{
	return !k->lun || !lun || k->lun == lun;
}
/* Sets to->ended of each key that has ended in from. */
void stor_keys_ended(struct stor_key *to, unsigned nto, const struct stor_key *from, unsigned nfrom);

#endif
