/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_image.h - saved states in the hvcore process: verbs save and save-cancel, hooks look_saved
 * and restore. [loop]
 */
#ifndef HVCORE_IMAGE_H
#define HVCORE_IMAGE_H

#include "hvcore/hv_core.h"
#include "programs/hvcore_migrate.h"

/* hvcore_restore.c */
void hvcore_image_look(struct hv_core *core);
int hvcore_image_restore(struct hv_core *core, const char *path, struct cm_err *err) cm_must_check;
/* Adds members of status; says whether it did. */
bool hvcore_image_status(struct hvcore_migrate *g, struct hv_json *j);
/* The process ends. True: something is under way still; hv_core_end_go comes when it is over. */
bool hvcore_image_end(struct hvcore_migrate *g);
/* hvcore_save.c */
void hvcore_image_verb_save(struct px_req *q, void *core);
void hvcore_image_verb_cancel(struct px_req *q, void *core);

#endif
