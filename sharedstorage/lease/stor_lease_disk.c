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
#include "sharedstorage/dev/stor_timing.h"

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
	AT_OWNER = 80,
	AT_PEER = 240,
	AT_SHUT = 400,
	AT_CRC = 508,
	/* inside an owner */
	AT_O_NODE = 0,
	AT_O_BOOT = 64,
	AT_O_INSTANCE = 80,
	AT_O_PID = 96,
	AT_O_SLOT = 100,
	AT_O_KEYS = 104,
};
#define BLOCK_MAJOR 1
#define BLOCK_MINOR 0
static const char block_magic[8] = {'H', 'V', 'O', 'W', 'N', 'B', 'L', 'K'};

bool stor_owner_same(const struct stor_owner *a, const struct stor_owner *b)
{
	return !strcmp(a->node, b->node) && stor_uuid_equal(&a->boot, &b->boot) &&
	       stor_uuid_equal(&a->instance, &b->instance);
}

static void owner_encode(const struct stor_owner *o, uint8_t *p)
{
	memcpy(p + AT_O_NODE, o->node, strnlen(o->node, STOR_NODE_NAME - 1));
	memcpy(p + AT_O_BOOT, o->boot.b, 16);
	memcpy(p + AT_O_INSTANCE, o->instance.b, 16);
	cm_put_le32(p + AT_O_PID, o->pid);
	cm_put_le16(p + AT_O_SLOT, o->host_slot);
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		cm_put_le64(p + AT_O_KEYS + 8 * i, o->keys[i]);
}

static bool owner_decode(const uint8_t *p, struct stor_owner *o)
{
	if (p[AT_O_NODE + STOR_NODE_NAME - 1])
		return false;
	memcpy(o->node, p + AT_O_NODE, STOR_NODE_NAME);
	for (const char *c = o->node; *c; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	memcpy(o->boot.b, p + AT_O_BOOT, 16);
	memcpy(o->instance.b, p + AT_O_INSTANCE, 16);
	o->pid = cm_le32(p + AT_O_PID);
	o->host_slot = cm_le16(p + AT_O_SLOT);
	for (unsigned i = 0; i < STOR_OWNER_KEYS; i++)
		o->keys[i] = cm_le64(p + AT_O_KEYS + 8 * i);
	return true;
}

void stor_block_encode(const struct stor_block *b, uint8_t *out, uint32_t sector_bytes)
{
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
	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++)
		cm_put_le64(out + AT_SHUT + 8 * i, b->shut[i]);
	cm_put_le32(out + AT_CRC, cm_crc32c(0, out, AT_CRC));
}

/* What no writer of ours can have written. */
static bool block_sane(const struct stor_block *b)
{
	if (stor_uuid_is_zero(&b->vm))
		return false;
	if (b->state == STOR_BLOCK_FREE)
		return !b->owner.node[0] && !b->peer.node[0];
	return b->state == STOR_BLOCK_RUNNING && b->owner.node[0] &&
	       b->io_timeout_ms >= STOR_IO_TIMEOUT_MIN_MS &&
	       b->io_timeout_ms <= STOR_IO_TIMEOUT_MAX_MS;
}

int stor_block_decode(const uint8_t *in, uint32_t sector_bytes, struct stor_block *b)
{
	*b = (struct stor_block){0};
	if (sector_bytes < STOR_BLOCK_BYTES)
		return CM_E_LEASE_CORRUPT;
	if (in[0] == 0 && memcmp(in, in + 1, sector_bytes - 1) == 0)
		return -ENODATA;
	if (memcmp(in + AT_MAGIC, block_magic, sizeof block_magic) ||
	    cm_le16(in + AT_MAJOR) != BLOCK_MAJOR ||
	    cm_le32(in + AT_CRC) != cm_crc32c(0, in, AT_CRC))
		return CM_E_LEASE_CORRUPT;
	b->state = cm_le32(in + AT_STATE);
	memcpy(b->vm.b, in + AT_VM, 16);
	b->epoch = cm_le64(in + AT_EPOCH);
	b->renewal = cm_le64(in + AT_RENEWAL);
	memcpy(b->nonce.b, in + AT_NONCE, 16);
	b->io_timeout_ms = cm_le32(in + AT_IO_TIMEOUT);
	for (unsigned i = 0; i < STOR_SHUT_KEYS; i++)
		b->shut[i] = cm_le64(in + AT_SHUT + 8 * i);
	if (!owner_decode(in + AT_OWNER, &b->owner) || !owner_decode(in + AT_PEER, &b->peer) ||
	    !block_sane(b))
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
	snprintf(out, cap, "vm %s runs on %s pid %u slot %u, epoch %llu renewal %llu%s%s", vm,
		 b->owner.node, b->owner.pid, b->owner.host_slot, (unsigned long long)b->epoch,
		 (unsigned long long)b->renewal, b->peer.node[0] ? ", moves to " : "",
		 b->peer.node);
}
