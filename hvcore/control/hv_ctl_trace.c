/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_trace.c - the verb trace: the last blocks and exceptions of every vCPU, where the engine
 * can record them. Recording is on for the time of one request, or until it is switched off.
 */
#include "config.h"

#include <stdlib.h>

#include "hvcore/control/hv_ctl_debug.h"

#define TRACE_RING 4096u  /* events a vCPU */
#define TRACE_ALL  16384u /* events of an answer */

struct trace_switch {
	struct hv_vm *vm;
	unsigned events;
	int rc;
	struct cm_err *err;
};

static void switch_trace(void *arg)
{
	struct trace_switch *s = arg;

	s->rc = hv_vm_engine_ops(s->vm)->trace_set(hv_vm_engine(s->vm), s->events, s->err);
}

static int record(struct hv_vm *vm, unsigned events, struct cm_err *err)
{
	struct trace_switch s = {vm, events, 0, err};
	int rc = hv_vm_look(vm, switch_trace, &s, NULL, err);

	return rc ? rc : s.rc;
}

struct trace_copy {
	struct hv_vm *vm;
	unsigned most; /* of one vCPU */
	struct {
		uint64_t total;
		unsigned n;
		struct hv_trace_event *event;
	} cpu[HV_MAX_VCPUS];
};

static void copy_trace(void *arg)
{
	struct trace_copy *c = arg;

	for (unsigned i = 0; i < hv_vm_config(c->vm)->cpus; i++)
		c->cpu[i].n = hv_vm_engine_ops(c->vm)->trace_get(
			hv_vm_engine(c->vm), i, c->cpu[i].event, c->most, &c->cpu[i].total);
}

static void put_event(struct hv_json *j, const struct hv_trace_event *e)
{
	static const char *const kind[] = {"none", "block", "exception", "interrupt", "software"};

	hv_json_open(j, NULL, '{');
	hv_json_u64(j, "at", e->at);
	hv_json_str(j, "kind", kind[e->kind]);
	hv_json_hex(j, "rip", e->rip);
	hv_json_u64(j, "cpl", e->cpl);
	if (e->kind == HV_TRACE_BLOCK) {
		hv_json_hex(j, "gpa", e->gpa);
		hv_json_u64(j, "insns", e->insns);
		hv_json_u64(j, "times", e->times);
	} else {
		hv_json_u64(j, "vector", (uint64_t)e->vector);
		hv_json_hex(j, "error", e->error);
		hv_json_hex(j, "cr2", e->cr2);
	}
	hv_json_close(j, '}');
}

