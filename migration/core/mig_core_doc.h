/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_doc.h - progress and results as members of a JSON document (docs/WIRE.md). Pure;
 * thread: [any].
 */
#ifndef MIG_CORE_DOC_H
#define MIG_CORE_DOC_H

#include "hvcore/state/hv_json.h"
#include "migration/mig_types.h"

/* A time as milliseconds with three digits. */
void mig__core_put_ms(struct hv_json *j, const char *key, uint64_t ns);
void mig__core_put_result(struct hv_json *j, const struct mig_result *r);
void mig__core_put_progress(struct hv_json *j, const struct mig_progress *p);

#endif
