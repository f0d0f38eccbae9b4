/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of a VM's configuration as name/value pairs: every parameter goes in and comes out again, and what is
 * wrong is refused with its name.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/vm/clu_vmconf.h"

/* Every parameter has a row, and a value that is not its default, in the words that come out again. */
static const char *const all[][2] = {
	{"uuid", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"},
	{"memory", "1024M"},
	{"cpus", "3"},
	{"engine", "soft"},
	{"kernel", "/boot/vmlinuz"},
	{"initrd", "/boot/initrd"},
	{"cmdline", "console=ttyS0 quiet"},
	{"disk", "vol/one,serial=S1;vol/two,serial=S2,readonly;vol/three"},
	{"net", "bridge=br0,mac=52:00:00:00:00:01;bridge=br1,mac=52:00:00:00:00:02"},
	{"lease", "other"},
	{"machine", "hv-1"},
	{"io_timeout_ms", "5000"},
	{"io_fail_after_ms", "60000"},
};

struct given {
	const char *const (*pairs)[2];
	size_t n;
	const char *name, *value; /* instead of the pair's, NULL value: left out */
	unsigned out;
};

static const char *get(const char *name, void *arg)
{
	struct given *g = arg;

	if (g->name && strcmp(g->name, name) == 0)
		return g->value;
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->pairs[i][0], name) == 0)
			return g->pairs[i][1];
	return NULL;
}

static void same(const char *name, const char *value, void *arg)
{
	struct given *g = arg;

	/* in the order of the table */
	assert_string_equal(name, g->pairs[g->out][0]);
	assert_string_equal(value, g->pairs[g->out][1]);
	g->out++;
}

static int build(const char *name, const char *value, Hv__VmConfig **c, struct cm_err *err)
{
	struct given g = {all, CM_ARRAY_LEN(all), name, value, 0};

	cm_err_clear(err);
	return clu_vmconf_build("web1", get, &g, c, err);
}

static void test_in_and_out(void **state)
{
	struct given g = {all, CM_ARRAY_LEN(all), NULL, NULL, 0};
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c = NULL;

	(void)state;
	assert_int_equal(clu_vmconf_n_params, CM_ARRAY_LEN(all));
	for (size_t i = 0; i < CM_ARRAY_LEN(all); i++)
		assert_string_equal(clu_vmconf_params[i].name, all[i][0]);
	assert_int_equal(build(NULL, NULL, &c, &err), 0);
	assert_string_equal(c->name, "web1");
	assert_int_equal(c->memory_bytes, 1ull << 30);
	assert_int_equal(c->cpus, 3);
	assert_int_equal(c->io_timeout_ms, 5000);
	assert_int_equal(c->io_fail_after_ms, 60000);
	assert_int_equal(c->n_disks, 3);
	assert_string_equal(c->disks[1]->url, "vol/two");
	assert_string_equal(c->disks[1]->serial, "S2");
	assert_true(c->disks[1]->readonly && !c->disks[0]->readonly);
	assert_int_equal(c->n_nets, 2);
	assert_string_equal(c->nets[1]->bridge, "br1");
	assert_string_equal(c->kernel, "/boot/vmlinuz");
	assert_string_equal(c->initrd, "/boot/initrd");
	assert_string_equal(c->lease, "other");
	clu_vmconf_each(c, same, &g);
	assert_int_equal(g.out, CM_ARRAY_LEN(all));
	hv__vm_config__free_unpacked(c, NULL);
}

static void count(const char *name, const char *value, void *arg)
{
	assert_true(value[0] != '\0');
	if (strcmp(name, "initrd") == 0 || strcmp(name, "cmdline") == 0 || strcmp(name, "disk") == 0 ||
	    strcmp(name, "net") == 0 || strcmp(name, "lease") == 0 || strncmp(name, "io_", 3) == 0)
		fail_msg("%s was not given, and came out as '%s'", name, value);
	(*(unsigned *)arg)++;
}

/* What was not given has its default, or does not come out. */
static void test_defaults(void **state)
{
	static const char *const few[][2] = {{"uuid", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}, {"kernel", "/k"}};
	struct given g = {few, CM_ARRAY_LEN(few), NULL, NULL, 0};
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c = NULL;
	unsigned n = 0;

	(void)state;
	assert_int_equal(clu_vmconf_build("web1", get, &g, &c, &err), 0);
	assert_int_equal(c->memory_bytes, 512ull << 20);
	assert_int_equal(c->cpus, 1);
	assert_string_equal(c->engine, "auto");
	assert_string_equal(c->machine, "hv-1");
	clu_vmconf_each(c, count, &n);
	assert_int_equal(n, 6); /* uuid memory cpus engine kernel machine */
	hv__vm_config__free_unpacked(c, NULL);
	/* The lease is on the first disk's volume, a network without an address gets one. */
	assert_int_equal(build("lease", NULL, &c, &err), 0);
	assert_string_equal(c->lease, "vol");
	hv__vm_config__free_unpacked(c, NULL);
	assert_int_equal(build("net", "bridge=br0;bridge=br1", &c, &err), 0);
	assert_int_equal(strlen(c->nets[0]->mac), 17);
	assert_string_not_equal(c->nets[0]->mac, c->nets[1]->mac);
	hv__vm_config__free_unpacked(c, NULL);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *value;
		int code;
	} wrong[] = {
		{"uuid", NULL, CM_E_USAGE},
		{"kernel", NULL, CM_E_USAGE},
		{"uuid", "no-uuid", CM_E_BAD_VALUE},
		{"memory", "31M", CM_E_BAD_VALUE},
		{"memory", "2T", CM_E_BAD_VALUE},
		{"memory", "much", CM_E_BAD_VALUE},
		{"cpus", "0", CM_E_BAD_VALUE},
		{"cpus", "65", CM_E_BAD_VALUE},
		{"cpus", "4294967297", CM_E_BAD_VALUE}, /* not 1 of 32 bits */
		{"engine", "fast", CM_E_BAD_VALUE},
		{"kernel", "vmlinuz", CM_E_BAD_VALUE},
		{"initrd", "initrd", CM_E_BAD_VALUE},
		{"cmdline", "a\nb", CM_E_BAD_VALUE},
		{"disk", "vol/one;vol/one", CM_E_BAD_VALUE},
		{"disk", "vol/one,fast", CM_E_BAD_VALUE},
		{"disk", "vol/1;vol/2;vol/3;vol/4;vol/5", CM_E_BAD_VALUE},
		{"net", "bridge=br0,mac=53:00:00:00:00:01", CM_E_BAD_VALUE},
		{"net", "br0", CM_E_BAD_VALUE},
		{"machine", "hv-0", CM_E_BAD_VALUE},
		{"io_timeout_ms", "600001", CM_E_BAD_VALUE},
		{"io_fail_after_ms", "1000000001", CM_E_BAD_VALUE},
	};
	struct cm_err err = CM_ERR_INIT;
	Hv__VmConfig *c;

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(wrong); i++) {
		c = (Hv__VmConfig *)1;
		assert_int_equal(build(wrong[i].name, wrong[i].value, &c, &err), wrong[i].code);
		assert_int_equal(err.code, wrong[i].code);
		assert_null(c);
		if (!wrong[i].value)
			assert_non_null(strstr(err.text, wrong[i].name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_and_out),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
