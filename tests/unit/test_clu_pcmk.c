/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clu_pcmk.c - the adapter to pacemaker: real answers of pacemaker 2.1.5 (tests/golden/pcmk) become the
 * expected pictures, broken ones are refused at every length, results become clear errors, and what we
 * would write is well-formed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/pcmk/clu_pcmk_xml.h"
#include "common/cm_buf.h"

static char *slurp(const char *name, size_t *len)
{
	char path[512], *data = NULL;
	size_t cap = 1u << 20;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
	f = fopen(path, "r");
	assert_non_null(f);
	data = malloc(cap);
	assert_non_null(data);
	*len = fread(data, 1, cap - 1, f);
	data[*len] = '\0';
	fclose(f);
	return data;
}

static void dump_vms(const struct clu_pcmk_picture *pic, FILE *f)
{
	for (size_t i = 0; i < pic->n_vms; i++) {
		const struct clu_pcmk_vm *vm = &pic->vms[i];

		fprintf(f, "vm %s %s want=%d conf=%d node=%s active=%d failed=%d managed=%d blocked=%d\n", vm->name,
			clu_pcmk_role_name(vm->role), vm->want_started, vm->configured, vm->node, vm->active,
			vm->failed, vm->managed, vm->blocked);
		for (size_t j = 0; j < vm->n_params; j++)
			fprintf(f, "  %s=%s\n", vm->params[j].name, vm->params[j].value);
		if (vm->failure[0])
			fprintf(f, "  failure: %s\n", vm->failure);
	}
}

static char *dump(const struct clu_pcmk_picture *pic)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, "quorate=%d dc=%s stonith=%d devices=%u\n", pic->quorate, pic->has_dc ? pic->dc : "-",
		pic->stonith_enabled, pic->fence_devices);
	for (size_t i = 0; i < pic->n_nodes; i++) {
		const struct clu_pcmk_node *n = &pic->nodes[i];

		fprintf(f, "node %s id=%u online=%d unclean=%d standby=%d maintenance=%d pending=%d dc=%d res=%u\n",
			n->name, n->id, n->online, n->unclean, n->standby, n->maintenance, n->pending, n->is_dc,
			n->resources);
	}
	dump_vms(pic, f);
	for (size_t i = 0; i < pic->n_rscs; i++)
		fprintf(f, "rsc %s %s %s node=%s\n", pic->rscs[i].id, pic->rscs[i].agent,
			clu_pcmk_role_name(pic->rscs[i].role), pic->rscs[i].node);
	for (size_t i = 0; i < pic->n_fences; i++)
		fprintf(f, "fence %s %s state=%d by=%s at=%lld\n", pic->fences[i].target, pic->fences[i].action,
			(int)pic->fences[i].state, pic->fences[i].delegate,
			(long long)pic->fences[i].completed_wall_s);
	for (size_t i = 0; i < pic->n_prefs; i++)
		fprintf(f, "prefer %s on %s until %lld\n", pic->prefs[i].vm, pic->prefs[i].node,
			(long long)pic->prefs[i].until_wall_s);
	for (size_t i = 0; i < pic->n_properties; i++)
		fprintf(f, "property %s=%s\n", pic->properties[i].name, pic->properties[i].value);
	fclose(f);
	return text;
}

static void check_golden(const char *mon)
{
	struct clu_pcmk_picture pic = {0};
	struct cm_err err = CM_ERR_INIT;
	char *cib, *xml, *want, *have, name[128];
	size_t len;

	cib = slurp("cib-full.xml", &len);
	assert_int_equal(clu_pcmk_parse_cib(cib, len, &pic, &err), 0);
	snprintf(name, sizeof name, "%s.xml", mon);
	xml = slurp(name, &len);
	assert_int_equal(clu_pcmk_parse_mon(xml, len, &pic, &err), 0);
	have = dump(&pic);
	snprintf(name, sizeof name, "%s.txt", mon);
	if (getenv("GOLDEN_PRINT"))
		printf("== %s\n%s", name, have);
	want = slurp(name, &len);
	assert_string_equal(have, want);
	free(cib);
	free(xml);
	free(want);
	free(have);
	clu_pcmk_picture_fini(&pic);
}

static void test_golden(void **state)
{
	(void)state;
	check_golden("mon-failed-start");
	check_golden("mon-migrating");
	check_golden("mon-migrated");
	check_golden("mon-minority");
	check_golden("mon-fenced");
}

