/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_req.c - requests, replies and verb tables. Parses arguments of operators and peers; every
 * wrong one gets one clear line.
 */
#include "config.h"

#include "proto/px_req.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void req_unlink(struct px_req *q)
{
	if (q->prev) {
		*q->prev = q->next;
		if (q->next)
			q->next->prev = q->prev;
	}
	q->prev = NULL;
	q->next = NULL;
}

static void req_end(struct px_req *q)
{
	req_unlink(q);
	px_msg_free(&q->owned);
	free(q);
}

void px_reqs_gone(struct px_reqs *reqs)
{
	struct px_req *q;

	while ((q = reqs->first)) {
		req_unlink(q);
		q->chan = NULL;
		if (q->gone)
			q->gone(q);
	}
}

const char *px_req_arg(const struct px_req *q, const char *key)
{
	for (size_t i = 0; i < q->msg->n_args; i++)
		if (strcmp(q->msg->args[i]->key, key) == 0)
			return q->msg->args[i]->value;
	return NULL;
}

bool px_req_flag(const struct px_req *q, const char *key)
{
	const char *v = px_req_arg(q, key);

	return v && (strcmp(v, "1") == 0 || strcmp(v, "yes") == 0 || strcmp(v, "true") == 0);
}

int px_parse_size(const char *text, uint64_t *out)
{
	char *end;
	unsigned long long n;
	unsigned shift = 0;

	if (*text < '0' || *text > '9')
		return CM_E_BAD_VALUE;
	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno)
		return CM_E_BAD_VALUE;
	switch (*end) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	case 'T':
	case 't':
		shift = 40;
		break;
	default:
		break;
	}
	if (shift) {
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
	}
	if (*end || (shift && n > UINT64_MAX >> shift))
		return CM_E_BAD_VALUE;
	*out = (uint64_t)n << shift;
	return 0;
}

int px_req_u64(const struct px_req *q, const char *key, uint64_t dflt, uint64_t min, uint64_t max,
	       uint64_t *out, struct cm_err *err)
{
	const char *v = px_req_arg(q, key);

	*out = dflt;
	if (!v)
		return 0;
	if (px_parse_size(v, out) || *out < min || *out > max)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s: '%s' is not a number from %llu to %llu",
				  key, v, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

/* Is word one of the space separated words of list? */
static bool req_word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p;) {
		size_t m = strcspn(p, " ");

		if (m == n && memcmp(p, word, n) == 0)
			return true;
		p += m;
		p += strspn(p, " ");
	}
	return false;
}

static bool req_check(struct px_req *q, const struct px_verb *v)
{
	uid_t uid;

	if (req_word_in(v->args, "vm") && !q->msg->vm[0]) {
		px_req_failf(q, CM_E_USAGE, "%s needs the name of a VM", v->name);
		return false;
	}
	if (req_word_in(v->args, "node") && !q->msg->node[0]) {
		px_req_failf(q, CM_E_USAGE, "%s needs the name of a node", v->name);
		return false;
	}
	for (size_t i = 0; i < q->msg->n_args; i++)
		if (!req_word_in(v->args, q->msg->args[i]->key)) {
			px_req_failf(q, CM_E_USAGE, "%s knows no argument '%s'", v->name,
				     q->msg->args[i]->key);
			return false;
		}
	if (v->admin && px_chan_peer_cred(q->chan, NULL, &uid, NULL) && uid != 0 &&
	    uid != geteuid()) {
		px_req_failf(q, CM_E_DENIED, "%s is for root only", v->name);
		return false;
	}
	return true;
}

static const struct px_verb *verb_find(const struct px_verb *verbs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

void px_verbs_run(const struct px_verb *verbs, size_t n, const struct px_verb *extra,
		  size_t n_extra, struct px_chan *c, struct px_reqs *reqs, struct px_msg *m,
		  void *ctx)
{
	struct px_req *q = calloc(1, sizeof *q);
	const struct px_verb *v;

	CM_ASSERT(q && m->type == PX_REQUEST);
	q->owned = *m;
	m->msg = NULL;
	q->msg = q->owned.msg;
	q->id = q->msg->id;
	q->chan = c;
	q->list = reqs;
	q->next = reqs->first;
	if (q->next)
		q->next->prev = &q->next;
	q->prev = &reqs->first;
	reqs->first = q;
	v = verb_find(verbs, n, q->msg->verb);
	if (!v && extra)
		v = verb_find(extra, n_extra, q->msg->verb);
	if (!v)
		px_req_failf(q, CM_E_UNSUPPORTED, "unknown verb '%s'", q->msg->verb);
	else if (req_check(q, v))
		v->fn(q, ctx);
}

static void req_send(struct px_req *q, Hv__Reply *r)
{
	r->id = q->id;
	if (q->chan && px_chan_send(q->chan, PX_REPLY, r) == CM_E_PROTO_TOO_BIG) {
		Hv__Reply small = HV__REPLY__INIT;

		small.id = q->id;
		small.code = CM_E_PROTO_TOO_BIG;
		small.error = (char *)(uintptr_t) "the answer is too long for one message";
		px_chan_send(q->chan, PX_REPLY, &small);
	}
}

void px_req_reply(struct px_req *q, Hv__Reply *r)
{
	req_send(q, r);
	req_end(q);
}

void px_req_ok(struct px_req *q, const char *json_doc)
{
	Hv__Reply r = HV__REPLY__INIT;

	if (json_doc)
		r.doc = (char *)(uintptr_t)json_doc;
	px_req_reply(q, &r);
}

void px_req_fail(struct px_req *q, const struct cm_err *err)
{
	Hv__Reply r = HV__REPLY__INIT;

	CM_ASSERT(err->code < 0);
	r.code = err->code;
	r.error = (char *)(uintptr_t)err->text;
	px_req_reply(q, &r);
}

void px_req_failf(struct px_req *q, int code, const char *fmt, ...)
{
	struct cm_err err = CM_ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	cm_err_vset(&err, code, fmt, ap);
	va_end(ap);
	px_req_fail(q, &err);
}

void px_req_tell(struct px_req *q, Hv__Reply *r)
{
	r->more = true;
	req_send(q, r);
}

void px_req_progress(struct px_req *q, const char *json_doc)
{
	Hv__Reply r = HV__REPLY__INIT;

	r.doc = (char *)(uintptr_t)json_doc;
	px_req_tell(q, &r);
}

void px_ask_init(struct px_ask *a, const char *verb, const char *vm)
{
	memset(a, 0, sizeof *a);
	hv__request__init(&a->req);
	a->req.verb = (char *)(uintptr_t)verb;
	if (vm)
		a->req.vm = (char *)(uintptr_t)vm;
	a->req.args = a->args;
}

void px_ask_arg(struct px_ask *a, const char *key, const char *value)
{
	size_t i = a->req.n_args;

	CM_ASSERT(i < CM_ARRAY_LEN(a->arg));
	hv__arg__init(&a->arg[i]);
	a->arg[i].key = (char *)(uintptr_t)key;
	a->arg[i].value = (char *)(uintptr_t)value;
	a->args[i] = &a->arg[i];
	a->req.n_args++;
}
