/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_debug.c - the verb dump, and what the verbs of `hvctl debug` share. None of them changes
 * what the VM is or does; each holds its vCPUs for a moment at most. Parses nothing.
 */
#include "config.h"

#include "hvcore/control/hv_ctl_debug.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/cm_trace.h"

void hv__ctl_answer(struct px_req *q, struct hv_json *j)
{
	if (j->buf.err)
		px_req_failf(q, CM_E_NO_MEMORY, "the answer is too long");
	else
		px_req_ok(q, hv_json_text(j));
	hv_json_fini(j);
}

void hv__ctl_head(struct hv_json *j, struct hv_vm *vm)
{
	hv_json_init(j);
	hv_json_open(j, NULL, '{');
	hv_json_str(j, "vm", hv_vm_config(vm)->name);
	hv_json_str(j, "engine", hv_vm_engine_ops(vm)->name);
	hv_json_str(j, "state", hv_vm_state_name(hv_vm_state(vm)));
}

/* --- requests that take their time ------------------------------------------- */

static void window_free(void *arg)
{
	struct ctl_window *w = arg;

	free(w->before);
	free(w);
}

void hv__ctl_window_end(struct ctl_window *w)
{
	w->q->gone = NULL;
	cm_timer_fini(&w->timer);
	cm_loop_defer(hv_core_loop(w->ctl->core), window_free, w);
}

struct ctl_window *hv__ctl_window_new(struct px_req *q, uint64_t ms, cm_timer_fn due,
				      void (*gone)(struct px_req *q))
{
	struct ctl_window *w = calloc(1, sizeof *w);

	CM_ASSERT(w);
	w->q = q;
	w->ctl = hv__ctl_conn(q)->ctl;
	q->work = w;
	q->gone = gone;
	cm_timer_init(&w->timer, hv_core_loop(w->ctl->core), due, w);
	cm_timer_arm_ms(&w->timer, ms);
	return w;
}

/* --- dump ------------------------------------------------------------------------ */

void hv__ctl_dump(struct px_req *q, void *ctx)
{
	struct hv_vm *vm = hv__ctl_vm(q, ctx);
	struct cm_err err = CM_ERR_INIT;
	struct hv_json j;
	char *text = NULL;
	size_t n = 0;
	FILE *f;

	if (!vm)
		return;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	if (hv_vm_dump(vm, &j, &err) < 0) {
		px_req_fail(q, &err);
		hv_json_fini(&j);
		return;
	}
	f = open_memstream(&text, &n);
	CM_ASSERT(f);
	cm_trace_dump(f);
	fclose(f);
	hv_json_str(&j, "recorder", text);
	free(text);
	hv_json_close(&j, '}');
	hv__ctl_answer(q, &j);
}