/* Fence devices, also by a template, and a watchdog that is trusted: all that may have "fenced" a node. */
static void test_fence_types(void **state)
{
	static const char cib[] =
		"<cib have-quorum=\"1\"><configuration><crm_config><cluster_property_set id=\"p\">"
		"<nvpair id=\"w\" name=\"stonith-watchdog-timeout\" value=\"%s\"/></cluster_property_set></crm_config>"
		"<resources><template id=\"t\" class=\"stonith\" type=\"fence_scsi\"/>"
		"<template id=\"u\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>"
		"<primitive id=\"a\" class=\"stonith\" type=\"fence_ipmilan\"/>"
		"<group id=\"g\"><primitive id=\"b\" class=\"stonith\" type=\"external/ipmi\"/></group>"
		"<primitive id=\"c\" class=\"stonith\" type=\"fence_ipmilan\"/><primitive id=\"d\" template=\"t\"/>"
		"</resources><constraints/></configuration><status/></cib>";
	static const char *const want[] = {"watchdog", "fence_ipmilan", "external/ipmi", "fence_scsi"};
	char text[sizeof cib + 8];

	(void)state;
	for (unsigned trusted = 0; trusted < 2; trusted++) {
		struct clu_pcmk_picture pic = {0};

		snprintf(text, sizeof text, cib, trusted ? "10s" : "0");
		assert_int_equal(clu_pcmk_parse_cib(text, strlen(text), &pic, NULL), 0);
		assert_int_equal(pic.n_fence_types, CM_ARRAY_LEN(want) - !trusted);
		for (size_t i = 0; i < pic.n_fence_types; i++)
			assert_string_equal(pic.fence_types[i].name, want[i + !trusted]);
		clu_pcmk_picture_fini(&pic);
	}
}

static void test_find(void **state)
{
	struct clu_pcmk_picture pic = {0};
	size_t len;
	char *cib = slurp("cib-full.xml", &len), *mon;

	(void)state;
	assert_int_equal(clu_pcmk_parse_cib(cib, len, &pic, NULL), 0);
	mon = slurp("mon-fenced.xml", &len);
	assert_int_equal(clu_pcmk_parse_mon(mon, len, &pic, NULL), 0);
	assert_true(clu_pcmk_find_node(&pic, "node2")->online);
	assert_null(clu_pcmk_find_node(&pic, "node9"));
	assert_string_equal(clu_pcmk_vm_param(clu_pcmk_find_vm(&pic, "web1"), "uuid"), "u & 1");
	assert_null(clu_pcmk_vm_param(clu_pcmk_find_vm(&pic, "web1"), "nope"));
	assert_string_equal(clu_pcmk_property(&pic, "hvcluster-volume-main"), "iscsi://x/y/0");
	assert_non_null(clu_pcmk_find_fence(&pic, "node1", CLU_PCMK_FENCE_OK));
	assert_null(clu_pcmk_find_fence(&pic, "node1", CLU_PCMK_FENCE_FAILED));
	assert_null(clu_pcmk_find_fence(&pic, "node2", CLU_PCMK_FENCE_OK));
	clu_pcmk_picture_fini(&pic);
	free(cib);
	free(mon);
}

/* An answer that was cut short anywhere is refused, and nothing is leaked or read beyond. */
static void test_truncated(void **state)
{
	static const char *const names[] = {"cib-full.xml", "mon-failed-start.xml"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t len;
		char *xml = slurp(names[i], &len);

		while (len > 0 && xml[len - 1] != '>')
			len--;
		for (size_t n = 0; n < len; n += 37) {
			struct clu_pcmk_picture pic = {0};
			struct cm_err err = CM_ERR_INIT;
			char *cut = malloc(n + 1);
			int rc;

			memcpy(cut, xml, n);
			rc = i == 0 ? clu_pcmk_parse_cib(cut, n, &pic, &err) : clu_pcmk_parse_mon(cut, n, &pic, &err);
			assert_int_equal(rc, CM_E_PACEMAKER);
			assert_string_not_equal(err.text, "");
			clu_pcmk_picture_fini(&pic);
			free(cut);
		}
		free(xml);
	}
}

static void test_long_values_are_cut(void **state)
{
	struct clu_pcmk_picture pic = {0};
	char xml[4096], name[2048];

	(void)state;
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(xml, sizeof xml, "<pacemaker-result><nodes><node name=\"%s\" id=\"7\"/></nodes></pacemaker-result>",
		 name);
	assert_int_equal(clu_pcmk_parse_mon(xml, strlen(xml), &pic, NULL), 0);
	assert_int_equal(strlen(pic.nodes[0].name), CLU_PCMK_NAME - 1);
	clu_pcmk_picture_fini(&pic);
}

static bool version(const char *xml, const char *want)
{
	char *copy = malloc(strlen(xml)), out[CLU_PCMK_VERSION] = "x"; /* as a file is read: no end of a string */
	bool ok;

	assert_non_null(copy);
	memcpy(copy, xml, strlen(xml));
	ok = clu_pcmk_parse_version(copy, strlen(xml), out);
	free(copy);
	return strcmp(out, want) == 0 && ok == (want[0] != '\0');
}

