/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_line.c - parses the command line by the table of verbs, asks the daemon, shows the answer.
 * Parses data of the operator and the daemon's JSON.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/hvctl.h"
#include "proto/px_call.h"
#include "proto/px_words.h"

int hvctl_exit_code(int code)
{
	switch (code) {
	case 0:
		return 0;
	case CM_E_USAGE:
	case CM_E_BAD_VALUE:
	case CM_E_BAD_URL:
	case CM_E_BAD_KERNEL:
		return 2;
	case CM_E_NO_VM:
	case CM_E_NO_NODE:
	case CM_E_NO_DISK:
	case CM_E_NO_FILE:
		return 3;
	case CM_E_VM_STATE:
	case CM_E_VM_EXISTS:
	case CM_E_DISK_EXISTS:
	case CM_E_DISK_BUSY:
	case CM_E_MIG_BUSY:
	case CM_E_MIG_SAME_NODE:
	case CM_E_LEASE_HELD:
	case CM_E_LEASE_NO_PROOF:
	case CM_E_TARGET_FULL:
	case CM_E_NO_MEMORY:
		return 4;
	case CM_E_NO_DAEMON:
	case CM_E_NO_QUORUM:
	case CM_E_NO_CLUSTER:
	case CM_E_PACEMAKER:
	case CM_E_NODE_OFFLINE:
	case CM_E_FENCING:
	case CM_E_NO_FENCING:
		return 5;
	case CM_E_DENIED:
		return 7;
	case CM_E_TIMEOUT:
		return 8;
	default:
		if (code <= -2301 && code >= -2399)
			return 9;
		return code <= -2501 && code >= -2599 ? 6 : 1;
	}
}

int hvctl_fail(const struct hvctl *h, const struct cm_err *err)
{
	const char *fix = cm_err_fix(err->code);

	hvctl_clear_progress();
	if (h->json) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "error", json_object_new_string(cm_err_name(err->code)));
		json_object_object_add(o, "code", json_object_new_int(err->code));
		json_object_object_add(o, "text", json_object_new_string(err->text));
		json_object_object_add(o, "fix", json_object_new_string(fix));
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else {
		fprintf(stderr, "hvctl: %s [%s]\n", err->text, cm_err_name(err->code));
		if (*fix)
			fprintf(stderr, "       %s\n", fix);
	}
	return hvctl_exit_code(err->code);
}

static void call_progress(const Hv__Reply *r, void *arg)
{
	const struct hvctl *h = arg;
	struct json_object *o;

	if (!h->tty || h->json)
		return;
	o = json_tokener_parse(r->doc);
	if (o)
		hvctl_show_progress(o);
	json_object_put(o);
}

int hvctl_call(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	static const struct px_self self = {"hvctl", ""};
	struct px_call_hooks hooks = {.progress = call_progress, .arg = h};
	struct cm_err err = CM_ERR_INIT;
	struct json_object *doc;
	Hv__Reply *r;

	if (px_call(h->socket, &self, &ask->req, 0, &hooks, &r, &err))
		return hvctl_fail(h, &err);
	hvctl_clear_progress();
	if (r->code) {
		int rc;

		cm_err_set(&err, r->code, "%s", r->error[0] ? r->error : cm_err_text(r->code));
		rc = hvctl_fail(h, &err);
		hv__reply__free_unpacked(r, NULL);
		return rc;
	}
	if (h->json) {
		puts(r->doc[0] ? r->doc : "{}");
	} else if (v->show && r->doc[0]) {
		doc = json_tokener_parse(r->doc);
		if (doc)
			v->show(doc);
		json_object_put(doc);
	}
	hv__reply__free_unpacked(r, NULL);
	return 0;
}

/* --- the command line ---------------------------------------------------- */

static void verb_usage(const struct hvctl_verb *v, FILE *to)
{
	fprintf(to, "usage: hvctl %s%s%s%s\n  %s\n", v->name, v->operands[0] ? " " : "",
		v->operands, v->opt[0].name ? " [options]" : "", v->text);
	for (unsigned i = 0; i < HVCTL_OPTS && v->opt[i].name; i++)
		fprintf(to, "  --%s%s%s%*s%s\n", v->opt[i].name, v->opt[i].value ? " " : "",
			v->opt[i].value ? v->opt[i].value : "",
			(int)CM_MAX(2, 34 - (int)strlen(v->opt[i].name) -
					       (v->opt[i].value ? (int)strlen(v->opt[i].value) + 1
								: 0)),
			"", v->opt[i].text);
}

