/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_voldump.c - any structure of a volume as text, for people and for the golden images: the
 * same bytes always give the same text. What cannot be decoded is shown as it is, with what is
 * wrong. Parses data of the disk by stor_volfmt.c and stor_lease_disk.c only.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/volume/stor_volume_int.h"

struct dump {
	struct stor_volume *vol;
	uint32_t s; /* bytes of a sector */
	FILE *to;
	const char *disk; /* of a map */
	struct cm_err *err;
};

struct uuid_text {
	char s[STOR_UUID_TEXT];
};

static struct uuid_text uuid(const struct stor_uuid *id)
{
	struct uuid_text text;

	stor_uuid_format(id, text.s);
	return text;
}

/* Lines of 16 bytes; those that are all zero are left out. */
static void hex(const struct dump *d, const uint8_t *p, uint32_t n)
{
	for (uint32_t at = 0; at < n; at += 16) {
		bool zero = true;

		for (unsigned i = 0; i < 16; i++)
			zero = zero && !p[at + i];
		if (zero)
			continue;
		fprintf(d->to, "    %04x ", at);
		for (unsigned i = 0; i < 16; i++)
			fprintf(d->to, " %02x", p[at + i]);
		fprintf(d->to, "  ");
		for (unsigned i = 0; i < 16; i++)
			fputc(isprint(p[at + i]) ? p[at + i] : '.', d->to);
		fputc('\n', d->to);
	}
}

static void damaged(const struct dump *d, const char *what, uint64_t i, const uint8_t *p)
{
	fprintf(d->to, "%s %" PRIu64 ": DAMAGED (magic, checksum or a field is wrong)\n", what, i);
	hex(d, p, d->s);
}

static int region_each(struct dump *d, uint64_t at, uint64_t n,
		       void (*fn)(struct dump *d, uint64_t i, const uint8_t *sector))
{
	int rc;
	uint8_t *region = stor__vol_region(d->vol, at, n, &rc, d->err);

	for (uint64_t i = 0; region && i < n; i++)
		fn(d, i, region + i * d->s);
	free(region);
	return rc;
}

/* --- super block, hosts, blocks ------------------------------------------ */

static void dump_super(struct dump *d, uint64_t i, const uint8_t *p)
{
	struct stor_super s;
	int rc = stor_super_decode(p, d->s, &s);

	if (rc) {
		if (rc == -ENODATA)
			fprintf(d->to, "super block copy %" PRIu64 ": empty\n", i);
		else
			damaged(d, "super block copy", i, p);
		return;
	}
	fprintf(d->to,
		"super block copy %" PRIu64 ": %s %s, sectors of %u, changes %" PRIu64 "\n"
		"    extents %" PRIu64 " of %" PRIu64 " bytes, data at %" PRIu64 "\n"
		"    sectors: hosts %" PRIu64 ", blocks %" PRIu64 ", disks %" PRIu64
		", configurations %" PRIu64 " and %" PRIu64 ", table %" PRIu64 " + %" PRIu64 "\n",
		i, s.name, uuid(&s.id).s, s.sector_bytes, s.changes, s.extents, s.extent_bytes,
		s.data_at, s.hosts_at, s.vms_at, s.disks_at, s.configs_at, s.bodies_at, s.table_at,
		s.table_sectors);
	if (s.locked)
		fprintf(d->to, "    a lock LUN; the data LUN has the serial number '%s'\n",
			s.data_serial);
}

static void dump_host(struct dump *d, uint64_t i, const uint8_t *p)
{
	struct stor_hostslot h;
	int rc = stor_hostslot_decode(p, d->s, &h);

	if (rc == 0)
		fprintf(d->to, "host slot %u: %s\n", h.slot, h.node);
	else if (rc != -ENODATA)
		damaged(d, "host slot", i + 1, p);
}

