/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_lease_disk.c - the ownership block to and from bytes. Pure; parses what lies on a disk that
 * other hosts write: any bytes are survived. Part of format (docs/DISK.md, "Ownership block").
 */
#include "config.h"

#include "sharedstorage/lease/stor_lease_disk.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/dev/stor_dev.h"

/* Offsets; all part of format. */
enum {
	AT_MAGIC = 0,
	AT_MAJOR = 8,
	AT_MINOR = 10,
	AT_STATE = 12,
	AT_VM = 16,
	AT_EPOCH = 32,
	AT_RENEWAL = 40,
	AT_NONCE = 48,
	AT_IO_TIMEOUT = 64,
	AT_COUNTS = 68, /* of keys: owner's, peer's, to be shut out */
	AT_OWNER = 80,
	AT_PEER = 184,
	AT_KEYS = 288,
	AT_CRC = 508,
	/* inside an owner */
	AT_O_NODE = 0,
	AT_O_BOOT = 64,
	AT_O_INSTANCE = 80,
	AT_O_PID = 96,
	AT_O_SLOT = 100,
	AT_O_WATCHDOG = 102,
	/* a key: its lower 6 bytes (the upper 2 are the same in all), then the LUN */
	AT_K_LUN = 6,
	KEY_BYTES = 10,
};
#define BLOCK_MAJOR 3
#define BLOCK_MINOR 0
static const char block_magic[8] = {'H', 'V', 'O', 'W', 'N', 'B', 'L', 'K'};

bool stor_owner_same(const struct stor_owner *a, const struct stor_owner *b)
{
	return !strcmp(a->node, b->node) && stor_uuid_equal(&a->boot, &b->boot) &&
	       stor_uuid_equal(&a->instance, &b->instance);
}

static bool name_ok(const char *name, size_t cap)
{
	if (!memchr(name, 0, cap))
		return false;
	for (; *name; name++)
		if (!isgraph((unsigned char)*name))
			return false;
	return true;
}

bool stor_owner_valid(const struct stor_owner *o)
{
	if (!o->node[0] || !name_ok(o->node, sizeof o->node) || o->watchdog > STOR_WATCHDOG_HARD)
		return false;
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		if (o->keys[i].key && (!stor_pr_key_ours(o->keys[i].key) ||
				       stor_pr_key_slot(o->keys[i].key) != o->host_slot))
			return false;
	return true;
}

static void owner_encode(const struct stor_owner *o, uint8_t *p)
{
	memcpy(p + AT_O_NODE, o->node, strnlen(o->node, STOR_NODE_NAME - 1));
	memcpy(p + AT_O_BOOT, o->boot.b, 16);
	memcpy(p + AT_O_INSTANCE, o->instance.b, 16);
	cm_put_le32(p + AT_O_PID, o->pid);
	cm_put_le16(p + AT_O_SLOT, o->host_slot);
	p[AT_O_WATCHDOG] = o->watchdog;
}

/* Appends the keys of one list; returns how many they are. */
static uint8_t keys_encode(const struct stor_key *keys, unsigned nkeys, uint8_t *out, unsigned *at)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nkeys; i++) {
		uint8_t *p = out + AT_KEYS + KEY_BYTES * *at;

		if (!keys[i].key)
			continue;
		CM_ASSERT(stor_pr_key_ours(keys[i].key) && *at < STOR_SHUT_KEYS);
		cm_put_le32(p, (uint32_t)keys[i].key);
		cm_put_le16(p + 4, stor_pr_key_slot(keys[i].key));
		cm_put_le32(p + AT_K_LUN, keys[i].lun);
		++*at;
		n++;
	}
	return (uint8_t)n;
}

static bool keys_decode(const uint8_t *in, unsigned n, unsigned *at, struct stor_key *keys, unsigned cap)
{
	if (n > cap || *at + n > STOR_SHUT_KEYS)
		return false;
	for (unsigned i = 0; i < n; i++, ++*at) {
		const uint8_t *p = in + AT_KEYS + KEY_BYTES * *at;

		keys[i].key = stor_pr_key(cm_le16(p + 4), cm_le32(p));
		keys[i].lun = cm_le32(p + AT_K_LUN);
	}
	return true;
}

static bool owner_decode(const uint8_t *p, struct stor_owner *o)
{
	memcpy(o->node, p + AT_O_NODE, STOR_NODE_NAME);
	if (!name_ok(o->node, STOR_NODE_NAME))
		return false;
	memcpy(o->boot.b, p + AT_O_BOOT, 16);
	memcpy(o->instance.b, p + AT_O_INSTANCE, 16);
	o->pid = cm_le32(p + AT_O_PID);
	o->host_slot = cm_le16(p + AT_O_SLOT);
	o->watchdog = p[AT_O_WATCHDOG];
	return o->watchdog <= STOR_WATCHDOG_HARD;
}

