/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi_older.c - the device's sessions that are no more: which of them may have left writes under way at
 * the target, and so which key the ownership block has to name. Parses nothing.
 */
#include "config.h"

#include <string.h>

#include "sharedstorage/iscsi/stor_iscsi_int.h"

struct stor_older *stor__older_find(struct stor_iscsi *d, uint64_t key)
{
	for (unsigned i = 0; i < d->nolder; i++)
		if (d->older[i].key == key)
			return &d->older[i];
	return NULL;
}

/* When there are too many, one goes that was never let in: it can only have left its key behind. */
static void older_add(struct stor_iscsi *d, uint64_t key, bool entered)
{
	unsigned i = 0;

	if (d->nolder == ISCSI_OLDER_KEYS) {
		/* One of ours is (the next gets in over its end only), and a few that were found. */
		while (d->older[i].entered)
			i++;
		CM_ASSERT(i < d->nolder);
		memmove(d->older + i, d->older + i + 1, (--d->nolder - i) * sizeof d->older[0]);
	}
	d->older[d->nolder++] = (struct stor_older){.key = key, .entered = entered};
}

/*
 * None of their keys is registered any more. Is anything of them under way still? Only a GOOD for us says no: whoever
 * else took a key away may have died before the end of what it aborted.
 */
bool stor__older_may_write(const struct stor_iscsi *d)
{
	for (unsigned i = 0; i < d->nolder; i++)
		if (d->older[i].entered && !d->older[i].ended)
			return true;
	return false;
}

/* The session of now may be alive at the target still: the next one must abort it. */
void stor__iscsi_key_is_old(struct stor_iscsi *d)
{
	if (d->key)
		older_add(d, d->key, d->key_entered);
	d->key = 0;
	d->key_entered = false;
}

void stor__iscsi_older(struct stor_iscsi *d, uint64_t key)
{
	if (!stor__older_find(d, key))
		older_add(d, key, true);
}

unsigned stor__iscsi_keys(const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS])
{
	const struct stor_iscsi *d = CM_CONTAINER(dev, const struct stor_iscsi, dev);
	uint64_t key = d->key_entered ? d->key : 0;

	for (unsigned i = 0; !key && i < d->nolder; i++)
		if (d->older[i].entered)
			key = d->older[i].key;
	keys[0] = (struct stor_key){.key = key, .lun = stor_dev_lun(dev)};
	return key != 0;
}
