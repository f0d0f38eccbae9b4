/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_sock.h - the TCP connection of a migration: numeric addresses only, no name is looked up.
 *
 * Threads: [any]; connect and accept block. Descriptors are close-on-exec and the caller's.
 */
#ifndef MIG_SOCK_H
#define MIG_SOCK_H

#include <stdint.h>

#include "common/cm_err.h"

/* *fd: connected and blocking. At most ms. CM_E_BAD_VALUE, CM_E_MIG_PEER: it cannot be reached. */
int mig_sock_connect(const char *address, uint16_t port, unsigned ms, int *fd, struct cm_err *err)
	cm_must_check;
/* *fd: listens on a port that the kernel chose, non-blocking. */
int mig_sock_listen(const char *address, uint16_t *port, int *fd, struct cm_err *err) cm_must_check;
/* A connected, blocking descriptor; -EAGAIN: nobody came within ms. */
int mig_sock_accept(int listen_fd, unsigned ms);

#endif
