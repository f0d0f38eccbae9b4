/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_stream.c - frames and objects of the migration stream. Parses what a peer or an image says.
 *
 * Nothing from the wire is used as an index or a size before it was checked here. Text is always cut at its array.
 */
#include "config.h"

#include "migration/mig_stream.h"

#include <errno.h>
#include <string.h>

#include "hvcore/cpu/hv_tables.h"
#include "hvcore/state/hv_state.h"

static uint32_t frame_max(uint16_t type)
{
	switch (type) {
#define XX(value, name, max) \
	case value: \
		return max;
		MIG_FRAMES(XX)
#undef XX
	default:
		return 0;
	}
}

const char *mig_frame_name(uint16_t type)
{
	switch (type) {
#define XX(value, name, max) \
	case value: \
		return #name;
		MIG_FRAMES(XX)
#undef XX
	default:
		return "?";
	}
}

void mig_frame_encode(const struct mig_frame *f, uint8_t out[MIG_FRAME_BYTES])
{
	CM_ASSERT(f->length <= frame_max(f->type));
	cm_put_le32(out, MIG_FRAME_MAGIC);
	cm_put_le16(out + 4, f->type);
	cm_put_le16(out + 6, f->flags);
	cm_put_le32(out + 8, f->length);
	cm_put_le32(out + 12, f->sequence);
	cm_put_le32(out + 16, f->crc);
	cm_put_le32(out + 20, cm_crc32c(0, out, 20));
}

int mig_frame_decode(const uint8_t in[MIG_FRAME_BYTES], uint32_t expect, struct mig_frame *f, struct cm_err *err)
{
	*f = (struct mig_frame){
		.type = cm_le16(in + 4),
		.flags = cm_le16(in + 6),
		.length = cm_le32(in + 8),
		.sequence = cm_le32(in + 12),
		.crc = cm_le32(in + 16),
	};
	if (cm_le32(in) != MIG_FRAME_MAGIC)
		return cm_err_set(err, CM_E_STREAM_MAGIC, "not the start of a frame");
	if (cm_le32(in + 20) != cm_crc32c(0, in, 20))
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "checksum of frame %u's header does not match", expect);
	if (!frame_max(f->type))
		return cm_err_set(err, CM_E_STREAM_SECTION, "unknown frame type %u", f->type);
	if (f->length > frame_max(f->type))
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s of %u bytes is too long",
				  mig_frame_name(f->type), f->length);
	if (f->sequence != expect)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "frame %u came where %u was due", f->sequence, expect);
	if (f->flags & ~MIG_FRAME_CRC)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s has unknown flags 0x%x",
				  mig_frame_name(f->type), f->flags);
	return 0;
}

/* --- memory ----------------------------------------------------------------------------------- */

void mig_ram_encode(struct cm_buf *b, uint32_t slot, const struct mig_run *run, uint32_t runs)
{
	CM_ASSERT(runs && runs <= MIG_RUNS_MAX);
	cm_buf_u32(b, slot);
	cm_buf_u32(b, runs);
	for (uint32_t i = 0; i < runs; i++) {
		cm_buf_u64(b, run[i].first);
		cm_buf_u32(b, run[i].pages);
	}
}

int mig_ram_decode(const uint8_t *data, size_t len, const struct mig_frame *f, const uint64_t *slot_pages,
		   unsigned slots, struct mig_ram_head *out, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	uint64_t next = 0, sum = 0, table;

	out->slot = cm_rd_u32(&r);
	out->runs = cm_rd_u32(&r);
	out->pages = 0;
	if (r.err || out->slot >= slots || !out->runs || out->runs > MIG_RUNS_MAX)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "memory frame for slot %u with %u runs", out->slot,
				  out->runs);
	for (uint32_t i = 0; i < out->runs; i++) {
		struct mig_run run = {.first = cm_rd_u64(&r)};

		run.pages = cm_rd_u32(&r);
		if (r.err || !run.pages || run.first < next || run.first >= slot_pages[out->slot] ||
		    run.pages > slot_pages[out->slot] - run.first)
			return cm_err_set(err, CM_E_STREAM_CORRUPT, "memory frame has an impossible run");
		next = run.first + run.pages;
		sum += run.pages;
		out->run[i] = run;
	}
	table = MIG_RAM_HEAD + (uint64_t)out->runs * MIG_RUN_BYTES;
	if (f->type == MIG_FRAME_RAM ? sum > MIG_CHUNK_PAGES || f->length != table + sum * MIG_PAGE_BYTES
				     : f->length != table)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "memory frame's length does not match its runs");
	out->pages = (uint32_t)CM_MIN(sum, (uint64_t)UINT32_MAX);
	return 0;
}

