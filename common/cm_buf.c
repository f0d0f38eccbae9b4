/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_buf.c - bounded buffer, checked reader, CRC32C. The reader may walk bytes of anybody (peer,
 * disk): it never goes past its length.
 */
#include "config.h"

#include "common/cm_buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>

void cm_buf_init(struct cm_buf *b, size_t limit)
{
	*b = (struct cm_buf){.limit = limit};
}

void cm_buf_fini(struct cm_buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void cm_buf_reset(struct cm_buf *b)
{
	b->len = 0;
	b->err = 0;
}

uint8_t *cm_buf_reserve(struct cm_buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *p;

	if (b->err)
		return NULL;
	if (n > b->limit - b->len) {
		b->err = -EMSGSIZE;
		return NULL;
	}
	want = b->len + n;
	if (want <= b->cap)
		return b->data + b->len;
	cap = b->cap ? b->cap : 256;
	while (cap < want)
		cap *= 2;
	if (cap > b->limit)
		cap = b->limit;
	p = realloc(b->data, cap);
	if (!p) {
		b->err = -ENOMEM;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return b->data + b->len;
}

void cm_buf_commit(struct cm_buf *b, size_t n)
{
	CM_ASSERT(n <= b->cap - b->len);
	b->len += n;
}

void cm_buf_put(struct cm_buf *b, const void *data, size_t n)
{
	uint8_t *p;

	if (n == 0)
		return;
	p = cm_buf_reserve(b, n);
	if (p) {
		memcpy(p, data, n);
		b->len += n;
	}
}

void cm_buf_u8(struct cm_buf *b, uint8_t v)
{
	cm_buf_put(b, &v, 1);
}

void cm_buf_u16(struct cm_buf *b, uint16_t v)
{
	uint8_t le[2];

	cm_put_le16(le, v);
	cm_buf_put(b, le, sizeof le);
}

void cm_buf_u32(struct cm_buf *b, uint32_t v)
{
	uint8_t le[4];

	cm_put_le32(le, v);
	cm_buf_put(b, le, sizeof le);
}

void cm_buf_u64(struct cm_buf *b, uint64_t v)
{
	uint8_t le[8];

	cm_put_le64(le, v);
	cm_buf_put(b, le, sizeof le);
}

void cm_buf_str(struct cm_buf *b, const char *s)
{
	size_t n = strlen(s);

	if (n > UINT16_MAX) {
		b->err = b->err ? b->err : -EMSGSIZE;
		return;
	}
	cm_buf_u16(b, (uint16_t)n);
	cm_buf_put(b, s, n);
}

void cm_buf_consume(struct cm_buf *b, size_t n)
{
	CM_ASSERT(n <= b->len);
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

const uint8_t *cm_rd_get(struct cm_rd *r, size_t n)
{
	const uint8_t *p;

	if (r->err || n > r->len - r->pos) {
		r->err = -EBADMSG;
		return NULL;
	}
	p = r->data + r->pos;
	r->pos += n;
	return p;
}

uint8_t cm_rd_u8(struct cm_rd *r)
{
	const uint8_t *p = cm_rd_get(r, 1);

	return p ? *p : 0;
}

uint16_t cm_rd_u16(struct cm_rd *r)
{
	const uint8_t *p = cm_rd_get(r, 2);

	return p ? cm_le16(p) : 0;
}

uint32_t cm_rd_u32(struct cm_rd *r)
{
	const uint8_t *p = cm_rd_get(r, 4);

	return p ? cm_le32(p) : 0;
}

uint64_t cm_rd_u64(struct cm_rd *r)
{
	const uint8_t *p = cm_rd_get(r, 8);

	return p ? cm_le64(p) : 0;
}

void cm_rd_str(struct cm_rd *r, char *out, size_t cap)
{
	size_t n = cm_rd_u16(r);
	const uint8_t *p = cm_rd_get(r, n);

	out[0] = '\0';
	if (!p)
		return;
	if (n >= cap || (n && memchr(p, '\0', n))) {
		r->err = -EBADMSG;
		return;
	}
	memcpy(out, p, n);
	out[n] = '\0';
}

uint32_t cm_crc32c(uint32_t crc, const void *data, size_t len)
{
	/* isa-l takes int lengths and a non-const pointer; it only reads. */
	unsigned char *p = (unsigned char *)(uintptr_t)data;

	crc = ~crc;
	while (len) {
		size_t n = CM_MIN(len, (size_t)1 << 30);

		crc = crc32_iscsi(p, (int)n, crc);
		p += n;
		len -= n;
	}
	return ~crc;
}
