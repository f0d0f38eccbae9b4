/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_image.h - what a save and a restore share: steps, work on the volume, the image's
 * device. For migration/core/ only.
 *
 * Thread: [loop] but for what mig__core_image_work runs.
 */
#ifndef MIG_CORE_IMAGE_H
#define MIG_CORE_IMAGE_H

#include "migration/core/mig_core.h"
#include "migration/mig_image.h"

struct mig_core *mig__core_image_of(struct mig_core_image *p);
struct hv_core *mig__core_image_core(struct mig_core_image *p);
/* Nothing on the SAN can be changed by who has lost the VM, and nothing need be. */
bool mig__core_image_owns(struct mig_core_image *p);
void mig__core_image_begin(struct mig_core_image *p, enum mig_core_step step);
/* fn on a thread of its own (it puts its error into p->work_err), then `then` on the loop. */
void mig__core_image_work(struct mig_core_image *p, enum mig_core_step step, void (*fn)(void *),
			  void (*then)(void *));
/* Of p's file (taken) or device. */
void mig__core_image_config(struct mig_core_image *p, struct mig_image_config *c,
			    void (*done)(void *arg, const struct mig_result *r));
/* p->dev NULL and err: it cannot be opened. */
void mig__core_image_open_dev(struct mig_core_image *p, bool readonly, stor_event_fn event,
			      struct cm_err *err);
void mig__core_image_close_dev(struct mig_core_image *p, cm_close_fn then, void *arg);
/* Adds members of status; says whether it did. */
bool mig__core_image_status(struct mig_core *g, struct hv_json *j);

#endif