static void test_version(void **state)
{
	size_t len;
	char *cib = slurp("cib-full.xml", &len), out[CLU_PCMK_VERSION];

	(void)state;
	assert_true(version("<cib crm_feature_set=\"3.16.2\" epoch=\"12\" num_updates=\"3\" admin_epoch=\"4\"/>", "4.12"));
	assert_true(version("<?xml version=\"1.0\"?>\n<cib admin_epoch=\"4\" epoch=\"12\">", "4.12"));
	assert_true(version("<cib admin_epoch=\"4\" num_updates=\"1\">", ""));
	assert_true(version("<cib admin_epoch=\"4\" epoch=\"\">", ""));
	assert_true(version("<cib admin_epoch=\"4\" epoch=\"1x\">", ""));
	assert_true(version("<cib admin_epoch=\"4\"><a epoch=\"1\"/>", ""));
	assert_true(version("<cib admin_epoch=\"123456789012345678901234567890\" epoch=\"1\">", ""));
	assert_true(version("<cib admin_epoch=\"4\" epoch=\"12\"", "")); /* cut off: it could go on */
	assert_true(version("<crm_mon/>", ""));
	assert_true(clu_pcmk_parse_version(cib, len, out) && out[0]);
	free(cib);
}

static int result(int code, const char *out, const char *errs, struct cm_err *err)
{
	cm_err_clear(err);
	return clu_pcmk_parse_result(code, out, strlen(out), errs, strlen(errs), "cannot do it", err);
}

static void test_results(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	assert_int_equal(result(0, "", "", &err), 0);
	assert_int_equal(result(105, "<pacemaker-result><status code=\"105\" message=\"No such object\"><errors>"
				     "<error>crm_resource: Resource 'nope' not found\nError performing operation"
				     "</error></errors></status></pacemaker-result>", "", &err), CM_E_NO_VM);
	assert_string_equal(err.text, "cannot do it: Resource 'nope' not found");
	assert_int_equal(result(108, "", "Call cib_create failed: File exists\n<failed>\n</failed>\n", &err),
			 CM_E_VM_EXISTS);
	assert_int_equal(result(102, "", "Init failed, could not perform requested operations\n", &err),
			 CM_E_NO_CLUSTER);
	assert_int_equal(result(78, "", "Call cib_create failed: Update does not conform\n<failed/>\n", &err),
			 CM_E_PACEMAKER);
	assert_string_equal(err.text, "cannot do it: Call cib_create failed: Update does not conform (exit code 78)");
	assert_int_equal(result(106, "", "", &err), CM_E_NO_QUORUM);
	assert_int_equal(result(124, "", "", &err), CM_E_TIMEOUT);
	assert_int_equal(result(-1, "", "", &err), CM_E_PACEMAKER);
}

static bool well_formed(const char *xml)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), "x", NULL, XML_PARSE_NOERROR);

	xmlFreeDoc(doc);
	return doc != NULL;
}

static void test_vm_xml(void **state)
{
	char cmdline[] = "console=ttyS0 x=\"a&b\" <'>", uuid[] = "u1", n_cmd[] = "cmdline", n_uuid[] = "uuid";
	struct clu_pcmk_param params[] = {{n_uuid, uuid}, {n_cmd, cmdline}};
	struct clu_pcmk_picture pic = {0};
	struct cm_err err = CM_ERR_INIT;
	char *xml = clu__pcmk_vm_xml("web1", params, 2, false, &err), doc[8192];

	(void)state;
	assert_non_null(xml);
	assert_true(well_formed(xml));
	snprintf(doc, sizeof doc, "<cib have-quorum=\"1\"><configuration><resources>%s</resources></configuration></cib>",
		 xml);
	assert_int_equal(clu_pcmk_parse_cib(doc, strlen(doc), &pic, NULL), 0);
	assert_int_equal(pic.n_vms, 1);
	assert_string_equal(clu_pcmk_vm_param(&pic.vms[0], "cmdline"), cmdline);
	assert_false(pic.vms[0].want_started);
	clu_pcmk_picture_fini(&pic);
	free(xml);
	xml = clu__pcmk_prefer_xml("web1", "node2", 1795000000, &err);
	assert_true(well_formed(xml));
	assert_non_null(strstr(xml, "end=\"2026-11-18 11:06:40Z\""));
	free(xml);
}

static void test_bad_input(void **state)
{
	static const char *const names[] = {"", "1web", "a b", "a/b", "web\"1", "a'b", "a<b", "-x",
					    "x234567890123456789012345678901234567890123456789012345678901234"};
	char name[] = "cmdline", bell[] = "a\ab", latin[] = "\xe9t\xe9", *big = malloc(CLU_PCMK_VALUE + 1);
	struct clu_pcmk_param p = {name, bell};
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(names); i++) {
		cm_err_clear(&err);
		assert_null(clu__pcmk_vm_xml(names[i], NULL, 0, true, &err));
		assert_int_equal(err.code, CM_E_BAD_VALUE);
	}
	assert_null(clu__pcmk_vm_xml("web1", &p, 1, true, NULL));
	p.value = latin;
	assert_null(clu__pcmk_vm_xml("web1", &p, 1, true, NULL));
	memset(big, 'x', CLU_PCMK_VALUE);
	big[CLU_PCMK_VALUE] = '\0';
	p.value = big;
	assert_null(clu__pcmk_vm_xml("web1", &p, 1, true, NULL));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	  cmocka_unit_test(test_fence_types), cmocka_unit_test(test_find),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_long_values_are_cut),
		cmocka_unit_test(test_version),	  cmocka_unit_test(test_results),
		cmocka_unit_test(test_vm_xml),
		cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
