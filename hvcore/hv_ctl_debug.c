/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_debug.c - the verbs with which people look into a VM: dump, counters, trace. None changes
 * what the VM is or does; each holds its vCPUs for a moment at most.
 *
 * A request with a time (counters' interval, trace's window) is answered when that has passed. What
 * was switched on for it is switched off with it, also when the one who asked goes away.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_trace.h"
#include "hvcore/hv_core_int.h"
#include "hvcore/hv_ctl_int.h"

#define WINDOW_MAX_MS 20000u /* below the time that an agent waits for an answer */
#define TRACE_RING    4096u  /* events a vCPU */
#define TRACE_ALL     16384u /* events of an answer */

/* Counters of all vCPUs at one instant. */
struct ctl_counted {
	unsigned cpus;
	struct hv_tally cpu[];
};

/* A request that waits for its time to pass. */
struct window {
	struct px_req *q;
	struct hv_core *core;
	struct cm_timer timer;
	uint64_t count; /* trace: events to tell */
	struct ctl_counted *before;
	bool switched; /* sampling or recording is on because of this */
};

static struct hv_vm *vm_of(struct px_req *q, struct hv_core *core)
{
	if (core->vm && !core->ending)
		return core->vm;
	px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
	return NULL;
}

static void answer(struct px_req *q, struct hv_json *j)
{
	if (j->buf.err)
		px_req_failf(q, CM_E_NO_MEMORY, "the answer is too long");
	else
		px_req_ok(q, hv_json_text(j));
	hv_json_fini(j);
}

static void put_hex(struct hv_json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	hv_json_str(j, key, text);
}

static void put_head(struct hv_json *j, struct hv_vm *vm)
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
	struct window *w = arg;

	free(w->before);
	free(w);
}

/* Before the answer; w lives until this turn of the loop is over. */
static void window_end(struct window *w)
{
	w->q->gone = NULL;
	cm_timer_fini(&w->timer);
	cm_loop_defer(w->core->loop, window_free, w);
}

static struct window *window_new(struct px_req *q, struct hv_core *core, cm_timer_fn fn,
				 void (*gone)(struct px_req *q))
{
	struct window *w = calloc(1, sizeof(*w));

	CM_ASSERT(w);
	w->q = q;
	w->core = core;
	q->work = w;
	q->gone = gone;
	cm_timer_init(&w->timer, core->loop, fn, w);
	return w;
}

/* --- dump ------------------------------------------------------------------------ */

void hv__ctl_dump(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm = vm_of(q, core);
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
	answer(q, &j);
}

/* --- counters ---------------------------------------------------------------------- */

static struct ctl_counted *count_all(struct hv_core *core)
{
	unsigned cpus = hv_vm_config(core->vm)->cpus;
	struct ctl_counted *c = calloc(1, sizeof(*c) + cpus * sizeof(c->cpu[0]));
	uint64_t wall = core->ran_ns ? cm_now_ns() - core->ran_ns : 0;

	CM_ASSERT(c);
	c->cpus = cpus;
	for (unsigned i = 0; i < cpus; i++) {
		hv_vm_tally(core->vm, i, &c->cpu[i]);
		c->cpu[i].wall_ns = wall;
	}
	return c;
}

static void put_unknown(struct hv_json *j, struct hv_vm *vm)
{
	const struct hv_engine_ops *ops = hv_vm_engine_ops(vm);
	struct hv_unknown_insn last[8];

	if (!ops->unknown)
		return;
	hv_json_open(j, "unknown", '[');
	for (unsigned i = 0; i < hv_vm_config(vm)->cpus; i++) {
		unsigned n = ops->unknown(hv_vm_engine(vm), i, last, CM_ARRAY_LEN(last));

		for (unsigned k = 0; k < n; k++) {
			char bytes[17];

			for (unsigned b = 0; b < 8; b++)
				snprintf(bytes + 2 * b, 3, "%02x",
					 (unsigned)(last[k].bytes >> 8 * b & 0xff));
			hv_json_open(j, NULL, '{');
			hv_json_u64(j, "vcpu", i);
			put_hex(j, "rip", last[k].rip);
			hv_json_str(j, "bytes", bytes);
			hv_json_u64(j, "at", last[k].at);
			hv_json_close(j, '}');
		}
	}
	hv_json_close(j, ']');
}

