/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_saved.c - saved states as the agent sees them: `save`, and what `start --fresh` and
 * `restore` do before the start.
 *
 * The VM's hvcore does all that matters, under its lease (docs/SAVED-STATE.md). The agent of the
 * node that runs the VM lets it write and seal the image while pacemaker sees a running VM; only
 * then pacemaker is told to stop the VM, and its stop finds a process that only waits for its end.
 * Parses hvcore's documents and our own notes.
 */
#include "config.h"

#include "cluster/verb/clu_verb_saved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_move.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/node/clu_event.h"
#include "cluster/node/clu_member.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_saved_note.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "cluster/vm/clu_vmconf.h"
#include "cluster/vm/clu_volwork.h"
#include "cluster/vm/clu_where.h"
#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "sharedstorage/volume/stor_volume.h"

#define SAVED_LOOK_MS 150u
#define SAVED_GONE_MS 20u
#define SAVED_STOP_MS 90000u /* for pacemaker to see that the VM is stopped */

struct saving {
	struct clu_agent *agent;
	struct px_req *q;
	char vm[64];
	struct cm_timer timer;
	bool sealed;	  /* pacemaker is being told, or was */
	bool pending;	  /* an answer from pacemaker is due */
	bool noted, over; /* over: hvcore has answered */
	uint64_t deadline_ns;
	struct json_object *result;
	struct cm_err err; /* why we gave up, while hvcore still undoes it */
};

static void saving_free(void *arg)
{
	struct saving *s = arg;

	cm_timer_fini(&s->timer);
	json_object_put(s->result);
	free(s);
}

static void saving_end(struct saving *s)
{
	struct clu_agent *a = s->agent;

	if (s->err.code) {
		if (s->noted)
			clu_saved_note_drop(a, s->vm);
		clu_event(a->events, CLU_WARNING, "save-failed", s->vm, NULL, "%s", s->err.text);
		px_req_fail(s->q, &s->err);
	} else {
		clu_add_str(s->result, "name", s->vm);
		clu_add_str(s->result, "state", "saved");
		clu_answer(s->q, s->result);
		s->result = NULL;
	}
	cm_loop_defer(a->loop, saving_free, s);
}

/* hvcore is done: its process has to be collected, and pacemaker has to see it. */
static void saving_look(struct cm_timer *t, void *arg)
{
	struct saving *s = arg;
	struct clu_agent *a = s->agent;
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, s->vm) : NULL;

	if (clu_super_find(a->super, s->vm) && cm_now_ns() < s->deadline_ns) {
		cm_timer_arm_ms(t, SAVED_GONE_MS);
		return;
	}
	if (!v || (!v->active && v->role == CLU_PCMK_ROLE_STOPPED)) {
		saving_end(s);
		return;
	}
	if (cm_now_ns() > s->deadline_ns) {
		cm_err_set(&s->err, CM_E_TIMEOUT, "VM %s is saved, but pacemaker has it %s still",
			   s->vm, clu_pcmk_role_name(v->role));
		s->noted = false;
		saving_end(s);
		return;
	}
	clu_pcmk_look(a->pcmk);
	cm_timer_arm_ms(t, SAVED_LOOK_MS);
}

static void ask_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code)
		cm_info("saved state: %s", err->text);
}

/* Asks the VM's hvcore; what came of it is seen in its answer to the save. */
static void saving_ask(struct saving *s, const char *verb)
{
	struct clu_vm *vm = clu_super_find(s->agent->super, s->vm);
	struct px_client *core = vm ? clu_vm_core(vm, NULL) : NULL;
	struct px_ask ask;

	px_ask_init(&ask, verb, s->vm);
	if (core)
		px_client_call(core, &ask.req, 0, ask_answer, NULL);
}

static void saving_note(struct saving *s, uint64_t bytes);

/* When hvcore has given its last answer and nothing is under way at pacemaker. */
static void saving_go_on(struct saving *s)
{
	struct json_object *v;

	if (!s->over || s->pending)
		return;
	if (s->err.code)
		saving_end(s);
	else if (!s->sealed) /* a stop came in between: the VM ended as soon as it was saved */
		saving_note(s, json_object_object_get_ex(s->result, "sent_bytes", &v)
				       ? json_object_get_uint64(v)
				       : 0);
	else
		cm_timer_arm_ms(&s->timer, 0);
}

static void saving_told(int code, const struct cm_err *err, void *arg)
{
	struct saving *s = arg;

	s->pending = false;
	if (code && s->over) {
		cm_err_set(&s->err, code,
			   "VM %s is saved, but pacemaker was not told to leave it so: %s", s->vm,
			   err->text);
	} else if (code) {
		cm_err_set(&s->err, code, "VM %s is not saved, it runs on: %s", s->vm, err->text);
		saving_ask(s, "save-cancel");
	}
	saving_go_on(s);
}

static void saving_noted(int code, const struct cm_err *err, void *arg)
{
	struct saving *s = arg;

	s->noted = code == 0;
	if (code) {
		saving_told(code, err, s);
	} else if (s->agent->pcmk) {
		clu_pcmk_set_started(s->agent->pcmk, s->vm, false, saving_told, s);
	} else {
		s->pending = false;
		saving_ask(s, "stop"); /* nobody else ends it */
		saving_go_on(s);
	}
}

static void saving_note(struct saving *s, uint64_t bytes)
{
	s->sealed = s->pending = true;
	clu_saved_note_put(s->agent, s->vm, bytes, saving_noted, s);
}

