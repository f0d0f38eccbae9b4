/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_buf.h - a bounded, growing byte buffer with little-endian writers, and a checked reader.
 *
 * Writers remember their first failure (-ENOMEM, or -EMSGSIZE past the limit), so a caller may
 * write a whole object and look once. A reader past its end gives zeroes and remembers -EBADMSG.
 *
 * Thread: a buffer belongs to one thread at a time. Ownership: cm_buf owns its bytes; cm_rd
 * borrows.
 */
#ifndef CM_BUF_H
#define CM_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

struct cm_buf {
	uint8_t *data;
	size_t len, cap, limit;
	int err; /* 0, -ENOMEM or -EMSGSIZE: first failure */
};

/* limit: the most bytes that the buffer may ever hold. */
void cm_buf_init(struct cm_buf *b, size_t limit);
void cm_buf_fini(struct cm_buf *b);
void cm_buf_reset(struct cm_buf *b); /* empty again, memory kept */
/* Room for n more bytes; NULL on failure. Counts as written only after cm_buf_commit. */
uint8_t *cm_buf_reserve(struct cm_buf *b, size_t n);
void cm_buf_commit(struct cm_buf *b, size_t n);
void cm_buf_put(struct cm_buf *b, const void *data, size_t n);
void cm_buf_u8(struct cm_buf *b, uint8_t v);
void cm_buf_u16(struct cm_buf *b, uint16_t v);
void cm_buf_u32(struct cm_buf *b, uint32_t v);
void cm_buf_u64(struct cm_buf *b, uint64_t v);
void cm_buf_str(struct cm_buf *b, const char *s); /* u16 length, bytes */
/* Drops n bytes from the front. */
void cm_buf_consume(struct cm_buf *b, size_t n);

struct cm_rd {
	const uint8_t *data;
	size_t len, pos;
	int err; /* 0 or -EBADMSG */
};

static inline struct cm_rd cm_rd_init(const void *data, size_t len)
{
	return (struct cm_rd){.data = data, .len = len};
}
/* Pointer to the next n bytes, or NULL (and err) if there are fewer. */
const uint8_t *cm_rd_get(struct cm_rd *r, size_t n);
uint8_t cm_rd_u8(struct cm_rd *r);
uint16_t cm_rd_u16(struct cm_rd *r);
uint32_t cm_rd_u32(struct cm_rd *r);
uint64_t cm_rd_u64(struct cm_rd *r);
/* Copies a string written by cm_buf_str; longer than cap-1 or with a NUL inside is an error. */
void cm_rd_str(struct cm_rd *r, char *out, size_t cap);
static inline size_t cm_rd_left(const struct cm_rd *r)
{
	return r->len - r->pos;
}

/* Plain little- and big-endian access. */
static inline uint16_t cm_le16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t cm_le32(const void *p)
{
	const uint8_t *b = p;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t cm_le64(const void *p)
{
	return cm_le32(p) | (uint64_t)cm_le32((const uint8_t *)p + 4) << 32;
}
static inline void cm_put_le16(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void cm_put_le32(void *p, uint32_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}
static inline void cm_put_le64(void *p, uint64_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}
static inline uint16_t cm_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t cm_be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t cm_be64(const void *p)
{
	return (uint64_t)cm_be32(p) << 32 | cm_be32((const uint8_t *)p + 4);
}
static inline void cm_put_be32(void *p, uint32_t v)
{
	uint8_t *b = p;
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}
static inline void cm_put_be64(void *p, uint64_t v)
{
	cm_put_be32(p, (uint32_t)(v >> 32));
	cm_put_be32((uint8_t *)p + 4, (uint32_t)v);
}

/* CRC32C (Castagnoli), as in iSCSI; crc of a buffer, or continued from an earlier value (start with
 * 0). */
uint32_t cm_crc32c(uint32_t crc, const void *data, size_t len);

#endif
