/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives the adapters to corosync and pacemaker from a shell, for the lab tests: one JSON object per line.
 *
 *   cluprobe watch                      prints what the corosync adapter reports; lines of stdin are sent
 *   cluprobe picture                    one picture of pacemaker
 *   cluprobe VERB ARG...                create VM k=v.. | update VM k=v.. | delete VM | started VM 0|1 |
 *                                       prefer VM NODE SECONDS | unprefer VM | standby NODE 0|1 | cleanup VM |
 *                                       property NAME [VALUE] | confirm NODE | fence NODE
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/node/clu_corosync.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_clock.h"

struct probe {
	struct cm_loop *loop;
	struct clu_corosync *cs;
	struct clu_pcmk *pcmk;
	struct cm_io in;
	int argc;
	char **argv;
	int exit_code;
	bool asked;
};

/* --- corosync --------------------------------------------------------------------------------- */
static void line_end(void)
{
	printf(",\"t_ns\":%llu}\n", (unsigned long long)cm_now_ns());
	fflush(stdout);
}

static void on_up(void *arg)
{
	struct probe *p = arg;
	const struct clu_corosync_node *nodes;
	size_t n;

	nodes = clu_corosync_nodes(p->cs, &n);
	printf("{\"event\":\"up\",\"local\":%u,\"nodes\":[", clu_corosync_local_id(p->cs));
	for (size_t i = 0; i < n; i++)
		printf("%s{\"id\":%u,\"name\":\"%s\",\"address\":\"%s\"}", i ? "," : "", nodes[i].id,
		       nodes[i].name, nodes[i].address[0]);
	printf("]");
	line_end();
}

static void on_down(const struct cm_err *err, void *arg)
{
	(void)arg;
	printf("{\"event\":\"down\",\"code\":\"%s\"", cm_err_name(err->code));
	line_end();
}

static void on_members(const struct clu_corosync_member *now, size_t n_now,
		       const struct clu_corosync_change *change, size_t n_change, void *arg)
{
	(void)arg;
	printf("{\"event\":\"members\",\"now\":[");
	for (size_t i = 0; i < n_now; i++)
		printf("%s%u", i ? "," : "", now[i].node_id);
	printf("],\"changes\":[");
	for (size_t i = 0; i < n_change; i++)
		printf("%s[%u,%d]", i ? "," : "", change[i].member.node_id, (int)change[i].reason);
	printf("]");
	line_end();
}

static void on_message(const struct clu_corosync_member *from, const void *data, size_t len, void *arg)
{
	(void)arg;
	printf("{\"event\":\"message\",\"from\":%u,\"len\":%zu,\"text\":\"%.*s\"", from->node_id, len,
	       (int)CM_MIN(len, (size_t)60), (const char *)data);
	line_end();
}

static void on_quorum(bool quorate, const uint32_t *ids, size_t n, void *arg)
{
	(void)arg;
	printf("{\"event\":\"quorum\",\"quorate\":%s,\"nodes\":[", quorate ? "true" : "false");
	for (size_t i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", ids[i]);
	printf("]");
	line_end();
}

/* "text" is sent as it is; "BURST count bytes" sends many messages at once. */
static void on_input(struct cm_io *io, unsigned events, void *arg)
{
	struct probe *p = arg;
	char line[256] = "", *big;
	unsigned count = 1, bytes = 0;
	int rc = 0;
	ssize_t n = read(0, line, sizeof line - 1);

	(void)events;
	(void)io;
	if (n <= 0) { /* whoever watches went away */
		cm_loop_stop(p->loop, 0);
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "BURST %u %u", &count, &bytes) == 2) {
		big = calloc(1, bytes);
		memset(big, 'x', bytes);
		for (unsigned i = 0; i < count && rc == 0; i++)
			rc = clu_corosync_send(p->cs, big, bytes);
		free(big);
	} else {
		rc = clu_corosync_send(p->cs, line, strlen(line));
	}
	printf("{\"event\":\"sent\",\"code\":\"%s\"", rc ? cm_err_name(rc) : "OK");
	line_end();
}

static int watch(struct probe *p)
{
	static const struct clu_corosync_ops ops = {.up = on_up,
						    .down = on_down,
						    .members = on_members,
						    .message = on_message,
						    .quorum = on_quorum};

	p->cs = clu_corosync_new(p->loop, &ops, p, 100);
	clu_corosync_set_group(p->cs, "cluprobe");
	cm_io_init(&p->in, p->loop, 0, on_input, p);
	cm_io_want(&p->in, CM_READ);
	cm_loop_run(p->loop);
	return 0;
}

