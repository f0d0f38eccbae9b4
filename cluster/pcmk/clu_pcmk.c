/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The adapter to pacemaker: runs its command line tools and turns their answers into pictures and
 * results. Decides nothing. Configuration is never changed from a partition without quorum: pacemaker
 * 2.1 itself would accept that, and lose it when the partitions meet again.
 */
#include "config.h"

#include "cluster/pcmk/clu_pcmk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cluster/pcmk/clu_exec.h"
#include "cluster/pcmk/clu_pcmk_xml.h"
#include "common/cm_clock.h"

#define QUERY_TIMEOUT_MS 20000u
#define VERB_TIMEOUT_MS	 60000u
#define FENCE_TIMEOUT_MS 180000u
#define CIB_DIR		 "/var/lib/pacemaker/cib"
#define CIB_FILE	 "cib.xml"
#define CONFIG_GAP_MS	 200u /* changes of the configuration in a row cause a picture this often at most */
#define STEPS_MAX	 2
#define ARGS_MAX	 14

/* One verb: up to two tools in a row. */
struct verb {
	struct clu_pcmk *p;
	struct verb *next, **prev;
	struct clu_exec *exec;
	char *args[STEPS_MAX][ARGS_MAX + 1]; /* owned */
	int steps, step;
	uint64_t waits; /* for the picture of this number, which is not older than the verb; 0 = no */
	unsigned timeout_ms;
	int not_found; /* code for "no such object" */
	char what[192];
	struct cm_err early; /* why it was not even started; told by the timer, never from within the call */
	struct cm_timer late;
	clu_pcmk_done_fn done;
	void *arg;
};

struct clu_pcmk {
	struct cm_loop *loop;
	const struct clu_pcmk_ops *ops;
	void *arg;
	struct cm_timer poll, config;
	struct cm_io watch; /* pacemaker's copy of the configuration on this node */
	int watch_fd;
	uint64_t config_ns; /* last refresh because of it */
	unsigned poll_ms;
	struct clu_exec *query;
	struct clu_pcmk_picture *pic, *next; /* shown; being taken */
	char pic_version[CLU_PCMK_VERSION], next_version[CLU_PCMK_VERSION]; /* of the configuration in them; "" = unknown */
	bool again;
	uint64_t begun, ended; /* numbers of pictures */
	struct verb *verbs;
};

static void verbs_released(struct clu_pcmk *p);

static void picture_free(void *arg)
{
	struct clu_pcmk_picture *pic = arg;

	if (!pic)
		return;
	clu_pcmk_picture_fini(pic);
	free(pic);
}

/* --- pictures --------------------------------------------------------------------------------- */
static void refresh_done(struct clu_pcmk *p, const struct cm_err *err)
{
	p->ended = p->begun;
	if (err) {
		picture_free(p->next);
		p->next = NULL;
		if (p->ops->lost)
			p->ops->lost(err, p->arg);
	} else {
		if (p->pic)
			cm_loop_defer(p->loop, picture_free, p->pic);
		p->pic = p->next;
		memcpy(p->pic_version, p->next_version, sizeof p->pic_version);
		p->next = NULL;
		if (p->ops->picture)
			p->ops->picture(p->pic, p->arg);
	}
	verbs_released(p);
	if (p->again) {
		p->again = false;
		clu_pcmk_refresh(p);
	} else if (p->poll_ms && !p->query) {
		cm_timer_arm_ms(&p->poll, p->poll_ms);
	}
}

static void mon_done(const struct clu_exec_result *r, void *arg)
{
	struct clu_pcmk *p = arg;
	struct cm_err err = CM_ERR_INIT;
	int rc;

	p->query = NULL;
	rc = clu_pcmk_parse_result(r->timed_out ? 124 : r->exit_code, r->out, r->out_len, r->errs, r->errs_len,
				   "cannot read the state of the cluster", &err);
	if (rc == 0)
		rc = clu_pcmk_parse_mon(r->out, r->out_len, p->next, &err);
	refresh_done(p, rc ? &err : NULL);
}

