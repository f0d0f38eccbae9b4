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

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "fencing/fen_takeover.h"
#include "hvcore/hv_disks.h"
#include "migration/core/mig_core_dst.h"
#include "migration/core/mig_core_end.h"
#include "migration/core/mig_core_restore.h"
#include "migration/core/mig_core_save.h"
#include "migration/core/mig_core_src.h"
#include "programs/hvcore_heir.h"
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

static const char *start_option(const Hv__CoreStart *start, const char *key, const char *otherwise)
{
	for (size_t i = 0; i < start->n_options; i++)
		if (strcmp(start->options[i]->key, key) == 0)
			return start->options[i]->value;
	return otherwise;
}

static uint32_t timeout_ms(struct hv_core *core)
{
	uint32_t t = hv_core_start(core)->vm->io_timeout_ms;

	return t ? t : STOR_IO_TIMEOUT_MS;
}

/*
 * For the administrator: once when nobody watches over us, once when somebody does again. A host without a cluster
 * (the option is not given) and without hvwatchdogd is as it should be.
 */
static void watchdog_tell(struct hvcore_parts *p, enum stor_watchdog level)
{
	bool gone = level == STOR_WATCHDOG_NONE, new = p->unwatched != gone;
	const char *why = p->watchdog.why;

	p->unwatched = gone;
	if (gone && new && (p->watched || start_option(hv_core_start(p->core), "watchdog-required", NULL)))
		hv_core_event(p->core, "watchdog-lost", "warning", "",
			      "no hvwatchdogd watches over this VM (%s): if this process is frozen now, only a power switch "
			      "lets the VM start elsewhere; systemctl start hvwatchdogd",
			      why);
	else if (new && !gone)
		hv_core_event(p->core, "watchdog-found", "notice", "", "hvwatchdogd watches over this VM: %s",
			      stor_watchdog_name(level));
	p->watched |= !gone;
}

static void alive(struct hv_core *core, uint64_t until_ns)
{
	struct hvcore_parts *p = parts_of(core);
	uint32_t t = timeout_ms(core);

	/* The vCPUs are out by STOR_STOPPED; who is not gone by STOR_KILL, hangs. */
	fen_wd_client_until(&p->watchdog,
			    until_ns ? until_ns + (STOR_KILL(t) - STOR_FAIL(t)) * CM_NS_PER_MS : 0);
	if (until_ns)
		watchdog_tell(p, fen_wd_client_level(&p->watchdog));
}

static enum stor_watchdog watchdog(struct hv_core *core)
{
	return fen_wd_client_level(&parts_of(core)->watchdog);
}

/* True: there is nothing to wait for (any more). */
static bool watchdog_admits(struct hvcore_parts *p)
{
	const Hv__CoreStart *start = hv_core_start(p->core);

	return strcmp(start_option(start, "watchdog-required", "0"), "1") != 0 || !start->vm->lease[0] ||
	       fen_wd_client_level(&p->watchdog) != STOR_WATCHDOG_NONE;
}

static void watchdog_changed(struct fen_wd_client *client, enum stor_watchdog level, void *arg)
{
	struct hvcore_parts *p = arg;

	(void)client;
	if (!p->core || hv_core_is_ending(p->core) || !hv_core_start(p->core)->vm->lease[0])
		return;
	if (p->watchdog_need.armed && level != STOR_WATCHDOG_NONE) {
		cm_timer_disarm(&p->watchdog_need);
		hv_core_admitted(p->core);
	} else if (p->watchdog.until_ns) {
		watchdog_tell(p, level);
	}
}

static void watchdog_missing(struct cm_timer *t, void *arg)
{
	struct hvcore_parts *p = arg;

	(void)t;
	hv_core_start_failed(p->core, CM_E_NO_WATCHDOG, NULL,
			     "hvwatchdogd does not watch over this VM (%s): start it on node %s (systemctl enable --now "
			     "hvwatchdogd), or set watchdog_required = no in hvcluster.conf if a power switch fences every "
			     "node",
			     p->watchdog.why, hv_core_start(p->core)->node);
}

/* The start goes on when hvwatchdogd has answered, if it must; one that is being restarted gets its time. */
static void admit(struct hv_core *core)
{
	struct hvcore_parts *p = parts_of(core);

	if (watchdog_admits(p))
		hv_core_admitted(core);
	else
		cm_timer_arm_ms(&p->watchdog_need, STOR_FAIL(timeout_ms(core)));
}

static void status(struct hv_core *core, struct hv_json *j)
{
	struct hvcore_parts *p = parts_of(core);

	if (hv_core_start(core)->vm->lease[0]) {
		hv_json_open(j, "watchdog", '{');
		hv_json_str(j, "level", stor_watchdog_name(fen_wd_client_level(&p->watchdog)));
		hv_json_str(j, "why", p->watchdog.why);
		hv_json_close(j, '}');
	}
	mig_core_status(core, j);
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

void hvcore_parts_init(struct hvcore_parts *p, struct cm_loop *loop, const Hv__CoreStart *start,
		       const struct hv_engine_choice *engine)
{
	*p = (struct hvcore_parts){
		.hooks = {.alive = alive,
			  .watchdog = watchdog,
			  .admit = admit,
			  .vcpu_begins = vcpu_begins,
			  .take_over = take_over,
			  .incoming = mig_core_incoming,
			  .look_saved = mig_core_look_saved,
			  .restore = mig_core_restore,
			  .status = status,
			  .end = end,
			  .engine = engine,
			  .arg = &p->migration},
	};
	cm_timer_init(&p->watchdog_need, loop, watchdog_missing, p);
	fen_wd_client_init(&p->watchdog, loop, start_option(start, "watchdog", HV_WATCHDOG_SOCKET),
			   start->vm ? start->vm->io_timeout_ms : 0, watchdog_changed, p);
}

void hvcore_parts_fini(struct hvcore_parts *p)
{
	fen_wd_client_fini(&p->watchdog);
	cm_timer_fini(&p->watchdog_need);
}
