/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core.c - the course of the process, as a chain of callbacks on the loop. Each step names the
 * next one.
 *
 * Parses nothing itself (hv_core_conf.c has the operator's configuration).
 */
#include "config.h"

#include "hvcore/hv_core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/hv_core_int.h"
#include "hvcore/machine/hv_char.h"
#include "proto/px_words.h"

/* --- what others ask for --------------------------------------------------------- */

struct cm_loop *hv_core_loop(struct hv_core *core)
{
	return core->loop;
}

struct hv_vm *hv_core_vm(struct hv_core *core)
{
	return core->vm;
}

struct hv_disks *hv_core_disks(struct hv_core *core)
{
	return core->disks;
}

struct hv_owner *hv_core_owner(struct hv_core *core)
{
	return core->owner;
}

const Hv__CoreStart *hv_core_start(const struct hv_core *core)
{
	return core->start;
}

void *hv_core_hook_arg(struct hv_core *core)
{
	return core->hooks.arg;
}

enum hv_core_state hv_core_state(const struct hv_core *core)
{
	return core->state;
}

const char *hv_core_state_word(enum hv_core_state state)
{
	return px_vm_state_word((Hv__VmState)state);
}

void hv_core_event(struct hv_core *core, const char *kind, const char *severity, const char *doc,
		   const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(severity, "error") == 0)
		cm_error("%s: %s", kind, text);
	else
		cm_notice("%s: %s", kind, text);
	if (core->ctl)
		hv_ctl_event(core->ctl, kind, severity, text, doc);
}

void hv_core_set_state(struct hv_core *core, enum hv_core_state state)
{
	if (core->state == state)
		return;
	core->state = state;
	if (state == HV_CORE_RUNNING && !core->ran_ns)
		core->ran_ns = cm_now_ns();
	hv_core_event(core, "state", "notice", "", "%s", hv_core_state_word(state));
}

/* --- the answer to who started us --------------------------------------------------- */

static void send_answer(struct hv_core *core, Hv__Reply *r)
{
	struct cm_buf b;

	if (core->start_fd < 0)
		return;
	cm_buf_init(&b, 1u << 20);
	/* Whoever started us may be gone by now; that is no trouble of the VM. */
	if (px_frame_put(&b, PX_REPLY, r) == 0 &&
	    send(core->start_fd, b.data, b.len, MSG_NOSIGNAL) < 0)
		cm_info("nobody waits for the answer to the start: %s", strerror(errno));
	cm_buf_fini(&b);
	close(core->start_fd);
	core->start_fd = -1;
}

void hv_core_started(struct hv_core *core, enum hv_core_state state, const char *doc)
{
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_json j;

	hv_core_set_state(core, state);
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "state", hv_core_state_word(state));
	hv_json_u64(&j, "pid", (uint64_t)getpid());
	hv_json_u64(&j, "epoch", core->owner ? stor_lease_epoch(hv_owner_lease(core->owner)) : 0);
	hv_json_bool(&j, "restored", core->restore);
	hv_json_close(&j, '}');
	r.doc = (char *)(uintptr_t)(doc ? doc : hv_json_text(&j));
	r.state = (Hv__VmState)state;
	r.epoch = core->owner ? stor_lease_epoch(hv_owner_lease(core->owner)) : 0;
	send_answer(core, &r);
	hv_json_fini(&j);
}

void hv_core_start_failed(struct hv_core *core, int code, const char *doc, const char *fmt, ...)
{
	Hv__Reply r = HV__REPLY__INIT;
	char text[CM_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* In the foreground whoever started us says it to the person. */
	if (!core->start->foreground)
		cm_error("start failed: %s (%s)", text, cm_err_name(code));
	hv_core_set_state(core, HV_CORE_FAILED);
	r.code = code;
	r.error = text;
	r.doc = (char *)(uintptr_t)(doc ? doc : "");
	r.state = HV__VM_STATE__VM_FAILED;
	send_answer(core, &r);
	hv_core_end(core, 1, core->owned);
}

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

/* --- the steps of the start ----------------------------------------------------------------- */

static void failed(struct hv_core *core, const struct cm_err *err)
{
	hv_core_start_failed(core, err->code, NULL, "%s", err->text);
}

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
		failed(core, &err);
	else
		hv_core_started(core, HV_CORE_RUNNING, NULL);
}

