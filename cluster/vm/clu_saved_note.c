/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_saved_note.c - what is remembered about a saved VM. The image itself is hvcore's
 * (docs/SAVED-STATE.md). Parses our own notes, which an administrator may have changed.
 */
#include "config.h"

#include "cluster/vm/clu_saved_note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_store.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"

#define NOTE_MAX 192u

static void note_dropped(int code, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (code && code != CM_E_NO_DISK)
		cm_info("note of a saved state: %s", err->text);
}

void clu_saved_note_put(struct clu_agent *a, const char *vm, uint64_t bytes, clu_pcmk_done_fn done,
			void *arg)
{
	char text[NOTE_MAX];

	snprintf(text, sizeof text, "%llu %llu %s",
		 (unsigned long long)(cm_wall_ns() / CM_NS_PER_S), (unsigned long long)bytes,
		 a->node);
	clu_store_set_saved(a, vm, text, done, arg);
}

void clu_saved_note_drop(struct clu_agent *a, const char *vm)
{
	clu_store_set_saved(a, vm, NULL, note_dropped, a);
}

void clu_saved_note_forget(struct clu_agent *a, const char *vm)
{
	if (clu_saved_note_is(a, vm))
		clu_saved_note_drop(a, vm);
}

bool clu_saved_note_is(struct clu_agent *a, const char *vm)
{
	char text[NOTE_MAX];

	return clu_store_saved(a, vm, text, sizeof text);
}

struct json_object *clu_saved_note_doc(struct clu_agent *a, const char *vm)
{
	unsigned long long wall_s = 0, bytes = 0;
	char text[NOTE_MAX], node[64] = "", when[32];
	struct json_object *o;
	struct tm tm;
	time_t t;

	if (!clu_store_saved(a, vm, text, sizeof text) ||
	    sscanf(text, "%llu %llu %63s", &wall_s, &bytes, node) != 3)
		return NULL;
	t = (time_t)wall_s;
	gmtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	o = json_object_new_object();
	clu_add_str(o, "since", when);
	clu_add_u64(o, "image_bytes", bytes);
	clu_add_str(o, "node", node);
	return o;
}
