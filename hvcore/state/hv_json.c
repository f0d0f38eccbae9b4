/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_json.c - a JSON writer. Writes only; parses nothing.
 */
#include "config.h"

#include "hvcore/state/hv_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JSON_MAX (4u << 20)

void hv_json_init(struct hv_json *j)
{
	cm_buf_init(&j->buf, JSON_MAX);
	j->comma = false;
}

void hv_json_fini(struct hv_json *j)
{
	cm_buf_fini(&j->buf);
}

const char *hv_json_text(struct hv_json *j)
{
	uint8_t *end = cm_buf_reserve(&j->buf, 1);

	if (!end)
		return "{}";
	*end = 0;
	return (const char *)j->buf.data;
}

static void quoted(struct cm_buf *b, const char *s)
{
	cm_buf_u8(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[8];

		if (c == '"' || c == '\\') {
			cm_buf_u8(b, '\\');
			cm_buf_u8(b, c);
		} else if (c < 0x20 || c >= 0x7f) {
			snprintf(esc, sizeof esc, "\\u%04x", c);
			cm_buf_put(b, esc, 6);
		} else {
			cm_buf_u8(b, c);
		}
	}
	cm_buf_u8(b, '"');
}

static void begin(struct hv_json *j, const char *key)
{
	if (j->comma)
		cm_buf_u8(&j->buf, ',');
	j->comma = true;
	if (key) {
		quoted(&j->buf, key);
		cm_buf_u8(&j->buf, ':');
	}
}

void hv_json_open(struct hv_json *j, const char *key, char bracket)
{
	begin(j, key);
	cm_buf_u8(&j->buf, (uint8_t)bracket);
	j->comma = false;
}

void hv_json_close(struct hv_json *j, char bracket)
{
	cm_buf_u8(&j->buf, (uint8_t)bracket);
	j->comma = true;
}

void hv_json_str(struct hv_json *j, const char *key, const char *value)
{
	begin(j, key);
	quoted(&j->buf, value);
}

void hv_json_raw(struct hv_json *j, const char *key, const char *value)
{
	begin(j, key);
	cm_buf_put(&j->buf, value, strlen(value));
}

void hv_json_u64(struct hv_json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	hv_json_raw(j, key, text);
}

void hv_json_hex(struct hv_json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "0x%" PRIx64, value);
	hv_json_str(j, key, text);
}

void hv_json_bool(struct hv_json *j, const char *key, bool value)
{
	hv_json_raw(j, key, value ? "true" : "false");
}
