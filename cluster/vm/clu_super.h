/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_super.h - the supervisor: starts hvcore processes, watches them by pidfd, talks to their
 * control sockets, and finds them again after a restart of this daemon.
 *
 * It is no middleman: a VM lives on when this process dies, and everything said here about a VM is
 * asked of its hvcore.
 *
 * Thread: [loop]. Ownership: a clu_vm belongs to the supervisor; it is valid until `gone` was
 * called.
 */
#ifndef CLU_SUPER_H
#define CLU_SUPER_H

#include <sys/types.h>

#include "cluster/node/clu_conf.h"
#include "cluster/node/clu_event.h"
#include "proto/px_client.h"

struct clu_super;
struct clu_vm;

struct clu_super_ops {
	/* The process ended and was collected. clean: it had said that it stopped (ownership
	 * released). */
	void (*gone)(struct clu_vm *vm, bool clean, void *arg);
	/* An event that the VM's hvcore sent ("lease-lost", "migration", ...); not of its state, which
	 * clu_vm_state() has. */
	void (*event)(struct clu_vm *vm, const Hv__Event *e, void *arg);
};

struct clu_super *clu_super_new(struct cm_loop *loop, const struct clu_conf *conf,
				const struct px_self *self, struct clu_events *events,
				const struct clu_super_ops *ops, void *arg);
void clu_super_free(struct clu_super *s); /* leaves the VMs alone */
/* Finds VMs that run already. done is called when every one that answers is known. */
void clu_super_adopt(struct clu_super *s, void (*done)(void *arg), void *arg);

/* vm NULL: it could not be started (r may have the child's reply with its document); otherwise it
 * runs or waits for its migration. */
typedef void (*clu_spawn_fn)(struct clu_vm *vm, const Hv__Reply *r, const struct cm_err *err,
			     void *arg);
/* Opens taps, starts the process, waits for its first word. start is read during the call only; its
 * control_fd and tap_fd fields are set here. Errors before the fork are returned, done is not
 * called then. */
int clu_super_spawn(struct clu_super *s, Hv__CoreStart *start, clu_spawn_fn done, void *arg,
		    struct cm_err *err);

struct clu_vm *clu_super_find(struct clu_super *s, const char *name);
void clu_super_each(struct clu_super *s, void (*fn)(struct clu_vm *vm, void *arg), void *arg);

const char *clu_vm_name(const struct clu_vm *vm);
const char *clu_vm_uuid(const struct clu_vm *vm);
pid_t clu_vm_pid(const struct clu_vm *vm);
bool clu_vm_incoming(const struct clu_vm *vm);	   /* it lands: state INCOMING */
Hv__VmState clu_vm_state(const struct clu_vm *vm); /* last known */
uint64_t clu_vm_memory_bytes(const struct clu_vm *vm);
/* Its control connection, made anew if needed; NULL and err if it does not answer. */
struct px_client *clu_vm_core(struct clu_vm *vm, struct cm_err *err);
/* Asks one verb without arguments. */
void clu_vm_ask(struct clu_vm *vm, const char *verb, unsigned timeout_ms, px_answer_fn done,
		void *arg);
/* SIGKILL. */
void clu_vm_kill(struct clu_vm *vm);
/* Path of a VM's control socket. */
void clu_vm_socket(const struct clu_conf *conf, const char *vm, char *out, size_t cap);

#endif