void hv_core_restored(struct hv_core *core, const struct cm_err *err)
{
	if (err->code)
		failed(core, err);
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
	struct cm_err err = CM_ERR_INIT;

	if (core->ending)
		return;
	if (rc < 0) {
		failed(core, disk_err);
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
		rc = core->hooks.restore
			     ? core->hooks.restore(core, core->restore ? NULL : core->start->restore_image, &err)
			     : CM_E_UNSUPPORTED;
	else if (rc == 0)
		rc = hv_vm_boot(core->vm, &err);
	if (rc < 0) {
		cm_err_set(&err, rc, "%s", cm_err_text(rc));
		failed(core, &err);
	} else if (!core->start->incoming && !restores(core)) {
		run_it(core);
	}
}

static void open_disks(struct hv_core *core)
{
	enum hv_disks_claim claim = HV_DISKS_CLAIM_TAKE;

	if (core->start->incoming)
		claim = HV_DISKS_CLAIM_NONE;
	else if (core->restore)
		claim = HV_DISKS_CLAIM_KEEP;
	hv_disks_open(core->disks, claim, disks_opened, core);
}

void hv_core_go_on(struct hv_core *core, bool restore)
{
	if (core->ending)
		return;
	core->restore = restore;
	open_disks(core);
}

static bool option(const struct hv_core *core, const char *key)
{
	for (size_t i = 0; i < core->start->n_options; i++)
		if (strcmp(core->start->options[i]->key, key) == 0)
			return strcmp(core->start->options[i]->value, "1") == 0;
	return false;
}

/* The block is ours; but it was only to be given back (its last process here died). */
static void release_only(struct hv_core *core)
{
	hv_core_started(core, HV_CORE_STOPPING, NULL);
	hv_core_end(core, 0, true);
}

struct no_proof {
	struct hv_core *core;
	struct cm_err err;
};

/* Whoever owns the block did not release it: says who, so that a proof can be sought. */
static void owner_read(int rc, const struct stor_block *b, void *arg)
{
	struct no_proof *n = arg;
	char boot[STOR_UUID_TEXT];
	struct hv_json j;

	if (rc < 0 || b->state != STOR_BLOCK_RUNNING) {
		hv_core_start_failed(n->core, n->err.code, NULL, "%s", n->err.text);
		free(n);
		return;
	}
	stor_uuid_format(&b->owner.boot, boot);
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "owner_node", b->owner.node);
	hv_json_str(&j, "owner_boot_id", boot);
	hv_json_u64(&j, "owner_pid", b->owner.pid);
	hv_json_u64(&j, "epoch", b->epoch);
	hv_json_u64(&j, "pr_key", b->owner.keys[0]);
	hv_json_str(&j, "state", "running");
	hv_json_str(&j, "peer_node", b->peer.node);
	hv_json_close(&j, '}');
	hv_core_start_failed(n->core, CM_E_LEASE_NO_PROOF, hv_json_text(&j), "%s", n->err.text);
	hv_json_fini(&j);
	free(n);
}

static void tell_owner(struct hv_core *core, const struct cm_err *err)
{
	struct no_proof *n = calloc(1, sizeof(*n));
	uint64_t offset_bytes = 0;
	struct stor_dev *dev = hv_disks_lease_dev(core->disks, &offset_bytes);

	CM_ASSERT(n && dev);
	n->core = core;
	n->err = *err;
	stor_block_read(dev, offset_bytes, owner_read, n);
}

static void owned(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct hv_core *core = arg;

	(void)lease;
	if (core->ending)
		return;
	if (rc == CM_E_LEASE_HELD || rc == CM_E_LEASE_NO_PROOF) {
		tell_owner(core, err);
		return;
	}
	if (rc < 0) {
		hv_core_start_failed(core, rc, NULL, "%s", err->text);
		return;
	}
	core->owned = true;
	if (option(core, "release"))
		release_only(core);
	else if (core->hooks.look_saved && !core->start->restore_image[0])
		core->hooks.look_saved(core); /* a VM that was saved never boots by accident */
	else
		open_disks(core);
}

static void owner_gone(void *arg, enum stor_lost reason)
{
	struct hv_core *core = arg;

	core->owned = false;
	hv_core_event(core, "lease-lost", "error", "", "the VM was stopped here: %s",
		      stor_lost_name(reason));
	hv_core_end(core, 2, false);
}

