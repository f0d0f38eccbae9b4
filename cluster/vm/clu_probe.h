/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_probe.h - self-tests of targets: may a volume there carry VMs that are highly available?
 *
 * Thread: [loop]. Ownership: the volumes that were found safe are the agent's (a->probed).
 */
#ifndef CLU_PROBE_H
#define CLU_PROBE_H

#include "proto/ctl.pb-c.h"
#include "sharedstorage/iscsi/stor_probe.h"

struct clu_agent;

/* r: borrowed; NULL if the test could not be done (err). */
typedef void (*clu_probe_fn)(const struct stor_probe_report *r, const struct cm_err *err,
			     void *arg);
typedef void (*clu_probe_each_fn)(const char *volume, const struct stor_probe_report *r,
				  const struct cm_err *err, void *arg);
/* Of the LUN (or file) of a volume, or of one that shall become one. flags: STOR_PROBE_*. */
void clu_probe_url(struct clu_agent *a, const char *url, unsigned flags, clu_probe_fn done,
		   void *arg);
/* Of all volumes, one after the other. */
void clu_probe_volumes(struct clu_agent *a, clu_probe_each_fn each, void (*done)(void *arg),
		       void *arg);
/* Of the volumes of a resolved configuration that this agent did not find safe yet: CM_E_SAN_UNSAFE
 * if one is not; else code 0, also if a test could not be done. */
void clu__probe_vm(struct clu_agent *a, const Hv__VmConfig *config,
		   void (*done)(const struct cm_err *err, void *arg), void *arg);
void clu_probed_free(struct clu_agent *a);

#endif