void stor_block_encode(const struct stor_block *b, uint8_t *out, uint32_t sector_bytes)
{
	unsigned at = 0;

	CM_ASSERT(sector_bytes >= STOR_BLOCK_BYTES && sector_bytes <= STOR_SECTOR_MAX);
	memset(out, 0, sector_bytes);
	memcpy(out + AT_MAGIC, block_magic, sizeof block_magic);
	cm_put_le16(out + AT_MAJOR, BLOCK_MAJOR);
	cm_put_le16(out + AT_MINOR, BLOCK_MINOR);
	cm_put_le32(out + AT_STATE, b->state);
	memcpy(out + AT_VM, b->vm.b, 16);
	cm_put_le64(out + AT_EPOCH, b->epoch);
	cm_put_le64(out + AT_RENEWAL, b->renewal);
	memcpy(out + AT_NONCE, b->nonce.b, 16);
	cm_put_le32(out + AT_IO_TIMEOUT, b->io_timeout_ms);
	owner_encode(&b->owner, out + AT_OWNER);
	owner_encode(&b->peer, out + AT_PEER);
	out[AT_COUNTS] = keys_encode(b->owner.keys, STOR_OWNER_KEYS, out, &at);
	out[AT_COUNTS + 1] = keys_encode(b->peer.keys, STOR_OWNER_KEYS, out, &at);
	out[AT_COUNTS + 2] = keys_encode(b->shut, STOR_SHUT_KEYS, out, &at);
	cm_put_le32(out + AT_CRC, cm_crc32c(0, out, AT_CRC));
}

/* What no writer of ours can have written. */
static bool block_sane(const struct stor_block *b)
{
	if (stor_uuid_is_zero(&b->vm))
		return false;
	if (b->state == STOR_BLOCK_FREE)
		return !b->owner.node[0] && !b->peer.node[0] && !b->owner.keys[0].key;
	return b->state == STOR_BLOCK_RUNNING && b->owner.node[0] &&
	       b->io_timeout_ms >= STOR_IO_TIMEOUT_MIN_MS &&
	       b->io_timeout_ms <= STOR_IO_TIMEOUT_MAX_MS;
}

int stor_block_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_block *b)
{
	unsigned at = 0;

	*b = (struct stor_block){0};
	if (sector_bytes < STOR_BLOCK_BYTES)
		return CM_E_LEASE_CORRUPT;
	if (in[0] == 0 && memcmp(in, in + 1, sector_bytes - 1) == 0)
		return -ENODATA;
	if (memcmp(in + AT_MAGIC, block_magic, sizeof block_magic) ||
	    cm_le32(in + AT_CRC) != cm_crc32c(0, in, AT_CRC))
		return CM_E_LEASE_CORRUPT;
	if (cm_le16(in + AT_MAJOR) != BLOCK_MAJOR) /* magic and checksum are the same in all */
		return CM_E_LEASE_FORMAT;
	b->state = cm_le32(in + AT_STATE);
	memcpy(b->vm.b, in + AT_VM, 16);
	b->epoch = cm_le64(in + AT_EPOCH);
	b->renewal = cm_le64(in + AT_RENEWAL);
	memcpy(b->nonce.b, in + AT_NONCE, 16);
	b->io_timeout_ms = cm_le32(in + AT_IO_TIMEOUT);
	if (!owner_decode(in + AT_OWNER, &b->owner) || !owner_decode(in + AT_PEER, &b->peer) ||
	    !keys_decode(in, in[AT_COUNTS], &at, b->owner.keys, STOR_OWNER_KEYS) ||
	    !keys_decode(in, in[AT_COUNTS + 1], &at, b->peer.keys, STOR_OWNER_KEYS) ||
	    !keys_decode(in, in[AT_COUNTS + 2], &at, b->shut, STOR_SHUT_KEYS) || !block_sane(b))
		return CM_E_LEASE_CORRUPT;
	return 0;
}

void stor_block_print(const struct stor_block *b, char *out, size_t cap)
{
	char vm[STOR_UUID_TEXT];

	stor_uuid_format(&b->vm, vm);
	if (b->state == STOR_BLOCK_FREE) {
		snprintf(out, cap, "vm %s free, epoch %llu", vm, (unsigned long long)b->epoch);
		return;
	}
	snprintf(out, cap, "vm %s runs on %s pid %u slot %u, epoch %llu renewal %llu, watchdog %s%s%s", vm,
		 b->owner.node, b->owner.pid, b->owner.host_slot, (unsigned long long)b->epoch,
		 (unsigned long long)b->renewal, stor_watchdog_name(b->owner.watchdog), b->peer.node[0] ? ", moves to " : "",
		 b->peer.node);
}
