/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_wire.h - big-endian access to bytes and serial number arithmetic.
 *
 * Pure functions, any thread. The caller has checked the lengths.
 */
#ifndef SAN_WIRE_H
#define SAN_WIRE_H

#include <stdbool.h>
#include <stdint.h>

static inline uint16_t san_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t san_get24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t san_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | san_get24(p + 1);
}

static inline uint64_t san_get64(const uint8_t *p)
{
	return (uint64_t)san_get32(p) << 32 | san_get32(p + 4);
}

static inline void san_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void san_put24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	san_put16(p + 1, (uint16_t)v);
}

static inline void san_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	san_put24(p + 1, v);
}

static inline void san_put64(uint8_t *p, uint64_t v)
{
	san_put32(p, (uint32_t)(v >> 32));
	san_put32(p + 4, (uint32_t)v);
}

/* RFC 1982 comparison of CmdSN values: a < b. */
static inline bool san_sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
