/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_volconf.c - configurations of VMs on a volume, so that it tells by itself what runs on it.
 *
 * A header sector per VM names one of two bodies. A writer says in the header that it writes the
 * other one (its nonce), changes that body sector by sector, then the header: so a reader always
 * has a whole configuration, and of several writers those that were overtaken notice by their own
 * COMPARE AND WRITE. Every sector that is written carries a nonce, so late writes of the overtaken
 * find other bytes and change nothing. Parses data of the disk by stor_volfmt.c and zlib.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_volume_int.h"

struct heads {
	uint8_t *region;
	uint32_t sector;
};

/* A configuration on its way. */
struct conf {
	const struct stor_uuid *vm;
	const char *name;
	uint32_t text_bytes, deflated_bytes;
	uint8_t deflated[STOR_CONFIG_DEFLATED];
};

static uint8_t *head_at(const struct heads *h, unsigned i)
{
	return h->region + (size_t)i * h->sector;
}

static int heads_load(struct stor_volume *vol, struct heads *h, struct cm_err *err)
{
	int rc;

	h->sector = vol->super.sector_bytes;
	h->region = stor__vol_region(vol, vol->super.configs_at, STOR_VOL_VMS, &rc, err);
	return rc;
}

/* Index of the VM's header, -1 none; *unused: the first free one. */
static int head_find(const struct heads *h, const struct stor_uuid *vm, struct stor_confhead *head,
		     int *unused)
{
	*unused = -1;
	for (unsigned n = 0; n < STOR_VOL_VMS; n++) {
		unsigned i = (stor__vol_vm_hash(vm) + n) % STOR_VOL_VMS;
		int rc = stor_confhead_decode(head_at(h, i), h->sector, head);

		if (rc == 0 && head->used && stor_uuid_equal(&head->vm, vm))
			return (int)i;
		if (*unused < 0 && (rc == -ENODATA || (rc == 0 && !head->used)))
			*unused = (int)i;
	}
	return -1;
}

/* COMPARE AND WRITE of header i from what was loaded; the loaded copy follows. */
static int head_write(struct stor_volume *vol, struct heads *h, unsigned i,
		      struct stor_confhead *head, struct cm_err *err)
{
	uint8_t sector[STOR_SECTOR_MAX];
	int rc;

	head->changes++;
	stor_confhead_encode(head, sector, h->sector);
	rc = stor__vol_caw(vol->dev, (vol->super.configs_at + i) * h->sector, head_at(h, i), sector,
			   h->sector, err);
	if (rc == 0)
		memcpy(head_at(h, i), sector, h->sector);
	return rc;
}

static uint64_t body_at(const struct stor_volume *vol, unsigned i, unsigned copy)
{
	uint32_t s = vol->super.sector_bytes;

	return vol->super.bodies_at * s +
	       ((uint64_t)i * 2 + copy) * stor_config_body_sectors(s) * s;
}

/* --- put ----------------------------------------------------------------- */

static int body_sector(struct stor_volume *vol, uint64_t offset, const struct stor_confbody *b,
		       struct cm_err *err)
{
	uint8_t now[STOR_SECTOR_MAX] __attribute__((aligned(4096))), next[STOR_SECTOR_MAX];
	uint32_t s = vol->super.sector_bytes;
	int rc = CM_E_LEASE_MISCOMPARE;

	stor_confbody_encode(b, next, s);
	for (unsigned tries = 0; rc == CM_E_LEASE_MISCOMPARE && tries < STOR_VOL_TRIES; tries++) {
		rc = stor__vol_read(vol->dev, offset, now, s, err);
		rc = rc ? rc : stor__vol_caw(vol->dev, offset, now, next, s, err);
	}
	return rc;
}

static int body_write(struct stor_volume *vol, unsigned i, unsigned copy,
		      const struct stor_uuid *nonce, const struct conf *c, struct cm_err *err)
{
	uint32_t s = vol->super.sector_bytes, room = stor_confbody_room(s), at = 0;
	int rc = 0;

	for (uint16_t n = 0; at < c->deflated_bytes && rc == 0; n++) {
		struct stor_confbody b = {
			.nonce = *nonce,
			.index = n,
			.bytes = (uint16_t)CM_MIN(room, c->deflated_bytes - at),
			.data = c->deflated + at,
		};

		rc = body_sector(vol, body_at(vol, i, copy) + (uint64_t)n * s, &b, err);
		at += b.bytes;
	}
	return rc;
}

/* The VM's header, made if there is none. MISCOMPARE: again. */
static int put_head(struct stor_volume *vol, struct heads *h, const struct conf *c, unsigned *slot,
		    struct stor_confhead *head, struct cm_err *err)
{
	int unused, i = head_find(h, c->vm, head, &unused);

