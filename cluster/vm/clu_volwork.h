/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_volwork.h - short blocking work on a cluster volume, as a tool and not as an owner of a VM.
 *
 * Thread: [loop]; the work itself has a thread of its own.
 */
#ifndef CLU_VOLWORK_H
#define CLU_VOLWORK_H

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;
struct stor_volume;

typedef void (*clu_volwork_fn)(struct stor_volume *vol, void *arg,
			       struct cm_err *err); /* [worker] */
typedef void (*clu_volwork_done_fn)(const struct cm_err *err, void *arg);
/* Opens the volume, works, closes it; then done, never from inside the call. */
void clu_volwork(struct clu_agent *a, const char *url, clu_volwork_fn work,
		 clu_volwork_done_fn done, void *arg);
/* URL of the volume of the VM's ownership block; "" if that is on none. */
int clu_volwork_vm_url(struct clu_agent *a, const Hv__VmConfig *c, char *url, size_t cap,
		       struct cm_err *err);

#endif
