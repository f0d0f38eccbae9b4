/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_ocf.c - the resource agent. A child process plays hvcore or hvclusterd on real sockets and answers
 * as it is told; the agent's own code runs unchanged.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/ocf/clu_ocf.h"
#include "cluster/ocf/clu_ocf_int.h"
#include "cluster/vm/clu_vmconf.h"
#include "proto/px_req.h"

/* --- a server that says what it is told ------------------------------------------------------- */
struct play {
	const char *verb;
	int code;	    /* of the reply */
	const char *doc;    /* or the error's text */
	Hv__VmState state;
	bool silent;	    /* never answers */
	bool end;	    /* the process ends after this answer */
	const char *expect; /* argument that must be there ("force"), NULL none */
};

struct server {
	struct cm_loop *loop;
	const struct play *plays;
	struct px_server *srv;
	struct cm_timer end;
	const char *log; /* verbs that came */
};

static void on_end(struct cm_timer *t, void *arg)
{
	(void)t;
	(void)arg;
	_exit(0);
}

static void on_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct server *s = arg;
	const Hv__Request *q = m->msg;
	FILE *f = fopen(s->log, "a");
	Hv__Reply r;

	if (m->type != PX_REQUEST)
		_exit(9);
	fprintf(f, "%s%s\n", q->verb, q->n_args && strcmp(q->args[0]->key, "force") == 0 ? "!" : "");
	fclose(f);
	for (const struct play *p = s->plays; p->verb; p++) {
		if (strcmp(p->verb, q->verb) != 0)
			continue;
		if (p->expect && (!q->n_args || strcmp(q->args[0]->key, p->expect) != 0))
			continue;
		if (p->silent)
			return;
		hv__reply__init(&r);
		r.id = q->id;
		r.code = p->code;
		r.state = p->state;
		if (p->code)
			r.error = (char *)(uintptr_t)p->doc;
		else if (p->doc)
			r.doc = (char *)(uintptr_t)p->doc;
		px_chan_send(c, PX_REPLY, &r);
		if (p->end) {
			px_chan_finish(c);
			px_server_close(s->srv);
			cm_timer_init(&s->end, s->loop, on_end, s);
			cm_timer_arm_ms(&s->end, 50);
		}
		return;
	}
	_exit(8); /* nobody expected that verb */
}

static void on_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	(void)c;
	(void)code;
	(void)text;
	(void)arg;
}

static void on_accept(struct px_server *srv, int fd, void *arg)
{
	static const struct px_chan_ops ops = {.message = on_message, .closed = on_closed};
	static const struct px_self self = {.program = "hvcore", .node = "n"};
	struct server *s = arg;

	(void)srv;
	px_chan_new(s->loop, fd, &self, &ops, s);
}

struct world {
	char dir[64], log[96];
	pid_t pid[2];
	int n;
	const char *env[16];
	char out[16384], errs[1024];
	unsigned answer_ms; /* only where nobody answers it is short: a server may not get the CPU for long */
};

#define NOBODY_MS 300
/* For those who answer once and then are silent: an agent that is wrong is wrong with each of them. */
static const unsigned answer_limits[] = {300, 1200, 5000, 20000, 0};

