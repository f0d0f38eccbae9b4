/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_verbs.c - what each verb of hvcore's own table does. Arguments are the operator's, checked
 * here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/control/hv_ctl_int.h"
#include "hvcore/hv_core_int.h"
#include "hvcore/machine/hv_devices.h"

#define STOP_TIMEOUT_MS 60000u

static bool need_vm(struct px_req *q, struct hv_core *core)
{
	if (core->vm && !core->ending)
		return true;
	px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
	return false;
}

static void verb_status(struct px_req *q, void *ctx)
{
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_core *core = ctx;
	struct hv_json j;

	hv_json_init(&j);
	hv_core_status(core, &j);
	r.state = (Hv__VmState)core->state;
	r.epoch = core->owner ? stor_lease_epoch(hv_owner_lease(core->owner)) : 0;
	r.doc = (char *)(uintptr_t)hv_json_text(&j);
	px_req_reply(q, &r);
	hv_json_fini(&j);
}

/* --- stop ------------------------------------------------------------------- */

struct stop {
	struct px_req *q;
	struct hv_core *core;
	struct cm_timer timer;
	uint64_t rest_ms; /* after the guest agent's share of the time */
};

static void stop_free(void *arg)
{
	free(arg);
}

static void stop_gone(struct px_req *q)
{
	struct stop *s = q->work;

	/* The stop goes on; only the answer goes nowhere. */
	s->q = NULL;
	px_req_ok(q, NULL);
}

static void stop_done(void *arg, int error)
{
	struct stop *s = arg;
	struct px_req *q = s->q;

	cm_timer_fini(&s->timer);
	if (q) {
		q->gone = NULL;
		if (error)
			px_req_failf(q, error, "stopped, but the ownership was not released: %s",
				     cm_err_text(error));
		else
			px_req_ok(q, "{\"state\":\"stopped\"}");
	}
	cm_loop_defer(s->core->loop, stop_free, s);
}

/* Then waits for what is left of the time. */
static void press(struct stop *s)
{
	struct cm_err err = CM_ERR_INIT;
	uint64_t rest_ms = s->rest_ms;

	s->rest_ms = 0;
	if (!s->core->vm || hv_vm_power_button(s->core->vm, &err) < 0)
		hv_core_end(s->core, 0, true);
	else
		cm_timer_arm_ms(&s->timer, rest_ms);
}

/* Comes before the stop is done, at the latest with the end of the VM. */
static void agent_asked(void *arg, int rc, const char *text)
{
	struct stop *s = arg;

	if (rc == 0 || s->core->ending)
		return;
	cm_notice("the guest agent does not shut down (%s): by the power button", text);
	if (s->rest_ms)
		press(s);
}

static void stop_timeout(struct cm_timer *t, void *arg)
{
	struct stop *s = arg;

	(void)t;
	if (s->rest_ms) {
		cm_notice("the guest agent did not end the guest: by the power button");
		press(s);
		return;
	}
	cm_notice("the guest did not shut down in time: by force");
	hv_core_end(s->core, 0, true);
}

