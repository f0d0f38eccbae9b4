/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_pcmk.h - the one adapter to pacemaker: a picture of the cluster as pacemaker sees it, and the verbs
 * by which we hand it our decisions. It runs pacemaker's command line tools asynchronously and parses
 * their XML (clu_pcmk_parse.c, pure functions), because these are stable across releases and its C
 * libraries are not.
 *
 * Pacemaker 2.1 takes changes of the configuration in a partition without quorum and loses them later; so
 * every verb that changes it is refused (CM_E_NO_QUORUM) when the last picture had no quorum. The picture may
 * be older than corosync's word: ask clu_corosync_is_quorate() too.
 *
 * Thread: [loop]; the parse functions [any]. Ownership: see each type. Errors: CM_E_NO_CLUSTER (pacemaker
 * does not answer), CM_E_NO_QUORUM, CM_E_NO_VM, CM_E_NO_NODE, CM_E_VM_EXISTS, CM_E_TIMEOUT,
 * CM_E_FENCING, CM_E_PACEMAKER (its words are in the text).
 */
#ifndef CLU_PCMK_H
#define CLU_PCMK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_loop.h"

#define CLU_PCMK_NAME	128
#define CLU_PCMK_AGENT	"ocf:hvcluster:VirtualMachine"
#define CLU_PCMK_VALUE	4096 /* longest value of a VM parameter */
#define CLU_PCMK_PARAMS 32   /* most parameters of a VM */

enum clu_pcmk_role {
	CLU_PCMK_ROLE_NONE = 0, /* pacemaker does not know (yet) */
	CLU_PCMK_ROLE_STOPPED,
	CLU_PCMK_ROLE_STARTING,
	CLU_PCMK_ROLE_STARTED,
	CLU_PCMK_ROLE_STOPPING,
	CLU_PCMK_ROLE_MIGRATING,
};

struct clu_pcmk_node {
	char name[CLU_PCMK_NAME];
	uint32_t id;
	bool online, unclean, standby, maintenance, pending, is_dc;
	unsigned resources; /* running there */
};

struct clu_pcmk_param {
	char *name, *value;
};

/* A VM resource: what the administrator asked for and what pacemaker made of it. */
struct clu_pcmk_vm {
	char name[CLU_PCMK_NAME];
	struct clu_pcmk_param *params; /* instance attributes: uuid, memory, cpus, kernel ... */
	size_t n_params;
	bool want_started; /* target-role is not Stopped */
	bool configured;   /* false: an orphan, gone from the configuration but still known */
	enum clu_pcmk_role role;
	char node[CLU_PCMK_NAME]; /* where it is active, "" nowhere */
	bool active, failed, managed, blocked;
	char failure[384]; /* last failed operation in pacemaker's words, "" none */
};

/* Any other resource (fence devices, storage ...). */
struct clu_pcmk_rsc {
	char id[CLU_PCMK_NAME];
	char agent[CLU_PCMK_NAME];
	char node[CLU_PCMK_NAME];
	enum clu_pcmk_role role;
	bool active, failed, managed, blocked;
};

enum clu_pcmk_fence_state {
	CLU_PCMK_FENCE_NONE = 0,
	CLU_PCMK_FENCE_PENDING,
	CLU_PCMK_FENCE_OK,
	CLU_PCMK_FENCE_FAILED,
};

/* One entry of the fencing history, newest first. */
struct clu_pcmk_fence {
	char target[CLU_PCMK_NAME];
	char action[16]; /* off, reboot, on */
	char origin[CLU_PCMK_NAME], delegate[CLU_PCMK_NAME];
	char reason[160];
	enum clu_pcmk_fence_state state;
	int64_t completed_wall_s; /* seconds since 1970 by the fencing node's clock; 0 unknown */
};

struct clu_pcmk_fence_type {
	char name[64];
};

/* An expiring preference set by clu_pcmk_prefer. */
struct clu_pcmk_pref {
	char vm[CLU_PCMK_NAME], node[CLU_PCMK_NAME];
	int64_t until_wall_s; /* 0: for ever (set by somebody else) */
};

/* Owned by whoever filled it; clu_pcmk_picture_fini frees the arrays. */
struct clu_pcmk_picture {
	bool quorate, has_dc, stonith_enabled, maintenance_mode;
	char dc[CLU_PCMK_NAME];
	struct clu_pcmk_node *nodes;
	size_t n_nodes;
	struct clu_pcmk_vm *vms;
	size_t n_vms;
	struct clu_pcmk_rsc *rscs;
	size_t n_rscs;
	struct clu_pcmk_fence *fences;
	size_t n_fences;
	struct clu_pcmk_pref *prefs;
	size_t n_prefs;
	struct clu_pcmk_param *properties; /* cluster-wide ones whose name begins with "hvcluster-" */
	size_t n_properties;
	unsigned fence_devices; /* stonith resources that are configured */
	/* Their agents and those of templates for them, each once; "watchdog": pacemaker trusts a
	 * watchdog to have reset a lost node. */
	struct clu_pcmk_fence_type *fence_types;
	size_t n_fence_types;
};

void clu_pcmk_picture_fini(struct clu_pcmk_picture *pic);
/* NULL when there is none of that name. */
const struct clu_pcmk_node *clu_pcmk_find_node(const struct clu_pcmk_picture *pic, const char *name);
const struct clu_pcmk_vm *clu_pcmk_find_vm(const struct clu_pcmk_picture *pic, const char *name);
const char *clu_pcmk_vm_param(const struct clu_pcmk_vm *vm, const char *name);
const char *clu_pcmk_property(const struct clu_pcmk_picture *pic, const char *name);
/* The newest finished fencing of node with this state; NULL none. */
const struct clu_pcmk_fence *clu_pcmk_find_fence(const struct clu_pcmk_picture *pic, const char *node,
						 enum clu_pcmk_fence_state state);