/* now, and what it is more than `before` (may be NULL). */
static void put_period(struct hv_json *j, const struct hv_tally *now, const struct hv_tally *before)
{
	struct hv_tally recent = *now;

	hv_tally_json(j, "boot", now);
	if (!before)
		return;
	hv_tally_minus(&recent, before);
	hv_tally_json(j, "recent", &recent);
}

static void counters_answer(struct px_req *q, struct hv_vm *vm, const struct ctl_counted *now,
			    const struct ctl_counted *before)
{
	struct hv_tally sum = {.count = 0}, sum_before = {.count = 0};
	struct hv_json j;

	put_head(&j, vm);
	hv_json_open(&j, "vcpus", '[');
	for (unsigned i = 0; i < now->cpus; i++) {
		hv_json_open(&j, NULL, '{');
		hv_json_u64(&j, "index", i);
		put_period(&j, &now->cpu[i], before ? &before->cpu[i] : NULL);
		hv_json_close(&j, '}');
		hv_tally_plus(&sum, &now->cpu[i]);
		if (before)
			hv_tally_plus(&sum_before, &before->cpu[i]);
	}
	hv_json_close(&j, ']');
	hv_json_open(&j, "sum", '{');
	put_period(&j, &sum, before ? &sum_before : NULL);
	hv_json_close(&j, '}');
	put_unknown(&j, vm);
	hv_json_close(&j, '}');
	answer(q, &j);
}

struct sample_switch {
	struct hv_vm *vm;
	bool on;
	int rc;
	struct cm_err *err;
};

static void switch_sampling(void *arg)
{
	struct sample_switch *s = arg;

	s->rc = hv_vm_engine_ops(s->vm)->sample_set(hv_vm_engine(s->vm), s->on, s->err);
}

/* Several may want it at once; the first switches it on, the last off. */
static int sampling(struct hv_core *core, bool on, struct cm_err *err)
{
	struct sample_switch s = {core->vm, on, 0, err};
	unsigned *users = &core->ctl->sampling;
	int rc = 0;

	if (!hv_vm_engine_ops(core->vm)->sample_set)
		return 0;
	*users = on ? *users + 1 : *users - 1;
	if (*users == (on ? 1u : 0u))
		rc = hv_vm_look(core->vm, switch_sampling, &s, NULL, err);
	rc = rc == 0 ? s.rc : rc;
	if (rc < 0 && on)
		--*users;
	return rc;
}

static void sampling_over(struct window *w)
{
	struct cm_err err = CM_ERR_INIT;

	if (w->switched && w->core->vm && !w->core->ending)
		(void)sampling(w->core, false, &err); /* a VM that has gone samples nothing */
	w->switched = false;
}

static void counters_gone(struct px_req *q)
{
	struct window *w = q->work;

	sampling_over(w);
	window_end(w);
	px_req_ok(q, NULL);
}

static void counters_due(struct cm_timer *t, void *arg)
{
	struct window *w = arg;
	struct hv_vm *vm;
	struct ctl_counted *now;

	(void)t;
	window_end(w);
	vm = vm_of(w->q, w->core);
	if (!vm)
		return;
	sampling_over(w);
	now = count_all(w->core);
	counters_answer(w->q, vm, now, w->before);
	free(now);
}

