/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration for pacemaker as XML text, built with libxml2 so that every value is escaped. What an
 * operator chose (names, parameters) comes in here and is checked first.
 */
#include "config.h"

#include "cluster/pcmk/clu_pcmk_xml.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XML_ARG_MAX (96u << 10) /* one argument of a program may have 128 KiB */

/*
 * Time limits of the operations. start and migrate_to wait for things that take their time (a proof that
 * the last owner is gone, a large memory); stop ends by force long before its limit.
 */
static const struct {
	const char *name, *interval, *timeout;
} ops[] = {
	{"monitor", "10s", "30s"}, {"start", "0s", "180s"},	   {"stop", "0s", "180s"},
	{"migrate_to", "0s", "3600s"}, {"migrate_from", "0s", "180s"},
};

/* A VM stays where it is unless something speaks for moving it; a failed start is tried anew in time. */
static const struct {
	const char *name, *value;
} metas[] = {
	{"allow-migrate", "true"},
	{"resource-stickiness", "1000"},
	{"failure-timeout", "120s"},
};

int clu__pcmk_check_name(const char *kind, const char *name, struct cm_err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > 63)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s name '%.80s': give 1 to 63 characters", kind, name);
	if (!isalpha((unsigned char)name[0]) && name[0] != '_')
		return cm_err_set(err, CM_E_BAD_VALUE, "%s name '%s': begin with a letter", kind, name);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return cm_err_set(err, CM_E_BAD_VALUE,
					  "%s name '%s': use only letters, digits, '-', '_' and '.'", kind, name);
	return 0;
}

int clu__pcmk_check_value(const char *name, const char *value, struct cm_err *err)
{
	size_t len = strlen(value);

	if (len >= CLU_PCMK_VALUE)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s: %zu bytes are too long (at most %d)", name, len,
				  CLU_PCMK_VALUE - 1);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return cm_err_set(err, CM_E_BAD_VALUE, "%s: control characters are not allowed", name);
	if (!xmlCheckUTF8((const unsigned char *)value))
		return cm_err_set(err, CM_E_BAD_VALUE, "%s: it is not valid UTF-8", name);
	return 0;
}

static xmlNode *element(xmlNode *parent, const char *name, const char *id)
{
	xmlNode *n = xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);

	if (id)
		xmlNewProp(n, (const xmlChar *)"id", (const xmlChar *)id);
	return n;
}

static void prop(xmlNode *n, const char *name, const char *value)
{
	xmlNewProp(n, (const xmlChar *)name, (const xmlChar *)value);
}

static void nvpair(xmlNode *set, const char *owner, const char *name, const char *value)
{
	char id[CLU_PCMK_NAME * 2];
	xmlNode *n;

	snprintf(id, sizeof id, "%s-%s", owner, name);
	n = element(set, "nvpair", id);
	prop(n, "name", name);
	prop(n, "value", value);
}

/* Takes the document; NULL and err when it is too long or memory is short. */
static char *finish(xmlDoc *doc, struct cm_err *err)
{
	xmlBuffer *buf = xmlBufferCreate();
	char *text = NULL;

	if (buf && xmlNodeDump(buf, doc, xmlDocGetRootElement(doc), 0, 0) > 0)
		text = strdup((const char *)xmlBufferContent(buf));
	if (!text)
		cm_err_set(err, -ENOMEM, "out of memory");
	if (text && strlen(text) > XML_ARG_MAX) {
		cm_err_set(err, CM_E_BAD_VALUE, "the parameters are too long together (%zu bytes)", strlen(text));
		free(text);
		text = NULL;
	}
	xmlBufferFree(buf);
	xmlFreeDoc(doc);
	return text;
}

static int check_params(const char *vm, const struct clu_pcmk_param *params, size_t n, struct cm_err *err)
{
	int rc = clu__pcmk_check_name("VM", vm, err);

	if (rc == 0 && n > CLU_PCMK_PARAMS)
		rc = cm_err_set(err, CM_E_BAD_VALUE, "%zu parameters are too many (at most %d)", n,
				CLU_PCMK_PARAMS);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = clu__pcmk_check_name("parameter", params[i].name, err);
		if (rc == 0)
			rc = clu__pcmk_check_value(params[i].name, params[i].value, err);
	}
	return rc;
}

