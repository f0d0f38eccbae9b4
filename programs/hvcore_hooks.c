/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_hooks.c - the hooks of hv_core: takeover with a proof (fencing/), migration (migration/).
 * Parses the ids of the owner that the parent's evidence is about; the rest is fencing's.
 */
#include "config.h"

#include "programs/hvcore_hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_takeover.h"
#include "fencing/fen_wd.h"
#include "hvcore/hv_disks.h"
#include "migration/core/mig_core_dst.h"
#include "migration/core/mig_core_end.h"
#include "migration/core/mig_core_restore.h"
#include "migration/core/mig_core_save.h"
#include "migration/core/mig_core_src.h"
#include "programs/hvcore_heir.h"
#include "programs/hvcore_hooks.h"
#include "programs/hvcore_seccomp.h"
#include "sharedstorage/dev/stor_timing.h"

/* Where hvwatchdogd listens unless the start message says otherwise (option "watchdog"). */
#define HV_WATCHDOG_SOCKET "/run/hvcluster/watchdog.sock"

static struct hvcore_parts *parts_of(struct hv_core *core)
{
	return CM_CONTAINER(hv_core_hook_arg(core), struct hvcore_parts, migration);
}

static void taken(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct hvcore_parts *p = arg;

	p->taking = NULL;
	p->took(lease, rc, err, p->took_arg);
}

static void take_over(struct hv_core *core, struct stor_lease *lease, const Hv__Proof *proof,
		      stor_lease_done_fn done, void *arg)
{
	struct hvcore_parts *p = parts_of(core);
	struct fen_takeover_cfg cfg = {
		.lease = lease, .evidence = proof->evidence, .epoch = proof->epoch};

	if (stor_uuid_parse(proof->boot_id, &cfg.boot) < 0)
		memset(&cfg.boot, 0, sizeof cfg.boot); /* not known: the epoch has to do */
	cfg.dev = hv_disks_lease_dev(hv_core_disks(core), &cfg.offset_bytes);
	CM_ASSERT(cfg.dev);
	p->took = done;
	p->took_arg = arg;
	cm_notice("taking over from %s: %s", proof->node, proof->detail);
	p->taking = fen_takeover_start(&cfg, taken, p);
}

static bool end(struct hv_core *core)
{
	struct hvcore_parts *p = parts_of(core);

	if (p->taking)
		fen_takeover_cancel(p->taking);
	p->taking = NULL;
	return mig_core_end(core);
}

static void vcpu_begins(void)
{
	struct cm_err err = CM_ERR_INIT;

	/* The process' own filter stays in force in any case. */
	if (hvcore_seccomp_vcpu(&err) < 0)
		cm_warning("vCPU thread: %s", err.text);
}

/* --- hvwatchdogd: whoever cannot stop its own vCPUs is killed ------------------------------ */

static int watchdog_connect(const Hv__CoreStart *start)
{
	struct cm_err err = CM_ERR_INIT;
	const char *path = HV_WATCHDOG_SOCKET;
	bool asked = false;
	int fd;

	for (size_t i = 0; i < start->n_options; i++)
		if (strcmp(start->options[i]->key, "watchdog") == 0) {
			path = start->options[i]->value;
			asked = true;
		}
	if (!asked && access(path, F_OK) < 0)
		return -1;
	fd = fen_wd_connect(path, &err);
	if (fd < 0)
		cm_warning("%s", err.text);
	return fd;
}

static void alive(struct hv_core *core, uint64_t until_ns)
{
	uint32_t t = hv_core_start(core)->vm->io_timeout_ms;
	int fd = parts_of(core)->watchdog_fd, rc;

	if (fd < 0)
		return;
	if (!t)
		t = STOR_IO_TIMEOUT_MS;
	/* The vCPUs are out by STOR_STOPPED; who is not gone by STOR_KILL, hangs. */
	rc = until_ns ? fen_wd_alive(fd, until_ns + (STOR_KILL(t) - STOR_FAIL(t)) * CM_NS_PER_MS)
		      : fen_wd_bye(fd);
	if (rc < 0)
		cm_warning("hvwatchdogd: %s", cm_err_text(rc));
}

/* --- what hv_core and the control socket get --- */

const struct px_verb hvcore_verbs[HVCORE_VERBS] = {
	{"migrate", "address port max_blackout_ms hold verify", mig_core_verb_migrate, true},
	{"migrate-commit", "", mig_core_verb_commit, true},
	{"migrate-cancel", "", mig_core_verb_cancel, true},
	{"save", "image hold", mig_core_verb_save, true},
	{"save-cancel", "", mig_core_verb_save_cancel, true},
	{"take-over", "", hvcore_heir_take_over, true},
};

void hvcore_parts_init(struct hvcore_parts *p, const Hv__CoreStart *start,
		       const struct hv_engine_choice *engine)
{
	*p = (struct hvcore_parts){
		.hooks = {.alive = alive,
			  .vcpu_begins = vcpu_begins,
			  .take_over = take_over,
			  .incoming = mig_core_incoming,
			  .look_saved = mig_core_look_saved,
			  .restore = mig_core_restore,
			  .status = mig_core_status,
			  .end = end,
			  .engine = engine,
			  .arg = &p->migration},
		.watchdog_fd = watchdog_connect(start),
	};
}