void hvctl_usage(FILE *to)
{
	fputs("usage: hvctl [--json] [--socket PATH] VERB ...\n\n", to);
	for (size_t i = 0; i < hvctl_n_verbs; i++)
		fprintf(to, "  %-16s %-14s %s\n", hvctl_verbs[i].name, hvctl_verbs[i].operands,
			hvctl_verbs[i].text);
	fputs("\nhvctl help VERB tells a verb's options; hvctl error CODE explains an error.\n",
	      to);
}

/* Finds the verb of the first one or two words; *used: how many. */
static const struct hvctl_verb *verb_find(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < hvctl_n_verbs; i++) {
		const char *name = hvctl_verbs[i].name, *second = strchr(name, ' ');
		size_t n = second ? (size_t)(second - name) : strlen(name);

		if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], name, n) != 0)
			continue;
		if (!second) {
			*used = 1;
			return &hvctl_verbs[i];
		}
		if (argc >= 2 && strcmp(argv[1], second + 1) == 0) {
			*used = 2;
			return &hvctl_verbs[i];
		}
	}
	return NULL;
}

int hvctl_help(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	char *word[2];
	int n = (int)ask->req.n_args, used;

	(void)h;
	for (int i = 0; i < n; i++)
		word[i] = ask->args[i]->value;
	if (n == 0) {
		hvctl_usage(stdout);
		return 0;
	}
	v = verb_find(n, word, &used);
	if (v) {
		verb_usage(v, stdout);
		return 0;
	}
	used = 0;
	for (size_t i = 0; i < hvctl_n_verbs; i++)
		if (strncmp(hvctl_verbs[i].name, word[0], strlen(word[0])) == 0) {
			verb_usage(&hvctl_verbs[i], stdout);
			used++;
		}
	if (!used)
		fprintf(stderr, "hvctl: there is no verb '%s'\n", word[0]);
	return used ? 0 : 2;
}

static int take_option(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask, int argc,
		       char **argv, int *at, struct cm_err *err)
{
	const char *word = argv[*at] + 2, *eq = strchr(word, '=');
	size_t n = eq ? (size_t)(eq - word) : strlen(word);

	if (strcmp(word, "json") == 0) {
		h->json = true;
		return 0;
	}
	for (unsigned i = 0; i < HVCTL_OPTS && v->opt[i].name; i++) {
		const struct hvctl_opt *o = &v->opt[i];
		const char *arg = o->arg ? o->arg : o->name;

		if (strlen(o->name) != n || strncmp(o->name, word, n) != 0)
			continue;
		if (!o->value && eq)
			return cm_err_set(err, CM_E_USAGE, "--%s takes no value", o->name);
		if (strncmp(arg, "verb=", 5) == 0) {
			ask->req.verb = (char *)(uintptr_t)(arg + 5);
			return 0;
		}
		if (strncmp(arg, "mode=", 5) == 0) {
			ask->req.mode = px_mig_mode_find(arg + 5);
			return 0;
		}
		if (!o->value) {
			px_ask_arg(ask, arg, "1");
			return 0;
		}
		if (!eq && *at + 1 >= argc)
			return cm_err_set(err, CM_E_USAGE, "--%s needs a value: %s", o->name,
					  o->value);
		px_ask_arg(ask, arg, eq ? eq + 1 : argv[++*at]);
		return 0;
	}
	return cm_err_set(err, CM_E_USAGE, "hvctl %s knows no option '--%.*s'", v->name, (int)n,
			  word);
}