static void owner_running(void *arg, bool runs)
{
	hv_core_event(arg, runs ? "lease-regained" : "lease-expired", runs ? "notice" : "error", "",
		      runs ? "renewals succeed again, the VM runs on"
			   : "no renewal succeeded in time, the vCPUs are stopped");
}

static void owner_renewed(void *arg, uint64_t valid_until_ns)
{
	struct hv_core *core = arg;

	if (core->hooks.alive)
		core->hooks.alive(core, valid_until_ns);
}

static const struct hv_owner_ops owner_ops = {
	.gone = owner_gone,
	.renewed = owner_renewed,
	.running = owner_running,
};

static void stores_opened(void *arg, int rc, const struct cm_err *store_err)
{
	struct hv_core *core = arg;
	struct cm_err err = CM_ERR_INIT;
	const Hv__VmConfig *c = core->start->vm;

	if (core->ending)
		return;
	if (rc < 0) {
		failed(core, store_err);
		return;
	}
	if (!c->lease[0]) {
		open_disks(core);
		return;
	}
	rc = hv_owner_new(&core->owner, core->disks, &core->uuid, core->start->node, c->name,
			  c->io_timeout_ms, &owner_ops, core, &err);
	if (rc < 0)
		failed(core, &err);
	else if (core->start->incoming)
		open_disks(core);
	else if (core->start->proof)
		core->hooks.take_over(core, hv_owner_lease(core->owner), core->start->proof, owned,
				      core);
	else
		stor_lease_acquire(hv_owner_lease(core->owner), owned, core);
}

static int open_stores(struct hv_core *core, struct cm_err *err)
{
	const Hv__VmConfig *c = core->start->vm;
	struct hv_disks_config d = {
		.disks = (unsigned)c->n_disks,
		.lease_url = c->lease,
		.vm = core->uuid,
		.node = core->start->node,
		.host_slot = (uint16_t)core->start->host_slot,
		.io_timeout_ms = c->io_timeout_ms,
		.io_fail_after_ms = c->io_fail_after_ms,
	};
	int rc;

	for (size_t i = 0; i < c->n_disks; i++) {
		d.disk[i].url = c->disks[i]->url;
		d.disk[i].read_only = c->disks[i]->readonly;
	}
	rc = hv_disks_new(&core->disks, core->loop, &d, stores_opened, core, err);
	if (rc == 0 && hv_disks_stores(core->disks) == 0)
		stores_opened(core, 0, err);
	return rc;
}

static void begin(void *arg)
{
	struct hv_core *core = arg;
	struct cm_err err = CM_ERR_INIT;

	if (open_stores(core, &err) < 0)
		failed(core, &err);
}

int hv_core_new(struct hv_core **out, struct cm_loop *loop, const Hv__CoreStart *start,
		int start_fd, const struct hv_core_hooks *hooks, struct cm_err *err)
{
	struct hv_core *core = calloc(1, sizeof(*core));
	int rc;

	*out = core;
	if (!core)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	core->loop = loop;
	core->start = start;
	core->start_fd = start_fd;
	core->hooks = *hooks;
	core->state = HV_CORE_STARTING;
	core->born_ns = cm_now_ns();
	core->console_log_fd = core->heartbeat_fd = core->kvm_fd = -1;
	core->vmcfg.kernel_fd = core->vmcfg.initrd_fd = -1;
	rc = hv__core_configure(core, err);
	if (rc == 0)
		rc = hv_ctl_new(&core->ctl, core, err);
	if (rc == 0)
		rc = cm_loop_post(loop, begin, core);
	if (rc < 0)
		hv_core_start_failed(core, rc, NULL, "%s", err->text);
	return 0;
}

void hv_core_free(struct hv_core *core)
{
	if (!core)
		return;
	if (core->vmcfg.kernel_fd >= 0)
		close(core->vmcfg.kernel_fd);
	if (core->vmcfg.initrd_fd >= 0)
		close(core->vmcfg.initrd_fd);
	if (core->console_log_fd >= 0)
		close(core->console_log_fd);
	if (core->heartbeat_fd >= 0)
		close(core->heartbeat_fd);
	free(core);
}
