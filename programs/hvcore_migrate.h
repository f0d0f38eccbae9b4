/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_migrate.h - migrations and images in the hvcore process: hooks and rows of the control socket. [loop]
 */
#ifndef HVCORE_MIGRATE_H
#define HVCORE_MIGRATE_H

#include "hvcore/hv_core.h"
#include "migration/mig_dst.h"
#include "migration/mig_src.h"

/* What is under way; one of these per process. */
struct hvcore_migrate {
	struct hv_core *core;
	struct mig_src *src;
	struct mig_dst *dst;
	bool image, ending;
	struct px_req *q;       /* who asked; NULL if it went away */
	int image_fd;
	bool have_last;         /* last is valid: for status */
	const char *role;
	struct mig_result last;
};

int hvcore_migrate_incoming(struct hv_core *core, struct cm_err *err) cm_must_check;
int hvcore_migrate_restore(struct hv_core *core, const char *image, struct cm_err *err) cm_must_check;
void hvcore_migrate_status(struct hv_core *core, struct hv_json *j);
bool hvcore_migrate_end(struct hv_core *core);

/* The verb of hvcore_heir.c. */
void hvcore_heir_take_over(struct px_req *q, void *ctx);

#define HVCORE_MIGRATE_VERBS 5
extern const struct px_verb hvcore_migrate_verbs[HVCORE_MIGRATE_VERBS];

#endif