static void take_operand(const struct hvctl_verb *v, struct px_ask *ask, unsigned i, char *word)
{
	switch (v->where[i]) {
	case 'v':
		ask->req.vm = word;
		break;
	case 'n':
		ask->req.node = word;
		break;
	case 'u':
		px_ask_arg(ask, "volume", word);
		break;
	case 'd':
		px_ask_arg(ask, "disk", word);
		break;
	case 'r':
		px_ask_arg(ask, "url", word);
		break;
	case 's':
		px_ask_arg(ask, "spec", word);
		break;
	case 't':
		px_ask_arg(ask, "to", word);
		break;
	case 'w':
		px_ask_arg(ask, "what", word);
		break;
	default:
		px_ask_arg(ask, "word", word);
		break;
	}
}

static int parse(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask, int argc,
		 char **argv, struct cm_err *err)
{
	unsigned operands = 0;
	bool only_operands = false;

	for (int i = 0; i < argc; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && strncmp(argv[i], "--", 2) == 0) {
			if (strcmp(argv[i], "--help") == 0) {
				verb_usage(v, stdout);
				exit(0);
			}
			if (ask->req.n_args >= CM_ARRAY_LEN(ask->arg))
				return cm_err_set(err, CM_E_USAGE, "too many options");
			if (take_option(h, v, ask, argc, argv, &i, err))
				return err->code;
		} else if (operands >= v->max) {
			return cm_err_set(err, CM_E_USAGE,
					  "hvctl %s: unexpected '%s' (usage: hvctl %s %s)", v->name,
					  argv[i], v->name, v->operands);
		} else {
			take_operand(v, ask, operands++, argv[i]);
		}
	}
	if (operands < v->min)
		return cm_err_set(err, CM_E_USAGE, "hvctl %s needs %s", v->name, v->operands);
	return 0;
}

int hvctl_main(struct hvctl *h, int argc, char **argv)
{
	struct cm_err err = CM_ERR_INIT;
	const struct hvctl_verb *v;
	struct px_ask ask;
	int used = 0;

	if (argc == 0) {
		hvctl_usage(stderr);
		return 2;
	}
	v = verb_find(argc, argv, &used);
	if (!v) {
		cm_err_set(&err, CM_E_USAGE, "there is no verb '%s%s%s' (hvctl help lists them)",
			   argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
		return hvctl_fail(h, &err);
	}
	px_ask_init(&ask, v->request ? v->request : v->name, NULL);
	if (parse(h, v, &ask, argc - used, argv + used, &err))
		return hvctl_fail(h, &err);
	return v->fn ? v->fn(h, v, &ask) : hvctl_call(h, v, &ask);
}

/* --- error CODE ---------------------------------------------------------- */

static void error_row(int code, void *arg)
{
	const struct hvctl *h = arg;

	if (h->json)
		return;
	printf("%-6d %-18s %s\n", code, cm_err_name(code), cm_err_text(code));
}

static void error_json(int code, void *arg)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "code", json_object_new_int(code));
	json_object_object_add(o, "name", json_object_new_string(cm_err_name(code)));
	json_object_object_add(o, "text", json_object_new_string(cm_err_text(code)));
	json_object_object_add(o, "fix", json_object_new_string(cm_err_fix(code)));
	json_object_object_add(o, "exit", json_object_new_int(hvctl_exit_code(code)));
	json_object_array_add(arg, o);
}

int hvctl_error(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	struct json_object *list = json_object_new_array();
	struct cm_err err = CM_ERR_INIT;
	int code = 0;

	(void)v;
	if (ask->req.n_args) {
		code = cm_err_find(ask->args[0]->value);
		if (!code) {
			json_object_put(list);
			cm_err_set(&err, CM_E_BAD_VALUE,
				   "'%s' is no error code or name that hvcluster knows",
				   ask->args[0]->value);
			return hvctl_fail(h, &err);
		}
		error_json(code, list);
	} else {
		cm_err_each(error_json, list);
	}
	if (h->json && code)
		puts(json_object_to_json_string(json_object_array_get_idx(list, 0)));
	else if (h->json)
		puts(json_object_to_json_string(list));
	else if (code)
		printf("%s (%d): %s\n  %s\n  exit code %d\n", cm_err_name(code), code,
		       cm_err_text(code), cm_err_fix(code), hvctl_exit_code(code));
	else
		cm_err_each(error_row, h);
	json_object_put(list);
	return 0;
}