static void serve(struct world *w, const char *name, const struct play *plays)
{
	char path[128];
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	snprintf(path, sizeof path, "%s/%s.sock", w->dir, name);
	w->pid[w->n] = fork();
	if (w->pid[w->n] == 0) {
		struct server s = {.loop = cm_loop_new(NULL), .plays = plays, .log = w->log};

		signal(SIGPIPE, SIG_IGN);
		s.srv = px_server_unix(s.loop, path, 0600, getgid(), on_accept, &s, NULL);
		if (!s.srv || write(ready[1], "r", 1) != 1)
			_exit(7);
		cm_loop_run(s.loop);
		_exit(0);
	}
	w->n++;
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	char sub[96];

	snprintf(w->dir, sizeof w->dir, "/tmp/test_ocf.XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	snprintf(sub, sizeof sub, "%s/vm", w->dir);
	mkdir(sub, 0700);
	snprintf(w->log, sizeof w->log, "%s/log", w->dir);
	w->answer_ms = 60000;
	*state = w;
	return 0;
}

static void end_servers(struct world *w)
{
	for (int i = 0; i < w->n; i++) {
		kill(w->pid[i], SIGKILL);
		waitpid(w->pid[i], NULL, 0);
	}
	w->n = 0;
	unlink(w->log);
}

static int teardown(void **state)
{
	struct world *w = *state;
	char cmd[128];

	end_servers(w);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", w->dir);
	if (system(cmd) != 0)
		return -1;
	free(w);
	return 0;
}

static const char *get(const char *name, void *arg)
{
	struct world *w = arg;

	if (strcmp(name, "OCF_RESOURCE_INSTANCE") == 0)
		return "web1";
	for (int i = 0; w->env[i]; i++) {
		size_t n = strlen(name);

		if (strncmp(w->env[i], name, n) == 0 && w->env[i][n] == '=')
			return w->env[i] + n + 1;
	}
	return NULL;
}

static int act(struct world *w, const char *action)
{
	struct clu_ocf o = {.run_dir = w->dir, .get = get, .arg = w, .answer_ms = w->answer_ms, .grace_ms = 300};
	int rc;

	memset(w->out, 0, sizeof w->out);
	memset(w->errs, 0, sizeof w->errs);
	o.out = fmemopen(w->out, sizeof w->out - 1, "w");
	o.errs = fmemopen(w->errs, sizeof w->errs - 1, "w");
	rc = clu_ocf_run(&o, action);
	fclose(o.out);
	fclose(o.errs);
	return rc;
}

static const char *verbs(struct world *w)
{
	static char text[512];
	FILE *f = fopen(w->log, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

	text[n] = '\0';
	if (f)
		fclose(f);
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return text;
}

/* --- tests ------------------------------------------------------------------------------------ */
static const struct {
	Hv__VmState state;
	int code;
} states[] = {
	{HV__VM_STATE__VM_STATE_NONE, CLU_OCF_GENERIC}, /* not said */
	{HV__VM_STATE__VM_STARTING, CLU_OCF_GENERIC},
	{HV__VM_STATE__VM_RUNNING, CLU_OCF_OK},
	{HV__VM_STATE__VM_PAUSED, CLU_OCF_OK},
	{HV__VM_STATE__VM_INCOMING, CLU_OCF_NOT_RUNNING},
	{HV__VM_STATE__VM_HANDING_OVER, CLU_OCF_OK},
	{HV__VM_STATE__VM_SAVING, CLU_OCF_OK},
	{HV__VM_STATE__VM_SAVED, CLU_OCF_OK},
	{HV__VM_STATE__VM_STOPPING, CLU_OCF_OK},
	{HV__VM_STATE__VM_STOPPED, CLU_OCF_NOT_RUNNING},
	{HV__VM_STATE__VM_FAILED, CLU_OCF_GENERIC},
	{(Hv__VmState)11, CLU_OCF_GENERIC}, /* of a newer version */
	{(Hv__VmState)-1, CLU_OCF_GENERIC},
};

static void test_monitor_states(void **state)
{
	struct world *w = *state;

	assert_int_equal(act(w, "monitor"), CLU_OCF_NOT_RUNNING);
	/* Every value that there is, in its order: one that is added needs a row here, too. */
	assert_int_equal(hv__vm_state__descriptor.n_values, CM_ARRAY_LEN(states) - 2);
	for (size_t i = 0; i < CM_ARRAY_LEN(states); i++) {
		/* The document is for people: what it says changes nothing. */
		struct play plays[] = {{.verb = "status", .state = states[i].state, .doc = "{\"state\":\"running\"}"}, {0}};

		if (i < hv__vm_state__descriptor.n_values)
			assert_int_equal(states[i].state, hv__vm_state__descriptor.values[i].value);
		assert_int_equal(clu_ocf_exit_of_state(states[i].state), states[i].code);
		serve(w, "vm/web1", plays);
		assert_int_equal(act(w, "monitor"), states[i].code);
		kill(w->pid[0], SIGKILL);
		waitpid(w->pid[0], NULL, 0);
		w->n = 0;
	}
	/* the socket's file is still there, nobody listens */
	assert_int_equal(act(w, "monitor"), CLU_OCF_NOT_RUNNING);
}

static void test_monitor_hung(void **state)
{
	static const struct play plays[] = {{.verb = "status", .silent = true}, {0}};
	struct world *w = *state;

	serve(w, "vm/web1", plays);
	w->answer_ms = NOBODY_MS;
	assert_int_equal(act(w, "monitor"), CLU_OCF_GENERIC);
	assert_non_null(strstr(w->errs, "ocf-exit-reason:VM web1 does not answer"));
}

static void test_stop_of_stopped(void **state)
{
	struct world *w = *state;

	assert_int_equal(act(w, "stop"), CLU_OCF_OK); /* neither VM nor hvclusterd */
}

static void test_stop_nicely(void **state)
{
	static const struct play plays[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING},
					    {.verb = "stop", .expect = "timeout_ms", .end = true}, {0}};
	struct world *w = *state;

	serve(w, "vm/web1", plays);
	assert_int_equal(act(w, "stop"), CLU_OCF_OK);
	assert_string_equal(verbs(w), "status stop ");
}

static void test_stop_falls_back_to_force(void **state)
{
	static const struct play plays[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING},
					    {.verb = "stop", .expect = "timeout_ms", .silent = true},
					    {.verb = "stop", .expect = "force", .end = true}, {0}};
	struct world *w = *state;

	for (const unsigned *ms = answer_limits; *ms; ms++) {
		end_servers(w);
		w->answer_ms = *ms;
		serve(w, "vm/web1", plays);
		assert_int_equal(act(w, "stop"), CLU_OCF_OK);
		if (strcmp(verbs(w), "status stop stop! ") == 0)
			break;
	}
	assert_string_equal(verbs(w), "status stop stop! ");
}

