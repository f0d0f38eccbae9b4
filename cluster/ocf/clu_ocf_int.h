/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_ocf_int.h - parts of the resource agent that only its own files use: asking one question, and
 * ending a process that does not answer any more.
 */
#ifndef CLU_OCF_INT_H
#define CLU_OCF_INT_H

#include <stdbool.h>
#include <sys/types.h>

#include "cluster/ocf/clu_ocf.h"
#include "proto/ctl.pb-c.h"

/* One question to a UNIX socket. 0 and the reply's *state (may be NULL), or the error the server gave. */
int clu__ocf_ask(const char *path, Hv__Request *req, unsigned timeout_ms, Hv__VmState *state,
		 struct cm_err *err);
/* The hvcore process that listens on this socket path, 0 if there is none. */
pid_t clu__ocf_find_process(const char *socket_path);
/* SIGKILL, and waits until it is gone; 0 or -ETIMEDOUT. */
int clu__ocf_kill(pid_t pid, unsigned timeout_ms);
/* Prints the agent's description for pacemaker. */
void clu__ocf_meta_data(FILE *out);

#endif
