/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_state.c - encode, decode and dump by field tables; sections. Part of format, see hv_state.h.
 *
 * Parses the stream of a peer or an image on disk: nothing in it is trusted, every length is
 * checked against the buffer. Pure functions over (buffer, length).
 */
#include "config.h"

#include "hvcore/state/hv_state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static size_t wire_bytes(const struct hv_field *f)
{
	switch (f->kind) {
	case HV_FIELD_U8:
	case HV_FIELD_BOOL:
	case HV_FIELD_BYTES:
		return 1;
	case HV_FIELD_U16:
		return 2;
	case HV_FIELD_U32:
		return 4;
	case HV_FIELD_U64:
		return 8;
	case HV_FIELD_STRUCT:
		return hv_fields_bytes(f->sub);
	case HV_FIELD_END:
		break;
	}
	return 0;
}

size_t hv_fields_bytes(const struct hv_field *fields)
{
	size_t n = 0;

	for (const struct hv_field *f = fields; f->kind != HV_FIELD_END; f++)
		n += wire_bytes(f) * f->count;
	return n;
}

static uint64_t load(const struct hv_field *f, const uint8_t *p)
{
	uint64_t v = 0;

	switch (f->kind) {
	case HV_FIELD_U16:
		return *(const uint16_t *)(const void *)p;
	case HV_FIELD_U32:
		return *(const uint32_t *)(const void *)p;
	case HV_FIELD_U64:
		return *(const uint64_t *)(const void *)p;
	case HV_FIELD_BOOL:
		return *(const bool *)(const void *)p;
	case HV_FIELD_U8:
	case HV_FIELD_BYTES:
		return *p;
	case HV_FIELD_STRUCT:
	case HV_FIELD_END:
		break;
	}
	return v;
}

void hv_fields_encode(struct cm_buf *b, const struct hv_field *fields, const void *object)
{
	for (const struct hv_field *f = fields; f->kind != HV_FIELD_END; f++) {
		const uint8_t *p = (const uint8_t *)object + f->offset;

		if (f->kind == HV_FIELD_BYTES) {
			cm_buf_put(b, p, f->count);
			continue;
		}
		for (uint32_t i = 0; i < f->count; i++, p += f->stride) {
			if (f->kind == HV_FIELD_STRUCT)
				hv_fields_encode(b, f->sub, p);
			else if (f->kind == HV_FIELD_U16)
				cm_buf_u16(b, (uint16_t)load(f, p));
			else if (f->kind == HV_FIELD_U32)
				cm_buf_u32(b, (uint32_t)load(f, p));
			else if (f->kind == HV_FIELD_U64)
				cm_buf_u64(b, load(f, p));
			else
				cm_buf_u8(b, (uint8_t)load(f, p));
		}
	}
}

static void decode_one(struct cm_rd *r, const struct hv_field *f, uint8_t *p)
{
	uint8_t v;

	switch (f->kind) {
	case HV_FIELD_U8:
		*p = cm_rd_u8(r);
		break;
	case HV_FIELD_BOOL:
		v = cm_rd_u8(r);
		if (v > 1)
			r->err = -EBADMSG;
		*(bool *)(void *)p = v == 1;
		break;
	case HV_FIELD_U16:
		*(uint16_t *)(void *)p = cm_rd_u16(r);
		break;
	case HV_FIELD_U32:
		*(uint32_t *)(void *)p = cm_rd_u32(r);
		break;
	case HV_FIELD_U64:
		*(uint64_t *)(void *)p = cm_rd_u64(r);
		break;
	case HV_FIELD_STRUCT:
		hv_fields_decode(r, f->sub, p);
		break;
	case HV_FIELD_BYTES:
	case HV_FIELD_END:
		break;
	}
}

void hv_fields_decode(struct cm_rd *r, const struct hv_field *fields, void *object)
{
	for (const struct hv_field *f = fields; f->kind != HV_FIELD_END; f++) {
		uint8_t *p = (uint8_t *)object + f->offset;

		if (f->kind == HV_FIELD_BYTES) {
			const uint8_t *in = cm_rd_get(r, f->count);

			if (in)
				memcpy(p, in, f->count);
			else
				memset(p, 0, f->count);
			continue;
		}
		for (uint32_t i = 0; i < f->count; i++, p += f->stride)
			decode_one(r, f, p);
	}
}

/* Elements up to the last one that is not zero, at least one. */
static uint32_t shown(const struct hv_field *f, const uint8_t *p)
{
	uint32_t n = f->count;

	if (f->kind == HV_FIELD_STRUCT)
		return n;
	while (n > 1 && load(f, p + (size_t)(n - 1) * f->stride) == 0)
		n--;
	return n;
}

void hv_fields_dump(FILE *to, const char *prefix, const struct hv_field *fields, const void *object)
{
	for (const struct hv_field *f = fields; f->kind != HV_FIELD_END; f++) {
		const uint8_t *p = (const uint8_t *)object + f->offset;
		uint32_t n = shown(f, p);

		if (f->kind == HV_FIELD_STRUCT) {
			for (uint32_t i = 0; i < n; i++) {
				char sub[160];

				if (f->count > 1)
					snprintf(sub, sizeof sub, "%s%s[%u].", prefix, f->name, i);
				else
					snprintf(sub, sizeof sub, "%s%s.", prefix, f->name);
				hv_fields_dump(to, sub, f->sub, p + (size_t)i * f->stride);
			}
			continue;
		}
		fprintf(to, "%s%s =", prefix, f->name);
		for (uint32_t i = 0; i < n; i++)
			fprintf(to, f->kind == HV_FIELD_BYTES ? " %02" PRIx64 : " 0x%" PRIx64,
				load(f, p + (size_t)i * f->stride));
		fputc('\n', to);
	}
}

