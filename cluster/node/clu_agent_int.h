/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_agent_int.h - the inside of the agent, for the files of this folder only.
 */
#ifndef CLU_AGENT_INT_H
#define CLU_AGENT_INT_H

#include <json-c/json.h>

#include "cluster/clu_agent.h"
#include "cluster/node/clu_corosync.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_fsm.h"
#include "proto/px_req.h"
#include "sharedstorage/iscsi/stor_probe.h"

/* When a node was last seen to leave the membership. */
struct clu__lost {
	char node[64];
	uint64_t wall_s;
};

/* When a VM began to land here. */
struct clu__landing {
	char vm[64], source[64];
	uint64_t at_ns;
};

struct clu__conn; /* a connected operator, OCF agent or peer */
struct clu__move;

struct clu_agent {
	struct cm_loop *loop;
	const struct clu_conf *conf;
	struct px_self self;
	char node[64], boot_id[37];
	uint64_t started_wall_s;
	struct clu_events *events;
	struct clu_super *super;
	struct px_server *server;
	struct clu__conn *conns;
	struct clu__move *moves;
	/* cluster only; NULL when standalone */
	struct clu_corosync *corosync;
	struct clu_pcmk *pcmk;
	struct px_tls *tls;
	struct clu_peers *peers;
	struct cm_timer peers_timer;
	struct clu__lost lost[64];
	unsigned n_lost;
	struct clu__landing landing[32]; /* the latest ones */
	char member_name[CLU_COROSYNC_NODES][64];
	unsigned n_member;
	bool quorate;
	struct clu__probed *probed; /* volumes whose target passed the self-test */
};

/* --- clu_agent.c --------------------------------------------------------- */
/* The node list's address of a node; NULL. */
const char *clu__agent_address(const char *node, void *agent);
bool clu__agent_is_member(struct clu_agent *a, const char *node);
/* Wall clock second at which node was seen to leave; the agent's own start if it was never a member
 * since. */
uint64_t clu__agent_lost_wall_s(struct clu_agent *a, const char *node);
/* Refuses work that needs quorum: CM_E_NO_QUORUM or CM_E_NO_CLUSTER; 0 when standalone. */
int clu__agent_need_quorum(struct clu_agent *a, struct cm_err *err);

/* --- clu_conn.c: connections and the tables of verbs --------------------- */
void clu__conn_accept(struct px_server *s, int fd, void *agent);
void clu__conn_accept_peer(struct px_server *s, int fd, void *agent);
void clu__conns_free(struct clu_agent *a);
/* A new picture came (or none can be had): questions that waited for it are answered. */
void clu__conns_fresh(struct clu_agent *a);

/* --- clu_store.c: configurations and volumes, in pacemaker or (standalone) in files --- */
/* The VM's configuration as the administrator gave it (new object), or CM_E_NO_VM. */
int clu__store_vm(struct clu_agent *a, const char *vm, Hv__VmConfig **out, struct cm_err *err);
/* URL of a volume, CM_E_NO_DISK. */
int clu__store_volume(struct clu_agent *a, const char *volume, char *url, size_t cap,
		      struct cm_err *err);
void clu__store_each_volume(struct clu_agent *a,
			    void (*fn)(const char *name, const char *url, void *arg), void *arg);
void clu__store_set_volume(struct clu_agent *a, const char *volume, const char *url,
			   clu_pcmk_done_fn done, void *arg);
int clu__store_save_vm(struct clu_agent *a, const Hv__VmConfig *c,
		       struct cm_err *err);					 /* standalone */
int clu__store_drop_vm(struct clu_agent *a, const char *vm, struct cm_err *err); /* standalone */
void clu__store_each_vm(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg),
			void *arg); /* standalone */
/* The VM as lines name=value: what a file of ours and a volume's copy have. b: initialised. */
int clu__store_text(const Hv__VmConfig *c, struct cm_buf *b, struct cm_err *err);
/* The reverse; text of n bytes from a volume, so anything may be in it. */
int clu__store_from_text(const char *vm, const char *text, size_t n, Hv__VmConfig **out, struct cm_err *err);
/* All defined VMs, wherever definitions are. */
void clu__store_each_config(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg), void *arg);
/*
 * What we remember about a saved VM, for list and show: "WALL_S BYTES NODE". Only a note: the image on the volume decides.
 * False: none. text NULL forgets it.
 */