static void cib_done(const struct clu_exec_result *r, void *arg)
{
	static const char *const mon[] = {"crm_mon", "-1", "--output-as=xml", "--inactive",
					  "--include=none,dc,nodes,resources,failures,fencing", NULL};
	struct clu_pcmk *p = arg;
	struct cm_err err = CM_ERR_INIT;
	int rc;

	p->query = NULL;
	rc = clu_pcmk_parse_result(r->timed_out ? 124 : r->exit_code, r->out, r->out_len, r->errs, r->errs_len,
				   "cannot read the configuration of the cluster", &err);
	if (rc == 0)
		rc = clu_pcmk_parse_cib(r->out, r->out_len, p->next, &err);
	if (rc == 0)
		clu_pcmk_parse_version(r->out, r->out_len, p->next_version);
	if (rc == 0) {
		p->query = clu_exec_start(p->loop, mon, QUERY_TIMEOUT_MS, mon_done, p, &err);
		if (p->query)
			return;
	}
	refresh_done(p, &err);
}

void clu_pcmk_refresh(struct clu_pcmk *p)
{
	static const char *const cib[] = {"cibadmin", "--query", "--local", NULL};
	struct cm_err err = CM_ERR_INIT;

	if (p->query) {
		p->again = true;
		return;
	}
	cm_timer_disarm(&p->poll);
	p->begun++;
	p->next_version[0] = '\0';
	p->next = calloc(1, sizeof *p->next);
	if (p->next)
		p->query = clu_exec_start(p->loop, cib, QUERY_TIMEOUT_MS, cib_done, p, &err);
	if (p->query)
		return;
	cm_err_set(&err, -ENOMEM, "cannot ask pacemaker: out of memory");
	refresh_done(p, &err);
}

void clu_pcmk_look(struct clu_pcmk *p)
{
	if (!p->query)
		clu_pcmk_refresh(p);
}

static void on_poll(struct cm_timer *t, void *arg)
{
	(void)t;
	clu_pcmk_refresh(arg);
}

void clu_pcmk_poll(struct clu_pcmk *p, unsigned interval_ms)
{
	p->poll_ms = interval_ms;
	cm_timer_disarm(&p->poll);
	if (interval_ms && !p->query)
		cm_timer_arm_ms(&p->poll, interval_ms);
}

uint64_t clu_pcmk_next_number(const struct clu_pcmk *p)
{
	return p->begun + 1;
}

uint64_t clu_pcmk_last_number(const struct clu_pcmk *p)
{
	return p->ended;
}

const struct clu_pcmk_picture *clu_pcmk_picture(const struct clu_pcmk *p)
{
	return p->pic;
}

/* --- the configuration changed ---------------------------------------------------------------- */
/*
 * Pacemaker writes its configuration to a file of every node soon after each change, whoever made it. That
 * the file changed is taken as a hint and nothing more; where it cannot be watched, the poll has to do.
 */
static void on_config_file(struct cm_io *io, unsigned events, void *arg)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct clu_pcmk *p = arg;
	uint64_t next = p->config_ns + CONFIG_GAP_MS * CM_NS_PER_MS, now = cm_now_ns();
	bool changed = false;
	ssize_t n;

	(void)io;
	(void)events;
	while ((n = read(p->watch_fd, buf, sizeof buf)) > 0) {
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			changed = changed || (e->len && strcmp(e->name, CIB_FILE) == 0);
			at += sizeof *e + e->len;
		}
	}
	if (changed && !p->config.armed)
		cm_timer_arm_ns(&p->config, next > now ? next - now : 0);
}

/* Who changed it took a picture already, or another change of the same moment did: that configuration is in it. */
static bool config_is_known(const struct clu_pcmk *p)
{
	int fd = open(CIB_DIR "/" CIB_FILE, O_RDONLY | O_CLOEXEC);
	char head[1024], version[CLU_PCMK_VERSION];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, head, sizeof head);
	close(fd);
	return n > 0 && clu_pcmk_parse_version(head, (size_t)n, version) &&
	       strcmp(version, p->query ? p->next_version : p->pic_version) == 0;
}

static void on_config(struct cm_timer *t, void *arg)
{
	struct clu_pcmk *p = arg;

	(void)t;
	if (config_is_known(p))
		return;
	p->config_ns = cm_now_ns();
	clu_pcmk_refresh(p);
}

