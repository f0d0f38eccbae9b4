/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_saved.h - saved states: save, and what start with --fresh and restore do before the
 * start.
 *
 * Thread: [loop].
 */
#ifndef CLU_VERB_SAVED_H
#define CLU_VERB_SAVED_H

#include <stdbool.h>

#include "proto/ctl.pb-c.h"

struct clu_agent;
struct px_req;

void clu_verb_save(struct px_req *q, void *agent);

typedef void (*clu__saved_go_fn)(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c,
				 uint64_t ms);
/* What has to be done to, or known of, the image before a start; then go. must: refused if there
 * is none. */
void clu__saved_before_start(struct px_req *q, struct clu_agent *a, const Hv__VmConfig *c,
			     uint64_t ms, bool must, clu__saved_go_fn go);

#endif
