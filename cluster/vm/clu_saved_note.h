/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_saved_note.h - what is remembered about a saved VM, for list and show: "WALL_S BYTES NODE".
 * Only a note: the image on the volume decides.
 *
 * Thread: [loop].
 */
#ifndef CLU_SAVED_NOTE_H
#define CLU_SAVED_NOTE_H

#include "cluster/pcmk/clu_pcmk.h"

struct clu_agent;
struct json_object;

void clu_saved_note_put(struct clu_agent *a, const char *vm, uint64_t bytes, clu_pcmk_done_fn done,
			void *arg);
/* Also one that our picture of the cluster does not show yet. */
void clu_saved_note_drop(struct clu_agent *a, const char *vm);
/* It runs, or is deleted: if there is a note, it is history. */
void clu_saved_note_forget(struct clu_agent *a, const char *vm);
bool clu_saved_note_is(struct clu_agent *a, const char *vm);
/* "saved" member of a document; NULL: not saved as far as we know. */
struct json_object *clu_saved_note_doc(struct clu_agent *a, const char *vm);

#endif