bool clu__store_saved(struct clu_agent *a, const char *vm, char *text, size_t cap);
void clu__store_set_saved(struct clu_agent *a, const char *vm, const char *text, clu_pcmk_done_fn done, void *arg);
/* VOLUME/DISK and volume names become URLs that hvcore can open (in place). */
int clu__store_resolve(struct clu_agent *a, Hv__VmConfig *c, struct cm_err *err);

/* --- clu_fenced.c: with what was a lost node fenced ---------------------- */
enum clu__fenced {
	CLU__FENCED_NONE = 0, /* done will tell */
	CLU__FENCED_OFF,      /* by a switch, or an operator states it: it is off */
	CLU__FENCED_SAN, /* perhaps by fence_hvsan: it may be on, and what it owns now may be alive
			  */
};
typedef void (*clu__fenced_fn)(enum clu__fenced how, void *arg);
struct clu__fenced_ask;
/* f: a successful fencing. Answers at once, or NONE and *asking; then done once, unless it was
 * forgotten. */
enum clu__fenced clu__fenced_how(struct clu_agent *a, const struct clu_pcmk_fence *f,
				 clu__fenced_fn done, void *arg, struct clu__fenced_ask **asking);
void clu__fenced_forget(struct clu__fenced_ask *q);
void clu__fenced_joined(struct clu_agent *a, const char *node); /* node is a member again */
void clu__verb_peer_fence_mark(struct px_req *q, void *agent);

/* --- clu_proof.c: why the last owner is surely gone ---------------------- */
/* What hvcore told about the block that it may not take. */
struct clu__owner {
	char vm[64], vm_uuid[37];
	char node[64], boot_id[37], instance[37];
	uint32_t pid;
	uint64_t epoch;
};
int clu__owner_parse(const char *vm, const char *vm_uuid, const char *doc, struct clu__owner *out);
struct clu__proof_search;
/* proof: borrowed, NULL if none was found (err). released: the block was let go instead: just start
 * again. */
typedef void (*clu__proof_fn)(const Hv__Proof *proof, bool released, const struct cm_err *err,
			      void *arg);
/* Looks again and again until deadline_ns; waiting(text) is told what it waits for. */
struct clu__proof_search *clu__proof_find(struct clu_agent *a, const struct clu__owner *owner,
					  const Hv__VmConfig *config, uint64_t deadline_ns,
					  void (*waiting)(const char *text, void *arg),
					  clu__proof_fn done, void *arg);
void clu__proof_cancel(struct clu__proof_search *s);

/* --- clu_probe.c: self-tests of targets ---------------------------------- */
/* r: borrowed; NULL if the test could not be done (err). */
typedef void (*clu__probe_fn)(const struct stor_probe_report *r, const struct cm_err *err,
			      void *arg);
typedef void (*clu__probe_each_fn)(const char *volume, const struct stor_probe_report *r,
				   const struct cm_err *err, void *arg);
/* Of the LUN (or file) of a volume, or of one that shall become one. flags: STOR_PROBE_*. */
void clu__probe_url(struct clu_agent *a, const char *url, unsigned flags, clu__probe_fn done,
		    void *arg);
/* Of all volumes, one after the other. */
void clu__probe_volumes(struct clu_agent *a, clu__probe_each_fn each, void (*done)(void *arg),
			void *arg);
/* Of the volumes of a resolved configuration that this agent did not find safe yet: CM_E_SAN_UNSAFE
 * if one is not; else code 0, also if a test could not be done. */
void clu__probe_vm(struct clu_agent *a, const Hv__VmConfig *config,
		   void (*done)(const struct cm_err *err, void *arg), void *arg);
void clu__probed_free(struct clu_agent *a);