static void dump_block(struct dump *d, uint64_t i, const uint8_t *p)
{
	struct stor_block b;
	char words[256];
	int rc = stor_block_decode(p, d->s, &b);

	if (rc == 0) {
		stor_block_print(&b, words, sizeof words);
		fprintf(d->to, "block %" PRIu64 ": %s, nonce %s\n", i, words, uuid(&b.nonce).s);
	} else if (stor_forgotten_is(p, d->s)) {
		fprintf(d->to, "block %" PRIu64 ": of a forgotten VM\n", i);
	} else if (rc == CM_E_LEASE_FORMAT) {
		fprintf(d->to, "block %" PRIu64 ": of another release\n", i);
		hex(d, p, d->s);
	} else if (rc != -ENODATA) {
		damaged(d, "block", i, p);
	}
}

/* --- disks and the table ------------------------------------------------- */

static void dump_slot(struct dump *d, uint64_t i, const uint8_t *p)
{
	static const char *const states[] = {"none",	 "free",     "used",
					     "deleting", "creating", "filling"};
	static const char *const kinds[] = {"disk", "saved state", "reader"};
	struct stor_diskslot k;
	int rc = stor_diskslot_decode(p, d->s, &k);

	if (rc == -ENODATA)
		return;
	if (rc) {
		damaged(d, "disk slot", i, p);
		return;
	}
	fprintf(d->to, "disk slot %" PRIu64 ": %s, generation %u, changes %" PRIu64 "\n", i,
		states[k.state], k.generation, k.changes);
	if (k.state == STOR_DISKSLOT_FREE)
		return;
	fprintf(d->to, "    %s %s %s, %" PRIu64 " bytes, %s%s\n",
		kinds[k.kind], k.name, uuid(&k.id).s,
		k.size_bytes, k.thick ? "thick" : "thin", k.sealed ? ", sealed" : "");
	if (!stor_uuid_is_zero(&k.vm))
		fprintf(d->to, "    of VM %s\n", uuid(&k.vm).s);
	if (k.kind == STOR_DISKSLOT_READER)
		fprintf(d->to, "    reads disk %s\n", uuid(&k.of).s);
	if (k.held)
		fprintf(d->to, "    held since epoch %" PRIu64 ", node %s, ownership block on %s\n",
			k.epoch, k.node[0] ? k.node : "-", uuid(&k.home).s);
	if (k.to[0])
		fprintf(d->to, "    is being renamed to %s\n", k.to);
	if (k.grow_bytes)
		fprintf(d->to, "    is being grown to %" PRIu64 " bytes\n", k.grow_bytes);
}

static void dump_table(struct dump *d, uint64_t t, const uint8_t *p)
{
	uint32_t per = stor_table_entries(d->s), used = 0, zeroing = 0;
	uint64_t first = t * per, n = CM_MIN(per, d->vol->super.extents - first);

	if (stor_table_check(p, d->s)) {
		damaged(d, "table sector", t, p);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct stor_extent e = stor_table_get(p, i);

		used += e.state == STOR_EXTENT_USED;
		zeroing += e.state == STOR_EXTENT_ZEROING;
	}
	if (used || zeroing)
		fprintf(d->to,
			"table sector %" PRIu64 ": extents %" PRIu64 "-%" PRIu64
			", %u used, %u being cleared, changes %" PRIu64 "\n",
			t, first, first + n - 1, used, zeroing, cm_le64(p + 8));
}

struct map {
	struct dump *d;
	unsigned slot;
	uint32_t generation;
};

static bool map_sector(uint8_t *sector, uint64_t first, uint32_t n, void *arg)
{
	const struct map *m = arg;

	for (uint32_t i = 0; i < n; i++) {
		struct stor_extent e = stor_table_get(sector, i);

		if (stor_extent_is(&e, m->slot, m->generation))
			fprintf(m->d->to, "    %u at extent %" PRIu64 "%s\n", e.logical, first + i,
				e.state == STOR_EXTENT_USED ? "" : ", being cleared");
	}
	return false;
}

static int dump_map(struct dump *d, const char *disk)
{
	int rc = 0, i = -1;
	struct stor_slots *t = stor__slots_load(d->vol, &rc, d->err);
	struct map m;

	if (!t)
		return rc;
	for (unsigned kind = STOR_DISKSLOT_DISK; kind <= STOR_DISKSLOT_IMAGE && i < 0; kind++)
		i = stor__slots_find(
			t, (enum stor_diskslot_kind)kind, disk,
			~(STOR_SLOT_IN(STOR_DISKSLOT_NONE) | STOR_SLOT_IN(STOR_DISKSLOT_FREE)));
	if (i < 0) {
		rc = stor__vol_no_disk(d->vol, disk, d->err);
	} else {
		dump_slot(d, (unsigned)i, t->region + (size_t)i * d->s);
		m = (struct map){d, (unsigned)i, t->d[i].generation};
		rc = stor__vol_table_walk(d->vol, map_sector, &m, d->err);
	}
	stor__slots_free(t);
	return rc;
}

