/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_counters.c - the verb counters: what the vCPUs did since the VM first ran, and since the
 * last call or in an interval from now. During an interval the soft engine's hit rates are sampled.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/cm_clock.h"
#include "hvcore/control/hv_ctl_debug.h"

static struct ctl_counted *count_all(struct hv_core *core)
{
	struct hv_vm *vm = hv_core_vm(core);
	unsigned cpus = hv_vm_config(vm)->cpus;
	struct ctl_counted *c = calloc(1, sizeof *c + cpus * sizeof c->cpu[0]);
	uint64_t ran = hv_core_ran_at_ns(core), wall = ran ? cm_now_ns() - ran : 0;

	CM_ASSERT(c);
	c->cpus = cpus;
	for (unsigned i = 0; i < cpus; i++) {
		hv_vm_tally(vm, i, &c->cpu[i]);
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
			hv_json_hex(j, "rip", last[k].rip);
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

	hv__ctl_head(&j, vm);
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
	hv__ctl_answer(q, &j);
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
static int sampling(struct hv_ctl *ctl, bool on, struct cm_err *err)
{
	struct sample_switch s = {hv_core_vm(ctl->core), on, 0, err};
	unsigned *users = &ctl->sampling;
	int rc = 0;

	if (!hv_vm_engine_ops(s.vm)->sample_set)
		return 0;
	*users = on ? *users + 1 : *users - 1;
	if (*users == (on ? 1u : 0u))
		rc = hv_vm_look(s.vm, switch_sampling, &s, NULL, err);
	rc = rc == 0 ? s.rc : rc;
	if (rc < 0 && on)
		--*users;
	return rc;
}

static void sampling_over(struct ctl_window *w)
{
	struct hv_core *core = w->ctl->core;
	struct cm_err err = CM_ERR_INIT;

	if (w->switched && hv_core_vm(core) && !hv_core_is_ending(core))
		(void)sampling(w->ctl, false, &err); /* a VM that has gone samples nothing */
	w->switched = false;
}

static void counters_gone(struct px_req *q)
{
	struct ctl_window *w = q->work;

	sampling_over(w);
	hv__ctl_window_end(w);
	px_req_ok(q, NULL);
}

static void counters_due(struct cm_timer *t, void *arg)
{
	struct ctl_window *w = arg;
	struct hv_vm *vm;
	struct ctl_counted *now;

	(void)t;
	hv__ctl_window_end(w);
	vm = hv__ctl_vm(w->q, w->ctl->core);
	if (!vm)
		return;
	sampling_over(w);
	now = count_all(w->ctl->core);
	counters_answer(w->q, vm, now, w->before);
	free(now);
}

void hv__ctl_counters(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	struct hv_ctl *ctl = hv__ctl_conn(q)->ctl;
	struct hv_vm *vm = hv__ctl_vm(q, core);
	struct ctl_counted *now;
	struct ctl_window *w;
	uint64_t ms;

	if (!vm)
		return;
	if (px_req_u64(q, "interval_ms", 0, 1, HV_CTL_WINDOW_MAX_MS, &ms, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	if (!ms) {
		now = count_all(core);
		counters_answer(q, vm, now, ctl->counted);
		free(ctl->counted);
		ctl->counted = now;
		return;
	}
	if (sampling(ctl, true, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	w = hv__ctl_window_new(q, ms, counters_due, counters_gone);
	w->switched = true;
	w->before = count_all(core);
}