/* --- clu_start.c: starting a VM on this node ----------------------------- */
enum clu__start_mode {
	CLU__START_NONE = 0,
	CLU__START_RUN,	     /* cold boot */
	CLU__START_INCOMING, /* land a migration */
	CLU__START_RELEASE,  /* take the block from a process that is proven gone, and free it */
};
struct clu__start;
/* r: hvcore's own word (may be NULL on errors). */
typedef void (*clu__start_fn)(const Hv__Reply *r, const struct cm_err *err, void *arg);
/* ticket: for INCOMING. config is copied. progress (may be NULL): what it waits for. */
struct clu__start *clu__start_vm(struct clu_agent *a, enum clu__start_mode mode,
				 const Hv__VmConfig *config, const Hv__Ticket *ticket,
				 const Hv__Proof *proof, const char *image, unsigned timeout_ms,
				 void (*progress)(const char *text, void *arg), clu__start_fn done,
				 void *arg);
void clu__start_forget(struct clu__start *s); /* its callbacks will not come any more; it goes on */
/* Memory that a new VM may take here. */
uint64_t clu__host_free_bytes(struct clu_agent *a);
uint64_t clu__host_total_bytes(void);

/* --- clu_heir.c: rule 5, a VM goes on with the memory that its destination has --- */
typedef void (*clu__heir_fn)(const struct cm_err *err, void *arg);
/* Hands the proof to a VM that lands here; done when it runs, or cannot. */
void clu__heir_take_over(struct clu_agent *a, struct clu_vm *vm, const Hv__Proof *proof,
			 clu__heir_fn done, void *arg);
/* Our process pid of that VM was collected: its move's destination may go on. False: there is none;
 * refused is not called. */
bool clu__heir_offer(struct clu_agent *a, const Hv__VmConfig *config, uint32_t pid,
		     void (*refused)(struct clu_agent *a, const Hv__VmConfig *config));
void clu__verb_peer_take_over(struct px_req *q, void *agent);
void clu__verb_local_orphan(struct px_req *q, void *agent);

/* --- clu_move.c, clu_move_verb.c, clu_land.c: migrations ----------------- */
void clu__verb_migrate(struct px_req *q, void *agent);
void clu__verb_migrate_cancel(struct px_req *q, void *agent);
void clu__verb_local_migrate_to(struct px_req *q, void *agent);
void clu__verb_local_migrate_from(struct px_req *q, void *agent);
void clu__verb_peer_incoming(struct px_req *q, void *agent);
void clu__verb_peer_incoming_cancel(struct px_req *q, void *agent);
void clu__move_picture(struct clu_agent *a); /* pacemaker's picture changed */
void clu__move_vm_gone(struct clu_agent *a, const char *vm);
bool clu__land_recent(struct clu_agent *a, const char *vm);
/* The VM lands here from a node that has left the cluster meanwhile: that node's name; else NULL.
 */
const char *clu__land_orphan(struct clu_agent *a, const char *vm);
void clu__move_node_lost(struct clu_agent *a, const char *node);
struct json_object *clu__move_doc(struct clu_agent *a, const char *vm); /* NULL: none under way */
const struct cm_fsm_def *clu__move_fsm(void);

/* --- clu_verb_vm.c ------------------------------------------------------- */
/* Where a VM is active, as far as we know: our own table first, then pacemaker's picture. ""
 * nowhere. */
const char *clu__vm_node(struct clu_agent *a, const char *vm);
void clu__verb_list(struct px_req *q, void *agent);
void clu__verb_show(struct px_req *q, void *agent);
void clu__verb_why(struct px_req *q, void *agent);
void clu__verb_create(struct px_req *q, void *agent);
/* Defines a VM that was checked already; answers q. c is copied. */
void clu__create_vm(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, bool start);
/* Can a VM of this configuration be defined? */
int clu__create_check(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err);
void clu__verb_delete(struct px_req *q, void *agent);
void clu__verb_start(struct px_req *q, void *agent);
void clu__verb_stop(struct px_req *q, void *agent);
void clu__verb_core(struct px_req *q,
		    void *agent); /* pause, resume, reset, ...: handed to the VM's hvcore */
