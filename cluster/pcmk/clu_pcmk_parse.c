/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure parsers of pacemaker's XML: the CIB (what is configured), crm_mon's report (what is), and the
 * results of its tools. No I/O, no clock. Parses what pacemaker says, in which names and values come
 * from operators; a field that is too long is cut, one that is missing stays empty.
 * This file and clu_pcmk_xml.c are the only users of libxml2.
 */
#include "config.h"

#include "cluster/pcmk/clu_pcmk.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XML_MAX	  (32u << 20)
#define ITEMS_MAX 65536u

typedef int (*element_fn)(xmlNode *node, struct clu_pcmk_picture *pic);

/* --- small helpers ---------------------------------------------------------------------------- */
static bool is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* Copies an attribute; false and "" when it is not there. */
static bool attr(xmlNode *n, const char *name, char *out, size_t cap)
{
	xmlChar *v = xmlGetNoNsProp(n, (const xmlChar *)name);

	snprintf(out, cap, "%s", v ? (const char *)v : "");
	xmlFree(v);
	return v != NULL;
}

static bool attr_is(xmlNode *n, const char *name, const char *want)
{
	char v[64];

	return attr(n, name, v, sizeof v) && strcmp(v, want) == 0;
}

static bool attr_true(xmlNode *n, const char *name)
{
	return attr_is(n, name, "true") || attr_is(n, name, "1");
}

static bool word_true(const char *v)
{
	return strcmp(v, "true") == 0 || strcmp(v, "1") == 0 || strcmp(v, "yes") == 0 || strcmp(v, "on") == 0;
}

/* One more zeroed element at the end of *items; NULL without memory or past the limit. */
static void *grow(void **items, size_t *n, size_t size)
{
	void *p;

	if (*n >= ITEMS_MAX)
		return NULL;
	if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4, 8 ... are full */
		p = realloc(*items, (*n ? *n * 2 : 1) * size);
		if (!p)
			return NULL;
		*items = p;
	}
	p = (char *)*items + *n * size;
	memset(p, 0, size);
	(*n)++;
	return p;
}

#define GROW(items, n) grow((void **)&(items), &(n), sizeof(*(items)))

/* Calls fn for every element called name below node, whatever it is nested in. */
static int each(xmlNode *node, const char *name, element_fn fn, struct clu_pcmk_picture *pic)
{
	int rc = 0;

	for (xmlNode *n = node ? node->children : NULL; n && rc == 0; n = n->next) {
		if (is(n, name))
			rc = fn(n, pic);
		else if (n->type == XML_ELEMENT_NODE)
			rc = each(n, name, fn, pic);
	}
	return rc;
}

static xmlNode *child(xmlNode *node, const char *name)
{
	for (xmlNode *n = node ? node->children : NULL; n; n = n->next)
		if (is(n, name))
			return n;
	return NULL;
}

static xmlDoc *read_doc(const char *xml, size_t len, const char *root, struct cm_err *err)
{
	const int opts = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
	xmlDoc *doc = len > 0 && len <= XML_MAX ? xmlReadMemory(xml, (int)len, "pacemaker", NULL, opts) : NULL;
	xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;

	if (top && is(top, root))
		return doc;
	xmlFreeDoc(doc);
	cm_err_set(err, CM_E_PACEMAKER, "pacemaker's answer is not the XML that was expected (%s, %zu bytes)",
		   root, len);
	return NULL;
}

static int add_param(struct clu_pcmk_param **params, size_t *n, xmlNode *nvpair)
{
	xmlChar *name = xmlGetNoNsProp(nvpair, (const xmlChar *)"name");
	xmlChar *value = xmlGetNoNsProp(nvpair, (const xmlChar *)"value");
	struct clu_pcmk_param *p = NULL;
	int rc = -ENOMEM;

	if (!name) {
		rc = 0;
		goto out;
	}
	p = GROW(*params, *n);
	if (!p)
		goto out;
	p->name = strdup((const char *)name);
	p->value = strdup(value ? (const char *)value : "");
	rc = p->name && p->value ? 0 : -ENOMEM;
out:
	xmlFree(name);
	xmlFree(value);
	return rc;
}

