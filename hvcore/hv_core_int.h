/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_int.h - the body of struct hv_core, for hv_core*.c. Everything [loop].
 */
#ifndef HV_CORE_INT_H
#define HV_CORE_INT_H

#include "common/cm_loop.h"
#include "hvcore/hv_core.h"
#include "hvcore/hv_disks.h"
#include "hvcore/hv_owner.h"
#include "hvcore/hv_qga.h"
#include "hvcore/vm/hv_vm_flush.h"

#define HV_CORE_ENDERS 8u

struct hv_core {
	struct cm_loop *loop;
	const Hv__CoreStart *start;
	struct hv_core_hooks hooks;
	int start_fd;
	enum hv_core_state state;
	uint64_t born_ns, ran_ns;

	struct stor_uuid uuid;
	struct hv_disks *disks;
	struct hv_owner *owner;
	bool owned;
	bool restore; /* from the saved state on the volume */
	struct hv_vm *vm;
	struct hv_qga *qga; /* with the VM */
	struct hv_vm_config vmcfg;
	struct hv_core_watcher watcher;
	int console_log_fd, heartbeat_fd;

	/* the end */
	bool ending, release, closing;
	int exit_code, release_rc;
	struct {
		hv_vm_done_fn fn;
		void *arg;
	} ender[HV_CORE_ENDERS];
	unsigned enders;
	struct hv_vm_flush flush;
	struct cm_timer linger, giveup;
};

/* hv_core_conf.c: fills core->vmcfg from core->start, opens kernel and initrd. */
int hv__core_configure(struct hv_core *core, struct cm_err *err);
/* An option of the start message; NULL. */
const char *hv__core_option(const struct hv_core *core, const char *key);
/* hv_core_answer.c: hv_core_start_failed with what err says. */
void hv__core_failed(struct hv_core *core, const struct cm_err *err);
/* hv_core_build.c: the block is ours, or there is none: on to the disks and the VM. */
void hv__core_open_disks(struct hv_core *core);

#endif
