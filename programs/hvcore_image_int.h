/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_image_int.h - inside of saved states: shared by hvcore_image.c, hvcore_save.c and
 * hvcore_restore.c. [loop]
 */
#ifndef HVCORE_IMAGE_INT_H
#define HVCORE_IMAGE_INT_H

#include "migration/mig_image.h"
#include "programs/hvcore_image.h"

struct hvcore_migrate *hvcore__image_of(struct hvcore_image *p);
struct hv_core *hvcore__image_core(struct hvcore_image *p);
/* Nothing on the SAN can be changed by who has lost the VM, and nothing need be. */
bool hvcore__image_owns(struct hvcore_image *p);
void hvcore__image_begin(struct hvcore_image *p, enum hvcore_image_step step);
/* fn on a thread of its own (it puts its error into p->work_err), then `then` on the loop. */
void hvcore__image_work(struct hvcore_image *p, enum hvcore_image_step step, void (*fn)(void *),
			void (*then)(void *));
/* Of p's file (taken) or device. */
void hvcore__image_config(struct hvcore_image *p, struct mig_image_config *c,
			  void (*done)(void *arg, const struct mig_result *r));
/* p->dev NULL and err: it cannot be opened. */
void hvcore__image_open_dev(struct hvcore_image *p, bool readonly, stor_event_fn event,
			    struct cm_err *err);
void hvcore__image_close_dev(struct hvcore_image *p, cm_close_fn then, void *arg);
/* hvcore_save.c: the process ends while an image cannot be dropped. */
void hvcore__save_give_up(struct hvcore_image *p);

#endif