const char *clu_pcmk_role_name(enum clu_pcmk_role role);

#define CLU_PCMK_VERSION 48
/* Pure: the version of the configuration, out of the beginning of a CIB (the whole of its first tag): changes of what is,
 * and not of what is configured, have the same. False and "" if it does not say. */
bool clu_pcmk_parse_version(const char *xml, size_t len, char out[CLU_PCMK_VERSION]);
/* Pure: `cibadmin --query`, then `crm_mon -1 --output-as=xml` into the same picture (start with {0}). */
int clu_pcmk_parse_cib(const char *xml, size_t len, struct clu_pcmk_picture *pic, struct cm_err *err);
int clu_pcmk_parse_mon(const char *xml, size_t len, struct clu_pcmk_picture *pic, struct cm_err *err);
/* Pure: exit code and words of a tool -> 0 or a code of ours with a clear line. what: "cannot create VM x". */
int clu_pcmk_parse_result(int exit_code, const char *out, size_t out_len, const char *errs, size_t errs_len,
			  const char *what, struct cm_err *err);

/* --- the adapter ------------------------------------------------------------------------------ */
struct clu_pcmk;

struct clu_pcmk_ops {
	/* A new picture was taken; borrowed, valid until the next one. */
	void (*picture)(const struct clu_pcmk_picture *pic, void *arg);
	/* Pacemaker does not answer (called for each refresh that failed); the last picture stays. */
	void (*lost)(const struct cm_err *err, void *arg);
};

/* The end of a verb: code 0, or negative with err saying why. Called exactly once per verb, never from
 * within the call that started it, unless clu_pcmk_free came first (then never). */
typedef void (*clu_pcmk_done_fn)(int code, const struct cm_err *err, void *arg);

/* ops is borrowed. Nothing runs until the first refresh. */
struct clu_pcmk *clu_pcmk_new(struct cm_loop *loop, const struct clu_pcmk_ops *ops, void *arg,
			      struct cm_err *err);
/* Kills tools that still run. Not from within one of its callbacks. */
void clu_pcmk_free(struct clu_pcmk *p);
/* Takes a new picture soon; calls during one that is being taken cause exactly one more. */
void clu_pcmk_refresh(struct clu_pcmk *p);
/* For those who look again and again until something is so: takes a new picture, unless one is being taken. */
void clu_pcmk_look(struct clu_pcmk *p);
/* For those who must not look at a picture older than themselves: the number of the first picture that begins
 * from now on (ask for it with clu_pcmk_refresh), and of the last one that ended, taken or lost. */
uint64_t clu_pcmk_next_number(const struct clu_pcmk *p);
uint64_t clu_pcmk_last_number(const struct clu_pcmk *p);
/* Refresh every interval_ms (0 = not by itself). Every verb that succeeds refreshes, too, and so does every
 * change of the configuration by anybody. */
void clu_pcmk_poll(struct clu_pcmk *p, unsigned interval_ms);
/* The last picture, or NULL. Valid until the next turn of the loop. */
const struct clu_pcmk_picture *clu_pcmk_picture(const struct clu_pcmk *p);

/* A new VM resource; parameters in the order given; started: wanted to run at once. */
void clu_pcmk_vm_create(struct clu_pcmk *p, const char *vm, const struct clu_pcmk_param *params, size_t n,
			bool started, clu_pcmk_done_fn done, void *arg);
/* Sets parameters of an existing VM (others stay); pacemaker restarts a running VM whose parameters change. */
void clu_pcmk_vm_update(struct clu_pcmk *p, const char *vm, const struct clu_pcmk_param *params, size_t n,
			clu_pcmk_done_fn done, void *arg);
/* Removes the resource and its preferences; the VM should be stopped first. */
void clu_pcmk_vm_delete(struct clu_pcmk *p, const char *vm, clu_pcmk_done_fn done, void *arg);
void clu_pcmk_set_started(struct clu_pcmk *p, const char *vm, bool started, clu_pcmk_done_fn done,
			  void *arg);
/* Wants vm on node until lifetime_s from now; replaces an earlier preference of that VM. */
void clu_pcmk_prefer(struct clu_pcmk *p, const char *vm, const char *node, unsigned lifetime_s,
		     clu_pcmk_done_fn done, void *arg);
void clu_pcmk_unprefer(struct clu_pcmk *p, const char *vm, clu_pcmk_done_fn done, void *arg);
void clu_pcmk_standby(struct clu_pcmk *p, const char *node, bool on, clu_pcmk_done_fn done, void *arg);
/* Forgets failures of vm (on node, or everywhere if node is NULL), so that pacemaker tries again. */
void clu_pcmk_cleanup(struct clu_pcmk *p, const char *vm, const char *node, clu_pcmk_done_fn done,
		      void *arg);
/* vm has died on node: pacemaker recovers it at once instead of at its next monitor. */
void clu_pcmk_report_failed(struct clu_pcmk *p, const char *vm, const char *node, clu_pcmk_done_fn done, void *arg);
/* A cluster-wide property; name must begin with "hvcluster-"; value NULL deletes it. */
void clu_pcmk_set_property(struct clu_pcmk *p, const char *name, const char *value, clu_pcmk_done_fn done,
			   void *arg);
/* An operator states that node is off. */
void clu_pcmk_confirm(struct clu_pcmk *p, const char *node, clu_pcmk_done_fn done, void *arg);
/* Asks the fencer to power node off now. */
void clu_pcmk_fence(struct clu_pcmk *p, const char *node, clu_pcmk_done_fn done, void *arg);

#endif