void clu__verb_console(struct px_req *q, void *agent);
void clu__console_input(struct px_chan *from, const Hv__Data *d); /* typed by an operator */
void clu__verb_local_start(struct px_req *q, void *agent);
void clu__verb_local_stop(struct px_req *q, void *agent);
void clu__verb_local_status(struct px_req *q, void *agent);
void clu__verb_peer_hello(struct px_req *q, void *agent);
void clu__verb_peer_reclaim(struct px_req *q, void *agent);
/* Sends the request on to the agent of node and relays its replies. */
void clu__forward(struct clu_agent *a, const char *node, struct px_req *q);

/* --- clu_verb_cluster.c -------------------------------------------------- */
void clu__verb_node_list(struct px_req *q, void *agent);
void clu__verb_node_show(struct px_req *q, void *agent);
void clu__verb_node_drain(struct px_req *q, void *agent);
void clu__verb_node_undrain(struct px_req *q, void *agent);
void clu__verb_cluster_status(struct px_req *q, void *agent);
void clu__verb_events(struct px_req *q, void *agent);
void clu__verb_host_check(struct px_req *q, void *agent);

/* --- clu_volwork.c: short work on a volume, as a tool --------------------- */
struct stor_volume;
typedef void (*clu__volwork_fn)(struct stor_volume *vol, void *arg, struct cm_err *err); /* [worker] */
typedef void (*clu__volwork_done_fn)(const struct cm_err *err, void *arg);
/* Opens the volume, works, closes it; then done, never from inside the call. */
void clu__volwork(struct clu_agent *a, const char *url, clu__volwork_fn work, clu__volwork_done_fn done,
		  void *arg);
/* URL of the volume of the VM's ownership block; "" if that is on none. */
int clu__volwork_vm_url(struct clu_agent *a, const Hv__VmConfig *c, char *url, size_t cap, struct cm_err *err);

/* --- clu_verb_saved.c: saved states ------------------------------------------- */
void clu__verb_save(struct px_req *q, void *agent);
/* start with --fresh, restore: what has to be done to, or known of, the image before; then go(q, c, ms). */
void clu__saved_before_start(struct px_req *q, struct clu_agent *a, const Hv__VmConfig *c, uint64_t ms,
			     void (*go)(struct clu_agent *a, struct px_req *q, const Hv__VmConfig *c, uint64_t ms));
/* "saved" member of a document; NULL: not saved as far as we know. */
struct json_object *clu__saved_doc(struct clu_agent *a, const char *vm);
/* The VM runs here: what we remember of its saved state is history. */
void clu__saved_forget(struct clu_agent *a, const char *vm);

/* --- clu_verb_register.c: the volume's copies of configurations ---------------- */
/* Writes the VM's copy (or nothing, if its ownership block is on no volume), then done. */
void clu__register_put(struct clu_agent *a, const Hv__VmConfig *c, clu_pcmk_done_fn done, void *arg);
/* Drops copy, saved state (only if force, else CM_E_VM_STATE) and ownership sector, then done. */
void clu__register_drop(struct clu_agent *a, const Hv__VmConfig *c, bool force, clu_pcmk_done_fn done, void *arg);
/* CM_E_DISK_BUSY if another defined VM has one of these disks and one of both writes. */
int clu__register_check_disks(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err);
void clu__verb_volume_vms(struct px_req *q, void *agent);
void clu__verb_volume_attach(struct px_req *q, void *agent);
void clu__verb_register(struct px_req *q, void *agent);

/* --- clu_verb_volume.c --------------------------------------------------- */
void clu__verb_volume(struct px_req *q,
		      void *agent); /* volume-create, -list, -show, -check; disk-* */

/* --- clu_disk_grown.c ---------------------------------------------------- */
/* vms: [{vm, node, told, why}], to be owned. */
typedef void (*clu__grown_fn)(struct json_object *vms, void *arg);
/* Tells the VMs that have VOLUME/DISK its new size. done may come before this returns. */
void clu__disk_grown(struct clu_agent *a, const char *disk, clu__grown_fn done, void *arg);

/* A finished JSON object as the request's answer; takes o. */
static inline void clu__answer(struct px_req *q, struct json_object *o)
{
	px_req_ok(q, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
static inline void clu__add_str(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value && *value ? json_object_new_string(value) : NULL);
}
static inline void clu__add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}
static inline void clu__add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

#endif
