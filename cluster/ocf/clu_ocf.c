/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The actions of ocf:hvcluster:VirtualMachine. Decides nothing about placement or ownership: it asks, and
 * translates the answer into an exit code. Parses the environment that pacemaker gives (operators' words)
 * and the replies of hvclusterd and hvcore.
 */
#include "config.h"

#include "cluster/ocf/clu_ocf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/ocf/clu_ocf_int.h"
#include "cluster/vm/clu_vmconf.h"
#include "common/cm_clock.h"
#include "proto/px_req.h"
#include "proto/px_words.h"

#define ANSWER_MS      8000u  /* a healthy hvcore answers in far less */
#define KILL_MS	       5000u
#define GRACE_MAX_MS   60000u /* a guest that has not shut down by then is ended */
#define RESERVE_MS     20000u /* of an action's time limit, kept for the means of force */
#define LIMIT_DFLT_MS  60000u
#define MARGIN_MS	 3000u /* of an action's time limit, kept for telling why it failed */
#define DAEMON_RETRY_MS 250u

struct call {
	const struct clu_ocf *o;
	const char *vm;
	char vm_sock[192], daemon_sock[192];
	unsigned answer_ms;
	uint64_t limit_ms; /* the action's own time limit */
	uint64_t start_ms;
};

typedef int (*action_fn)(struct call *k);

/* --- helpers ---------------------------------------------------------------------------------- */
static const char *env(const struct call *k, const char *name)
{
	const char *v = k->o->get(name, k->o->arg);

	return v && *v ? v : NULL;
}

/* The reason in the form that pacemaker keeps and shows. */
static void reason(const struct call *k, const char *fmt, ...) cm_printf(2, 3);

static void reason(const struct call *k, const char *fmt, ...)
{
	const char *prefix = env(k, "OCF_EXIT_REASON_PREFIX");
	va_list ap;

	fputs(prefix ? prefix : "ocf-exit-reason:", k->o->errs);
	va_start(ap, fmt);
	vfprintf(k->o->errs, fmt, ap);
	va_end(ap);
	fputc('\n', k->o->errs);
	fflush(k->o->errs);
}

static uint64_t left_ms(const struct call *k)
{
	uint64_t used = cm_now_ms() - k->start_ms;

	return used < k->limit_ms ? k->limit_ms - used : 0;
}

int clu_ocf_exit_of(int code)
{
	switch (code) {
	case 0:
		return CLU_OCF_OK;
	case CM_E_BAD_VALUE:
	case CM_E_USAGE:
	case CM_E_BAD_URL:
		return CLU_OCF_CONFIGURED; /* wrong on every node */
	case CM_E_NO_FILE:
	case CM_E_BAD_KERNEL:
	case CM_E_NO_ENGINE:
	case CM_E_NO_WATCHDOG:
	case CM_E_INCOMPATIBLE:
		return CLU_OCF_INSTALLED; /* wrong on this node */
	case CM_E_DENIED:
		return CLU_OCF_PERM;
	default:
		return CLU_OCF_GENERIC;
	}
}

int clu_ocf_exit_of_state(Hv__VmState state)
{
	switch (state) {
	case HV__VM_STATE__VM_RUNNING:
	case HV__VM_STATE__VM_PAUSED:
	case HV__VM_STATE__VM_HANDING_OVER:
	case HV__VM_STATE__VM_SAVING:
	/* Its image is complete and it waits for pacemaker's stop; until then it is its own again. */
	case HV__VM_STATE__VM_SAVED:
	case HV__VM_STATE__VM_STOPPING:
		return CLU_OCF_OK;
	case HV__VM_STATE__VM_INCOMING:
	case HV__VM_STATE__VM_STOPPED:
		return CLU_OCF_NOT_RUNNING;
	/* Left over from a start that nobody waits for any more: to be stopped first. */
	case HV__VM_STATE__VM_STARTING:
	case HV__VM_STATE__VM_FAILED:
	case HV__VM_STATE__VM_STATE_NONE:
	case _HV__VM_STATE_IS_INT_SIZE:
		break;
	}
	return CLU_OCF_GENERIC; /* also what a newer version says */
}

/* What the VM itself says: 0 and its state, CM_E_NO_DAEMON when no process is there, or why it is unclear. */
static int vm_state(struct call *k, Hv__VmState *state, struct cm_err *err)
{
	struct px_ask ask;
	int rc;

	px_ask_init(&ask, "status", k->vm);
	rc = clu__ocf_ask(k->vm_sock, &ask.req, k->answer_ms, state, err);
	if (rc == 0 && *state == HV__VM_STATE__VM_STATE_NONE)
		rc = cm_err_set(err, CM_E_PROTO, "VM %s: its status cannot be understood", k->vm);
	/* It closed the door while we stood in it: it just ended. */
	if (rc == CM_E_PROTO_CLOSED && clu__ocf_find_process(k->vm_sock) == 0)
		rc = CM_E_NO_DAEMON;
	return rc;
}

/* A verb of hvclusterd; while it is away (a restart) it is tried again until wait_ms are over. again: also when it went
 * away before it answered. */
static int daemon_ask(struct call *k, Hv__Request *req, unsigned timeout_ms, uint64_t wait_ms, bool again,
		      struct cm_err *err)
{
	uint64_t begin = cm_now_ms();
	int rc;

	for (;;) {
		cm_err_clear(err);
		rc = clu__ocf_ask(k->daemon_sock, req, timeout_ms, NULL, err);
		if ((rc != CM_E_NO_DAEMON && (rc != CM_E_PROTO_CLOSED || !again)) || cm_now_ms() - begin >= wait_ms)
			return rc;
		usleep(DAEMON_RETRY_MS * 1000);
	}
}

/* hvclusterd shall give up (and say why) before pacemaker's patience ends. */
static void set_limit(struct call *k, struct px_ask *ask, char *text, size_t cap)
{
	uint64_t left = left_ms(k);

	snprintf(text, cap, "%llu", (unsigned long long)(left > 2 * MARGIN_MS ? left - MARGIN_MS : left / 2 + 100));
	px_ask_arg(ask, "timeout_ms", text);
}

static const char *get_param(const char *name, void *arg)
{
	struct call *k = arg;
	char key[64];

	snprintf(key, sizeof key, "OCF_RESKEY_%s", name);
	return env(k, key);
}

/* --- actions ---------------------------------------------------------------------------------- */
static int do_meta_data(struct call *k)
{
	clu__ocf_meta_data(k->o->out);
	return CLU_OCF_OK;
}

static int do_monitor(struct call *k)
{
	struct cm_err err = CM_ERR_INIT;
	Hv__VmState state = HV__VM_STATE__VM_STATE_NONE;
	int rc = vm_state(k, &state, &err);

	if (rc == CM_E_NO_DAEMON)
		return CLU_OCF_NOT_RUNNING;
	if (rc != 0) {
		reason(k, "VM %s does not answer: %s", k->vm, err.text);
		return CLU_OCF_GENERIC;
	}
	rc = clu_ocf_exit_of_state(state);
	if (rc == CLU_OCF_GENERIC)
		reason(k, "VM %s is in state '%s'", k->vm, px_vm_state_word(state));
	return rc;
}

static int check_files(struct call *k, const Hv__VmConfig *c)
{
	const char *const files[] = {c->kernel, c->initrd};

	for (size_t i = 0; i < CM_ARRAY_LEN(files); i++) {
		if (!files[i][0] || access(files[i], R_OK) == 0)
			continue;
		reason(k, "VM %s: cannot read %s on this node: %s", k->vm, files[i], strerror(errno));
		return CLU_OCF_INSTALLED;
	}
	return CLU_OCF_OK;
}

static int build_config(struct call *k, Hv__VmConfig **c)
{
	struct cm_err err = CM_ERR_INIT;

	if (clu_vmconf_build(k->vm, get_param, k, c, &err) == 0)
		return CLU_OCF_OK;
	reason(k, "VM %s: %s", k->vm, err.text);
	return CLU_OCF_CONFIGURED;
}

static int do_validate(struct call *k)
{
	Hv__VmConfig *c = NULL;
	int rc = build_config(k, &c);

	if (rc == CLU_OCF_OK)
		rc = check_files(k, c);
	if (c)
		hv__vm_config__free_unpacked(c, NULL);
	return rc;
}

static int do_start(struct call *k)
{
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c = NULL;
	struct px_ask ask;
	char limit[24];
	int rc = do_monitor(k);

	if (rc == CLU_OCF_OK)
		return rc;
	rc = build_config(k, &c);
	if (rc == CLU_OCF_OK)
		rc = check_files(k, c);
	if (rc != CLU_OCF_OK) {
		if (c)
			hv__vm_config__free_unpacked(c, NULL);
		return rc;
	}
	px_ask_init(&ask, "local-start", k->vm);
	ask.req.config = c;
	set_limit(k, &ask, limit, sizeof limit);
	rc = daemon_ask(k, &ask.req, (unsigned)left_ms(k), left_ms(k) - CM_MIN(left_ms(k), 5000u), false, &err);
	hv__vm_config__free_unpacked(c, NULL);
	if (rc != 0) {
		reason(k, "VM %s did not start: %s", k->vm, err.text);
		return clu_ocf_exit_of(rc);
	}
	return do_monitor(k);
}

static void set_stop(struct px_ask *ask, const char *verb, const char *vm, const char *timeout)
{
	px_ask_init(ask, verb, vm);
	if (timeout)
		px_ask_arg(ask, "timeout_ms", timeout);
	else
		px_ask_arg(ask, "force", "1");
}

/* Waits for the end of a VM that has said that it stopped: its process may still close its files. */
static bool vm_gone(struct call *k)
{
	Hv__VmState state = HV__VM_STATE__VM_STATE_NONE;

	for (int i = 0; i < 100; i++) {
		int rc = vm_state(k, &state, NULL);

		if (rc == CM_E_NO_DAEMON || (rc == 0 && state == HV__VM_STATE__VM_STOPPED))
			return true;
		if (rc == CM_E_TIMEOUT)
			return false;
		usleep(50 * 1000);
	}
	return false;
}

/* By force: the VM itself, then hvclusterd (it can release the ownership of a dead VM), then SIGKILL. */
static int stop_by_force(struct call *k)
{
	struct cm_err err = CM_ERR_INIT;
	struct px_ask ask;
	pid_t pid;
	int rc;

	set_stop(&ask, "stop", k->vm, NULL);
	rc = clu__ocf_ask(k->vm_sock, &ask.req, k->answer_ms, NULL, NULL);
	if (rc == CM_E_NO_DAEMON || (rc == 0 && vm_gone(k)))
		return CLU_OCF_OK;
	set_stop(&ask, "local-stop", k->vm, NULL);
	clu__ocf_ask(k->daemon_sock, &ask.req, k->answer_ms, NULL, NULL);
	pid = clu__ocf_find_process(k->vm_sock);
	if (pid == 0)
		return CLU_OCF_OK;
	rc = clu__ocf_kill(pid, KILL_MS);
	if (rc == 0)
		return CLU_OCF_OK;
	cm_err_set(&err, rc, "process %d cannot be killed: %s", (int)pid, strerror(-rc));
	reason(k, "VM %s: %s", k->vm, err.text);
	return CLU_OCF_GENERIC;
}

static int do_stop(struct call *k)
{
	uint64_t grace = left_ms(k) > RESERVE_MS ? left_ms(k) - RESERVE_MS : left_ms(k) / 2;
	Hv__VmState state = HV__VM_STATE__VM_STATE_NONE;
	char timeout[24];
	struct px_ask ask;
	int rc;

	grace = CM_MIN(grace, (uint64_t)(k->o->grace_ms ? k->o->grace_ms : GRACE_MAX_MS));
	rc = vm_state(k, &state, NULL);
	if (rc == CM_E_NO_DAEMON) {
		/* No process answers for it. If hvclusterd knows of one all the same, it ends it. */
		set_stop(&ask, "local-stop", k->vm, NULL);
		clu__ocf_ask(k->daemon_sock, &ask.req, k->answer_ms, NULL, NULL);
		return CLU_OCF_OK;
	}
	if (rc == 0 && state == HV__VM_STATE__VM_INCOMING) {
		px_ask_init(&ask, "local-orphan", k->vm);
		if (clu__ocf_ask(k->daemon_sock, &ask.req, k->answer_ms, NULL, NULL) == 0)
			return CLU_OCF_OK; /* it does not run, and may be what the next start goes
					      on with */
	}
	/* One that waits for its migration, has failed, or does not answer, has no guest to ask nicely. */
	if (rc != 0 || state == HV__VM_STATE__VM_INCOMING || state == HV__VM_STATE__VM_FAILED) {
		rc = stop_by_force(k);
		if (state == HV__VM_STATE__VM_INCOMING) { /* hvclusterd says when pacemaker will believe it */
			set_stop(&ask, "local-stop", k->vm, NULL);
			clu__ocf_ask(k->daemon_sock, &ask.req, k->answer_ms, NULL, NULL);
		}
		return rc;
	}
	snprintf(timeout, sizeof timeout, "%llu", (unsigned long long)grace);
	set_stop(&ask, "stop", k->vm, timeout);
	rc = clu__ocf_ask(k->vm_sock, &ask.req, (unsigned)grace + k->answer_ms, NULL, NULL);
	if ((rc == 0 || rc == CM_E_NO_DAEMON || rc == CM_E_PROTO_CLOSED) && vm_gone(k))
		return CLU_OCF_OK;
	return stop_by_force(k);
}

/*
 * Pacemaker orders what happened on two nodes by whole seconds. After a move that did not succeed it stops the VM on both
 * nodes; were those stops in the same second as this operation, it would go on to believe that the VM is on the target.
 */
static void wait_next_second(void)
{
	uint64_t into_ms = cm_wall_ns() / CM_NS_PER_MS % 1000;

	usleep((useconds_t)(1000 - into_ms + 50) * 1000);
}

static int do_migrate_to(struct call *k)
{
	const char *target = env(k, "OCF_RESKEY_CRM_meta_migrate_target");
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c = NULL;
	struct px_ask ask;
	char limit[24];
	int rc;

	if (!target) {
		reason(k, "VM %s: pacemaker named no target for the migration", k->vm);
		return CLU_OCF_ARGS;
	}
	rc = do_monitor(k);
	if (rc != CLU_OCF_OK)
		return rc;
	clu_vmconf_build(k->vm, get_param, k, &c, NULL); /* hvclusterd need not have heard of a new VM yet */
	px_ask_init(&ask, "local-migrate-to", k->vm);
	ask.req.node = (char *)(uintptr_t)target;
	ask.req.config = c;
	set_limit(k, &ask, limit, sizeof limit);
	/* Progress counts as an answer, so this only ends a migration that is stuck. Asked again after a restart,
	 * hvclusterd goes on or looks where the VM is. */
	rc = daemon_ask(k, &ask.req, (unsigned)left_ms(k), left_ms(k) - CM_MIN(left_ms(k), 5000u), true, &err);
	if (c)
		hv__vm_config__free_unpacked(c, NULL);
	if (rc != 0)
		wait_next_second();
	/* Once the VM has left this node, migrate_from on the target tells whether it arrived. */
	if (rc == 0 || do_monitor(k) == CLU_OCF_NOT_RUNNING)
		return CLU_OCF_OK;
	reason(k, "VM %s was not moved to %s: %s", k->vm, target, err.text);
	return CLU_OCF_GENERIC;
}

static int do_migrate_from(struct call *k)
{
	const char *source = env(k, "OCF_RESKEY_CRM_meta_migrate_source");
	struct cm_err err = CM_ERR_INIT;
	Hv__VmState state = HV__VM_STATE__VM_STATE_NONE;
	char limit[24];
	struct px_ask ask;
	int rc;

	px_ask_init(&ask, "local-migrate-from", k->vm);
	ask.req.node = (char *)(uintptr_t)(source ? source : "");
	set_limit(k, &ask, limit, sizeof limit);
	clu__ocf_ask(k->daemon_sock, &ask.req, (unsigned)left_ms(k), NULL, &err);
	/* Whatever hvclusterd said (it may be away): the VM that landed here knows best. */
	for (;;) {
		rc = vm_state(k, &state, NULL);
		if (rc == 0 && clu_ocf_exit_of_state(state) == CLU_OCF_OK)
			return CLU_OCF_OK;
		if (rc != 0 || state != HV__VM_STATE__VM_INCOMING || left_ms(k) < MARGIN_MS)
			break;
		usleep(DAEMON_RETRY_MS * 1000);
	}
	reason(k, "VM %s did not arrive: %s", k->vm, err.code ? err.text : "it does not run here");
	return CLU_OCF_GENERIC;
}

static const struct {
	const char *name;
	action_fn fn;
	bool needs_vm;
} actions[] = {
	{"start", do_start, true},
	{"stop", do_stop, true},
	{"monitor", do_monitor, true},
	{"status", do_monitor, true},
	{"migrate_to", do_migrate_to, true},
	{"migrate_from", do_migrate_from, true},
	{"validate-all", do_validate, true},
	{"meta-data", do_meta_data, false},
};

int clu_ocf_run(const struct clu_ocf *o, const char *action)
{
	struct call k = {.o = o, .answer_ms = o->answer_ms ? o->answer_ms : ANSWER_MS, .start_ms = cm_now_ms()};
	const char *limit;

	k.vm = env(&k, "OCF_RESOURCE_INSTANCE");
	limit = env(&k, "OCF_RESKEY_CRM_meta_timeout");
	k.limit_ms = limit ? strtoull(limit, NULL, 10) : 0;
	if (!k.limit_ms || k.limit_ms > 86400000u)
		k.limit_ms = LIMIT_DFLT_MS;
	for (size_t i = 0; i < CM_ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, action) != 0)
			continue;
		if (actions[i].needs_vm && (!k.vm || strchr(k.vm, '/') || strlen(k.vm) > 63)) {
			reason(&k, "OCF_RESOURCE_INSTANCE must name a VM (not a clone of one)");
			return CLU_OCF_CONFIGURED;
		}
		if (k.vm) {
			snprintf(k.vm_sock, sizeof k.vm_sock, "%s/vm/%.63s.sock", o->run_dir, k.vm);
			snprintf(k.daemon_sock, sizeof k.daemon_sock, "%s/hvclusterd.sock", o->run_dir);
		}
		return actions[i].fn(&k);
	}
	reason(&k, "unknown action '%s'", action);
	return CLU_OCF_UNIMPLEMENTED;
}