static void watch_config(struct clu_pcmk *p)
{
	p->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->watch_fd < 0)
		return;
	cm_io_init(&p->watch, p->loop, p->watch_fd, on_config_file, p);
	if (inotify_add_watch(p->watch_fd, CIB_DIR, IN_MOVED_TO | IN_CLOSE_WRITE) >= 0)
		cm_io_want(&p->watch, CM_READ);
}

struct clu_pcmk *clu_pcmk_new(struct cm_loop *loop, const struct clu_pcmk_ops *ops, void *arg,
			      struct cm_err *err)
{
	struct clu_pcmk *p = calloc(1, sizeof *p);

	if (!p) {
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	p->loop = loop;
	p->ops = ops;
	p->arg = arg;
	cm_timer_init(&p->poll, loop, on_poll, p);
	cm_timer_init(&p->config, loop, on_config, p);
	watch_config(p);
	return p;
}

/* --- verbs ------------------------------------------------------------------------------------ */
static void verb_free(void *arg)
{
	struct verb *v = arg;

	cm_timer_fini(&v->late);
	for (int s = 0; s < v->steps; s++)
		for (int i = 0; v->args[s][i]; i++)
			free(v->args[s][i]);
	free(v);
}

static void verb_unlink(struct verb *v)
{
	*v->prev = v->next;
	if (v->next)
		v->next->prev = v->prev;
}

static void verb_end(struct verb *v, int code, const struct cm_err *err)
{
	verb_unlink(v);
	cm_loop_defer(v->p->loop, verb_free, v);
	if (code == 0)
		clu_pcmk_refresh(v->p);
	v->done(code, err, v->arg);
}

static void verb_step(struct verb *v);

static void step_done(const struct clu_exec_result *r, void *arg)
{
	struct verb *v = arg;
	struct cm_err err = CM_ERR_INIT;
	int rc;

	v->exec = NULL;
	rc = clu_pcmk_parse_result(r->timed_out ? 124 : r->exit_code, r->out, r->out_len, r->errs, r->errs_len,
				   v->what, &err);
	if (rc == CM_E_NO_VM && v->not_found != rc)
		rc = err.code = v->not_found;
	if (rc == 0 && ++v->step < v->steps)
		verb_step(v);
	else
		verb_end(v, rc, &err);
}

static void verb_step(struct verb *v)
{
	v->exec = clu_exec_start(v->p->loop, (const char *const *)v->args[v->step], v->timeout_ms, step_done, v,
				 &v->early);
	if (!v->exec)
		cm_timer_arm_ns(&v->late, 0);
}

static void verb_refused(struct cm_timer *t, void *arg)
{
	struct verb *v = arg;

	(void)t;
	verb_end(v, v->early.code, &v->early);
}

static struct verb *verb_new(struct clu_pcmk *p, clu_pcmk_done_fn done, void *arg, const char *fmt, ...)
	cm_printf(4, 5);

static struct verb *verb_new(struct clu_pcmk *p, clu_pcmk_done_fn done, void *arg, const char *fmt, ...)
{
	struct verb *v = calloc(1, sizeof *v);
	va_list ap;

