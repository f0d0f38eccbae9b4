/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core.c - the process from its configuration to the ownership of the VM, as a chain of
 * callbacks on the loop; each step names the next one. hv_core_build.c goes on from there.
 *
 * Parses nothing itself (hv_core_conf.c has the operator's configuration).
 */
#include "config.h"

#include "hvcore/hv_core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "hvcore/hv_core_int.h"

/* --- ownership -------------------------------------------------------------------------- */

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
	hv_json_u64(&j, "pr_key", b->owner.keys[0].key);
	hv_json_str(&j, "state", "running");
	hv_json_str(&j, "peer_node", b->peer.node);
	hv_json_close(&j, '}');
	hv_core_start_failed(n->core, CM_E_LEASE_NO_PROOF, hv_json_text(&j), "%s", n->err.text);
	hv_json_fini(&j);
	free(n);
}

static void tell_owner(struct hv_core *core, const struct cm_err *err)
{
	struct no_proof *n = calloc(1, sizeof *n);
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
	const char *release = hv__core_option(core, "release");

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
	if (release && strcmp(release, "1") == 0)
		release_only(core);
	else if (core->hooks.look_saved && !core->start->restore_image[0])
		core->hooks.look_saved(core); /* a VM that was saved never boots by accident */
	else
		hv__core_open_disks(core);
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

static enum stor_watchdog owner_watchdog(void *arg)
{
	struct hv_core *core = arg;

	return core->hooks.watchdog ? core->hooks.watchdog(core) : STOR_WATCHDOG_NONE;
}

static const struct hv_owner_ops owner_ops = {
	.gone = owner_gone,
	.renewed = owner_renewed,
	.watchdog = owner_watchdog,
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
		hv__core_failed(core, store_err);
		return;
	}
	if (!c->lease[0]) {
		hv__core_open_disks(core);
		return;
	}
	rc = hv_owner_new(&core->owner, core->disks, &core->uuid, core->start->node, c->name,
			  c->io_timeout_ms, &owner_ops, core, &err);
	if (rc < 0)
		hv__core_failed(core, &err);
	else if (core->start->incoming)
		hv__core_open_disks(core);
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

void hv_core_admitted(struct hv_core *core)
{
	struct cm_err err = CM_ERR_INIT;

	if (!core->ending && open_stores(core, &err) < 0)
		hv__core_failed(core, &err);
}

static void begin(void *arg)
{
	struct hv_core *core = arg;

	if (core->ending)
		return;
	if (core->hooks.admit)
		core->hooks.admit(core);
	else
		hv_core_admitted(core);
}

int hv_core_new(struct hv_core **out, struct cm_loop *loop, const Hv__CoreStart *start,
		int start_fd, const struct hv_core_hooks *hooks, struct cm_err *err)
{
	struct hv_core *core = calloc(1, sizeof *core);
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
	core->console_log_fd = core->heartbeat_fd = -1;
	core->vmcfg.kernel_fd = core->vmcfg.initrd_fd = -1;
	rc = hv__core_configure(core, err);
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