static void put_trace(struct hv_json *j, const struct trace_copy *c)
{
	hv_json_open(j, "vcpus", '[');
	for (unsigned i = 0; i < hv_vm_config(c->vm)->cpus; i++) {
		hv_json_open(j, NULL, '{');
		hv_json_u64(j, "index", i);
		hv_json_u64(j, "total", c->cpu[i].total);
		hv_json_open(j, "events", '[');
		for (unsigned k = 0; k < c->cpu[i].n; k++)
			put_event(j, &c->cpu[i].event[k]);
		hv_json_close(j, ']');
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
}

static void trace_answer(struct px_req *q, const struct hv_ctl *ctl, uint64_t count)
{
	struct hv_vm *vm = hv_core_vm(ctl->core);
	struct cm_err err = CM_ERR_INIT;
	unsigned cpus = hv_vm_config(vm)->cpus;
	struct trace_copy *c = calloc(1, sizeof *c);
	struct hv_json j;
	uint64_t total = 0;

	CM_ASSERT(c);
	c->vm = vm;
	c->most = (unsigned)CM_MIN(count, TRACE_ALL / cpus);
	for (unsigned i = 0; i < cpus; i++) {
		c->cpu[i].event = calloc(c->most, sizeof *c->cpu[i].event);
		CM_ASSERT(c->cpu[i].event);
	}
	if (hv_vm_look(vm, copy_trace, c, NULL, &err) < 0) {
		px_req_fail(q, &err);
		goto out;
	}
	for (unsigned i = 0; i < cpus; i++)
		total += c->cpu[i].total;
	if (!total && !ctl->recording) {
		px_req_failf(
			q, CM_E_VM_STATE,
			"nothing was recorded: --ms N records for that long, --on until --off");
		goto out;
	}
	hv__ctl_head(&j, vm);
	hv_json_bool(&j, "recording", ctl->recording);
	put_trace(&j, c);
	hv_json_close(&j, '}');
	hv__ctl_answer(q, &j);
out:
	for (unsigned i = 0; i < cpus; i++)
		free(c->cpu[i].event);
	free(c);
}

static void trace_over(struct ctl_window *w)
{
	struct hv_vm *vm = hv_core_vm(w->ctl->core);
	struct cm_err err = CM_ERR_INIT;

	if (w->switched && vm && !hv_core_is_ending(w->ctl->core)) {
		w->ctl->recording = w->ctl->trace_window = false;
		(void)record(vm, 0, &err); /* a VM that has gone records nothing */
	}
	w->switched = false;
}

static void trace_gone(struct px_req *q)
{
	struct ctl_window *w = q->work;

	trace_over(w);
	hv__ctl_window_end(w);
	px_req_ok(q, NULL);
}

static void trace_due(struct cm_timer *t, void *arg)
{
	struct ctl_window *w = arg;

	(void)t;
	hv__ctl_window_end(w);
	if (!hv__ctl_vm(w->q, w->ctl->core))
		return;
	trace_over(w);
	trace_answer(w->q, w->ctl, w->count);
}

/* on and off, and the answer to them. */
static void trace_turn(struct px_req *q, struct hv_ctl *ctl, struct hv_vm *vm, bool on)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_json j;

	if (record(vm, on ? TRACE_RING : 0, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	ctl->recording = on;
	hv__ctl_head(&j, vm);
	hv_json_bool(&j, "recording", on);
	hv_json_close(&j, '}');
	hv__ctl_answer(q, &j);
}

void hv__ctl_trace(struct px_req *q, void *ctx)
{
	struct hv_ctl *ctl = hv__ctl_conn(q)->ctl;
	struct hv_vm *vm = hv__ctl_vm(q, ctx);
	struct cm_err err = CM_ERR_INIT;
	bool on = px_req_flag(q, "on"), off = px_req_flag(q, "off");
	uint64_t ms, count;
	struct ctl_window *w;

	if (!vm)
		return;
	if (!hv_vm_engine_ops(vm)->trace_set) {
		px_req_failf(q, CM_E_UNSUPPORTED,
			     "the %s engine runs the guest on the CPU itself and sees no blocks: "
			     "trace needs the soft engine; dump and counters work here",
			     hv_vm_engine_ops(vm)->name);
		return;
	}
	if (px_req_u64(q, "window_ms", 0, 1, HV_CTL_WINDOW_MAX_MS, &ms, &err) < 0 ||
	    px_req_u64(q, "count", 64, 1, TRACE_RING, &count, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	if (on + off + !!ms > 1) {
		px_req_failf(q, CM_E_USAGE, "only one of --on, --off and --ms");
		return;
	}
	if ((on || off || ms) && ctl->trace_window) {
		px_req_failf(q, CM_E_VM_STATE, "a trace with --ms is under way; it ends by itself");
		return;
	}
	if (on || off) {
		trace_turn(q, ctl, vm, on);
	} else if (!ms) {
		trace_answer(q, ctl, count);
	} else if (ctl->recording) {
		px_req_failf(q, CM_E_VM_STATE, "recording is on already: ask without --ms");
	} else if (record(vm, TRACE_RING, &err) < 0) {
		px_req_fail(q, &err);
	} else {
		ctl->recording = ctl->trace_window = true;
		w = hv__ctl_window_new(q, ms, trace_due, trace_gone);
		w->switched = true;
		w->count = count;
	}
}