static void verb_stop(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	uint64_t timeout_ms;
	struct stop *s;

	if (px_req_u64(q, "timeout_ms", STOP_TIMEOUT_MS, 1, 3600000, &timeout_ms, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	s = calloc(1, sizeof(*s));
	CM_ASSERT(s);
	s->q = q;
	s->core = core;
	if (hv_core_on_end(core, stop_done, s) < 0) {
		px_req_failf(q, CM_E_VM_STATE, "too many wait for the end of this VM already");
		free(s);
		return;
	}
	q->work = s;
	q->gone = stop_gone;
	cm_timer_init(&s->timer, core->loop, stop_timeout, s);
	s->rest_ms = timeout_ms - timeout_ms / 2;
	if (px_req_flag(q, "force") || !core->vm || core->state == HV_CORE_SAVED) {
		hv_core_end(core, 0, true);
	} else if (core->state == HV_CORE_SAVING) {
		/* The save ends the VM as well, and keeps what it was doing; what comes first. */
		s->rest_ms = 0;
		cm_timer_arm_ms(&s->timer, timeout_ms);
	} else if (core->state == HV_CORE_RUNNING &&
		   hv_qga_ask(core->qga, HV_QGA_SHUTDOWN, agent_asked, s, &err) == 0) {
		cm_timer_arm_ms(&s->timer, timeout_ms / 2 + 1);
	} else {
		s->rest_ms = timeout_ms;
		press(s);
	}
}

/* --- run state ------------------------------------------------------------------ */

static void pause_done(void *arg, int error)
{
	struct px_req *q = arg;
	struct hv_core *core = q->work;

	q->gone = NULL;
	if (error) {
		px_req_failf(q, error, "%s", cm_err_text(error));
		return;
	}
	if (core->state == HV_CORE_RUNNING)
		hv_core_set_state(core, HV_CORE_PAUSED);
	px_req_ok(q, "{\"state\":\"paused\"}");
}

/* The pause goes on; the answer goes nowhere (px_req_ok without a channel only frees). */
static void verb_pause(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;

	if (!need_vm(q, core))
		return;
	if (core->state != HV_CORE_RUNNING) {
		px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
		return;
	}
	q->work = core;
	if (hv_vm_pause(core->vm, pause_done, q, &err) < 0)
		px_req_fail(q, &err);
}

static void verb_resume(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;

	if (!need_vm(q, core))
		return;
	if (core->state != HV_CORE_PAUSED)
		px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
	else if (hv_core_run(core, &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, "{\"state\":\"running\"}");
}

static void verb_reset(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;

	if (!need_vm(q, core))
		return;
	if (core->state != HV_CORE_RUNNING && core->state != HV_CORE_FAILED) {
		px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
		return;
	}
	if (hv_vm_reset(core->vm, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	hv_core_set_state(core, HV_CORE_RUNNING);
	px_req_ok(q, NULL);
}

static void verb_power_button(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;

	if (!need_vm(q, core))
		return;
	if (hv_vm_power_button(core->vm, &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, NULL);
}

/* --- the guest agent ---------------------------------------------------------------- */

static void qga_done(void *arg, int rc, const char *text)
{
	struct px_req *q = arg;

	if (rc < 0)
		px_req_failf(q, rc, "%s", text);
	else
		px_req_ok(q, text);
}

/* If the connection goes first, the command goes on and its answer goes nowhere. */
static void qga_ask(struct px_req *q, struct hv_core *core, enum hv_qga_command command)
{
	struct cm_err err = CM_ERR_INIT;

	if (!need_vm(q, core))
		return;
	if (core->state != HV_CORE_RUNNING)
		px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(core->state));
	else if (hv_qga_ask(core->qga, command, qga_done, q, &err) < 0)
		px_req_fail(q, &err);
}

static void verb_qga_ping(struct px_req *q, void *ctx)
{
	qga_ask(q, ctx, HV_QGA_PING);
}

static void verb_qga_time(struct px_req *q, void *ctx)
{
	qga_ask(q, ctx, HV_QGA_TIME);
}

static void verb_qga_freeze(struct px_req *q, void *ctx)
{
	qga_ask(q, ctx, HV_QGA_FREEZE);
}

static void verb_qga_thaw(struct px_req *q, void *ctx)
{
	qga_ask(q, ctx, HV_QGA_THAW);
}

static void verb_qga_shutdown(struct px_req *q, void *ctx)
{
	qga_ask(q, ctx, HV_QGA_SHUTDOWN);
}

static void verb_balloon(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;
	uint64_t bytes;
	struct hv_dev *dev;

	if (!need_vm(q, core))
		return;
	if (px_req_u64(q, "bytes", 0, 0, core->vmcfg.memory_bytes, &bytes, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	hv_lock_take(hv_vm_lock(core->vm));
	dev = hv_vm_dev(core->vm, hv_dev_balloon.name, 0);
	if (dev)
		hv_balloon_set(dev, bytes);
	hv_lock_drop(hv_vm_lock(core->vm));
	if (dev)
		px_req_ok(q, NULL);
	else
		px_req_failf(q, CM_E_VM_STATE, "the VM's devices are not built");
}

/* --- disks that grew ---------------------------------------------------------------- */

struct resized {
	struct px_req *q; /* NULL: nobody waits any more */
	struct hv_core *core;
};

static void resized_gone(struct px_req *q)
{
	struct resized *r = q->work;

	r->q = NULL;
	px_req_ok(q, NULL);
}

static void tell_guest(struct hv_core *core, struct hv_json *j)
{
	hv_json_open(j, "disks", '[');
	for (unsigned i = 0; i < core->start->vm->n_disks; i++) {
		struct hv_dev *dev = hv_vm_dev(core->vm, hv_dev_blk.name, i);

		if (!dev)
			continue;
		hv_lock_take(hv_vm_lock(core->vm));
		hv_blk_resized(dev);
		hv_lock_drop(hv_vm_lock(core->vm));
		hv_json_u64(j, NULL, stor_dev_info(hv_disks_dev(core->disks, i))->capacity_bytes);
	}
	hv_json_close(j, ']');
}

static void disks_reloaded(void *arg, int rc, const struct cm_err *err)
{
	struct resized *r = arg;
	struct hv_core *core = r->core;
	struct hv_json j;

	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	if (core->vm && !core->ending)
		tell_guest(core, &j);
	hv_json_close(&j, '}');
	if (r->q) {
		r->q->gone = NULL;
		if (rc < 0)
			px_req_fail(r->q, err);
		else
			px_req_ok(r->q, hv_json_text(&j));
	}
	hv_json_fini(&j);
	free(r);
}

/* A disk grew on its volume: reads the sizes, and the guest sees them. */
static void verb_disk_resized(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct resized *r;

	if (!need_vm(q, core))
		return;
	r = calloc(1, sizeof(*r));
	CM_ASSERT(r);
	r->q = q;
	r->core = core;
	q->work = r;
	q->gone = resized_gone;
	hv_disks_reload(core->disks, disks_reloaded, r);
}

/* --- for people and developers ------------------------------------------------------ */

static void watch_gone(struct px_req *q)
{
	struct ctl_conn *k = q->work;

	k->watch = NULL;
	px_req_ok(q, NULL);
}

static void verb_watch(struct px_req *q, void *ctx)
{
	struct ctl_conn *k = hv__ctl_conn(q);

	(void)ctx;
	if (k->watch) {
		px_req_failf(q, CM_E_USAGE, "this connection watches already");
		return;
	}
	k->watch = q;
	q->work = k;
	q->gone = watch_gone;
	px_req_progress(q, "{\"watching\":true}");
}

static void verb_log_level(struct px_req *q, void *ctx)
{
	const char *word = px_req_arg(q, "level");
	enum cm_log_level level = word ? cm_log_level_find(word) : CM_LOG_NONE;

	(void)ctx;
	if (level == CM_LOG_NONE) {
		px_req_failf(q, CM_E_BAD_VALUE,
			     "level: crit, err, warning, notice, info, debug or trace");
		return;
	}
	cm_log_set_level(level);
	px_req_ok(q, NULL);
}

static void verb_fault(struct px_req *q, void *ctx)
{
	const char *spec = px_req_arg(q, "spec");
	struct cm_err err = CM_ERR_INIT;

	(void)ctx;
	if (cm_fault_arm(spec ? spec : "", &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, NULL);
}

const struct px_verb hv__ctl_verbs[] = {
	{"status", "", verb_status, false},	{"stop", "force timeout_ms", verb_stop, true},
	{"pause", "", verb_pause, true},	{"resume", "", verb_resume, true},
	{"reset", "", verb_reset, true},	{"power-button", "", verb_power_button, true},
	{"qga-ping", "", verb_qga_ping, true},	{"qga-time", "", verb_qga_time, true},
	{"qga-freeze", "", verb_qga_freeze, true}, {"qga-thaw", "", verb_qga_thaw, true},
	{"qga-shutdown", "", verb_qga_shutdown, true},
	{"balloon", "bytes", verb_balloon, true}, {"disk-resized", "", verb_disk_resized, true},
	{"console", "", hv__ctl_console, true}, {"watch", "", verb_watch, false},
	{"dump", "", hv__ctl_dump, true},
	{"counters", "interval_ms", hv__ctl_counters, true},
	{"trace", "on off window_ms count", hv__ctl_trace, true},
	{"log-level", "level", verb_log_level, true},
	{"fault", "spec", verb_fault, true},
};
const size_t hv__ctl_verb_count = CM_ARRAY_LEN(hv__ctl_verbs);
