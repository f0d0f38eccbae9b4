/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pxkit.h - a server with a small table of verbs, over a socket of the file system or TLS, for tests of proto/.
 *
 * verbs: echo (text) answers once with progress; size (vm, n) reads a number; hold is never answered by itself.
 */
#ifndef PXKIT_H
#define PXKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "proto/px_chan.h"
#include "proto/px_req.h"
#include "proto/px_tls.h"

struct pk_server {
	struct cm_loop *loop;
	struct px_server *srv;
	struct px_reqs reqs;
	struct px_tls *tls;
	struct px_chan *chan[16]; /* open ones */
	struct px_req *held;
	char path[128];
};

extern const struct px_self pk_self;
extern char pk_dir[]; /* of this run, from pk_group_setup on */

/* Listens on a socket of that name in pk_dir. */
void pk_server_begin(struct pk_server *s, const char *name);
/* Listens on the loopback; returns the port. tls is borrowed. */
uint16_t pk_server_begin_tls(struct pk_server *s, struct px_tls *tls);
/* For pthread_create: the server's loop until it is stopped. */
void *pk_server_thread(void *server);
void pk_server_end(struct pk_server *s);
/* A command line of the shell. */
int pk_sh(const char *fmt, ...) cm_printf(1, 2);
/* Of the group of tests: its directory comes and goes. */
int pk_group_setup(void **state);
int pk_group_teardown(void **state);

#endif
