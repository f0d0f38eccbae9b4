/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence_hvsan_main.c - pacemaker's fence agent for SAN fencing: options from stdin (name=value lines) or the command line,
 * exit codes as fence agents have them (0 done or on, 1 failed, 2 off).
 *
 * A second fencing level for a dead BMC: it cannot switch a node off, but says success only when every VM of the node has
 * visibly expired, none of its keys can write any more, and the blocks do not name it any more. Parses the operator's
 * options; the work is in fencing/fen_agent.c. Privilege: network to the SAN, the CHAP secret, a file in /run.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_log.h"
#include "fencing/fen_agent.h"
#include "fencing/fen_mark.h"
#include "sharedstorage/dev/stor_timing.h"

struct options {
	char action[16], node[64], url[1024], initiator[224], mark_dir[128];
	unsigned io_timeout_ms;
};

struct run {
	struct cm_loop *loop;
	int rc;
};

static void metadata(void)
{
	puts("<?xml version=\"1.0\" ?>\n"
	     "<resource-agent name=\"fence_hvsan\" shortdesc=\"SAN fencing of hvcluster nodes\">\n"
	     "<longdesc>Shuts every VM of a node out of the shared volume: waits until each of their leases has "
	     "visibly expired, preempts and aborts all keys of the node, and reads them back as gone. Use it as a "
	     "second fencing level behind a power switch. It fences the VMs of hvcluster, nothing else on the "
	     "node.</longdesc>\n"
	     "<parameters>\n"
	     "<parameter name=\"action\" unique=\"0\" required=\"1\"><getopt mixed=\"-o, --action=[action]\"/>"
	     "<content type=\"string\" default=\"off\"/><shortdesc lang=\"en\">What to do</shortdesc></parameter>\n"
	     "<parameter name=\"plug\" unique=\"0\" required=\"1\"><getopt mixed=\"-n, --plug=[node]\"/>"
	     "<content type=\"string\"/><shortdesc lang=\"en\">Name of the node</shortdesc></parameter>\n"
	     "<parameter name=\"url\" unique=\"0\" required=\"1\"><getopt mixed=\"--url=[url]\"/>"
	     "<content type=\"string\"/><shortdesc lang=\"en\">URL of the volume, as iscsi://10.0.0.5/iqn/0"
	     "</shortdesc></parameter>\n"
	     "<parameter name=\"initiator\" unique=\"0\" required=\"0\"><getopt mixed=\"--initiator=[iqn]\"/>"
	     "<content type=\"string\"/><shortdesc lang=\"en\">Initiator name of this node</shortdesc></parameter>\n"
	     "<parameter name=\"io_timeout_ms\" unique=\"0\" required=\"0\"><getopt "
	     "mixed=\"--io_timeout_ms=[ms]\"/><content type=\"integer\" default=\"2000\"/><shortdesc lang=\"en\">"
	     "Longest time the SAN may take for a command</shortdesc></parameter>\n"
	     "<parameter name=\"mark_dir\" unique=\"0\" required=\"0\"><getopt mixed=\"--mark_dir=[dir]\"/>"
	     "<content type=\"string\" default=\"" FEN_MARK_DIR "\"/><shortdesc lang=\"en\">Where it tells hvclusterd "
	     "of this node that it was used: hvclusterd's state_dir and /fence_hvsan</shortdesc></parameter>\n"
	     "</parameters>\n"
	     "<actions>\n"
	     "<action name=\"on\" automatic=\"0\"/>\n<action name=\"off\"/>\n<action name=\"reboot\"/>\n"
	     "<action name=\"status\"/>\n<action name=\"list\"/>\n<action name=\"monitor\"/>\n"
	     "<action name=\"metadata\"/>\n<action name=\"validate-all\"/>\n"
	     "</actions>\n</resource-agent>");
}

static void set(char *to, size_t cap, const char *value)
{
	snprintf(to, cap, "%s", value);
}

/* Unknown names are ignored: pacemaker passes more than it is asked for. */
static void option(struct options *o, const char *name, const char *value)
{
	if (!strcmp(name, "action") || !strcmp(name, "option"))
		set(o->action, sizeof o->action, value);
	else if (!strcmp(name, "plug") || !strcmp(name, "port") ||
		 (!strcmp(name, "nodename") && !o->node[0]))
		set(o->node, sizeof o->node, value);
	else if (!strcmp(name, "url"))
		set(o->url, sizeof o->url, value);
	else if (!strcmp(name, "initiator"))
		set(o->initiator, sizeof o->initiator, value);
	else if (!strcmp(name, "mark_dir"))
		set(o->mark_dir, sizeof o->mark_dir, value);
	else if (!strcmp(name, "io_timeout_ms"))
		o->io_timeout_ms = (unsigned)strtoul(value, NULL, 10);
}