/* --- objects ---------------------------------------------------------------------------------- */

static const struct hv_field hello_fields[] = {
	HV_F_U64(struct mig_hello, magic),
	HV_F_U32(struct mig_hello, format),
	HV_F_U32(struct mig_hello, format_min),
	HV_F_BYTES(struct mig_hello, machine),
	HV_F_BYTES(struct mig_hello, uuid),
	HV_F_BYTES(struct mig_hello, name),
	HV_F_BYTES(struct mig_hello, node),
	HV_F_BYTES(struct mig_hello, engine),
	HV_F_U64(struct mig_hello, epoch),
	HV_F_U64(struct mig_hello, memory_bytes),
	HV_F_U32(struct mig_hello, vcpus),
	HV_F_U32(struct mig_hello, mode),
	HV_F_U32(struct mig_hello, max_blackout_ms),
	HV_F_BOOL(struct mig_hello, verify_ram),
	HV_F_BOOL(struct mig_hello, paused),
	HV_F_END,
};

static const struct hv_field uuid_fields[] = {
	HV_F_BYTES(struct stor_uuid, b),
	HV_F_END,
};

/* Not `ended`: that is what a process saw itself. */
static const struct hv_field key_fields[] = {
	HV_F_U64(struct stor_key, key),
	HV_F_U32(struct stor_key, lun),
	HV_F_END,
};

static const struct hv_field owner_fields[] = {
	HV_F_BYTES(struct stor_owner, node),
	HV_F_STRUCT(struct stor_owner, boot, uuid_fields),
	HV_F_STRUCT(struct stor_owner, instance, uuid_fields),
	HV_F_U32(struct stor_owner, pid),
	HV_F_U16(struct stor_owner, host_slot),
	HV_F_U8(struct stor_owner, watchdog),
	HV_F_STRUCTS(struct stor_owner, keys, key_fields),
	HV_F_END,
};

static const struct hv_field welcome_fields[] = {
	HV_F_U32(struct mig_welcome, format),
	HV_F_U32(struct mig_welcome, code),
	HV_F_BYTES(struct mig_welcome, text),
	HV_F_STRUCT(struct mig_welcome, owner, owner_fields),
	HV_F_END,
};

static const struct hv_field note_fields[] = {
	HV_F_U32(struct mig_note, code),
	HV_F_BYTES(struct mig_note, text),
	HV_F_U32(struct mig_note, round),
	HV_F_U64(struct mig_note, pages),
	HV_F_U64(struct mig_note, zero_pages),
	HV_F_U64S(struct mig_note, ns),
	HV_F_END,
};

static const struct hv_field disk_fields[] = {
	HV_F_STRUCT(struct mig_disk_mark, id, uuid_fields),
	HV_F_U64(struct mig_disk_mark, size_bytes),
	HV_F_BOOL(struct mig_disk_mark, readonly),
	HV_F_END,
};

static const struct hv_field final_fields[] = {
	HV_F_U64(struct mig_final, pages),
	HV_F_U64(struct mig_final, zero_pages),
	HV_F_U64(struct mig_final, frames),
	HV_F_U64(struct mig_final, state_bytes),
	HV_F_U32(struct mig_final, state_crc),
	HV_F_BOOL(struct mig_final, has_hash),
	HV_F_U64(struct mig_final, ram_hash),
	HV_F_BYTES(struct mig_final, describe),
	HV_F_END,
};

#define OBJECT_VERSION 1u

/* Reads one object that is a section of its own. */
static int object_take(struct cm_rd *r, const char *name, const struct hv_field *fields, void *object,
		       struct cm_err *err)
{
	struct hv_section s;
	int rc = hv_section_get(r, &s, err);

	if (rc < 0)
		return rc;
	if (strcmp(s.name, name) != 0)
		return cm_err_set(err, CM_E_STREAM_SECTION, "section %s where %s was due", s.name, name);
	if (s.version != OBJECT_VERSION)
		return cm_err_set(err, CM_E_STREAM_VERSION, "section %s has version %u", s.name, s.version);
	return hv_object_get(&s, fields, NULL, object, err);
}

static int object_end(const struct cm_rd *r, struct cm_err *err)
{
	return cm_rd_left(r) ? cm_err_set(err, CM_E_STREAM_CORRUPT, "%zu bytes after the end of an object", cm_rd_left(r))
			     : 0;
}

#define CUT(text) ((text)[sizeof(text) - 1] = '\0')

