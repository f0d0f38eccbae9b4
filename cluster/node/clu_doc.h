/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_doc.h - the JSON documents that answers carry: short words for making them.
 *
 * Thread: [any]. Ownership: an object that was added to another is that one's.
 */
#ifndef CLU_DOC_H
#define CLU_DOC_H

#include <json-c/json.h>

#include "proto/px_req.h"

/* A finished object as the request's answer; takes o. */
static inline void clu_answer(struct px_req *q, struct json_object *o)
{
	px_req_ok(q, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

/* value NULL or "": null. */
static inline void clu_add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value && *value ? json_object_new_string(value) : NULL);
}

static inline void clu_add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static inline void clu_add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

#endif
