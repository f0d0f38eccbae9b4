/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_fsm.h - the table of a VM's states, for whoever runs, draws or tests it.
 *
 * Constant data. Thread: [any].
 */
#ifndef HV_VM_FSM_H
#define HV_VM_FSM_H

#include "common/cm_fsm.h"

/* States of hv_vm.h; its actions want a struct hv_vm as ctx. */
const struct cm_fsm_def *hv_vm_fsm(void);

#endif