static xmlDoc *new_doc(const char *name, const char *id, xmlNode **root)
{
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");

	*root = xmlNewNode(NULL, (const xmlChar *)name);
	xmlDocSetRootElement(doc, *root);
	prop(*root, "id", id);
	return doc;
}

static void add_params(xmlNode *root, const char *vm, const struct clu_pcmk_param *params, size_t n)
{
	char id[CLU_PCMK_NAME * 2];
	xmlNode *set;

	snprintf(id, sizeof id, "%s-params", vm);
	set = element(root, "instance_attributes", id);
	for (size_t i = 0; i < n; i++)
		nvpair(set, id, params[i].name, params[i].value);
}

char *clu__pcmk_vm_xml(const char *vm, const struct clu_pcmk_param *params, size_t n, bool started,
		       struct cm_err *err)
{
	char id[CLU_PCMK_NAME * 2];
	xmlNode *root, *set, *op;
	xmlDoc *doc;

	if (check_params(vm, params, n, err) != 0)
		return NULL;
	doc = new_doc("primitive", vm, &root);
	prop(root, "class", "ocf");
	prop(root, "provider", "hvcluster");
	prop(root, "type", "VirtualMachine");
	add_params(root, vm, params, n);
	snprintf(id, sizeof id, "%s-meta_attributes", vm); /* the name that crm_resource looks for */
	set = element(root, "meta_attributes", id);
	nvpair(set, id, "target-role", started ? "Started" : "Stopped");
	for (size_t i = 0; i < CM_ARRAY_LEN(metas); i++)
		nvpair(set, id, metas[i].name, metas[i].value);
	set = element(root, "operations", NULL);
	for (size_t i = 0; i < CM_ARRAY_LEN(ops); i++) {
		snprintf(id, sizeof id, "%s-%s", vm, ops[i].name);
		op = element(set, "op", id);
		prop(op, "name", ops[i].name);
		prop(op, "interval", ops[i].interval);
		prop(op, "timeout", ops[i].timeout);
	}
	return finish(doc, err);
}

char *clu__pcmk_vm_params_xml(const char *vm, const struct clu_pcmk_param *params, size_t n,
			      struct cm_err *err)
{
	xmlNode *root;
	xmlDoc *doc;

	if (check_params(vm, params, n, err) != 0)
		return NULL;
	doc = new_doc("primitive", vm, &root);
	add_params(root, vm, params, n);
	return finish(doc, err);
}

char *clu__pcmk_prefer_xml(const char *vm, const char *node, int64_t until_wall_s, struct cm_err *err)
{
	char id[CLU_PCMK_NAME * 2], sub[CLU_PCMK_NAME * 2 + 16], end[64];
	time_t until = (time_t)until_wall_s;
	xmlNode *root, *rule, *n;
	struct tm tm;
	xmlDoc *doc;

	if (clu__pcmk_check_name("VM", vm, err) != 0 || clu__pcmk_check_name("node", node, err) != 0)
		return NULL;
	gmtime_r(&until, &tm);
	strftime(end, sizeof end, "%Y-%m-%d %H:%M:%SZ", &tm);
	snprintf(id, sizeof id, "hvcluster-move-%s", vm);
	doc = new_doc("rsc_location", id, &root);
	prop(root, "rsc", vm);
	snprintf(sub, sizeof sub, "%s-rule", id);
	rule = element(root, "rule", sub);
	prop(rule, "score", "INFINITY");
	prop(rule, "boolean-op", "and");
	snprintf(sub, sizeof sub, "%s-node", id);
	n = element(rule, "expression", sub);
	prop(n, "attribute", "#uname");
	prop(n, "operation", "eq");
	prop(n, "value", node);
	snprintf(sub, sizeof sub, "%s-until", id);
	n = element(rule, "date_expression", sub);
	prop(n, "operation", "lt");
	prop(n, "end", end);
	return finish(doc, err);
}