void mig_hello_encode(struct cm_buf *b, const struct mig_hello *h, const struct hv_cpuid *cpuid)
{
	hv_object_put(b, "mig-hello", 0, OBJECT_VERSION, hello_fields, NULL, h);
	hv_object_put(b, "cpuid", 0, HV_CPUID_VERSION, hv_cpuid_fields, NULL, cpuid);
}

int mig_hello_decode(const uint8_t *data, size_t len, struct mig_hello *h, struct hv_cpuid *cpuid,
		     struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	struct hv_section s;
	int rc;

	rc = object_take(&r, "mig-hello", hello_fields, h, err);
	if (rc < 0)
		return rc;
	if (h->magic != MIG_MAGIC)
		return cm_err_set(err, CM_E_STREAM_MAGIC, "the peer or image does not begin as a migration");
	if (h->format_min > MIG_FORMAT || h->format < MIG_FORMAT_MIN)
		return cm_err_set(err, CM_E_STREAM_VERSION, "format %u..%u; this version knows %u..%u", h->format_min,
				  h->format, MIG_FORMAT_MIN, MIG_FORMAT);
	CUT(h->machine);
	CUT(h->name);
	CUT(h->node);
	CUT(h->engine);
	rc = hv_section_get(&r, &s, err);
	if (rc < 0)
		return rc;
	if (strcmp(s.name, "cpuid") != 0 || s.version != HV_CPUID_VERSION)
		return cm_err_set(err, CM_E_STREAM_SECTION, "no CPUID contract in the greeting");
	rc = hv_object_get(&s, hv_cpuid_fields, NULL, cpuid, err);
	if (rc == 0)
		rc = hv_cpuid_check(cpuid, err);
	return rc < 0 ? rc : object_end(&r, err);
}

void mig_welcome_encode(struct cm_buf *b, const struct mig_welcome *w)
{
	hv_object_put(b, "mig-welcome", 0, OBJECT_VERSION, welcome_fields, NULL, w);
}

int mig_welcome_decode(const uint8_t *data, size_t len, struct mig_welcome *w, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	int rc = object_take(&r, "mig-welcome", welcome_fields, w, err);

	if (rc < 0)
		return rc;
	CUT(w->text);
	CUT(w->owner.node);
	if (!w->code && !stor_owner_valid(&w->owner))
		return cm_err_set(err, CM_E_MIG_PEER, "the destination says nonsense of itself");
	if (!w->code && (w->format < MIG_FORMAT_MIN || w->format > MIG_FORMAT))
		return cm_err_set(err, CM_E_STREAM_VERSION, "the destination wants format %u", w->format);
	return object_end(&r, err);
}

void mig_note_encode(struct cm_buf *b, const struct mig_note *n)
{
	hv_object_put(b, "mig-note", 0, OBJECT_VERSION, note_fields, NULL, n);
}

int mig_note_decode(const uint8_t *data, size_t len, struct mig_note *n, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	int rc = object_take(&r, "mig-note", note_fields, n, err);

	if (rc < 0)
		return rc;
	CUT(n->text);
	return object_end(&r, err);
}

void mig_disks_encode(struct cm_buf *b, const struct mig_disks *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		hv_object_put(b, "mig-disk", i, OBJECT_VERSION, disk_fields, NULL, &d->disk[i]);
	hv_section_end(b, hv_section_begin(b, "end", 0, OBJECT_VERSION));
}

int mig_disks_decode(const uint8_t *data, size_t len, struct mig_disks *d, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	struct hv_section s;
	int rc;

	*d = (struct mig_disks){.n = 0};
	for (;;) {
		rc = hv_section_get(&r, &s, err);
		if (rc < 0 || strcmp(s.name, "end") == 0)
			return rc < 0 ? rc : object_end(&r, err);
		if (strcmp(s.name, "mig-disk") != 0 || s.instance != d->n || d->n == MIG_DISKS_MAX)
			return cm_err_set(err, CM_E_STREAM_SECTION, "section %s.%u where disk %u was due", s.name,
					  s.instance, d->n);
		if (s.version != OBJECT_VERSION)
			return cm_err_set(err, CM_E_STREAM_VERSION, "section %s has version %u", s.name, s.version);
		rc = hv_object_get(&s, disk_fields, NULL, &d->disk[d->n++], err);
		if (rc < 0)
			return rc;
	}
}

void mig_final_encode(struct cm_buf *b, const struct mig_final *f)
{
	hv_object_put(b, "mig-final", 0, OBJECT_VERSION, final_fields, NULL, f);
}

int mig_final_decode(const uint8_t *data, size_t len, struct mig_final *f, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(data, len);
	int rc = object_take(&r, "mig-final", final_fields, f, err);

	if (rc < 0)
		return rc;
	CUT(f->describe);
	return object_end(&r, err);
}
