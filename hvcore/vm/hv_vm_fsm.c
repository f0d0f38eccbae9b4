/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_fsm.c - the states of a VM as a full table. What the actions do is in hv_vm_act.c.
 */
#include "config.h"

#include "hvcore/vm/hv_vm_fsm.h"

#include "hvcore/vm/hv_vm_int.h"

#define A(next, fn) CM_ACT(HV_VM_##next, fn)
#define ON(s, e)    [HV_VM_##s * HV_VM_INPUT_COUNT + HV_VM_IN_##e]

static const struct cm_fsm_cell vm_cells[HV_VM_STATE_COUNT * HV_VM_INPUT_COUNT] = {
	ON(EMPTY, BUILT) = A(PAUSED, NULL),
	ON(EMPTY, RUN) = CM_BAD,
	ON(EMPTY, PAUSE) = CM_BAD,
	ON(EMPTY, STOP) = A(OFF, hv__vm_act_off),
	ON(EMPTY, RESET) = CM_BAD,
	ON(EMPTY, OFF) = CM_BAD,
	ON(EMPTY, IDLE) = CM_IGN,
	ON(EMPTY, FAILED) = CM_BAD,
	ON(EMPTY, FENCED) = CM_IGN,

	ON(PAUSED, BUILT) = CM_BAD,
	ON(PAUSED, RUN) = A(RUNNING, hv__vm_act_start),
	ON(PAUSED, PAUSE) = A(PAUSED, hv__vm_act_settled),
	ON(PAUSED, STOP) = A(OFF, hv__vm_act_off),
	ON(PAUSED, RESET) = A(PAUSED, hv__vm_act_rebuild),
	ON(PAUSED, OFF) = A(OFF, hv__vm_act_off),
	ON(PAUSED, IDLE) = CM_IGN,
	ON(PAUSED, FAILED) = A(FAILED, hv__vm_act_failed),
	ON(PAUSED, FENCED) = CM_IGN,

	ON(RUNNING, BUILT) = CM_BAD,
	ON(RUNNING, RUN) = CM_BAD,
	ON(RUNNING, PAUSE) = A(PAUSING, hv__vm_act_stop),
	ON(RUNNING, STOP) = A(STOPPING, hv__vm_act_stop),
	ON(RUNNING, RESET) = A(RESETTING, hv__vm_act_stop),
	ON(RUNNING, OFF) = A(STOPPING, hv__vm_act_stop),
	ON(RUNNING, IDLE) = CM_IGN,
	ON(RUNNING, FAILED) = A(FAILED, hv__vm_act_failed),
	ON(RUNNING, FENCED) = A(FENCED, hv__vm_act_fenced),

	ON(PAUSING, BUILT) = CM_BAD,
	ON(PAUSING, RUN) = CM_BAD,
	ON(PAUSING, PAUSE) = CM_BAD,
	ON(PAUSING, STOP) = A(STOPPING, NULL),
	ON(PAUSING, RESET) = A(PAUSING, hv__vm_act_later_reset),
	ON(PAUSING, OFF) = A(STOPPING, NULL),
	ON(PAUSING, IDLE) = A(PAUSED, hv__vm_act_settled),
	ON(PAUSING, FAILED) = A(FAILED, hv__vm_act_failed),
	ON(PAUSING, FENCED) = CM_IGN,

	ON(RESETTING, BUILT) = CM_BAD,
	ON(RESETTING, RUN) = CM_BAD,
	ON(RESETTING, PAUSE) = CM_BAD,
	ON(RESETTING, STOP) = A(STOPPING, NULL),
	ON(RESETTING, RESET) = CM_IGN,
	ON(RESETTING, OFF) = A(STOPPING, NULL),
	ON(RESETTING, IDLE) = A(RUNNING, hv__vm_act_rebuild_run),
	ON(RESETTING, FAILED) = A(FAILED, hv__vm_act_failed),
	ON(RESETTING, FENCED) = CM_IGN,

	ON(STOPPING, BUILT) = CM_BAD,
	ON(STOPPING, RUN) = CM_BAD,
	ON(STOPPING, PAUSE) = CM_BAD,
	ON(STOPPING, STOP) = CM_BAD,
	ON(STOPPING, RESET) = CM_IGN,
	ON(STOPPING, OFF) = CM_IGN,
	ON(STOPPING, IDLE) = A(OFF, hv__vm_act_off),
	ON(STOPPING, FAILED) = CM_IGN,
	ON(STOPPING, FENCED) = CM_IGN,

	ON(OFF, BUILT) = CM_BAD,
	ON(OFF, RUN) = CM_BAD,
	ON(OFF, PAUSE) = CM_BAD,
	ON(OFF, STOP) = A(OFF, hv__vm_act_off),
	ON(OFF, RESET) = CM_IGN,
	ON(OFF, OFF) = CM_IGN,
	ON(OFF, IDLE) = CM_IGN,
	ON(OFF, FAILED) = CM_IGN,
	ON(OFF, FENCED) = CM_IGN,

	ON(FAILED, BUILT) = CM_BAD,
	ON(FAILED, RUN) = CM_BAD,
	ON(FAILED, PAUSE) = CM_BAD,
	ON(FAILED, STOP) = A(STOPPING, hv__vm_act_stop),
	ON(FAILED, RESET) = A(RESETTING, hv__vm_act_stop),
	ON(FAILED, OFF) = CM_IGN,
	ON(FAILED, IDLE) = CM_IGN,
	ON(FAILED, FAILED) = CM_IGN,
	ON(FAILED, FENCED) = CM_IGN,

	ON(FENCED, BUILT) = CM_BAD,
	ON(FENCED, RUN) = A(RUNNING, hv__vm_act_start),
	ON(FENCED, PAUSE) = A(PAUSING, hv__vm_act_stop),
	ON(FENCED, STOP) = A(STOPPING, hv__vm_act_stop),
	ON(FENCED, RESET) = A(FENCED, hv__vm_act_later_reset),
	ON(FENCED, OFF) = A(STOPPING, hv__vm_act_stop),
	ON(FENCED, IDLE) = CM_IGN,
	ON(FENCED, FAILED) = A(FAILED, hv__vm_act_failed),
	ON(FENCED, FENCED) = CM_IGN,
};
CM_FSM_DEFINE(vm_def, "vm", HV_VM_STATES, HV_VM_INPUTS, vm_cells);

const struct cm_fsm_def *hv_vm_fsm(void)
{
	return &vm_def;
}

const char *hv_vm_state_name(enum hv_vm_state state)
{
	return (unsigned)state < HV_VM_STATE_COUNT ? vm_def.state_names[state] : "?";
}
