/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_move_doc.c - what is said about a migration, and what hvcore says, read. Parses hvcore's
 * JSON.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move.h"
#include "cluster/move/clu_move_int.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "proto/px_words.h"

struct json_object *clu_move_doc(struct clu_agent *a, const char *vm)
{
	struct clu_move *m = clu__move_find(a, vm);
	struct json_object *o;

	if (!m)
		return NULL;
	o = json_object_new_object();
	clu_add_str(o, "to", m->node);
	clu_add_str(o, "mode", px_mig_mode_word(m->mode));
	clu_add_str(o, "state", cm_fsm_state_name(&m->fsm));
	clu_add_u64(o, "tries", m->tries);
	if (m->last_progress[0])
		json_object_object_add(o, "progress", json_tokener_parse(m->last_progress));
	return o;
}

/* hvcore's result, or what is known without it, as the operator sees it. */
bool clu__move_result(struct clu_move *m, const char *core_doc)
{
	static const char *const keys[][2] = {
		{"total_ms", "total_ms"},	{"blackout_ms", "blackout_ms"},
		{"sent_bytes", "bytes"},	{"rounds", "rounds"},
		{"ram_pages", "ram_pages"},	{"zero_pages", "zero_pages"},
		{"state_bytes", "state_bytes"}, {"phases", "phases"},
	};
	struct json_object *o = json_object_new_object(),
			   *core = core_doc ? json_tokener_parse(core_doc) : NULL, *v;
	bool told = core && json_object_object_get_ex(core, "blackout_ms", &v) &&
		    json_object_get_double(v) > 0;

	clu_add_str(o, "vm", m->vm);
	clu_add_str(o, "mode", px_mig_mode_word(m->mode));
	clu_add_str(o, "from", m->agent->node);
	clu_add_str(o, "to", m->node);
	clu_add_u64(o, "tries", m->tries);
	for (size_t i = 0; i < CM_ARRAY_LEN(keys); i++)
		if (core && json_object_object_get_ex(core, keys[i][0], &v))
			json_object_object_add(o, keys[i][1], json_object_get(v));
	if (!core)
		clu_add_str(o, "note",
			    "the source ended without its figures; the VM runs on the destination");
	free(m->result);
	m->result = strdup(json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	CM_ASSERT(m->result);
	json_object_put(core);
	json_object_put(o);
	return told;
}