/* --- pacemaker -------------------------------------------------------------------------------- */
static void print_picture(const struct clu_pcmk_picture *pic)
{
	printf("{\"quorate\":%s,\"dc\":\"%s\",\"devices\":%u,\"nodes\":{", pic->quorate ? "true" : "false", pic->dc,
	       pic->fence_devices);
	for (size_t i = 0; i < pic->n_nodes; i++)
		printf("%s\"%s\":{\"online\":%d,\"unclean\":%d,\"standby\":%d}", i ? "," : "", pic->nodes[i].name,
		       pic->nodes[i].online, pic->nodes[i].unclean, pic->nodes[i].standby);
	printf("},\"vms\":{");
	for (size_t i = 0; i < pic->n_vms; i++) {
		const struct clu_pcmk_vm *vm = &pic->vms[i];

		printf("%s\"%s\":{\"role\":\"%s\",\"node\":\"%s\",\"want_started\":%d,\"failed\":%d,"
		       "\"failure\":\"%s\",\"params\":{",
		       i ? "," : "", vm->name, clu_pcmk_role_name(vm->role), vm->node, vm->want_started, vm->failed,
		       vm->failure);
		for (size_t j = 0; j < vm->n_params; j++)
			printf("%s\"%s\":\"%s\"", j ? "," : "", vm->params[j].name, vm->params[j].value);
		printf("}}");
	}
	printf("},\"properties\":{");
	for (size_t i = 0; i < pic->n_properties; i++)
		printf("%s\"%s\":\"%s\"", i ? "," : "", pic->properties[i].name, pic->properties[i].value);
	printf("},\"prefs\":[");
	for (size_t i = 0; i < pic->n_prefs; i++)
		printf("%s[\"%s\",\"%s\",%lld]", i ? "," : "", pic->prefs[i].vm, pic->prefs[i].node,
		       (long long)pic->prefs[i].until_wall_s);
	printf("],\"fences\":[");
	for (size_t i = 0; i < pic->n_fences; i++)
		printf("%s[\"%s\",\"%s\",%d]", i ? "," : "", pic->fences[i].target, pic->fences[i].action,
		       (int)pic->fences[i].state);
	printf("]}\n");
}

static void on_done(int code, const struct cm_err *err, void *arg)
{
	struct probe *p = arg;

	printf("{\"code\":\"%s\",\"text\":\"%s\"}\n", code ? cm_err_name(code) : "OK", code ? err->text : "");
	p->exit_code = code ? 1 : 0;
	cm_loop_stop(p->loop, 0);
}

static size_t take_params(struct probe *p, struct clu_pcmk_param *params)
{
	size_t n = 0;

	for (int i = 3; i < p->argc && n < CLU_PCMK_PARAMS; i++) {
		char *eq = strchr(p->argv[i], '=');

		if (!eq)
			continue;
		*eq = '\0';
		params[n++] = (struct clu_pcmk_param){p->argv[i], eq + 1};
	}
	return n;
}

static void verb(struct probe *p)
{
	const char *v = p->argv[1], *a = p->argc > 2 ? p->argv[2] : "", *b = p->argc > 3 ? p->argv[3] : NULL;
	struct clu_pcmk_param params[CLU_PCMK_PARAMS];
	struct clu_pcmk *k = p->pcmk;

	if (strcmp(v, "create") == 0)
		clu_pcmk_vm_create(k, a, params, take_params(p, params), true, on_done, p);
	else if (strcmp(v, "update") == 0)
		clu_pcmk_vm_update(k, a, params, take_params(p, params), on_done, p);
	else if (strcmp(v, "delete") == 0)
		clu_pcmk_vm_delete(k, a, on_done, p);
	else if (strcmp(v, "started") == 0)
		clu_pcmk_set_started(k, a, b && *b == '1', on_done, p);
	else if (strcmp(v, "prefer") == 0 && p->argc > 4)
		clu_pcmk_prefer(k, a, b, (unsigned)atoi(p->argv[4]), on_done, p);
	else if (strcmp(v, "unprefer") == 0)
		clu_pcmk_unprefer(k, a, on_done, p);
	else if (strcmp(v, "standby") == 0)
		clu_pcmk_standby(k, a, b && *b == '1', on_done, p);
	else if (strcmp(v, "cleanup") == 0)
		clu_pcmk_cleanup(k, a, b, on_done, p);
	else if (strcmp(v, "property") == 0)
		clu_pcmk_set_property(k, a, b, on_done, p);
	else if (strcmp(v, "confirm") == 0)
		clu_pcmk_confirm(k, a, on_done, p);
	else if (strcmp(v, "fence") == 0)
		clu_pcmk_fence(k, a, on_done, p);
	else
		cm_loop_stop(p->loop, 0);
}

static void on_picture(const struct clu_pcmk_picture *pic, void *arg)
{
	struct probe *p = arg;

	if (p->asked)
		return;
	p->asked = true;
	p->exit_code = 0;
	if (strcmp(p->argv[1], "picture") == 0) {
		print_picture(pic);
		cm_loop_stop(p->loop, 0);
		return;
	}
	verb(p);
}

static void on_lost(const struct cm_err *err, void *arg)
{
	struct probe *p = arg;

	printf("{\"code\":\"%s\",\"text\":\"%s\"}\n", cm_err_name(err->code), err->text);
	p->exit_code = 1;
	cm_loop_stop(p->loop, 0);
}

int main(int argc, char **argv)
{
	static const struct clu_pcmk_ops ops = {.picture = on_picture, .lost = on_lost};
	struct probe p = {.argc = argc, .argv = argv, .exit_code = 2};

	if (argc < 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	p.loop = cm_loop_new(NULL);
	if (strcmp(argv[1], "watch") == 0)
		return watch(&p);
	p.pcmk = clu_pcmk_new(p.loop, &ops, &p, NULL);
	clu_pcmk_refresh(p.pcmk);
	cm_loop_run(p.loop);
	clu_pcmk_free(p.pcmk);
	cm_loop_free(p.loop);
	return p.exit_code;
}
