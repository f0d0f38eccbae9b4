/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_line.c - parses the command line by the table of verbs; usage and help. Asks nobody itself.
 * Parses data of the operator.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hvctl.h"

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

void hvctl_usage(const struct hvctl *h, FILE *to)
{
	fputs("usage: hvctl [--json] [--socket PATH] VERB ...\n\n", to);
	for (size_t i = 0; i < h->n_verbs; i++)
		fprintf(to, "  %-16s %-14s %s\n", h->verbs[i].name, h->verbs[i].operands,
			h->verbs[i].text);
	fputs("\nhvctl help VERB tells a verb's options; hvctl error CODE explains an error.\n",
	      to);
}

/* Finds the verb of the first one or two words; *used: how many. */
static const struct hvctl_verb *verb_find(const struct hvctl *h, int argc, char **argv, int *used)
{
	for (size_t i = 0; i < h->n_verbs; i++) {
		const char *name = h->verbs[i].name, *second = strchr(name, ' ');
		size_t n = second ? (size_t)(second - name) : strlen(name);

		if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], name, n) != 0)
			continue;
		if (!second) {
			*used = 1;
			return &h->verbs[i];
		}
		if (argc >= 2 && strcmp(argv[1], second + 1) == 0) {
			*used = 2;
			return &h->verbs[i];
		}
	}
	return NULL;
}

int hvctl_help(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask)
{
	char *word[2];
	int n = (int)ask->req.n_args, used;

	for (int i = 0; i < n; i++)
		word[i] = ask->args[i]->value;
	if (n == 0) {
		hvctl_usage(h, stdout);
		return 0;
	}
	v = verb_find(h, n, word, &used);
	if (v) {
		verb_usage(v, stdout);
		return 0;
	}
	used = 0;
	for (size_t i = 0; i < h->n_verbs; i++)
		if (strncmp(h->verbs[i].name, word[0], strlen(word[0])) == 0) {
			verb_usage(&h->verbs[i], stdout);
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
		const char *arg = o->arg ? o->arg : o->name, *set = strchr(arg, '=');

		if (strlen(o->name) != n || strncmp(o->name, word, n) != 0)
			continue;
		if (!o->value && eq)
			return cm_err_set(err, CM_E_USAGE, "--%s takes no value", o->name);
		if (set && strncmp(arg, "verb=", 5) == 0) {
			ask->req.verb = (char *)(uintptr_t)(set + 1);
			return 0;
		}
		if (set) { /* "mode=quick" */
			static char keys[4][16];
			static unsigned used;
			char *key = keys[used++ % 4];

			snprintf(key, sizeof keys[0], "%.*s", (int)(set - arg), arg);
			px_ask_arg(ask, key, set + 1);
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
		hvctl_usage(h, stderr);
		return 2;
	}
	v = verb_find(h, argc, argv, &used);
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