/* --- configurations ------------------------------------------------------ */

static void dump_config(struct dump *d, uint64_t i, const uint8_t *p)
{
	struct cm_err err = CM_ERR_INIT;
	struct stor_confhead h;
	char *text = NULL;
	int rc = stor_confhead_decode(p, d->s, &h);

	if (rc == -ENODATA)
		return;
	if (rc) {
		damaged(d, "configuration", i, p);
		return;
	}
	if (!h.used) {
		fprintf(d->to, "configuration %" PRIu64 ": free, changes %" PRIu64 "\n", i,
			h.changes);
		return;
	}
	fprintf(d->to, "configuration %" PRIu64 ": VM %s %s, changes %" PRIu64 "%s\n", i, h.name,
		uuid(&h.vm).s, h.changes,
		stor_uuid_is_zero(&h.writer) ? "" : ", a writer is under way");
	if (h.copy == STOR_CONFIG_NO_COPY) {
		fprintf(d->to, "    none is complete yet\n");
		return;
	}
	fprintf(d->to, "    copy %u, %u bytes, %u deflated\n", h.copy, h.text_bytes,
		h.deflated_bytes);
	rc = stor__vol_config_text(d->vol, (unsigned)i, &h, &text, &err);
	if (rc) {
		fprintf(d->to, "    DAMAGED: %s\n", rc == -EAGAIN ? "of another writer" : err.text);
		return;
	}
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		fprintf(d->to, "    | ");
		for (size_t k = 0; k < n; k++)
			fputc(isprint((unsigned char)line[k]) ? line[k] : '?', d->to);
		fputc('\n', d->to);
		line += n + (line[n] == '\n');
	}
	free(text);
}

/* --- all ----------------------------------------------------------------- */

static int part_super(struct dump *d)
{
	return region_each(d, 0, STOR_VOL_SUPERS, dump_super);
}

static int part_hosts(struct dump *d)
{
	return region_each(d, d->vol->super.hosts_at, STOR_VOL_HOSTS, dump_host);
}

static int part_blocks(struct dump *d)
{
	return region_each(d, d->vol->super.vms_at, STOR_VOL_VMS, dump_block);
}

static int part_disks(struct dump *d)
{
	return region_each(d, d->vol->super.disks_at, STOR_VOL_DISKS, dump_slot);
}

static int part_configs(struct dump *d)
{
	return region_each(d, d->vol->super.configs_at, STOR_VOL_VMS, dump_config);
}

static int part_table(struct dump *d)
{
	return region_each(d, d->vol->super.table_at, stor_table_in_use(&d->vol->super),
			   dump_table);
}

int stor_volume_dump(struct stor_volume *vol, const char *what, FILE *to, struct cm_err *err)
{
	static const struct {
		const char *name;
		int (*fn)(struct dump *d);
	} parts[] = {{"super", part_super}, {"hosts", part_hosts},     {"blocks", part_blocks},
		     {"disks", part_disks}, {"configs", part_configs}, {"table", part_table}};
	struct dump d = {.vol = vol, .s = vol->super.sector_bytes, .to = to, .err = err};
	int rc = CM_E_NO_DISK;

	if (strncmp(what, "map:", 4) == 0)
		return dump_map(&d, what + 4);
	for (size_t i = 0; i < CM_ARRAY_LEN(parts); i++) {
		if (*what && strcmp(what, "all") != 0 && strcmp(what, parts[i].name) != 0)
			continue;
		rc = parts[i].fn(&d);
		if (rc)
			return rc;
	}
	return rc == CM_E_NO_DISK
		       ? cm_err_set(err, CM_E_BAD_VALUE,
				    "a volume has super, hosts, blocks, disks, configs, table and "
				    "map:DISK, not '%s'",
				    what)
		       : rc;
}
