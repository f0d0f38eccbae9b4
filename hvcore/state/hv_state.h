/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_state.h - field tables: one table per object serves save, load, dump and fuzzing; and
 * sections, the checked containers in which objects travel. Part of format.
 *
 * An object is the little-endian values of its table's fields, in table order, without gaps: a
 * table is never edited once released; what is new goes into a named subsection of its own table.
 *
 *   section    = u32 HV_SECTION_MAGIC, str name, u32 instance, u32 version, u32 length,
 * bytes[length], u32 crc32c of everything before it in the section, u32 HV_SECTION_FOOTER payload
 * = object, then u16 count of subsections, each: str name, u8 mandatory, u32 length, object str =
 * u16 length, bytes
 *
 * A reader that does not know an optional subsection skips it; an unknown mandatory one is refused.
 * Decoders are pure functions over (buffer, length), and give values only after everything checked.
 *
 * Thread: [any], by value.
 */
#ifndef HV_STATE_H
#define HV_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cm_buf.h"
#include "common/cm_err.h"

enum hv_field_kind {
	HV_FIELD_END = 0,
	HV_FIELD_U8,
	HV_FIELD_U16,
	HV_FIELD_U32,
	HV_FIELD_U64,
	HV_FIELD_BOOL,	 /* C bool; one byte; only 0 and 1 decode */
	HV_FIELD_BYTES,	 /* count bytes as they are */
	HV_FIELD_STRUCT, /* count objects of table sub, stride bytes apart */
};

struct hv_field {
	const char *name;
	enum hv_field_kind kind;
	uint32_t offset, count, stride; /* count >= 1: elements of an array */
	const struct hv_field *sub;
};

/*
 * Rows of a table: HV_F_U32(struct x, member), ..., HV_F_END. The plural rows are whole array
 * members. That the C type of the member is the row's is checked here.
 */
// clang-format off
#define HV_F_COUNT(s, m) (sizeof(((s *)0)->m) / sizeof(((s *)0)->m[0]))
#define HV_F_IS(s, m, t) \
	(0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((s *)0)->m), t) ? 1 : -1]))
#define HV_F_ONE(s, m, k, t) { #m, k, offsetof(s, m) + HV_F_IS(s, m, t), 1, sizeof(t), NULL }
#define HV_F_ALL(s, m, k, t) \
	{ #m, k, offsetof(s, m) + HV_F_IS(s, m[0], t), HV_F_COUNT(s, m), sizeof(t), NULL }
#define HV_F_U8(s, m)    HV_F_ONE(s, m, HV_FIELD_U8, uint8_t)
#define HV_F_U16(s, m)   HV_F_ONE(s, m, HV_FIELD_U16, uint16_t)
#define HV_F_U32(s, m)   HV_F_ONE(s, m, HV_FIELD_U32, uint32_t)
#define HV_F_U64(s, m)   HV_F_ONE(s, m, HV_FIELD_U64, uint64_t)
#define HV_F_BOOL(s, m)  HV_F_ONE(s, m, HV_FIELD_BOOL, bool)
#define HV_F_U8S(s, m)   HV_F_ALL(s, m, HV_FIELD_U8, uint8_t)
#define HV_F_U16S(s, m)  HV_F_ALL(s, m, HV_FIELD_U16, uint16_t)
#define HV_F_U32S(s, m)  HV_F_ALL(s, m, HV_FIELD_U32, uint32_t)
#define HV_F_U64S(s, m)  HV_F_ALL(s, m, HV_FIELD_U64, uint64_t)
#define HV_F_BYTES(s, m) { #m, HV_FIELD_BYTES, offsetof(s, m), sizeof(((s *)0)->m), 1, NULL }
#define HV_F_STRUCT(s, m, table) \
	{ #m, HV_FIELD_STRUCT, offsetof(s, m), 1, sizeof(((s *)0)->m), table }
#define HV_F_STRUCTS(s, m, table) \
	{ #m, HV_FIELD_STRUCT, offsetof(s, m), HV_F_COUNT(s, m), sizeof(((s *)0)->m[0]), table }
#define HV_F_END { NULL, HV_FIELD_END, 0, 0, 0, NULL }
// clang-format on

/* A later addition to an object. present NULL: always saved. */
struct hv_subsection {
	const char *name;
	bool mandatory;
	const struct hv_field *fields; /* into the same object */
	bool (*present)(const void *object);
};

size_t hv_fields_bytes(const struct hv_field *fields);
void hv_fields_encode(struct cm_buf *b, const struct hv_field *fields, const void *object);
/* Fills object; what is read past the end is zero and remembered in r->err. */
void hv_fields_decode(struct cm_rd *r, const struct hv_field *fields, void *object);
/* "name = value" lines; zero tails of arrays are left out. */
void hv_fields_dump(FILE *to, const char *prefix, const struct hv_field *fields,
		    const void *object);

#define HV_SECTION_MAGIC  0x53435648u /* "HVCS" */
#define HV_SECTION_FOOTER 0x45435648u /* "HVCE" */
#define HV_SECTION_NAME	  32u
#define HV_SECTION_MAX	  (8u << 20) /* most bytes of one section's payload */

struct hv_section {
	char name[HV_SECTION_NAME];
	uint32_t instance, version, length;
	const uint8_t *data; /* borrowed from the buffer */
};

/* Write a section: begin, payload into b, end (with what begin returned). */
size_t hv_section_begin(struct cm_buf *b, const char *name, uint32_t instance, uint32_t version);
void hv_section_end(struct cm_buf *b, size_t begin);
/* Next section of r, checked whole. CM_E_STREAM_TRUNCATED, _CORRUPT, _SECTION. */
int hv_section_get(struct cm_rd *r, struct hv_section *out, struct cm_err *err) cm_must_check;

/* A whole object with its subsections (subs may be NULL, else ends with name NULL) as one section.
 */
void hv_object_put(struct cm_buf *b, const char *name, uint32_t instance, uint32_t version,
		   const struct hv_field *fields, const struct hv_subsection *subs,
		   const void *object);
/*
 * Decodes the payload of s into object. For a subsection that did not arrive the object keeps what
 * it had: hand in an object with default values.
 */
int hv_object_get(const struct hv_section *s, const struct hv_field *fields,
		  const struct hv_subsection *subs, void *object, struct cm_err *err) cm_must_check;

#endif
