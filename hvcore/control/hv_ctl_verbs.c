/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_verbs.c - hvcore's own table of verbs, and what the short ones do. Arguments are the
 * operator's, checked here.
 */
#include "config.h"

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/control/hv_ctl_int.h"
#include "hvcore/devices/hv_devices.h"
#include "hvcore/hv_qga.h"

static void verb_status(struct px_req *q, void *ctx)
{
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_core *core = ctx;
	struct hv_json j;

	hv_json_init(&j);
	hv_core_status(core, &j);
	r.state = (Hv__VmState)hv_core_state(core);
	r.epoch = hv_core_epoch(core);
	r.doc = (char *)(uintptr_t)hv_json_text(&j);
	px_req_reply(q, &r);
	hv_json_fini(&j);
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
	if (hv_core_state(core) == HV_CORE_RUNNING)
		hv_core_set_state(core, HV_CORE_PAUSED);
	px_req_ok(q, "{\"state\":\"paused\"}");
}

/* The pause goes on; the answer goes nowhere (px_req_ok without a channel only frees). */
static void verb_pause(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct hv_vm *vm = hv__ctl_vm_in(q, core, HV_CORE_RUNNING);
	struct cm_err err = CM_ERR_INIT;

	if (!vm)
		return;
	q->work = core;
	if (hv_vm_pause(vm, pause_done, q, &err) < 0)
		px_req_fail(q, &err);
}

static void verb_resume(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct cm_err err = CM_ERR_INIT;

	if (!hv__ctl_vm_in(q, core, HV_CORE_PAUSED))
		return;
	if (hv_core_run(core, &err) < 0)
		px_req_fail(q, &err);
	else
		px_req_ok(q, "{\"state\":\"running\"}");
}

static void verb_reset(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	bool failed = hv_core_state(core) == HV_CORE_FAILED;
	struct hv_vm *vm = hv__ctl_vm_in(q, core, failed ? HV_CORE_FAILED : HV_CORE_RUNNING);
	struct cm_err err = CM_ERR_INIT;

	if (!vm)
		return;
	if (hv_vm_reset(vm, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	hv_core_set_state(core, HV_CORE_RUNNING);
	px_req_ok(q, NULL);
}

static void verb_power_button(struct px_req *q, void *ctx)
{
	struct hv_vm *vm = hv__ctl_vm(q, ctx);
	struct cm_err err = CM_ERR_INIT;

	if (!vm)
		return;
	if (hv_vm_power_button(vm, &err) < 0)
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

	if (!hv__ctl_vm_in(q, core, HV_CORE_RUNNING))
		return;
	if (hv_qga_ask(hv_core_qga(core), command, qga_done, q, &err) < 0)
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
	struct hv_vm *vm = hv__ctl_vm(q, ctx);
	struct cm_err err = CM_ERR_INIT;
	uint64_t bytes;
	struct hv_dev *dev;

	if (!vm)
		return;
	if (px_req_u64(q, "bytes", 0, 0, hv_vm_config(vm)->memory_bytes, &bytes, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	hv_lock_take(hv_vm_lock(vm));
	dev = hv_vm_dev(vm, hv_dev_balloon.name, 0);
	if (dev)
		hv_balloon_set(dev, bytes);
	hv_lock_drop(hv_vm_lock(vm));
	if (dev)
		px_req_ok(q, NULL);
	else
		px_req_failf(q, CM_E_VM_STATE, "the VM's devices are not built");
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
	{"status", "", verb_status, false},	{"stop", "force timeout_ms", hv__ctl_stop, true},
	{"pause", "", verb_pause, true},	{"resume", "", verb_resume, true},
	{"reset", "", verb_reset, true},	{"power-button", "", verb_power_button, true},
	{"qga-ping", "", verb_qga_ping, true},	{"qga-time", "", verb_qga_time, true},
	{"qga-freeze", "", verb_qga_freeze, true}, {"qga-thaw", "", verb_qga_thaw, true},
	{"qga-shutdown", "", verb_qga_shutdown, true},
	{"balloon", "bytes", verb_balloon, true}, {"disk-resized", "", hv__ctl_disk_resized, true},
	{"console", "", hv__ctl_console, true}, {"watch", "", verb_watch, false},
	{"dump", "", hv__ctl_dump, true},
	{"counters", "interval_ms", hv__ctl_counters, true},
	{"trace", "on off window_ms count", hv__ctl_trace, true},
	{"log-level", "level", verb_log_level, true},
	{"fault", "spec", verb_fault, true},
};
const size_t hv__ctl_verb_count = CM_ARRAY_LEN(hv__ctl_verbs);
