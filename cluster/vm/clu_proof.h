/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_proof.h - why the last owner of a VM is surely gone: evidence, looked for until a deadline.
 *
 * What counts as a proof is decided in fencing/, by the hvcore that acts on it. Thread: [loop].
 */
#ifndef CLU_PROOF_H
#define CLU_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;

/* What hvcore told about the block that it may not take. */
struct clu__owner {
	char vm[64], vm_uuid[37];
	char node[64], boot_id[37], instance[37];
	uint32_t pid;
	uint64_t epoch;
};
int clu__owner_parse(const char *vm, const char *vm_uuid, const char *doc, struct clu__owner *out);
/* proof: borrowed, NULL if none was found (err). released: the block was let go instead: just start
 * again. */
typedef void (*clu__proof_fn)(const Hv__Proof *proof, bool released, const struct cm_err *err,
			      void *arg);
/* Looks again and again until deadline_ns; waiting(text) is told what it waits for. done comes
 * once. */
void clu__proof_find(struct clu_agent *a, const struct clu__owner *owner,
		     const Hv__VmConfig *config, uint64_t deadline_ns,
		     void (*waiting)(const char *text, void *arg), clu__proof_fn done, void *arg);

#endif