	CM_ASSERT(v != NULL);
	v->p = p;
	v->done = done;
	v->arg = arg;
	v->timeout_ms = VERB_TIMEOUT_MS;
	v->not_found = CM_E_NO_VM;
	cm_timer_init(&v->late, p->loop, verb_refused, v);
	va_start(ap, fmt);
	vsnprintf(v->what, sizeof v->what, fmt, ap);
	va_end(ap);
	v->next = p->verbs;
	v->prev = &p->verbs;
	if (v->next)
		v->next->prev = &v->next;
	p->verbs = v;
	return v;
}

/* One tool with its arguments, ended by NULL. */
static void verb_tool(struct verb *v, const char *first, ...)
{
	const char *word = first;
	va_list ap;
	int n = 0;

	CM_ASSERT(v->steps < STEPS_MAX);
	va_start(ap, first);
	for (; word; word = va_arg(ap, const char *)) {
		CM_ASSERT(n < ARGS_MAX);
		v->args[v->steps][n] = strdup(word);
		CM_ASSERT(v->args[v->steps][n] != NULL);
		n++;
	}
	va_end(ap);
	v->steps++;
}

static void verb_run(struct verb *v, bool needs_quorum)
{
	struct clu_pcmk *p = v->p;

	if (!v->early.code && needs_quorum && p->pic && !p->pic->quorate) {
		v->waits = clu_pcmk_next_number(p); /* that picture may be old */
		clu_pcmk_refresh(p);
	} else if (v->early.code) {
		cm_timer_arm_ns(&v->late, 0);
	} else {
		verb_step(v);
	}
}

/* A new picture is there, or could not be had. */
static void verbs_released(struct clu_pcmk *p)
{
	for (struct verb *v = p->verbs; v; v = v->next) {
		if (!v->waits || v->waits > p->ended)
			continue;
		v->waits = 0;
		if (p->pic && !p->pic->quorate) {
			cm_err_set(&v->early, CM_E_NO_QUORUM, "%s: this partition has no quorum", v->what);
			cm_timer_arm_ns(&v->late, 0);
		} else {
			verb_step(v);
		}
	}
}

void clu_pcmk_vm_create(struct clu_pcmk *p, const char *vm, const struct clu_pcmk_param *params, size_t n,
			bool started, clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot create VM %.64s", vm);
	char *xml = clu__pcmk_vm_xml(vm, params, n, started, &v->early);

	if (xml)
		verb_tool(v, "cibadmin", "--create", "--scope", "resources", "--xml-text", xml, NULL);
	free(xml);
	verb_run(v, true);
}

void clu_pcmk_vm_update(struct clu_pcmk *p, const char *vm, const struct clu_pcmk_param *params, size_t n,
			clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot change VM %.64s", vm);
	char *xml = clu__pcmk_vm_params_xml(vm, params, n, &v->early);

	if (xml)
		verb_tool(v, "cibadmin", "--modify", "--scope", "resources", "--xml-text", xml, NULL);
	free(xml);
	verb_run(v, true);
}

static void add_unprefer(struct verb *v, const char *vm)
{
	char xml[CLU_PCMK_NAME * 2];

	if (clu__pcmk_check_name("VM", vm, &v->early) != 0)
		return;
	snprintf(xml, sizeof xml, "<rsc_location id=\"hvcluster-move-%s\"/>", vm);
	verb_tool(v, "cibadmin", "--delete", "--scope", "constraints", "--xml-text", xml, NULL);
}

void clu_pcmk_vm_delete(struct clu_pcmk *p, const char *vm, clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot delete VM %.64s", vm);
	char xml[CLU_PCMK_NAME * 2];

	add_unprefer(v, vm);
	if (!v->early.code) {
		snprintf(xml, sizeof xml, "<primitive id=\"%s\"/>", vm);
		verb_tool(v, "cibadmin", "--delete", "--scope", "resources", "--xml-text", xml, NULL);
	}
	verb_run(v, true);
}

void clu_pcmk_set_started(struct clu_pcmk *p, const char *vm, bool started, clu_pcmk_done_fn done,
			  void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot %s VM %.64s", started ? "start" : "stop", vm);

	if (clu__pcmk_check_name("VM", vm, &v->early) == 0)
		verb_tool(v, "crm_resource", "--resource", vm, "--meta", "--set-parameter", "target-role",
			  "--parameter-value", started ? "Started" : "Stopped", "--output-as=xml", NULL);
	verb_run(v, true);
}

void clu_pcmk_prefer(struct clu_pcmk *p, const char *vm, const char *node, unsigned lifetime_s,
		     clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot ask for VM %.64s on node %.64s", vm, node);
	int64_t until = (int64_t)(cm_wall_ns() / CM_NS_PER_S) + lifetime_s;
	char *xml = clu__pcmk_prefer_xml(vm, node, until, &v->early);

	if (xml)
		verb_tool(v, "cibadmin", "--modify", "--allow-create", "--scope", "constraints", "--xml-text",
			  xml, NULL);
	free(xml);
	verb_run(v, true);
}

void clu_pcmk_unprefer(struct clu_pcmk *p, const char *vm, clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot forget the preference of VM %.64s", vm);

	add_unprefer(v, vm);
	verb_run(v, true);
}

void clu_pcmk_standby(struct clu_pcmk *p, const char *node, bool on, clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot %s node %.64s", on ? "drain" : "undrain", node);

	v->not_found = CM_E_NO_NODE;
	if (clu__pcmk_check_name("node", node, &v->early) == 0)
		verb_tool(v, "crm_attribute", "--node", node, "--name", "standby", "--update", on ? "on" : "off",
			  "--output-as=xml", NULL);
	verb_run(v, true);
}

void clu_pcmk_cleanup(struct clu_pcmk *p, const char *vm, const char *node, clu_pcmk_done_fn done,
		      void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot clean up VM %.64s", vm);

	if (clu__pcmk_check_name("VM", vm, &v->early) == 0 &&
	    (!node || clu__pcmk_check_name("node", node, &v->early) == 0))
		verb_tool(v, "crm_resource", "--cleanup", "--resource", vm, "--output-as=xml",
			  node ? "--node" : NULL, node, NULL);
	verb_run(v, true);
}

void clu_pcmk_report_failed(struct clu_pcmk *p, const char *vm, const char *node, clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot report the failure of VM %.64s", vm);

	if (clu__pcmk_check_name("VM", vm, &v->early) == 0 && clu__pcmk_check_name("node", node, &v->early) == 0)
		verb_tool(v, "crm_resource", "--fail", "--resource", vm, "--node", node, "--output-as=xml", NULL);
	verb_run(v, true);
}

void clu_pcmk_set_property(struct clu_pcmk *p, const char *name, const char *value, clu_pcmk_done_fn done,
			   void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot %s cluster property %.64s", value ? "set" : "delete",
				  name);

