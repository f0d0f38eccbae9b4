/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_json.h - writes JSON documents into a buffer: the answers of hvcore's control socket.
 *
 * Commas are put by the writer. Strings are escaped; bytes that are no printable ASCII become
 * \u00XX. Thread: [any]; errors stay in the buffer.
 */
#ifndef HV_JSON_H
#define HV_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_buf.h"

struct hv_json {
	struct cm_buf buf;
	bool comma;
};

void hv_json_init(struct hv_json *j);
void hv_json_fini(struct hv_json *j);
/* The document so far, NUL-terminated; "{}" if memory ran out. Valid until the next call. */
const char *hv_json_text(struct hv_json *j);
/* key NULL inside an array or at the top. */
void hv_json_open(struct hv_json *j, const char *key, char bracket); /* '{' or '[' */
void hv_json_close(struct hv_json *j, char bracket);		     /* '}' or ']' */
void hv_json_str(struct hv_json *j, const char *key, const char *value);
void hv_json_u64(struct hv_json *j, const char *key, uint64_t value);
void hv_json_hex(struct hv_json *j, const char *key, uint64_t value); /* a string: "0x1f" */
void hv_json_bool(struct hv_json *j, const char *key, bool value);
/* value is a JSON document itself. */
void hv_json_raw(struct hv_json *j, const char *key, const char *value);

#endif