/* "2026-11-22 00:15:04Z" or with +hh:mm; 0 when it is neither. */
static int64_t wall_time(const char *text)
{
	struct tm tm = {0};
	const char *p = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	int hours = 0, minutes = 0;
	char sign = '+';

	if (!p)
		return 0;
	while (*p == ' ')
		p++;
	if (*p != 'Z' && *p != '\0' && sscanf(p, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
		return 0;
	return (int64_t)timegm(&tm) - (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/* --- the CIB ---------------------------------------------------------------------------------- */
static struct clu_pcmk_vm *vm_get(struct clu_pcmk_picture *pic, const char *name)
{
	struct clu_pcmk_vm *vm;

	for (size_t i = 0; i < pic->n_vms; i++)
		if (strcmp(pic->vms[i].name, name) == 0)
			return &pic->vms[i];
	vm = GROW(pic->vms, pic->n_vms);
	if (!vm)
		return NULL;
	snprintf(vm->name, sizeof vm->name, "%s", name);
	vm->want_started = true;
	vm->managed = true;
	return vm;
}

static int cib_vm(xmlNode *primitive, struct clu_pcmk_picture *pic)
{
	char name[CLU_PCMK_NAME], word[64];
	struct clu_pcmk_vm *vm;
	int rc = 0;

	attr(primitive, "id", name, sizeof name);
	vm = vm_get(pic, name);
	if (!vm)
		return -ENOMEM;
	vm->configured = true;
	for (xmlNode *set = primitive->children; set && rc == 0; set = set->next) {
		for (xmlNode *nv = set->children; nv && rc == 0; nv = nv->next) {
			if (!is(nv, "nvpair"))
				continue;
			if (is(set, "instance_attributes") && vm->n_params < CLU_PCMK_PARAMS)
				rc = add_param(&vm->params, &vm->n_params, nv);
			if (!is(set, "meta_attributes") || !attr_is(nv, "name", "target-role"))
				continue;
			attr(nv, "value", word, sizeof word);
			vm->want_started = strcasecmp(word, "Stopped") != 0;
		}
	}
	return rc;
}

static int cib_fence_type(const char *type, struct clu_pcmk_picture *pic)
{
	struct clu_pcmk_fence_type *t;

	for (size_t i = 0; i < pic->n_fence_types; i++)
		if (strcmp(pic->fence_types[i].name, type) == 0)
			return 0;
	t = GROW(pic->fence_types, pic->n_fence_types);
	if (!t)
		return -ENOMEM;
	snprintf(t->name, sizeof t->name, "%s", type);
	return 0;
}

/* A device may have its class and agent from a template. */
static int cib_fence_device(xmlNode *n, struct clu_pcmk_picture *pic)
{
	char type[64];

	attr(n, "type", type, sizeof type);
	pic->fence_devices += xmlStrcmp(n->name, BAD_CAST "primitive") == 0;
	return cib_fence_type(type, pic);
}

static int cib_template(xmlNode *n, struct clu_pcmk_picture *pic)
{
	return attr_is(n, "class", "stonith") ? cib_fence_device(n, pic) : 0;
}

static int cib_primitive(xmlNode *n, struct clu_pcmk_picture *pic)
{
	if (attr_is(n, "class", "ocf") && attr_is(n, "provider", "hvcluster") &&
	    attr_is(n, "type", "VirtualMachine"))
		return cib_vm(n, pic);
	return attr_is(n, "class", "stonith") ? cib_fence_device(n, pic) : 0;
}

static int cib_property(xmlNode *nv, struct clu_pcmk_picture *pic)
{
	char name[CLU_PCMK_NAME], value[64];

	attr(nv, "name", name, sizeof name);
	attr(nv, "value", value, sizeof value);
	if (strcmp(name, "stonith-enabled") == 0)
		pic->stonith_enabled = word_true(value);
	if (strcmp(name, "stonith-watchdog-timeout") == 0 && strtol(value, NULL, 10) != 0)
		return cib_fence_type("watchdog", pic);
	if (strcmp(name, "maintenance-mode") == 0)
		pic->maintenance_mode = word_true(value);
	if (strncmp(name, "hvcluster-", 10) != 0)
		return 0;
	return add_param(&pic->properties, &pic->n_properties, nv);
}

static int cib_location(xmlNode *loc, struct clu_pcmk_picture *pic)
{
	struct clu_pcmk_pref *p;
	char id[CLU_PCMK_NAME * 2], end[64];
	xmlNode *rule = child(loc, "rule"), *date = child(rule, "date_expression");

	attr(loc, "id", id, sizeof id);
	if (strncmp(id, "hvcluster-move-", 15) != 0)
		return 0;
	p = GROW(pic->prefs, pic->n_prefs);
	if (!p)
		return -ENOMEM;
	attr(loc, "rsc", p->vm, sizeof p->vm);
	if (child(rule, "expression"))
		attr(child(rule, "expression"), "value", p->node, sizeof p->node);
	if (date && attr(date, "end", end, sizeof end))
		p->until_wall_s = wall_time(end);
	return 0;
}

/* The digits of an attribute between begin and end. */
static bool tag_number(const char *begin, const char *end, const char *name, char out[CLU_PCMK_VERSION / 2])
{
	const char *at = memmem(begin, (size_t)(end - begin), name, strlen(name));
	size_t n = 0;

	if (!at)
		return false;
	at += strlen(name);
	while (at + n < end && at[n] >= '0' && at[n] <= '9' && n < CLU_PCMK_VERSION / 2 - 1)
		n++;
	memcpy(out, at, n);
	out[n] = '\0';
	return n > 0 && at + n < end && at[n] == '"';
}

bool clu_pcmk_parse_version(const char *xml, size_t len, char out[CLU_PCMK_VERSION])
{
	const char *tag = memmem(xml, len, "<cib ", 5);
	const char *end = tag ? memchr(tag, '>', len - (size_t)(tag - xml)) : NULL;
	char admin[CLU_PCMK_VERSION / 2], epoch[CLU_PCMK_VERSION / 2];

	out[0] = '\0';
	if (!end || !tag_number(tag, end, " admin_epoch=\"", admin) || !tag_number(tag, end, " epoch=\"", epoch))
		return false;
	snprintf(out, CLU_PCMK_VERSION, "%s.%s", admin, epoch);
	return true;
}

int clu_pcmk_parse_cib(const char *xml, size_t len, struct clu_pcmk_picture *pic, struct cm_err *err)
{
	xmlDoc *doc = read_doc(xml, len, "cib", err);
	xmlNode *root, *conf;
	int rc;

	if (!doc)
		return CM_E_PACEMAKER;
	root = xmlDocGetRootElement(doc);
	conf = child(root, "configuration");
	pic->stonith_enabled = true; /* pacemaker's default */
	pic->quorate = attr_true(root, "have-quorum");
	rc = each(child(conf, "crm_config"), "nvpair", cib_property, pic);
	if (rc == 0)
		rc = each(child(conf, "resources"), "primitive", cib_primitive, pic);
	if (rc == 0)
		rc = each(child(conf, "resources"), "template", cib_template, pic);
	if (rc == 0)
		rc = each(child(conf, "constraints"), "rsc_location", cib_location, pic);
	xmlFreeDoc(doc);
	return rc ? cm_err_set(err, rc, "cannot take a picture of the cluster: out of memory") : 0;
}

/* --- crm_mon ---------------------------------------------------------------------------------- */
static enum clu_pcmk_role role_of(xmlNode *n)
{
	static const struct {
		const char *word;
		enum clu_pcmk_role role;
	} roles[] = {
		{"Stopped", CLU_PCMK_ROLE_STOPPED},   {"Starting", CLU_PCMK_ROLE_STARTING},
		{"Started", CLU_PCMK_ROLE_STARTED},   {"Stopping", CLU_PCMK_ROLE_STOPPING},
		{"Migrating", CLU_PCMK_ROLE_MIGRATING},
	};
	char word[32], pending[32];

	attr(n, "role", word, sizeof word);
	attr(n, "pending", pending, sizeof pending);
	for (size_t i = 0; i < CM_ARRAY_LEN(roles); i++)
		if (strcmp(pending, roles[i].word) == 0)
			return roles[i].role;
	for (size_t i = 0; i < CM_ARRAY_LEN(roles); i++)
		if (strcmp(word, roles[i].word) == 0)
			return roles[i].role;
	return CLU_PCMK_ROLE_NONE;
}

static int mon_node(xmlNode *n, struct clu_pcmk_picture *pic)
{
	struct clu_pcmk_node *node = GROW(pic->nodes, pic->n_nodes);
	char word[32];

	if (!node)
		return -ENOMEM;
	attr(n, "name", node->name, sizeof node->name);
	attr(n, "id", word, sizeof word);
	node->id = (uint32_t)strtoul(word, NULL, 10);
	attr(n, "resources_running", word, sizeof word);
	node->resources = (unsigned)strtoul(word, NULL, 10);
	node->online = attr_true(n, "online");
	node->unclean = attr_true(n, "unclean");
	node->standby = attr_true(n, "standby") || attr_true(n, "standby_onfail");
	node->maintenance = attr_true(n, "maintenance");
	node->pending = attr_true(n, "pending");
	node->is_dc = attr_true(n, "is_dc");
	return 0;
}

static int mon_resource(xmlNode *n, struct clu_pcmk_picture *pic)
{
	xmlNode *where = child(n, "node");
	struct clu_pcmk_rsc *r;
	struct clu_pcmk_vm *vm;
	struct clu_pcmk_rsc one;

	memset(&one, 0, sizeof one);
	attr(n, "id", one.id, sizeof one.id);
	attr(n, "resource_agent", one.agent, sizeof one.agent);
	if (where)
		attr(where, "name", one.node, sizeof one.node);
	one.role = role_of(n);
	one.active = attr_true(n, "active");
	one.failed = attr_true(n, "failed");
	one.managed = attr_true(n, "managed");
	one.blocked = attr_true(n, "blocked");
	if (strcmp(one.agent, CLU_PCMK_AGENT) != 0) {
		r = GROW(pic->rscs, pic->n_rscs);
		if (!r)
			return -ENOMEM;
		*r = one;
		return 0;
	}
	vm = vm_get(pic, one.id);
	if (!vm)
		return -ENOMEM;
	memcpy(vm->node, one.node, sizeof vm->node);
	vm->role = one.role;
	vm->active = one.active;
	vm->failed = one.failed;
	vm->managed = one.managed;
	vm->blocked = one.blocked;
	return 0;
}

/* crm_mon 2.1.5 escapes the reason twice. */
static void unescape(char *text)
{
	static const struct {
		const char *from;
		char to;
	} table[] = {{"&apos;", '\''}, {"&quot;", '"'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}};
	char *out = text;

	while (*text) {
		size_t i;

		for (i = 0; i < CM_ARRAY_LEN(table); i++)
			if (strncmp(text, table[i].from, strlen(table[i].from)) == 0)
				break;
		if (i < CM_ARRAY_LEN(table)) {
			*out++ = table[i].to;
			text += strlen(table[i].from);
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* op_key is RESOURCE_OPERATION_INTERVAL; the names may have underscores themselves. */
static int mon_failure(xmlNode *n, struct clu_pcmk_picture *pic)
{
	char key[CLU_PCMK_NAME + 64], task[32], node[64], status[64], reason[192], tail[64];

	attr(n, "op_key", key, sizeof key);
	attr(n, "task", task, sizeof task);
	attr(n, "node", node, sizeof node);
	attr(n, "exitstatus", status, sizeof status);
	attr(n, "exitreason", reason, sizeof reason);
	unescape(reason);
	snprintf(tail, sizeof tail, "_%s_", task);
	for (size_t i = 0; i < pic->n_vms; i++) {
		struct clu_pcmk_vm *vm = &pic->vms[i];
		size_t len = strlen(vm->name);

		if (strncmp(key, vm->name, len) != 0 || strncmp(key + len, tail, strlen(tail)) != 0)
			continue;
		snprintf(vm->failure, sizeof vm->failure, "%s on %s: %s%s%s", task, node,
			 reason[0] ? reason : status, reason[0] ? "; " : "", reason[0] ? status : "");
	}
	return 0;
}

static int mon_fence(xmlNode *n, struct clu_pcmk_picture *pic)
{
	struct clu_pcmk_fence *f = GROW(pic->fences, pic->n_fences);
	char when[64];

	if (!f)
		return -ENOMEM;
	attr(n, "target", f->target, sizeof f->target);
	attr(n, "action", f->action, sizeof f->action);
	attr(n, "origin", f->origin, sizeof f->origin);
	attr(n, "delegate", f->delegate, sizeof f->delegate);
	if (!attr(n, "exit-reason", f->reason, sizeof f->reason))
		attr(n, "extended-status", f->reason, sizeof f->reason);
	if (attr(n, "completed", when, sizeof when))
		f->completed_wall_s = wall_time(when);
	f->state = attr_is(n, "status", "success")   ? CLU_PCMK_FENCE_OK
		   : attr_is(n, "status", "failed")  ? CLU_PCMK_FENCE_FAILED
		   : attr_is(n, "status", "pending") ? CLU_PCMK_FENCE_PENDING
						     : CLU_PCMK_FENCE_NONE;
	return 0;
}

int clu_pcmk_parse_mon(const char *xml, size_t len, struct clu_pcmk_picture *pic, struct cm_err *err)
{
	xmlDoc *doc = read_doc(xml, len, "pacemaker-result", err);
	xmlNode *root, *dc;
	int rc;

	if (!doc)
		return CM_E_PACEMAKER;
	root = xmlDocGetRootElement(doc);
	dc = child(child(root, "summary"), "current_dc");
	if (dc && attr_true(dc, "present")) {
		pic->has_dc = true;
		pic->quorate = attr_true(dc, "with_quorum");
		attr(dc, "name", pic->dc, sizeof pic->dc);
	}
	rc = each(child(root, "nodes"), "node", mon_node, pic);
	if (rc == 0)
		rc = each(child(root, "resources"), "resource", mon_resource, pic);
	if (rc == 0)
		rc = each(child(root, "failures"), "failure", mon_failure, pic);
	if (rc == 0)
		rc = each(child(root, "fence_history"), "fence_event", mon_fence, pic);
	xmlFreeDoc(doc);
	return rc ? cm_err_set(err, rc, "cannot take a picture of the cluster: out of memory") : 0;
}

/* --- results of tools ------------------------------------------------------------------------- */
/* The first line that says something, without the tool's own name in front. */
static void first_words(const char *text, size_t len, char *out, size_t cap)
{
	const char *end = text + len, *line = text, *colon;
	size_t n = 0;

	while (line < end && (*line == '\n' || *line == ' ' || *line == '<')) {
		const char *next = memchr(line, '\n', (size_t)(end - line));

		line = *line == '<' && next ? next + 1 : *line == '<' ? end : line + 1;
	}
	while (line + n < end && line[n] != '\n')
		n++;
	colon = memchr(line, ':', n);
	if (colon && (strncmp(line, "crm_", 4) == 0 || strncmp(line, "cibadmin", 8) == 0 ||
		      strncmp(line, "stonith_admin", 13) == 0) && colon + 2 <= line + n) {
		n -= (size_t)(colon + 2 - line);
		line = colon + 2;
	}
	snprintf(out, cap, "%.*s", (int)CM_MIN(n, cap - 1), line);
}

static void result_words(const char *out, size_t out_len, const char *errs, size_t errs_len, char *words,
			 size_t cap)
{
	xmlDoc *doc = read_doc(out, out_len, "pacemaker-result", NULL);
	xmlNode *status = doc ? child(xmlDocGetRootElement(doc), "status") : NULL;
	xmlNode *error = child(child(status, "errors"), "error");
	xmlChar *text = error ? xmlNodeGetContent(error) : NULL;

	words[0] = '\0';
	if (text)
		first_words((const char *)text, strlen((const char *)text), words, cap);
	else if (errs_len)
		first_words(errs, errs_len, words, cap);
	if (!words[0] && status)
		attr(status, "message", words, cap);
	if (!words[0])
		first_words(out, out_len, words, cap);
	xmlFree(text);
	xmlFreeDoc(doc);
}

int clu_pcmk_parse_result(int exit_code, const char *out, size_t out_len, const char *errs, size_t errs_len,
			  const char *what, struct cm_err *err)
{
	char words[256];

	if (exit_code == 0)
		return 0;
	result_words(out, out_len, errs, errs_len, words, sizeof words);
	switch (exit_code) {
	case 102: /* disconnected */
		return cm_err_set(err, CM_E_NO_CLUSTER, "%s: pacemaker does not answer here (%s)", what, words);
	case 106: /* no quorum */
		return cm_err_set(err, CM_E_NO_QUORUM, "%s: this partition has no quorum", what);
	case 108: /* exists */
		return cm_err_set(err, CM_E_VM_EXISTS, "%s: it exists already", what);
	case 105: /* no such object */
		return cm_err_set(err, CM_E_NO_VM, "%s: %s", what, words);
	case 124:
		return cm_err_set(err, CM_E_TIMEOUT, "%s: pacemaker did not answer in time", what);
	default:
		return cm_err_set(err, CM_E_PACEMAKER, "%s: %s (exit code %d)", what,
				  words[0] ? words : "pacemaker's tool failed without a reason", exit_code);
	}
}