static void options_stdin(struct options *o)
{
	char line[1200];

	while (fgets(line, sizeof line, stdin)) {
		char *eq = strchr(line, '=');

		line[strcspn(line, "\r\n")] = 0;
		if (!eq || *line == '#')
			continue;
		*eq = 0;
		option(o, line, eq + 1);
	}
}

static int options_argv(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char name[64], *eq;

		if ((!strcmp(argv[i], "-o") || !strcmp(argv[i], "-n")) && i + 1 < argc) {
			option(o, argv[i][1] == 'o' ? "action" : "plug", argv[i + 1]);
			i++;
			continue;
		}
		eq = strchr(argv[i], '=');
		if (strncmp(argv[i], "--", 2) || !eq || (size_t)(eq - argv[i]) - 2 >= sizeof name) {
			fprintf(stderr, "fence_hvsan: '%s' is no option\n", argv[i]);
			return -1;
		}
		snprintf(name, sizeof name, "%.*s", (int)(eq - argv[i] - 2), argv[i] + 2);
		option(o, name, eq + 1);
	}
	return 0;
}

static void line_stdout(const char *text, void *arg)
{
	(void)arg;
	puts(text);
}

static void line_stderr(const char *text, void *arg)
{
	(void)arg;
	fprintf(stderr, "fence_hvsan: %s\n", text);
}

static void done(int rc, const struct cm_err *err, void *arg)
{
	struct run *r = arg;

	if (rc < 0)
		fprintf(stderr, "fence_hvsan: %s\n", err->text[0] ? err->text : cm_err_text(rc));
	r->rc = rc;
	cm_loop_stop(r->loop, 0);
}

/* Before anything else is done, so that no "fenced" of pacemaker is without its mark. */
static int mark(const struct options *o)
{
	int rc = fen_mark_set(o->mark_dir, o->node);

	if (rc)
		fprintf(stderr, "fence_hvsan: cannot leave word for hvclusterd in %s: %s\n", o->mark_dir, cm_err_text(rc));
	return rc;
}

static int work(const struct options *o, enum fen_agent_action action)
{
	struct cm_err err = CM_ERR_INIT;
	struct run r = {.loop = cm_loop_new(&err)};
	struct fen_agent_cfg cfg = {.loop = r.loop,
				    .action = action,
				    .url = o->url,
				    .node = o->node,
				    .initiator = o->initiator[0] ? o->initiator : NULL,
				    .io_timeout_ms = o->io_timeout_ms,
				    .line = action == FEN_AGENT_LIST ? line_stdout : line_stderr,
				    .done = done,
				    .arg = &r};

	if (!r.loop || fen_agent_run(&cfg, &err)) {
		fprintf(stderr, "fence_hvsan: %s\n", err.text);
		return 1;
	}
	cm_loop_run(r.loop);
	cm_loop_free(r.loop);
	if (r.rc < 0)
		return 1;
	return action == FEN_AGENT_STATUS && r.rc == 1 ? 2 : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum fen_agent_action action;
		bool needs_node;
	} actions[] = {
		{"off", FEN_AGENT_OFF, true},	     {"reboot", FEN_AGENT_OFF, true},
		{"status", FEN_AGENT_STATUS, true},  {"monitor", FEN_AGENT_MONITOR, false},
		{"list", FEN_AGENT_LIST, false},     {"list-status", FEN_AGENT_LIST, false},
		{"validate-all", FEN_AGENT_NONE, false}, {"on", FEN_AGENT_NONE, true},
	};
	struct options o = {.action = "off", .mark_dir = FEN_MARK_DIR, .io_timeout_ms = STOR_IO_TIMEOUT_MS};

	cm_log_set_level(CM_LOG_ERR);
	if (argc > 1 ? options_argv(&o, argc, argv) : (options_stdin(&o), 0))
		return 1;
	if (!strcmp(o.action, "metadata") || !strcmp(o.action, "meta-data")) {
		metadata();
		return 0;
	}
	if (!o.url[0]) {
		fputs("fence_hvsan: url= is missing: the volume's, as iscsi://10.0.0.5/iqn/0\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < CM_ARRAY_LEN(actions); i++) {
		if (strcmp(o.action, actions[i].name))
			continue;
		if (actions[i].needs_node && !o.node[0]) {
			fputs("fence_hvsan: plug= is missing: the node's name\n", stderr);
			return 1;
		}
		if (actions[i].action == FEN_AGENT_OFF && mark(&o))
			return 1;
		return actions[i].action == FEN_AGENT_NONE ? 0 : work(&o, actions[i].action);
	}
	fprintf(stderr, "fence_hvsan: '%s' is no action\n", o.action);
	return 1;
}
