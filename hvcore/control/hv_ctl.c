/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl.c - the control socket: connections, watchers, and the table of verbs (hv_ctl_verbs.c has
 * what they do).
 *
 * Parses requests of whoever may open the socket (root and our own group), through proto/.
 */
#include "config.h"

#include "hvcore/control/hv_ctl.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_clock.h"
#include "hvcore/control/hv_ctl_int.h"

static void conn_drop(struct ctl_conn *k)
{
	for (struct ctl_conn **p = &k->ctl->conns; *p; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	hv__ctl_console_gone(k);
	px_reqs_gone(&k->reqs);
}

static void conn_message(struct px_chan *c, struct px_msg *m, void *arg)
{
	struct ctl_conn *k = arg;
	struct hv_ctl *ctl = k->ctl;

	if (m->type == PX_REQUEST) {
		px_verbs_run(hv__ctl_verbs, hv__ctl_verb_count, ctl->verbs, ctl->verb_count, c,
			     &k->reqs, m, ctl->core);
	} else if (m->type == PX_DATA) {
		hv__ctl_console_data(k, m->msg);
	}
}

static void conn_closed(struct px_chan *c, int code, const char *text, void *arg)
{
	struct ctl_conn *k = arg;

	(void)c;
	(void)code;
	(void)text;
	k->chan = NULL;
	conn_drop(k);
	free(k);
}

static const struct px_chan_ops conn_ops = {.message = conn_message, .closed = conn_closed};

static void on_accept(struct px_server *s, int fd, void *arg)
{
	struct hv_ctl *ctl = arg;
	struct ctl_conn *k = calloc(1, sizeof *k);

	(void)s;
	CM_ASSERT(k);
	k->ctl = ctl;
	k->console_fd[0] = k->console_fd[1] = -1;
	k->chan = px_chan_new(hv_core_loop(ctl->core), fd, &ctl->self, &conn_ops, k);
	if (!k->chan) {
		free(k);
		return;
	}
	k->next = ctl->conns;
	ctl->conns = k;
}

static void ctl_free(void *arg)
{
	free(arg);
}

/* What is queued still leaves. */
static void core_over(void *arg)
{
	struct hv_ctl *ctl = arg;
	struct ctl_conn *k;

	px_server_close(ctl->server);
	while ((k = ctl->conns)) {
		conn_drop(k);
		if (k->chan)
			px_chan_finish(k->chan);
		cm_loop_defer(hv_core_loop(ctl->core), ctl_free, k);
	}
	free(ctl->counted);
	cm_loop_defer(hv_core_loop(ctl->core), ctl_free, ctl);
}

static void core_event(void *arg, const char *kind, const char *severity, const char *text,
		       const char *doc)
{
	struct hv_ctl *ctl = arg;
	const Hv__CoreStart *s = hv_core_start(ctl->core);
	Hv__Event e = HV__EVENT__INIT;

	e.seq = ++ctl->seq;
	e.wall_ns = cm_wall_ns();
	e.node = s->node;
	e.vm = s->vm->name;
	e.kind = (char *)(uintptr_t)kind;
	e.severity = (char *)(uintptr_t)severity;
	e.text = (char *)(uintptr_t)text;
	e.doc = (char *)(uintptr_t)(doc ? doc : "");
	e.state = (Hv__VmState)hv_core_state(ctl->core);
	for (struct ctl_conn *k = ctl->conns; k; k = k->next)
		if (k->watch && k->chan)
			(void)px_chan_send(k->chan, PX_EVENT, &e);
}

int hv_ctl_new(struct hv_core *core, const struct px_verb *verbs, size_t verb_count,
	       struct cm_err *err)
{
	const Hv__CoreStart *s = hv_core_start(core);
	struct hv_core_watcher watcher = {.event = core_event, .over = core_over};
	struct hv_ctl *ctl;

	if (s->control_fd < 0 && !s->control_socket[0])
		return 0;
	ctl = calloc(1, sizeof *ctl);
	if (!ctl)
		return cm_err_set(err, CM_E_NO_MEMORY, "out of memory");
	*ctl = (struct hv_ctl){.core = core, .verbs = verbs, .verb_count = verb_count};
	ctl->self = (struct px_self){.program = "hvcore", .node = s->node};
	if (s->control_fd >= 0)
		ctl->server = px_server_fd(hv_core_loop(core), s->control_fd, on_accept, ctl, err);
	else
		ctl->server = px_server_unix(hv_core_loop(core), s->control_socket, 0660, (gid_t)-1,
					     on_accept, ctl, err);
	if (!ctl->server) {
		free(ctl);
		return err->code;
	}
	watcher.arg = ctl;
	hv_core_watch(core, &watcher);
	return 0;
}