	if (i < 0 && unused < 0)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "volume %s has no room for more configurations (%u)",
				  vol->super.name, STOR_VOL_VMS);
	if (i < 0) {
		i = unused;
		(void)!stor_confhead_decode(head_at(h, (unsigned)i), h->sector, head);
		*head = (struct stor_confhead){
			.changes = head->changes, .vm = *c->vm, .copy = STOR_CONFIG_NO_COPY};
		snprintf(head->name, sizeof head->name, "%s", c->name);
	}
	head->used = true;
	stor_uuid_random(&head->writer);
	*slot = (unsigned)i;
	return head_write(vol, h, *slot, head, err);
}

/* A VM has one header, the first after its hash. Another host may have made one at the same time:
 * who has a later one gives way or is pushed aside. MISCOMPARE: begin again. */
static int put_settle(struct stor_volume *vol, struct heads *h, unsigned slot,
		      struct stor_confhead *mine, struct cm_err *err)
{
	struct heads now;
	bool before = true;
	int rc = heads_load(vol, &now, err);

	for (unsigned n = 0; n < STOR_VOL_VMS && rc == 0; n++) {
		unsigned i = (stor__vol_vm_hash(&mine->vm) + n) % STOR_VOL_VMS;
		struct stor_confhead other, none;

		if (i == slot) {
			before = false;
			continue;
		}
		if (stor_confhead_decode(head_at(&now, i), now.sector, &other) || !other.used ||
		    !stor_uuid_equal(&other.vm, &mine->vm))
			continue;
		none = (struct stor_confhead){.changes = before ? mine->changes : other.changes};
		rc = before ? head_write(vol, h, slot, &none, err)
			    : head_write(vol, &now, i, &none, err);
		if (rc == 0 && before)
			rc = CM_E_LEASE_MISCOMPARE;
	}
	free(now.region);
	return rc;
}

static int put_once(struct stor_volume *vol, const struct conf *c, struct cm_err *err)
{
	struct stor_confhead head;
	struct heads h;
	unsigned slot = 0;
	uint8_t copy;
	int rc = heads_load(vol, &h, err);

	if (rc)
		return rc;
	rc = put_head(vol, &h, c, &slot, &head, err);
	rc = rc ? rc : put_settle(vol, &h, slot, &head, err);
	copy = head.copy == 0 ? 1 : 0;
	rc = rc ? rc : body_write(vol, slot, copy, &head.writer, c, err);
	if (rc == 0) {
		head.copy = copy;
		head.nonce = head.writer;
		head.writer = (struct stor_uuid){{0}};
		head.text_bytes = c->text_bytes;
		head.deflated_bytes = c->deflated_bytes;
		head.deflated_crc = cm_crc32c(0, c->deflated, c->deflated_bytes);
		memset(head.name, 0, sizeof head.name);
		snprintf(head.name, sizeof head.name, "%s", c->name);
		rc = head_write(vol, &h, slot, &head, err);
	}
	free(h.region);
	return rc;
}

int stor_volume_config_put(struct stor_volume *vol, const struct stor_uuid *vm, const char *name,
			   const char *text, size_t n, struct cm_err *err)
{
	struct conf c = {.vm = vm, .name = name, .text_bytes = (uint32_t)n};
	uLongf deflated = sizeof c.deflated;
	int rc = CM_E_LEASE_MISCOMPARE;

	if (stor_uuid_is_zero(vm) || !stor_name_valid(name))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no VM name", name);
	if (n > STOR_CONFIG_TEXT)
		return cm_err_set(err, CM_E_VOL_LIMIT,
				  "the configuration of VM %s has %zu bytes; a volume takes %u",
				  name, n, STOR_CONFIG_TEXT);
	if (compress2(c.deflated, &deflated, (const Bytef *)text, n, Z_BEST_COMPRESSION) != Z_OK)
		return cm_err_set(
			err, CM_E_VOL_LIMIT,
			"the configuration of VM %s does not fit into %u bytes compressed", name,
			STOR_CONFIG_DEFLATED);
	c.deflated_bytes = (uint32_t)deflated;
	for (unsigned tries = 0; rc == CM_E_LEASE_MISCOMPARE && tries < STOR_VOL_TRIES; tries++) {
		if (tries)
			stor__vol_pause(tries);
		rc = put_once(vol, &c, err);
	}
	return rc == CM_E_LEASE_MISCOMPARE
		       ? cm_err_set(err, rc, "the configuration of VM %s changes all the time",
				    name)
		       : rc;
}

/* --- get ----------------------------------------------------------------- */

static int conf_damaged(const struct stor_volume *vol, const struct stor_confhead *h,
			struct cm_err *err)
{
	return cm_err_set(err, CM_E_VOL_CORRUPT, "volume %s: the configuration of VM %s is damaged",
			  vol->super.name, h->name);
}

