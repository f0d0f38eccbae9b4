/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_stop.c - the verb stop: by the guest agent, by the power button, by force, each in its
 * share of the time. The answer comes when the ownership is released. Arguments are the operator's.
 */
#include "config.h"

#include <stdlib.h>

#include "common/cm_log.h"
#include "hvcore/control/hv_ctl_int.h"
#include "hvcore/hv_qga.h"

#define STOP_TIMEOUT_MS 60000u

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
	cm_loop_defer(hv_core_loop(s->core), stop_free, s);
}

/* Then waits for what is left of the time. */
static void press(struct stop *s)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *vm = hv_core_vm(s->core);
	uint64_t rest_ms = s->rest_ms;

	s->rest_ms = 0;
	if (!vm || hv_vm_power_button(vm, &err) < 0)
		hv_core_end(s->core, 0, true);
	else
		cm_timer_arm_ms(&s->timer, rest_ms);
}

/* Comes before the stop is done, at the latest with the end of the VM. */
static void agent_asked(void *arg, int rc, const char *text)
{
	struct stop *s = arg;

	if (rc == 0 || hv_core_is_ending(s->core))
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

void hv__ctl_stop(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	enum hv_core_state state = hv_core_state(core);
	struct cm_err err = CM_ERR_INIT;
	uint64_t timeout_ms;
	struct stop *s;

	if (px_req_u64(q, "timeout_ms", STOP_TIMEOUT_MS, 1, 3600000, &timeout_ms, &err) < 0) {
		px_req_fail(q, &err);
		return;
	}
	s = calloc(1, sizeof *s);
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
	cm_timer_init(&s->timer, hv_core_loop(core), stop_timeout, s);
	s->rest_ms = timeout_ms - timeout_ms / 2;
	if (px_req_flag(q, "force") || !hv_core_vm(core) || state == HV_CORE_SAVED) {
		hv_core_end(core, 0, true);
	} else if (state == HV_CORE_SAVING) {
		/* The save ends the VM as well, and keeps what it was doing; what comes first. */
		s->rest_ms = 0;
		cm_timer_arm_ms(&s->timer, timeout_ms);
	} else if (state == HV_CORE_RUNNING &&
		   hv_qga_ask(hv_core_qga(core), HV_QGA_SHUTDOWN, agent_asked, s, &err) == 0) {
		cm_timer_arm_ms(&s->timer, timeout_ms / 2 + 1);
	} else {
		s->rest_ms = timeout_ms;
		press(s);
	}
}
