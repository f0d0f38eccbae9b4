/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_aml.c - ACPI machine language, ACPI 6.4 chapter 20, byte by byte. Writes only; parses nothing.
 */
#include "config.h"

#include "hvcore/boot/hv_aml.h"

#include <ctype.h>
#include <string.h>

#define PKG_BYTES 3u /* every length in its three byte form: 20 bits */

static size_t begin_package(struct cm_buf *b)
{
	size_t at = b->len;

	cm_buf_put(b, "\0\0\0", PKG_BYTES);
	return at;
}

void hv_aml_end(struct cm_buf *b, size_t begin)
{
	size_t n;

	if (b->err)
		return;
	n = b->len - begin;
	CM_ASSERT(n < 1u << 20);
	b->data[begin] = (uint8_t)(0x80 | (n & 0xf));
	b->data[begin + 1] = (uint8_t)(n >> 4);
	b->data[begin + 2] = (uint8_t)(n >> 12);
}

static void put_path(struct cm_buf *b, const char *path)
{
	if (*path == '\\') {
		cm_buf_u8(b, '\\');
		path++;
	}
	CM_ASSERT(strlen(path) == 4);
	cm_buf_put(b, path, 4);
}

static void put_ext(struct cm_buf *b, uint8_t op)
{
	cm_buf_u8(b, 0x5b);
	cm_buf_u8(b, op);
}

size_t hv_aml_scope(struct cm_buf *b, const char *path)
{
	size_t at;

	cm_buf_u8(b, 0x10);
	at = begin_package(b);
	put_path(b, path);
	return at;
}

size_t hv_aml_device(struct cm_buf *b, const char *name)
{
	size_t at;

	put_ext(b, 0x82);
	at = begin_package(b);
	put_path(b, name);
	return at;
}

size_t hv_aml_method(struct cm_buf *b, const char *name, unsigned args)
{
	size_t at;

	cm_buf_u8(b, 0x14);
	at = begin_package(b);
	put_path(b, name);
	cm_buf_u8(b, (uint8_t)(args | 8)); /* serialized */
	return at;
}

size_t hv_aml_package(struct cm_buf *b, uint8_t elements)
{
	size_t at;

	cm_buf_u8(b, 0x12);
	at = begin_package(b);
	cm_buf_u8(b, elements);
	return at;
}

size_t hv_aml_field(struct cm_buf *b, const char *region)
{
	size_t at;

	put_ext(b, 0x81);
	at = begin_package(b);
	put_path(b, region);
	cm_buf_u8(b, 1); /* byte access, no lock, preserve */
	return at;
}

void hv_aml_field_skip(struct cm_buf *b, uint8_t bits)
{
	CM_ASSERT(bits < 64);
	cm_buf_u8(b, 0);
	cm_buf_u8(b, bits);
}

void hv_aml_field_unit(struct cm_buf *b, const char *name, uint8_t bits)
{
	CM_ASSERT(bits < 64);
	put_path(b, name);
	cm_buf_u8(b, bits);
}

void hv_aml_name(struct cm_buf *b, const char *path)
{
	cm_buf_u8(b, 0x08);
	put_path(b, path);
}

void hv_aml_integer(struct cm_buf *b, uint32_t v)
{
	if (v <= 1) {
		cm_buf_u8(b, (uint8_t)v);
	} else if (v <= 0xff) {
		cm_buf_u8(b, 0x0a);
		cm_buf_u8(b, (uint8_t)v);
	} else {
		cm_buf_u8(b, 0x0c);
		cm_buf_u32(b, v);
	}
}

void hv_aml_string(struct cm_buf *b, const char *s)
{
	cm_buf_u8(b, 0x0d);
	cm_buf_put(b, s, strlen(s) + 1);
}

void hv_aml_eisa_id(struct cm_buf *b, const char *id)
{
	uint32_t v = 0;

	CM_ASSERT(strlen(id) == 7);
	for (int i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - 0x40);
	for (int i = 3; i < 7; i++)
		v = v << 4 |
		    (uint32_t)(isdigit((unsigned char)id[i]) ? id[i] - '0' : id[i] - 'A' + 10);
	/* The compressed id is big-endian in a little-endian integer. */
	cm_buf_u8(b, 0x0c);
	cm_buf_u32(b, __builtin_bswap32(v));
}

void hv_aml_region(struct cm_buf *b, const char *name, uint32_t gpa, uint32_t bytes)
{
	put_ext(b, 0x80);
	put_path(b, name);
	cm_buf_u8(b, 0); /* SystemMemory */
	hv_aml_integer(b, gpa);
	hv_aml_integer(b, bytes);
}

void hv_aml_notify(struct cm_buf *b, const char *path, uint8_t value)
{
	cm_buf_u8(b, 0x86);
	put_path(b, path);
	hv_aml_integer(b, value);
}

void hv_aml_read_local0(struct cm_buf *b, const char *name)
{
	cm_buf_u8(b, 0x70);
	put_path(b, name);
	cm_buf_u8(b, 0x60);
}

size_t hv_aml_if_local0_bit(struct cm_buf *b, uint8_t bits)
{
	size_t at;

	cm_buf_u8(b, 0xa0);
	at = begin_package(b);
	cm_buf_u8(b, 0x7b); /* And (Local0, bits, nowhere) */
	cm_buf_u8(b, 0x60);
	hv_aml_integer(b, bits);
	cm_buf_u8(b, 0x00);
	return at;
}

/* Buffer (size) { items, end tag }: the size is a fixed byte constant, filled in at the end. */
size_t hv_aml_resources(struct cm_buf *b)
{
	size_t at;

	cm_buf_u8(b, 0x11);
	at = begin_package(b);
	cm_buf_u8(b, 0x0a);
	cm_buf_u8(b, 0);
	return at;
}

void hv_aml_resources_end(struct cm_buf *b, size_t begin)
{
	size_t n;

	cm_buf_u8(b, 0x79); /* end tag; checksum 0 means: not checked */
	cm_buf_u8(b, 0);
	if (b->err)
		return;
	n = b->len - begin - PKG_BYTES - 2;
	CM_ASSERT(n < 256);
	b->data[begin + PKG_BYTES + 1] = (uint8_t)n;
	hv_aml_end(b, begin);
}

void hv_aml_resource_io(struct cm_buf *b, uint16_t port, uint8_t ports)
{
	cm_buf_u8(b, 0x47);
	cm_buf_u8(b, 1); /* decodes 16 bits */
	cm_buf_u16(b, port);
	cm_buf_u16(b, port);
	cm_buf_u8(b, 1);
	cm_buf_u8(b, ports);
}

void hv_aml_resource_memory(struct cm_buf *b, uint32_t gpa, uint32_t bytes)
{
	cm_buf_u8(b, 0x86);
	cm_buf_u16(b, 9);
	cm_buf_u8(b, 1); /* read and write */
	cm_buf_u32(b, gpa);
	cm_buf_u32(b, bytes);
}

void hv_aml_resource_irq(struct cm_buf *b, uint32_t gsi)
{
	cm_buf_u8(b, 0x89);
	cm_buf_u16(b, 6);
	cm_buf_u8(b, 1); /* consumer; level, active high, exclusive */
	cm_buf_u8(b, 1);
	cm_buf_u32(b, gsi);
}