size_t hv_section_begin(struct cm_buf *b, const char *name, uint32_t instance, uint32_t version)
{
	size_t begin = b->len;

	CM_ASSERT(strlen(name) < HV_SECTION_NAME);
	cm_buf_u32(b, HV_SECTION_MAGIC);
	cm_buf_str(b, name);
	cm_buf_u32(b, instance);
	cm_buf_u32(b, version);
	cm_buf_u32(b, 0);
	return begin;
}

void hv_section_end(struct cm_buf *b, size_t begin)
{
	size_t head;

	if (b->err)
		return;
	/* magic, str, instance, version, length */
	head = 4 + 2 + cm_le16(b->data + begin + 4) + 12;
	CM_ASSERT(b->len >= begin + head && b->len - begin - head <= HV_SECTION_MAX);
	cm_put_le32(b->data + begin + head - 4, (uint32_t)(b->len - begin - head));
	cm_buf_u32(b, cm_crc32c(0, b->data + begin, b->len - begin));
	cm_buf_u32(b, HV_SECTION_FOOTER);
}

int hv_section_get(struct cm_rd *r, struct hv_section *out, struct cm_err *err)
{
	size_t begin = r->pos;
	uint32_t crc;

	memset(out, 0, sizeof *out);
	if (cm_rd_u32(r) != HV_SECTION_MAGIC)
		return r->err ? cm_err_set(err, CM_E_STREAM_TRUNCATED, "no section at %zu", begin)
			      : cm_err_set(err, CM_E_STREAM_CORRUPT,
					   "no section magic at offset %zu", begin);
	cm_rd_str(r, out->name, sizeof out->name);
	out->instance = cm_rd_u32(r);
	out->version = cm_rd_u32(r);
	out->length = cm_rd_u32(r);
	if (!r->err && out->length > HV_SECTION_MAX)
		return cm_err_set(err, CM_E_STREAM_SECTION, "section at %zu has %u bytes", begin,
				  out->length);
	out->data = cm_rd_get(r, out->length);
	if (r->err)
		return cm_err_set(err, CM_E_STREAM_TRUNCATED, "section at offset %zu is cut short",
				  begin);
	crc = cm_crc32c(0, r->data + begin, r->pos - begin);
	if (cm_rd_u32(r) != crc || cm_rd_u32(r) != HV_SECTION_FOOTER)
		return cm_err_set(err, r->err ? CM_E_STREAM_TRUNCATED : CM_E_STREAM_CORRUPT,
				  "section %s.%u: checksum or footer is wrong", out->name,
				  out->instance);
	return 0;
}

void hv_object_put(struct cm_buf *b, const char *name, uint32_t instance, uint32_t version,
		   const struct hv_field *fields, const struct hv_subsection *subs,
		   const void *object)
{
	size_t begin = hv_section_begin(b, name, instance, version);
	uint16_t count = 0;

	hv_fields_encode(b, fields, object);
	for (const struct hv_subsection *s = subs; s && s->name; s++)
		count = (uint16_t)(count + (!s->present || s->present(object)));
	cm_buf_u16(b, count);
	for (const struct hv_subsection *s = subs; s && s->name; s++) {
		if (s->present && !s->present(object))
			continue;
		cm_buf_str(b, s->name);
		cm_buf_u8(b, s->mandatory);
		cm_buf_u32(b, (uint32_t)hv_fields_bytes(s->fields));
		hv_fields_encode(b, s->fields, object);
	}
	hv_section_end(b, begin);
}

static int subsection_get(struct cm_rd *r, const struct hv_section *s,
			  const struct hv_subsection *subs, void *object, struct cm_err *err)
{
	char name[HV_SECTION_NAME];
	const struct hv_subsection *sub = subs;
	const uint8_t *data;
	uint8_t mandatory;
	uint32_t length;
	struct cm_rd in;

	cm_rd_str(r, name, sizeof name);
	mandatory = cm_rd_u8(r);
	length = cm_rd_u32(r);
	data = cm_rd_get(r, length);
	if (r->err)
		return cm_err_set(err, CM_E_STREAM_SECTION, "section %s: bad subsection", s->name);
	while (sub && sub->name && strcmp(sub->name, name) != 0)
		sub++;
	if (!sub || !sub->name) {
		if (!mandatory)
			return 0;
		return cm_err_set(err, CM_E_STREAM_SECTION,
				  "section %s has subsection %s, which this version does not know",
				  s->name, name);
	}
	if (length != hv_fields_bytes(sub->fields))
		return cm_err_set(err, CM_E_STREAM_SECTION, "subsection %s.%s has %u bytes",
				  s->name, name, length);
	in = cm_rd_init(data, length);
	hv_fields_decode(&in, sub->fields, object);
	return in.err ? cm_err_set(err, CM_E_STREAM_SECTION, "subsection %s.%s: bad value", s->name,
				   name)
		      : 0;
}

int hv_object_get(const struct hv_section *s, const struct hv_field *fields,
		  const struct hv_subsection *subs, void *object, struct cm_err *err)
{
	struct cm_rd r = cm_rd_init(s->data, s->length);
	uint16_t count;

	hv_fields_decode(&r, fields, object);
	count = cm_rd_u16(&r);
	if (r.err)
		return cm_err_set(err, CM_E_STREAM_SECTION,
				  "section %s.%u is too short or has a bad value", s->name,
				  s->instance);
	for (unsigned i = 0; i < count; i++) {
		int rc = subsection_get(&r, s, subs, object, err);

		if (rc < 0)
			return rc;
	}
	if (cm_rd_left(&r))
		return cm_err_set(err, CM_E_STREAM_SECTION, "section %s.%u has %zu bytes too many",
				  s->name, s->instance, cm_rd_left(&r));
	return 0;
}