	if (strncmp(name, "hvcluster-", 10) != 0)
		cm_err_set(&v->early, CM_E_BAD_VALUE, "%s: only names that begin with hvcluster- are ours",
			   v->what);
	clu__pcmk_check_name("property", name, &v->early);
	if (value)
		clu__pcmk_check_value(name, value, &v->early);
	if (!v->early.code && value)
		verb_tool(v, "crm_attribute", "--type", "crm_config", "--set-name", "hvcluster-options", "--name",
			  name, "--update", value, "--output-as=xml", NULL);
	else if (!v->early.code)
		verb_tool(v, "crm_attribute", "--type", "crm_config", "--name", name, "--delete",
			  "--output-as=xml", NULL);
	verb_run(v, true);
}

/* Both fencing verbs: pacemaker takes any name for a node, so the picture is asked first. */
static void fence_verb(struct clu_pcmk *p, const char *node, const char *option, const char *what,
		       clu_pcmk_done_fn done, void *arg)
{
	struct verb *v = verb_new(p, done, arg, "cannot %s node %.64s", what, node);

	v->timeout_ms = FENCE_TIMEOUT_MS;
	v->not_found = CM_E_FENCING;
	clu__pcmk_check_name("node", node, &v->early);
	if (!v->early.code && p->pic && !clu_pcmk_find_node(p->pic, node))
		cm_err_set(&v->early, CM_E_NO_NODE, "%s: there is no node of that name", v->what);
	if (!v->early.code)
		verb_tool(v, "stonith_admin", option, node, "--output-as=xml", NULL);
	verb_run(v, false);
}

void clu_pcmk_confirm(struct clu_pcmk *p, const char *node, clu_pcmk_done_fn done, void *arg)
{
	fence_verb(p, node, "--confirm", "confirm the end of", done, arg);
}

void clu_pcmk_fence(struct clu_pcmk *p, const char *node, clu_pcmk_done_fn done, void *arg)
{
	fence_verb(p, node, "--fence", "fence", done, arg);
}

void clu_pcmk_free(struct clu_pcmk *p)
{
	if (!p)
		return;
	while (p->verbs) {
		struct verb *v = p->verbs;

		clu_exec_kill(v->exec);
		verb_unlink(v);
		verb_free(v);
	}
	clu_exec_kill(p->query);
	cm_timer_fini(&p->poll);
	cm_timer_fini(&p->config);
	if (p->watch_fd >= 0) {
		cm_io_fini(&p->watch);
		close(p->watch_fd);
	}
	picture_free(p->pic);
	picture_free(p->next);
	free(p);
}
