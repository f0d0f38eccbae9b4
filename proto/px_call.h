/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_call.h - a blocking request over a UNIX socket, for programs that do one thing (hvctl, the OCF
 * agent). It runs an event loop of its own inside the call; never use it inside another loop.
 *
 * Thread: the calling thread. Ownership: the reply is the caller's: hv__reply__free_unpacked.
 */
#ifndef PX_CALL_H
#define PX_CALL_H

#include "proto/px_chan.h"

/* Progress (replies with more set), events and data of the same call. NULL parts are skipped. */
struct px_call_hooks {
	void (*progress)(const Hv__Reply *r, void *arg);
	void (*event)(const Hv__Event *e, void *arg);
	void *arg;
};

/*
 * Sends req (its id is set here) to the server at path and waits for the final reply.
 * 0 and *reply (whose code may be an error), or a negative code and err: CM_E_NO_DAEMON,
 * CM_E_TIMEOUT, CM_E_PROTO_CLOSED ... timeout_ms: without any word from the server; 0 = for ever.
 */
int px_call(const char *path, const struct px_self *self, Hv__Request *req, unsigned timeout_ms,
	    const struct px_call_hooks *hooks, Hv__Reply **reply, struct cm_err *err);

#endif
