/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_answer.c - asks the daemon and shows what it answers: documents, progress, errors and
 * their exit codes. Parses the daemon's JSON.
 */
#include "config.h"

#include <stdio.h>

#include <json-c/json.h>

#include "cli/hvctl.h"
#include "proto/px_call.h"

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
	case CM_E_DISK_CLAIMED:
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