static void test_stop_of_incoming_is_forced(void **state)
{
	static const struct play plays[] = {{.verb = "status", .state = HV__VM_STATE__VM_INCOMING},
					    {.verb = "stop", .expect = "force", .end = true}, {0}};
	struct world *w = *state;

	serve(w, "vm/web1", plays);
	assert_int_equal(act(w, "stop"), CLU_OCF_OK);
	assert_string_equal(verbs(w), "status stop! ");
}

/* Its source is lost, and it may be all that is left of the VM's memory: hvclusterd says so, and it stays. */
static void test_stop_keeps_an_orphan(void **state)
{
	static const struct play vm[] = {{.verb = "status", .state = HV__VM_STATE__VM_INCOMING}, {0}};
	static const struct play daemon[] = {{.verb = "local-orphan"}, {0}};
	struct world *w = *state;

	serve(w, "vm/web1", vm);
	serve(w, "hvclusterd", daemon);
	assert_int_equal(act(w, "stop"), CLU_OCF_OK);
	assert_string_equal(verbs(w), "status local-orphan ");
}

/* Nothing answers: hvclusterd is asked to end it, too, and a process that is no hvcore is never killed. */
static void test_stop_of_hung_asks_everybody(void **state)
{
	static const struct play vm[] = {{.verb = "status", .silent = true}, {.verb = "stop", .silent = true}, {0}};
	static const struct play daemon[] = {{.verb = "local-stop", .expect = "force"}, {0}};
	struct world *w = *state;

	for (const unsigned *ms = answer_limits; *ms; ms++) {
		end_servers(w);
		w->answer_ms = *ms;
		serve(w, "vm/web1", vm);
		serve(w, "hvclusterd", daemon);
		assert_int_equal(act(w, "stop"), CLU_OCF_OK);
		if (strstr(verbs(w), "local-stop!"))
			break;
	}
	assert_non_null(strstr(verbs(w), "local-stop!"));
	assert_int_equal(kill(w->pid[0], 0), 0);
	assert_int_equal(clu__ocf_find_process("/nonexistent"), 0);
}

