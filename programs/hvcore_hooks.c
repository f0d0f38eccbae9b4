/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_hooks.c - the hooks of hv_core: takeover with a proof (fencing/), migration (migration/).
 * Parses the evidence that the parent gave, through fencing/, against the block as it is now. If
 * the parent has none ("watch"), makes proof (d) here: the owner's lease must visibly expire, and
 * its keys be gone.
 */
#include "config.h"

#include "programs/hvcore_hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
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

struct takeover {
	struct hvcore_parts *parts;
	struct stor_lease *lease;
	struct stor_dev *dev;
	uint64_t offset_bytes;
	const Hv__Proof *proof;
	stor_lease_done_fn done;
	void *arg;
};

static void watched(struct fen_proof *proof, const struct cm_err *err, void *arg)
{
	struct takeover *t = arg;

	t->parts->watching = NULL;
	if (proof)
		fen_take_over(t->lease, proof, false, t->done, t->arg);
	else
		t->done(t->lease, err->code, err, t->arg);
	free(t);
}

/* True: watched comes later. */
static bool watch(struct takeover *t, const struct stor_block *b, struct cm_err *err)
{
	cm_notice(
		"nothing is known of the owner on node %s: its lease has to expire before our eyes",
		b->owner.node);
	t->parts->watching = fen_shut_out_start(t->dev, t->offset_bytes, watched, t, err);
	return t->parts->watching != NULL;
}

static void block_read(int rc, const struct stor_block *b, void *arg)
{
	struct takeover *t = arg;
	struct cm_err err = CM_ERR_INIT;
	struct fen_proof *proof = NULL;

	/* The block may have been released meanwhile: then no proof is needed. */
	if (rc == -ENODATA || (rc == 0 && b->state == STOR_BLOCK_FREE)) {
		stor_lease_acquire(t->lease, t->done, t->arg);
		goto out;
	}
	if (rc == 0 && fen_evidence_is_watch(t->proof->evidence)) {
		if (watch(t, b, &err))
			return;
		rc = err.code;
	} else if (rc == 0) {
		rc = fen_proof_from_evidence(b, t->proof->evidence, &proof, &err);
	}
	if (rc < 0) {
		cm_err_set(&err, rc, "reading the ownership block: %s", cm_err_text(rc));
		t->done(t->lease, rc, &err, t->arg);
		goto out;
	}
	cm_notice("taking over from %s: %s", b->owner.node, t->proof->detail);
	fen_take_over(t->lease, proof, false, t->done, t->arg);
out:
	free(t);
}

static void take_over(struct hv_core *core, struct stor_lease *lease, const Hv__Proof *proof,
		      stor_lease_done_fn done, void *arg)
{
	struct takeover *t = calloc(1, sizeof *t);

	CM_ASSERT(t);
	*t = (struct takeover){
		.parts = parts_of(core), .lease = lease, .proof = proof, .done = done, .arg = arg};
	t->dev = hv_disks_lease_dev(hv_core_disks(core), &t->offset_bytes);
	CM_ASSERT(t->dev);
	stor_block_read(t->dev, t->offset_bytes, block_read, t);
}

static bool end(struct hv_core *core)
{
	struct hvcore_parts *p = parts_of(core);

	if (p->watching)
		fen_shut_out_cancel(p->watching);
	p->watching = NULL;
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