void hv__ctl_counters(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm = vm_of(q, core);
	struct ctl_counted *now;
	struct window *w;
	uint64_t ms;

	if (!vm)
		return;
	if (px_req_u64(q, "interval_ms", 0, 1, WINDOW_MAX_MS, &ms, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	if (!ms) {
		now = count_all(core);
		counters_answer(q, vm, now, core->ctl->counted);
		free(core->ctl->counted);
		core->ctl->counted = now;
		return;
	}
	if (sampling(core, true, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	w = window_new(q, core, counters_due, counters_gone);
	w->switched = true;
	w->before = count_all(core);
	cm_timer_arm_ms(&w->timer, ms);
}

/* --- trace ---------------------------------------------------------------------------- */

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
	put_hex(j, "rip", e->rip);
	hv_json_u64(j, "cpl", e->cpl);
	if (e->kind == HV_TRACE_BLOCK) {
		put_hex(j, "gpa", e->gpa);
		hv_json_u64(j, "insns", e->insns);
		hv_json_u64(j, "times", e->times);
	} else {
		hv_json_u64(j, "vector", (uint64_t)e->vector);
		put_hex(j, "error", e->error);
		put_hex(j, "cr2", e->cr2);
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

static void trace_answer(struct px_req *q, struct hv_core *core, uint64_t count)
{
	struct cm_err err = CM_ERR_INIT;
	unsigned cpus = hv_vm_config(core->vm)->cpus;
	struct trace_copy *c = calloc(1, sizeof(*c));
	struct hv_json j;
	uint64_t total = 0;

	CM_ASSERT(c);
	c->vm = core->vm;
	c->most = (unsigned)CM_MIN(count, TRACE_ALL / cpus);
	for (unsigned i = 0; i < cpus; i++) {
		c->cpu[i].event = calloc(c->most, sizeof(*c->cpu[i].event));
		CM_ASSERT(c->cpu[i].event);
	}
	if (hv_vm_look(core->vm, copy_trace, c, NULL, &err) < 0) {
		px_req_fail(q, &err);
		goto out;
	}
	for (unsigned i = 0; i < cpus; i++)
		total += c->cpu[i].total;
	if (!total && !core->ctl->recording) {
		px_req_failf(q, CM_E_VM_STATE,
			     "nothing was recorded: --ms N records for that long, --on until --off");
		goto out;
	}
	put_head(&j, core->vm);
	hv_json_bool(&j, "recording", core->ctl->recording);
	put_trace(&j, c);
	hv_json_close(&j, '}');
	answer(q, &j);
out:
	for (unsigned i = 0; i < cpus; i++)
		free(c->cpu[i].event);
	free(c);
}

static void trace_over(struct window *w)
{
	struct cm_err err = CM_ERR_INIT;

	if (w->switched && w->core->vm && !w->core->ending) {
		w->core->ctl->recording = w->core->ctl->trace_window = false;
		(void)record(w->core->vm, 0, &err); /* a VM that has gone records nothing */
	}
	w->switched = false;
}

static void trace_gone(struct px_req *q)
{
	struct window *w = q->work;

	trace_over(w);
	window_end(w);
	px_req_ok(q, NULL);
}

static void trace_due(struct cm_timer *t, void *arg)
{
	struct window *w = arg;

	(void)t;
	window_end(w);
	if (!vm_of(w->q, w->core))
		return;
	trace_over(w);
	trace_answer(w->q, w->core, w->count);
}

/* on and off, and the answer to them. */
static void trace_turn(struct px_req *q, struct hv_core *core, bool on)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_json j;

	if (record(core->vm, on ? TRACE_RING : 0, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	core->ctl->recording = on;
	put_head(&j, core->vm);
	hv_json_bool(&j, "recording", on);
	hv_json_close(&j, '}');
	answer(q, &j);
}

void hv__ctl_trace(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm = vm_of(q, core);
	bool on = px_req_flag(q, "on"), off = px_req_flag(q, "off");
	uint64_t ms, count;
	struct window *w;

	if (!vm)
		return;
	if (!hv_vm_engine_ops(vm)->trace_set) {
		px_req_failf(q, CM_E_UNSUPPORTED,
			     "the %s engine runs the guest on the CPU itself and sees no blocks: trace needs the soft engine; dump and counters work here",
			     hv_vm_engine_ops(vm)->name);
		return;
	}
	if (px_req_u64(q, "window_ms", 0, 1, WINDOW_MAX_MS, &ms, &err) < 0 ||
	    px_req_u64(q, "count", 64, 1, TRACE_RING, &count, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	if (on + off + !!ms > 1) {
		px_req_failf(q, CM_E_USAGE, "only one of --on, --off and --ms");
		return;
	}
	if ((on || off || ms) && core->ctl->trace_window) {
		px_req_failf(q, CM_E_VM_STATE, "a trace with --ms is under way; it ends by itself");
		return;
	}
	if (on || off) {
		trace_turn(q, core, on);
	} else if (!ms) {
		trace_answer(q, core, count);
	} else if (core->ctl->recording) {
		px_req_failf(q, CM_E_VM_STATE, "recording is on already: ask without --ms");
	} else if (record(vm, TRACE_RING, &err) < 0) {
		px_req_fail(q, &err);
	} else {
		core->ctl->recording = core->ctl->trace_window = true;
		w = window_new(q, core, trace_due, trace_gone);
		w->switched = true;
		w->count = count;
		cm_timer_arm_ms(&w->timer, ms);
	}
}
