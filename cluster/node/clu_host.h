/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_host.h - what this host has for VMs.
 *
 * Thread: [any].
 */
#ifndef CLU_HOST_H
#define CLU_HOST_H

#include "cluster/node/clu_conf.h"

uint64_t clu_host_total_bytes(void);
/* Memory that a new VM may take here: what is available without the reserve of the
 * configuration. */
uint64_t clu_host_free_bytes(const struct clu_conf *conf);
/* Where hvwatchdogd listens. */
void clu_host_watchdog_path(const struct clu_conf *conf, char *out, size_t cap);

#endif
