/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volume_witness.h - does a VM run whose ownership block lies on another volume than the one that a verb works on?
 * Looks through the volumes that the cluster lists (stor_witness_fn; the law is in sharedstorage/volume/stor_volume.h).
 *
 * Thread: new and free [loop]; look and close [worker], which wait for the loop.
 */
#ifndef CLU_VOLUME_WITNESS_H
#define CLU_VOLUME_WITNESS_H

#include "common/cm_err.h"
#include "sharedstorage/volume/stor_volume.h"

struct clu_agent;
struct clu__witness;

/* but: name of the volume that the verb has open itself. */
struct clu__witness *clu__witness_new(struct clu_agent *a, const char *but);
/* A stor_witness_fn; arg: the witness. The volume that it found stays open for the next question. */
int clu__witness_look(const struct stor_uuid *home, const struct stor_uuid *vm, struct stor_block *b,
		      struct cm_err *err, void *arg);
/* Closes what look has opened; the last thing that the worker does with it. */
void clu__witness_close(struct clu__witness *w);
void clu__witness_free(struct clu__witness *w); /* NULL: nothing */

#endif
