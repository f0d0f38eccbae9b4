/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_qga.h - talks to the qemu-guest-agent of a guest through a port of its virtio console.
 *
 * The protocol is JSON by lines. Whenever the guest opens the port, and after each answer that did
 * not come in time, the two ends are synchronised again (guest-sync-delimited), then the agent's
 * version and the state of its file systems are asked for; from then on it is connected and takes
 * one command at a time. What the agent says is the guest's: believed only as far as it is shown.
 *
 * Threads: [loop].
 */
#ifndef HV_QGA_H
#define HV_QGA_H

#include <stdbool.h>

#include "common/cm_err.h"
#include "hvcore/machine/hv_lock.h"

struct cm_loop;
struct hv_json;
struct hv_port;
struct hv_qga;

enum hv_qga_command {
	HV_QGA_PING,
	HV_QGA_TIME,
	HV_QGA_FREEZE,
	HV_QGA_THAW,
	HV_QGA_SHUTDOWN, /* done with 0: the agent did not refuse */
	HV_QGA_COMMANDS,
};

/* rc 0: text is a JSON document; else it says what is wrong. Not called inside hv_qga_ask. */
typedef void (*hv_qga_done_fn)(void *arg, int rc, const char *text);

/* lock: the machine lock, not held. Borrows lock and port. */
int hv_qga_new(struct hv_qga **out, struct cm_loop *loop, struct hv_lock *lock,
	       struct hv_port *port) cm_must_check;
/* A command under way is done with CM_E_VM_STATE (a shutdown with 0). NULL is fine. */
void hv_qga_free(struct hv_qga *q);
/* CM_E_VM_STATE: not connected, or busy with another command; done is not called then. */
int hv_qga_ask(struct hv_qga *q, enum hv_qga_command command, hv_qga_done_fn done, void *arg,
	       struct cm_err *err) cm_must_check;
bool hv_qga_connected(struct hv_qga *q);
/* The member "agent" of the status document. */
void hv_qga_status(struct hv_qga *q, struct hv_json *j);

#endif