/* A process that is called hvcore or hvcore-soft, holds the socket, and answers nobody: found without asking, and killed. */
static void stop_kills_a_hung(struct world *w, const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char exe[96], cmd[256];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status = 0;

	snprintf(exe, sizeof exe, "%s/%s", w->dir, name);
	snprintf(cmd, sizeof cmd, "cp \"$(command -v sleep)\" '%s'", exe);
	assert_int_equal(system(cmd), 0);
	snprintf(un.sun_path, sizeof un.sun_path, "%s/vm/web1.sock", w->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 8), 0);
	w->pid[0] = fork();
	if (w->pid[0] == 0) {
		execl(exe, name, "1000", (char *)NULL);
		_exit(1);
	}
	close(fd);
	w->n = 1;
	while (clu__ocf_find_process(un.sun_path) == 0) /* until exec is done */
		usleep(1000);
	assert_int_equal(clu__ocf_find_process(un.sun_path), w->pid[0]);
	w->answer_ms = NOBODY_MS;
	assert_int_equal(act(w, "monitor"), CLU_OCF_GENERIC);
	assert_int_equal(act(w, "stop"), CLU_OCF_OK);
	assert_int_equal(waitpid(w->pid[0], &status, 0), w->pid[0]);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	w->n = 0;
	assert_int_equal(act(w, "monitor"), CLU_OCF_NOT_RUNNING);
	unlink(un.sun_path);
}

static void test_stop_kills_a_hung_hvcore(void **state)
{
	stop_kills_a_hung(*state, "hvcore");
	stop_kills_a_hung(*state, "hvcore-soft");
}

static void test_kill(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(clu__ocf_kill(pid, 2000), 0);
	waitpid(pid, NULL, 0);
	assert_int_equal(clu__ocf_kill(pid, 2000), 0);
}

static void test_start(void **state)
{
	static const struct play daemon[] = {{.verb = "local-start", .doc = "{}"}, {0}};
	static const struct play vm[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING}, {0}};
	struct world *w = *state;

	w->env[0] = "OCF_RESKEY_uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	w->env[1] = "OCF_RESKEY_kernel=/proc/self/exe";
	w->env[2] = "OCF_RESKEY_CRM_meta_timeout=1000";
	assert_int_equal(act(w, "start"), CLU_OCF_GENERIC); /* no hvclusterd */
	assert_non_null(strstr(w->errs, "did not start"));
	w->env[2] = "OCF_RESKEY_CRM_meta_timeout=60000";
	serve(w, "hvclusterd", daemon);
	assert_int_equal(act(w, "start"), CLU_OCF_NOT_RUNNING); /* it said yes, but nothing runs: not believed */
	serve(w, "vm/web1", vm);
	assert_int_equal(act(w, "start"), CLU_OCF_OK);
	assert_string_equal(verbs(w), "local-start status ");
}

static void test_start_refused(void **state)
{
	static const struct play daemon[] = {
		{.verb = "local-start", .code = CM_E_BAD_KERNEL, .doc = "/boot/vmlinuz is no kernel"}, {0}};
	struct world *w = *state;

	w->env[0] = "OCF_RESKEY_uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	w->env[1] = "OCF_RESKEY_kernel=/proc/self/exe";
	serve(w, "hvclusterd", daemon);
	assert_int_equal(act(w, "start"), CLU_OCF_INSTALLED);
	assert_non_null(strstr(w->errs, "ocf-exit-reason:VM web1 did not start: /boot/vmlinuz is no kernel"));
	w->env[2] = "OCF_RESKEY_memory=7";
	assert_int_equal(act(w, "start"), CLU_OCF_CONFIGURED);
	assert_string_equal(verbs(w), "local-start ");
}

static void test_migrate(void **state)
{
	static const struct play daemon[] = {
		{.verb = "local-migrate-to", .code = CM_E_MIG_PEER, .doc = "node2 went away"},
		{.verb = "local-migrate-from", .doc = "{}"}, {0}};
	static const struct play vm[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING}, {0}};
	struct world *w = *state;

	assert_int_equal(act(w, "migrate_to"), CLU_OCF_ARGS);
	w->env[0] = "OCF_RESKEY_CRM_meta_migrate_target=node2";
	w->env[1] = "OCF_RESKEY_CRM_meta_migrate_source=node1";
	serve(w, "hvclusterd", daemon);
	assert_int_equal(act(w, "migrate_to"), CLU_OCF_NOT_RUNNING);
	assert_int_equal(act(w, "migrate_from"), CLU_OCF_GENERIC); /* "arrived", but nothing runs: not believed */
	serve(w, "vm/web1", vm);
	assert_int_equal(act(w, "migrate_to"), CLU_OCF_GENERIC);
	assert_non_null(strstr(w->errs, "was not moved to node2: node2 went away"));
	assert_int_equal(act(w, "migrate_from"), CLU_OCF_OK);
}

