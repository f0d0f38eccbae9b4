/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_vm.c - the VM that a request is about, or its refusal. Parses nothing.
 */
#include "config.h"

#include "hvcore/control/hv_ctl_int.h"

static void refuse(struct px_req *q, const struct hv_core *core)
{
	px_req_failf(q, CM_E_VM_STATE, "the VM is %s", hv_core_state_word(hv_core_state(core)));
}

struct hv_vm *hv__ctl_vm(struct px_req *q, struct hv_core *core)
{
	struct hv_vm *vm = hv_core_vm(core);

	if (vm && !hv_core_is_ending(core))
		return vm;
	refuse(q, core);
	return NULL;
}

struct hv_vm *hv__ctl_vm_in(struct px_req *q, struct hv_core *core, enum hv_core_state state)
{
	struct hv_vm *vm = hv__ctl_vm(q, core);

	if (!vm || hv_core_state(core) == state)
		return vm;
	refuse(q, core);
	return NULL;
}