/* The text that a header names. -EAGAIN: the body is another one by now. */
static int body_read(struct stor_volume *vol, unsigned i, const struct stor_confhead *h,
		     char **text, struct cm_err *err)
{
	uint8_t area[STOR_CONFIG_BODY] __attribute__((aligned(4096))),
		deflated[STOR_CONFIG_DEFLATED];
	uint32_t s = vol->super.sector_bytes, at = 0;
	uLongf n = h->text_bytes;
	int rc = stor__vol_read(vol->dev, body_at(vol, i, h->copy), area, sizeof area, err);

	for (unsigned k = 0; rc == 0 && at < h->deflated_bytes; k++) {
		struct stor_confbody b;

		if (k == stor_config_body_sectors(s) || stor_confbody_decode(area + k * s, s, &b))
			return conf_damaged(vol, h, err);
		if (!stor_uuid_equal(&b.nonce, &h->nonce))
			return -EAGAIN;
		if (b.index != k || !b.bytes || b.bytes > h->deflated_bytes - at)
			return conf_damaged(vol, h, err);
		memcpy(deflated + at, b.data, b.bytes);
		at += b.bytes;
	}
	if (rc)
		return rc;
	*text = malloc((size_t)h->text_bytes + 1);
	if (!*text)
		return cm_err_set(err, -ENOMEM, "out of memory");
	if (cm_crc32c(0, deflated, at) != h->deflated_crc ||
	    uncompress((Bytef *)*text, &n, deflated, at) != Z_OK || n != h->text_bytes) {
		free(*text);
		*text = NULL;
		return conf_damaged(vol, h, err);
	}
	(*text)[n] = '\0';
	return 0;
}

int stor__vol_config_text(struct stor_volume *vol, unsigned i, const struct stor_confhead *h,
			  char **text, struct cm_err *err)
{
	return body_read(vol, i, h, text, err);
}

static int no_config(const struct stor_volume *vol, struct cm_err *err)
{
	return cm_err_set(err, CM_E_NO_VM, "volume %s has no configuration of that VM",
			  vol->super.name);
}

int stor_volume_config_get(struct stor_volume *vol, const struct stor_uuid *vm, char **text,
			   size_t *n, struct cm_err *err)
{
	int rc = -EAGAIN;

	*text = NULL;
	for (unsigned tries = 0; rc == -EAGAIN && tries < STOR_VOL_TRIES; tries++) {
		struct stor_confhead head;
		struct heads h;
		int i, unused;

		rc = heads_load(vol, &h, err);
		if (rc)
			return rc;
		i = head_find(&h, vm, &head, &unused);
		free(h.region);
		if (i < 0 || head.copy == STOR_CONFIG_NO_COPY)
			return no_config(vol, err);
		rc = body_read(vol, (unsigned)i, &head, text, err);
		*n = head.text_bytes;
		if (rc == -EAGAIN && tries + 1 == STOR_VOL_TRIES)
			rc = conf_damaged(vol, &head, err);
	}
	return rc;
}

/* One header of the VM. */
static int drop_once(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	struct stor_confhead head;
	struct heads h;
	int unused, i, rc = heads_load(vol, &h, err);

	if (rc)
		return rc;
	i = head_find(&h, vm, &head, &unused);
	head = (struct stor_confhead){.changes = head.changes};
	rc = i < 0 ? CM_E_NO_VM : head_write(vol, &h, (unsigned)i, &head, err);
	free(h.region);
	return rc;
}

int stor_volume_config_drop(struct stor_volume *vol, const struct stor_uuid *vm, struct cm_err *err)
{
	bool dropped = false;
	int rc = 0;

	for (unsigned tries = 0; tries < STOR_VOL_TRIES; tries++) {
		rc = drop_once(vol, vm, err);
		if (rc == CM_E_NO_VM)
			return dropped ? 0 : no_config(vol, err);
		if (rc && rc != CM_E_LEASE_MISCOMPARE)
			return rc;
		dropped |= rc == 0;
		if (rc)
			stor__vol_pause(tries);
	}
	return cm_err_set(err, CM_E_LEASE_MISCOMPARE, "that configuration changes all the time");
}

int stor_volume_each_config(struct stor_volume *vol, stor_volume_config_fn fn, void *arg,
			    struct cm_err *err)
{
	struct heads h;
	int rc = heads_load(vol, &h, err);

	if (rc)
		return rc;
	for (unsigned i = 0; i < STOR_VOL_VMS && rc == 0; i++) {
		struct cm_err own = CM_ERR_INIT;
		struct stor_confhead head;
		char *text = NULL;
		size_t n;

		if (stor_confhead_decode(head_at(&h, i), h.sector, &head) || !head.used ||
		    head.copy == STOR_CONFIG_NO_COPY)
			continue;
		n = head.text_bytes;
		rc = body_read(vol, i, &head, &text, &own);
		if (rc == -EAGAIN) /* it was changed since: ask for it by name */
			rc = stor_volume_config_get(vol, &head.vm, &text, &n, &own);
		if (rc == 0 || rc == CM_E_VOL_CORRUPT)
			fn(&head.vm, head.name, text, text ? n : 0, arg);
		if (rc == CM_E_NO_VM || rc == CM_E_VOL_CORRUPT)
			rc = 0; /* dropped by now; one that is damaged hides no other */
		if (rc)
			cm_err_set(err, rc, "%s", own.text);
		free(text);
	}
	free(h.region);
	return rc;
}