/* hvclusterd cannot tell how it went, the VM has left all the same: migrate_from on the target will say. */
static void test_migrate_to_of_a_vm_that_left(void **state)
{
	static const struct play daemon[] = {{.verb = "local-migrate-to", .code = CM_E_MIG_UNKNOWN, .doc = "unknown"},
					     {0}};
	static const struct play vm[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING, .end = true}, {0}};
	struct world *w = *state;

	w->env[0] = "OCF_RESKEY_CRM_meta_migrate_target=node2";
	serve(w, "hvclusterd", daemon);
	serve(w, "vm/web1", vm);
	assert_int_equal(act(w, "migrate_to"), CLU_OCF_OK);
}

/* The VM arrived, hvclusterd is just restarting: the VM's own word is enough. */
static void test_migrate_from_without_daemon(void **state)
{
	static const struct play vm[] = {{.verb = "status", .state = HV__VM_STATE__VM_RUNNING}, {0}};
	struct world *w = *state;

	serve(w, "vm/web1", vm);
	assert_int_equal(act(w, "migrate_from"), CLU_OCF_OK);
}

static void test_validate(void **state)
{
	struct world *w = *state;

	assert_int_equal(act(w, "validate-all"), CLU_OCF_CONFIGURED);
	w->env[0] = "OCF_RESKEY_uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8";
	w->env[1] = "OCF_RESKEY_kernel=/nonexistent/vmlinuz";
	assert_int_equal(act(w, "validate-all"), CLU_OCF_INSTALLED);
	assert_non_null(strstr(w->errs, "/nonexistent/vmlinuz"));
	w->env[1] = "OCF_RESKEY_kernel=/proc/self/exe";
	assert_int_equal(act(w, "validate-all"), CLU_OCF_OK);
	assert_int_equal(act(w, "promote"), CLU_OCF_UNIMPLEMENTED);
}

static void test_meta_data(void **state)
{
	struct world *w = *state;
	xmlDoc *doc;

	assert_int_equal(act(w, "meta-data"), CLU_OCF_OK);
	doc = xmlReadMemory(w->out, (int)strlen(w->out), "meta", NULL, 0);
	assert_non_null(doc);
	xmlFreeDoc(doc);
	for (size_t i = 0; i < clu_vmconf_n_params; i++)
		assert_non_null(strstr(w->out, clu_vmconf_params[i].name));
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(clu_ocf_exit_of(0), CLU_OCF_OK);
	assert_int_equal(clu_ocf_exit_of(CM_E_LEASE_HELD), CLU_OCF_GENERIC);
	assert_int_equal(clu_ocf_exit_of(CM_E_NO_MEMORY), CLU_OCF_GENERIC);
	assert_int_equal(clu_ocf_exit_of(CM_E_BAD_VALUE), CLU_OCF_CONFIGURED);
	assert_int_equal(clu_ocf_exit_of(CM_E_NO_ENGINE), CLU_OCF_INSTALLED);
	assert_int_equal(clu_ocf_exit_of(CM_E_NO_WATCHDOG), CLU_OCF_INSTALLED);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_monitor_states), T(test_monitor_hung), T(test_stop_of_stopped), T(test_stop_nicely),
		T(test_stop_falls_back_to_force), T(test_stop_of_incoming_is_forced),
		T(test_stop_keeps_an_orphan), T(test_stop_of_hung_asks_everybody), T(test_stop_kills_a_hung_hvcore), T(test_kill), T(test_start), T(test_start_refused),
		T(test_migrate), T(test_migrate_to_of_a_vm_that_left), T(test_migrate_from_without_daemon), T(test_validate), T(test_meta_data),
		T(test_exit_codes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
