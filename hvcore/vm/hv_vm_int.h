/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vm_int.h - the body of struct hv_vm, for the files hv_vm*.c only.
 *
 * Everything is [loop] except what vCPU threads and the guard post to it.
 */
#ifndef HV_VM_INT_H
#define HV_VM_INT_H

#include "common/cm_fsm.h"
#include "hvcore/cpu/hv_vcpus.h"
#include "hvcore/machine/hv_port.h"
#include "hvcore/vm/hv_devset.h"
#include "hvcore/vm/hv_vm.h"

/* What happens to a VM. */
// clang-format off
#define HV_VM_INPUTS(XX) \
	XX(BUILT)   /* devices and vCPUs have a state */ \
	XX(RUN) \
	XX(PAUSE) \
	XX(STOP) \
	XX(RESET)   /* by the owner or the guest */ \
	XX(OFF)     /* by the guest */ \
	XX(IDLE)    /* all devices have drained */ \
	XX(FAILED)  /* a vCPU cannot go on, or a rebuild failed */ \
	XX(FENCED)  /* run-until passed */
enum hv_vm_input {
	HV_VM_IN_NONE,
#define XX(n) HV_VM_IN_##n,
	HV_VM_INPUTS(XX)
#undef XX
	HV_VM_INPUT_COUNT
};
// clang-format on

struct hv_vm {
	const struct hv_vm_config *cfg;
	struct cm_loop *loop;
	struct hv_vm_owner owner;
	struct cm_fsm fsm;

	struct hv_lock lock;
	struct hv_mem *mem;
	struct hv_bus *bus;
	struct hv_engine *engine;
	const struct hv_engine_ops *eops;
	struct hv_vcpus *vcpus;
	bool vcpus_created, contracted;
	struct hv_cpuid cpuid;

	struct hv_char *serial, *console, *debugport;
	struct hv_port agent_port; /* of the virtio console; set up by its user */
	struct hv_char_config serial_cfg, console_cfg, debugport_cfg;
	struct hv_blk_config blk_cfg[HV_SLOT_BLK_MAX];
	struct hv_nic_config nic_cfg[HV_SLOT_NET_MAX];
	struct hv_devset_config devcfg;
	struct hv_devset devs;

	/* Waiting for PAUSED or OFF. */
	hv_vm_done_fn done;
	void *done_arg;
	bool reset_pending; /* the guest asked for it while it was being paused; saved */
	bool dead;
	unsigned resets;
	char why[256]; /* of FAILED */
};

/* hv_vm_note.c: feeds one input; false: not possible in this state. */
bool hv__vm_feed(struct hv_vm *vm, enum hv_vm_input in, const char *reason);
/* Tells the owner, later on the loop. [any] */
void hv__vm_tell(struct hv_vm *vm, enum hv_vm_event ev, const char *text);
/* Callbacks of devices and vCPUs [any]; they post to the loop. */
void hv__vm_guest_event(void *arg, enum hv_guest_event event);
void hv__vm_dev_idle(void *arg, struct hv_dev *dev);
extern const struct hv_vcpus_ops hv__vm_vcpus_ops;

/* hv_vm_act.c: the actions of the table. */
unsigned hv__vm_act_start(void *ctx, void *arg);
unsigned hv__vm_act_stop(void *ctx, void *arg);
unsigned hv__vm_act_settled(void *ctx, void *arg);
unsigned hv__vm_act_off(void *ctx, void *arg);
unsigned hv__vm_act_rebuild(void *ctx, void *arg);
unsigned hv__vm_act_rebuild_run(void *ctx, void *arg);
unsigned hv__vm_act_later_reset(void *ctx, void *arg);
unsigned hv__vm_act_failed(void *ctx, void *arg);
unsigned hv__vm_act_fenced(void *ctx, void *arg);

/* hv_vm_build.c */
int hv__vm_engine_open(struct hv_vm *vm, struct cm_err *err);
int hv__vm_vcpus_make(struct hv_vm *vm, struct cm_err *err);
int hv__vm_vcpus_create(struct hv_vm *vm, const struct hv_cpuid *contract, struct cm_err *err);
int hv__vm_power_on(struct hv_vm *vm, struct cm_err *err);
int hv__vm_build_devices(struct hv_vm *vm, void **states, struct cm_err *err);
void hv__vm_plan_devices(struct hv_vm *vm);

#endif
