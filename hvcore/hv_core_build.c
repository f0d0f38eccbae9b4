/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_build.c - the second half of the start: disks, the VM built on them, and what fills it:
 * the kernel, a saved state, or another process. Then what the VM tells.
 *
 * Parses nothing itself.
 */
#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/hv_core_int.h"
#include "hvcore/machine/hv_char.h"

/* --- the VM's own events ------------------------------------------------------------- */

static void vm_event(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	struct hv_core *core = arg;

	(void)vm;
	switch (ev) {
	case HV_VM_EV_POWERED_OFF:
		hv_core_event(core, "guest-off", "notice", "", "%s", text);
		hv_core_end(core, 0, true);
		break;
	case HV_VM_EV_RESET:
		hv_core_event(core, "guest-reset", "notice", "", "%s", text);
		break;
	case HV_VM_EV_PANIC:
		hv_core_event(core, "guest-panic", "error", "", "%s", text);
		break;
	case HV_VM_EV_FAILED:
		hv_core_event(core, "guest-failed", "error", "", "%s", text);
		if (core->start->foreground)
			fprintf(stderr, "hvcore: the guest cannot run on: %s\n", text);
		hv_core_set_state(core, HV_CORE_FAILED);
		/* Pacemaker sees "failed" and restarts it; alone, the process ends. */
		if (core->start->foreground)
			hv_core_end(core, 3, true);
		break;
	case HV_VM_EV_FENCED:
		if (core->hooks.alive)
			core->hooks.alive(core, 0);
		hv_core_event(core, "stopped-by-lease", "error", "",
			      "the vCPUs are stopped: no valid lease");
		break;
	case HV_VM_EV_NONE:
		break;
	}
}

/* --- attachments ------------------------------------------------------------------------ */

static void operator_quits(void *arg)
{
	hv_core_end(arg, 0, true);
}

static void attach_chars(struct hv_core *core)
{
	struct hv_char *serial = hv_vm_serial(core->vm);
	int rc = 0;

	hv_lock_take(hv_vm_lock(core->vm));
	if (core->console_log_fd >= 0)
		hv_char_tap(serial, core->console_log_fd);
	if (core->start->foreground) {
		rc = hv_char_attach(serial, STDIN_FILENO, STDOUT_FILENO, 0, NULL, NULL);
		if (isatty(STDIN_FILENO))
			hv_char_set_escape(serial, operator_quits, core);
	}
	if (rc == 0 && core->heartbeat_fd >= 0)
		rc = hv_char_attach(hv_vm_debugport(core->vm), -1, core->heartbeat_fd, 0, NULL,
				    NULL);
	hv_lock_drop(hv_vm_lock(core->vm));
	if (rc < 0)
		cm_warning("attaching the console: %s", cm_err_text(rc));
}

/* --- the steps ------------------------------------------------------------------------------ */

int hv_core_run(struct hv_core *core, struct cm_err *err)
{
	int rc;

	if (!core->owner)
		hv_vm_set_run_until(core->vm, HV_RUN_FOREVER);
	rc = hv_vm_run(core->vm, err);
	if (rc == 0)
		hv_core_set_state(core, HV_CORE_RUNNING);
	return rc;
}

static void run_it(struct hv_core *core)
{
	struct cm_err err = CM_ERR_INIT;

	if (hv_core_run(core, &err) < 0)
		hv__core_failed(core, &err);
	else
		hv_core_started(core, HV_CORE_RUNNING, NULL);
}

void hv_core_restored(struct hv_core *core, const struct cm_err *err)
{
	if (err->code)
		hv__core_failed(core, err);
	else
		run_it(core);
}

static int build_vm(struct hv_core *core, struct cm_err *err)
{
	const struct hv_vm_owner owner = {.event = vm_event, .arg = core};
	int rc;

	for (size_t i = 0; i < core->start->vm->n_disks; i++)
		core->vmcfg.disk[i].dev = hv_disks_dev(core->disks, (unsigned)i);
	rc = hv_vm_new(&core->vm, &core->vmcfg, core->loop, &owner, err);
	if (rc < 0)
		return rc;
	rc = hv_qga_new(&core->qga, core->loop, hv_vm_lock(core->vm), hv_vm_agent_port(core->vm));
	if (rc < 0)
		return cm_err_set(err, rc, "out of memory");
	if (core->owner)
		hv_owner_set_vm(core->owner, core->vm);
	attach_chars(core);
	if (core->start->foreground && hv_vm_engine_why(core->vm)[0])
		fprintf(stderr, "hvcore: engine %s: %s\n", hv_vm_engine_ops(core->vm)->name,
			hv_vm_engine_why(core->vm));
	return 0;
}

static bool restores(const struct hv_core *core)
{
	return core->restore || core->start->restore_image[0];
}

static void disks_opened(void *arg, int rc, const struct cm_err *disk_err)
{
	struct hv_core *core = arg;
	const char *image = core->restore ? NULL : core->start->restore_image;
	struct cm_err err = CM_ERR_INIT;

	if (core->ending)
		return;
	if (rc < 0) {
		hv__core_failed(core, disk_err);
		return;
	}
	rc = cm_fault("core-build");
	if (rc == 0)
		rc = build_vm(core, &err);
	if (rc == 0 && core->start->incoming)
		rc = hv_vm_prepare(core->vm, NULL, &err);
	if (rc == 0 && core->start->incoming)
		rc = core->hooks.incoming ? core->hooks.incoming(core, &err) : CM_E_UNSUPPORTED;
	else if (rc == 0 && restores(core))
		rc = core->hooks.restore ? core->hooks.restore(core, image, &err)
					 : CM_E_UNSUPPORTED;
	else if (rc == 0)
		rc = hv_vm_boot(core->vm, &err);
	if (rc < 0) {
		cm_err_set(&err, rc, "%s", cm_err_text(rc));
		hv__core_failed(core, &err);
	} else if (!core->start->incoming && !restores(core)) {
		run_it(core);
	}
}

void hv__core_open_disks(struct hv_core *core)
{
	enum hv_disks_claim claim = HV_DISKS_CLAIM_TAKE;

	if (core->start->incoming)
		claim = HV_DISKS_CLAIM_NONE;
	else if (core->restore)
		claim = HV_DISKS_CLAIM_KEEP;
	hv_disks_open(core->disks, claim, hv_core_epoch(core), disks_opened, core);
}

void hv_core_go_on(struct hv_core *core, bool restore)
{
	if (core->ending)
		return;
	core->restore = restore;
	hv__core_open_disks(core);
}
