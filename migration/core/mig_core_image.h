/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_image.h - saved states in the hvcore process: verbs save and save-cancel, hooks look_saved
 * and restore. [loop]
 */
#ifndef MIG_CORE_IMAGE_H
#define MIG_CORE_IMAGE_H

#include "hvcore/hv_core.h"
#include "migration/core/mig_core.h"

/* mig_core_restore.c */
void mig_core_image_look(struct hv_core *core);
int mig_core_image_restore(struct hv_core *core, const char *path, struct cm_err *err) cm_must_check;
/* Adds members of status; says whether it did. */
bool mig_core_image_status(struct mig_core *g, struct hv_json *j);
/* The process ends. True: something is under way still; hv_core_end_go comes when it is over. */
bool mig_core_image_end(struct mig_core *g);
/* mig_core_save.c */
void mig_core_image_verb_save(struct px_req *q, void *core);
void mig_core_image_verb_cancel(struct px_req *q, void *core);

#endif
