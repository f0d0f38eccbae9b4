/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_fsm.c - the states of a VM as a full table. What the actions do is in hv_vm_act.c.
 */
#include "config.h"

#include "hvcore/vm/hv_vm_int.h"

static const char *const state_names[] = {
#define XX(n) #n,
	HV_VM_STATES(XX)
#undef XX
};

static const char *const input_names[] = {
#define XX(n) #n,
	HV_VM_INPUTS(XX)
#undef XX
};

#define S(n)	HV_VM_##n
#define START	hv__vm_act_start
#define STOP	hv__vm_act_stop
#define SETTLED hv__vm_act_settled
#define END	hv__vm_act_off
#define REBUILD hv__vm_act_rebuild
#define AGAIN	hv__vm_act_rebuild_run
#define LATER	hv__vm_act_later_reset
#define FAIL	hv__vm_act_failed
#define FENCE	hv__vm_act_fenced

// clang-format off
static const struct cm_fsm_cell cells[HV_VM_STATE_COUNT][HV_VM_INPUT_COUNT] = {
	[HV_VM_EMPTY] = {
		[HV_VM_IN_BUILT]  = CM_ACT(S(PAUSED), NULL),
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_ACT(S(OFF), END),
		[HV_VM_IN_RESET]  = CM_BAD,
		[HV_VM_IN_OFF]    = CM_BAD,
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_BAD,
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_PAUSED] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_ACT(S(RUNNING), START),
		[HV_VM_IN_PAUSE]  = CM_ACT(S(PAUSED), SETTLED),
		[HV_VM_IN_STOP]   = CM_ACT(S(OFF), END),
		[HV_VM_IN_RESET]  = CM_ACT(S(PAUSED), REBUILD),
		[HV_VM_IN_OFF]    = CM_ACT(S(OFF), END),
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_ACT(S(FAILED), FAIL),
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_RUNNING] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_ACT(S(PAUSING), STOP),
		[HV_VM_IN_STOP]   = CM_ACT(S(STOPPING), STOP),
		[HV_VM_IN_RESET]  = CM_ACT(S(RESETTING), STOP),
		[HV_VM_IN_OFF]    = CM_ACT(S(STOPPING), STOP),
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_ACT(S(FAILED), FAIL),
		[HV_VM_IN_FENCED] = CM_ACT(S(FENCED), FENCE),
	},
	[HV_VM_PAUSING] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_ACT(S(STOPPING), NULL),
		[HV_VM_IN_RESET]  = CM_ACT(S(PAUSING), LATER),
		[HV_VM_IN_OFF]    = CM_ACT(S(STOPPING), NULL),
		[HV_VM_IN_IDLE]   = CM_ACT(S(PAUSED), SETTLED),
		[HV_VM_IN_FAILED] = CM_ACT(S(FAILED), FAIL),
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_RESETTING] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_ACT(S(STOPPING), NULL),
		[HV_VM_IN_RESET]  = CM_IGN,
		[HV_VM_IN_OFF]    = CM_ACT(S(STOPPING), NULL),
		[HV_VM_IN_IDLE]   = CM_ACT(S(RUNNING), AGAIN),
		[HV_VM_IN_FAILED] = CM_ACT(S(FAILED), FAIL),
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_STOPPING] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_BAD,
		[HV_VM_IN_RESET]  = CM_IGN,
		[HV_VM_IN_OFF]    = CM_IGN,
		[HV_VM_IN_IDLE]   = CM_ACT(S(OFF), END),
		[HV_VM_IN_FAILED] = CM_IGN,
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_OFF] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_ACT(S(OFF), END),
		[HV_VM_IN_RESET]  = CM_IGN,
		[HV_VM_IN_OFF]    = CM_IGN,
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_IGN,
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_FAILED] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_BAD,
		[HV_VM_IN_PAUSE]  = CM_BAD,
		[HV_VM_IN_STOP]   = CM_ACT(S(STOPPING), STOP),
		[HV_VM_IN_RESET]  = CM_ACT(S(RESETTING), STOP),
		[HV_VM_IN_OFF]    = CM_IGN,
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_IGN,
		[HV_VM_IN_FENCED] = CM_IGN,
	},
	[HV_VM_FENCED] = {
		[HV_VM_IN_BUILT]  = CM_BAD,
		[HV_VM_IN_RUN]    = CM_ACT(S(RUNNING), START),
		[HV_VM_IN_PAUSE]  = CM_ACT(S(PAUSING), STOP),
		[HV_VM_IN_STOP]   = CM_ACT(S(STOPPING), STOP),
		[HV_VM_IN_RESET]  = CM_ACT(S(FENCED), LATER),
		[HV_VM_IN_OFF]    = CM_ACT(S(STOPPING), STOP),
		[HV_VM_IN_IDLE]   = CM_IGN,
		[HV_VM_IN_FAILED] = CM_ACT(S(FAILED), FAIL),
		[HV_VM_IN_FENCED] = CM_IGN,
	},
};
// clang-format on

const struct cm_fsm_def hv_vm_fsm = {
	.name = "vm",
	.states = HV_VM_STATE_COUNT,
	.events = HV_VM_INPUT_COUNT,
	.state_names = state_names,
	.event_names = input_names,
	.cells = &cells[0][0],
};

bool hv__vm_feed(struct hv_vm *vm, enum hv_vm_input in, const char *reason)
{
	const struct cm_fsm_cell *cell = &cells[vm->fsm.state][in];

	if (cell->kind == CM_FSM_BAD)
		return false;
	return cm_fsm_feed(&vm->fsm, in, reason, NULL);
}

const char *hv_vm_state_name(enum hv_vm_state state)
{
	if ((unsigned)state >= HV_VM_STATE_COUNT)
		return "?";
	return state_names[state] + sizeof("HV_VM_") - 1;
}
