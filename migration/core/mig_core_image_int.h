/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_image_int.h - inside of saved states: shared by mig_core_image.c, mig_core_save.c and
 * mig_core_restore.c. [loop]
 */
#ifndef MIG_CORE_IMAGE_INT_H
#define MIG_CORE_IMAGE_INT_H

#include "migration/core/mig_core_image.h"
#include "migration/mig_image.h"

struct mig_core *hvcore__image_of(struct mig_core_image *p);
struct hv_core *hvcore__image_core(struct mig_core_image *p);
/* Nothing on the SAN can be changed by who has lost the VM, and nothing need be. */
bool hvcore__image_owns(struct mig_core_image *p);
void hvcore__image_begin(struct mig_core_image *p, enum mig_core_image_step step);
/* fn on a thread of its own (it puts its error into p->work_err), then `then` on the loop. */
void hvcore__image_work(struct mig_core_image *p, enum mig_core_image_step step, void (*fn)(void *),
			void (*then)(void *));
/* Of p's file (taken) or device. */
void hvcore__image_config(struct mig_core_image *p, struct mig_image_config *c,
			  void (*done)(void *arg, const struct mig_result *r));
/* p->dev NULL and err: it cannot be opened. */
void hvcore__image_open_dev(struct mig_core_image *p, bool readonly, stor_event_fn event,
			    struct cm_err *err);
void hvcore__image_close_dev(struct mig_core_image *p, cm_close_fn then, void *arg);
/* mig_core_save.c: the process ends while an image cannot be dropped. */
void hvcore__save_give_up(struct mig_core_image *p);

#endif
