/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_spawn.h - makes the process of a VM.
 *
 * Thread: [loop]. Ownership: what is spawned is the caller's: a child to be collected, a descriptor
 * to be closed.
 */
#ifndef CLU_SPAWN_H
#define CLU_SPAWN_H

#include <sys/types.h>

#include "cluster/node/clu_conf.h"
#include "proto/ctl.pb-c.h"

#define CLU_START_FD   3 /* descriptor numbers in a new hvcore */
#define CLU_CONTROL_FD 4
#define CLU_TAP_FD     10

struct clu__spawned {
	pid_t pid;
	int start_fd; /* says once how the start went */
};

/* Listens on socket for it. start is read during the call only; its control_fd and tap_fd fields
 * are set here. */
int clu__spawn(const struct clu_conf *conf, const char *socket, Hv__CoreStart *start,
	       struct clu__spawned *out, struct cm_err *err);

#endif