/* For people: how large the image is. */
static uint64_t image_bytes(const char *doc)
{
	struct json_object *o = json_tokener_parse(doc), *image, *v;
	uint64_t n = 0;

	if (o && json_object_object_get_ex(o, "image", &image) &&
	    json_object_object_get_ex(image, "done_bytes", &v))
		n = json_object_get_uint64(v);
	json_object_put(o);
	return n;
}

static void saving_core(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct saving *s = arg;

	if (r && r->more) {
		px_req_progress(s->q, r->doc);
		if (r->state == HV__VM_STATE__VM_SAVED && !s->sealed)
			saving_note(s, image_bytes(r->doc));
		return;
	}
	s->over = true;
	if (err->code && !s->err.code)
		cm_err_set(&s->err, err->code, "VM %s is not saved: %s", s->vm, err->text);
	if (!err->code) {
		cm_err_clear(&s->err);
		s->result = r && r->doc ? json_tokener_parse(r->doc) : NULL;
	}
	if (!s->result)
		s->result = json_object_new_object();
	s->deadline_ns = cm_now_ns() + SAVED_STOP_MS * CM_NS_PER_MS;
	saving_go_on(s);
}

void clu_verb_save(struct px_req *q, void *agent)
{
	struct clu_agent *a = agent;
	const char *node = clu_where_node(a, q->msg->vm);
	struct clu_vm *vm = clu_super_find(a->super, q->msg->vm);
	struct cm_err err = CM_ERR_INIT;
	struct px_client *core = NULL;
	struct saving *s;
	struct px_ask ask;
	Hv__VmConfig *c;

	if (clu_member_need_quorum(a, &err) || clu_store_vm(a, q->msg->vm, &c, &err)) {
		px_req_fail(q, &err);
		return;
	}
	hv__vm_config__free_unpacked(c, NULL);
	if (*node && strcmp(node, a->node) != 0) {
		clu_forward(a, node, q);
		return;
	}
	if (clu_move_is(a, q->msg->vm))
		cm_err_set(&err, CM_E_MIG_BUSY, "VM %s is being moved", q->msg->vm);
	else if (!*node || !vm)
		cm_err_set(&err, CM_E_VM_STATE, "VM %s does not run", q->msg->vm);
	else
		core = clu_vm_core(vm, &err);
	if (!core) {
		px_req_fail(q, &err);
		return;
	}
	s = calloc(1, sizeof *s);
	CM_ASSERT(s);
	s->agent = a;
	s->q = q;
	snprintf(s->vm, sizeof s->vm, "%s", q->msg->vm);
	cm_timer_init(&s->timer, a->loop, saving_look, s);
	px_ask_init(&ask, "save", s->vm);
	px_ask_arg(&ask, "hold", "1");
	px_client_call(core, &ask.req, 0, saving_core, s);
}

/* --- before a start ------------------------------------------------------- */

struct before {
	struct clu_agent *agent;
	struct px_req *q;
	Hv__VmConfig *config;
	uint64_t ms;
	bool fresh, saved;
	struct stor_uuid uuid;
	clu__saved_go_fn go;
};

static void before_work(struct stor_volume *vol, void *arg, struct cm_err *err)
{
	struct before *b = arg;
	struct stor_image_info info;
	int rc = b->fresh ? stor_volume_image_discard(vol, &b->uuid, err)
			  : stor_volume_image_find(vol, &b->uuid, &info, err);

	b->saved = rc == 0 && (b->fresh || info.sealed);
	if (rc == CM_E_NO_DISK)
		cm_err_clear(err);
}

static void before_done(const struct cm_err *err, void *arg)
{
	struct before *b = arg;
	const char *vm = b->config->name;

	if (err->code) {
		px_req_failf(b->q, err->code, "the saved state of VM %s cannot be %s: %s", vm,
			     b->fresh ? "discarded" : "looked for", err->text);
	} else if (!b->fresh && !b->saved) {
		px_req_failf(b->q, CM_E_NO_DISK,
			     "VM %s has no saved state to go on from (hvctl start boots it)", vm);
	} else {
		if (b->fresh) {
			if (b->saved)
				clu_event(b->agent->events, CLU_NOTICE, "saved-discarded", vm, NULL,
					  "its saved state was discarded");
			clu_saved_note_forget(b->agent, vm);
		}
		b->go(b->agent, b->q, b->config, b->ms);
	}
	hv__vm_config__free_unpacked(b->config, NULL);
	free(b);
}

void clu__saved_before_start(struct px_req *q, struct clu_agent *a, const Hv__VmConfig *c,
			     uint64_t ms, bool must, clu__saved_go_fn go)
{
	bool fresh = px_req_flag(q, "fresh");
	struct cm_err err = CM_ERR_INIT;
	struct before *b;
	char url[1024];

	if (!fresh && !must) {
		go(a, q, c, ms);
		return;
	}
	if (*clu_where_node(a, c->name) || clu_super_find(a->super, c->name)) {
		px_req_failf(q, CM_E_VM_STATE, "VM %s runs already", c->name);
		return;
	}
	if (clu_volwork_vm_url(a, c, url, sizeof url, &err)) {
		px_req_fail(q, &err);
		return;
	}
	if (!url[0] && fresh) {
		go(a, q, c, ms);
		return;
	}
	if (!url[0]) {
		px_req_failf(q, CM_E_NO_DISK,
			     "VM %s has no saved state: its ownership block is on no volume",
			     c->name);
		return;
	}
	b = calloc(1, sizeof *b);
	CM_ASSERT(b);
	*b = (struct before){.agent = a,
			     .q = q,
			     .config = clu_vmconf_dup(c),
			     .ms = ms,
			     .fresh = fresh,
			     .go = go};
	CM_ASSERT(stor_uuid_parse(c->uuid, &b->uuid) == 0);
	clu_volwork(a, url, before_work, before_done, b);
}
