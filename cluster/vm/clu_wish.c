/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_wish.c - start and stop as wishes to pacemaker: asked for, then watched until they came
 * true. Decides nothing about places. Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_wish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_doc.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_clock.h"

#define WISH_LOOK_MS 150u

struct wish {
	struct clu_agent *agent;
	struct px_req *q;
	struct cm_timer timer;
	bool want;
	uint64_t deadline_ns, asked_ns;
};

static void wish_free(void *arg)
{
	struct wish *w = arg;

	cm_timer_fini(&w->timer);
	free(w);
}

static void wish_fail(struct wish *w, const struct cm_err *err)
{
	px_req_fail(w->q, err);
	cm_loop_defer(w->agent->loop, wish_free, w);
}

static void wish_came_true(struct wish *w, const char *node)
{
	struct json_object *o = json_object_new_object();

	clu_add_str(o, "name", w->q->msg->vm);
	clu_add_str(o, "state", w->want ? "running" : "stopped");
	clu_add_str(o, "node", node);
	clu_answer(w->q, o);
	cm_loop_defer(w->agent->loop, wish_free, w);
}

static void wish_look(struct cm_timer *t, void *arg)
{
	struct wish *w = arg;
	struct clu_agent *a = w->agent;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, w->q->msg->vm) : NULL;
	struct cm_err err = CM_ERR_INIT;

	if (v && w->want && v->active && !v->failed && v->role == CLU_PCMK_ROLE_STARTED) {
		wish_came_true(w, v->node);
		return;
	}
	if (v && !w->want && !v->active && v->role == CLU_PCMK_ROLE_STOPPED) {
		wish_came_true(w, "");
		return;
	}
	if (!v)
		cm_err_set(&err, CM_E_NO_VM, "VM %s is gone", w->q->msg->vm);
	else if (w->want && v->failure[0] && cm_now_ns() - w->asked_ns > 2 * CM_NS_PER_S &&
		 v->role == CLU_PCMK_ROLE_STOPPED)
		cm_err_set(&err, CM_E_GUEST_FAILED, "VM %s could not be started: %s", v->name,
			   v->failure);
	else if (cm_now_ns() > w->deadline_ns)
		cm_err_set(&err, CM_E_TIMEOUT,
			   "VM %s is not %s yet (%s%s%s); it goes on in the background", v->name,
			   w->want ? "running" : "stopped", clu_pcmk_role_name(v->role),
			   v->failure[0] ? ": " : "", v->failure);
	if (err.code) {
		wish_fail(w, &err);
		return;
	}
	clu_pcmk_look(a->pcmk);
	cm_timer_arm_ms(t, WISH_LOOK_MS);
}

static void wish_asked(int code, const struct cm_err *err, void *arg)
{
	struct wish *w = arg;

	if (code)
		wish_fail(w, err);
	else
		cm_timer_arm_ms(&w->timer, WISH_LOOK_MS);
}

static void wish_cleaned(int code, const struct cm_err *err, void *arg)
{
	struct wish *w = arg;

	(void)code;
	(void)err;
	w->asked_ns = cm_now_ns();
	clu_pcmk_set_started(w->agent->pcmk, w->q->msg->vm, w->want, wish_asked, w);
}

void clu_wish(struct clu_agent *a, struct px_req *q, bool want, uint64_t timeout_ms)
{
	const struct clu_pcmk_vm *v = clu_pcmk_find_vm(clu_pcmk_picture(a->pcmk), q->msg->vm);
	struct wish *w = calloc(1, sizeof *w);

	CM_ASSERT(w);
	*w = (struct wish){.agent = a, .q = q, .want = want};
	w->deadline_ns = cm_now_ns() + timeout_ms * CM_NS_PER_MS;
	cm_timer_init(&w->timer, a->loop, wish_look, w);
	/* An operator's start is a new try: old failures must not stand in its way. */
	if (want && v && (v->failed || v->failure[0]))
		clu_pcmk_cleanup(a->pcmk, q->msg->vm, NULL, wish_cleaned, w);
	else
		wish_cleaned(0, NULL, w);
}
