/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_vmconf.c - VM configurations as name/value pairs. Touches no host. Parses data of the
 * operator.
 *
 * disk is a list "URL[,serial=S][,readonly]" separated by ';' or spaces; net is a list
 * "bridge=NAME[,mac=AA:BB:CC:DD:EE:FF]" likewise.
 */
#include "config.h"

#include "cluster/vm/clu_vmconf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/px_req.h"
#include "proto/px_tls.h"
#include "sharedstorage/dev/stor_url.h"

#define VM_DISKS_MAX  4u
#define VM_NETS_MAX   4u
#define VM_CPUS_MAX   64u
#define VM_MEMORY_MIN (32ull << 20)
#define VM_MEMORY_MAX (1ull << 40)

static char *conf_dup(const char *s)
{
	char *d = strdup(s);

	CM_ASSERT(d);
	return d;
}

static void conf_set(char **field, const char *value)
{
	if (*field && *field != protobuf_c_empty_string)
		free(*field);
	*field = conf_dup(value);
}

/* --- config -> text ------------------------------------------------------ */

/* A field of the configuration. */
static char *const *string_at(const Hv__VmConfig *c, const struct clu_vmconf_param *p)
{
	return (char *const *)(const void *)((const char *)c + p->at);
}

static const char *get_string(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text)
{
	const char *v = *string_at(c, p);

	(void)text;
	return v[0] ? v : NULL;
}

static const char *get_memory(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text)
{
	(void)p;
	snprintf(text, CLU_VMCONF_TEXT, "%lluM", (unsigned long long)(c->memory_bytes >> 20));
	return text;
}

static const char *get_number(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text)
{
	uint32_t n;

	memcpy(&n, (const char *)c + p->at, sizeof n);
	snprintf(text, CLU_VMCONF_TEXT, "%u", n);
	return n ? text : NULL;
}

static const char *get_disks(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text)
{
	size_t n = 0;

	(void)p;
	for (size_t i = 0; i < c->n_disks && n < CLU_VMCONF_TEXT; i++) {
		const Hv__DiskConfig *d = c->disks[i];

		n += (size_t)snprintf(text + n, CLU_VMCONF_TEXT - n, "%s%s%s%s%s", i ? ";" : "",
				      d->url, d->serial[0] ? ",serial=" : "", d->serial,
				      d->readonly ? ",readonly" : "");
	}
	return c->n_disks ? text : NULL;
}

static const char *get_nets(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text)
{
	size_t n = 0;

	(void)p;
	for (size_t i = 0; i < c->n_nets && n < CLU_VMCONF_TEXT; i++)
		n += (size_t)snprintf(text + n, CLU_VMCONF_TEXT - n, "%sbridge=%s%s%s",
				      i ? ";" : "", c->nets[i]->bridge,
				      c->nets[i]->mac[0] ? ",mac=" : "", c->nets[i]->mac);
	return c->n_nets ? text : NULL;
}

/* --- text -> config ------------------------------------------------------ */

static int take_disk(Hv__VmConfig *c, char *item, struct cm_err *err)
{
	Hv__DiskConfig *d;
	char *save = NULL, *word = strtok_r(item, ",", &save);

	if (!word)
		return cm_err_set(err, CM_E_BAD_VALUE, "disk: an empty entry");
	if (c->n_disks == VM_DISKS_MAX)
		return cm_err_set(err, CM_E_BAD_VALUE, "disk: more than %u disks", VM_DISKS_MAX);
	d = malloc(sizeof *d);
	CM_ASSERT(d);
	hv__disk_config__init(d);
	c->disks[c->n_disks++] = d;
	conf_set(&d->url, word);
	while ((word = strtok_r(NULL, ",", &save))) {
		if (strncmp(word, "serial=", 7) == 0)
			conf_set(&d->serial, word + 7);
		else if (strcmp(word, "readonly") == 0)
			d->readonly = true;
		else
			return cm_err_set(err, CM_E_BAD_VALUE, "disk: unknown option '%s'", word);
	}
	return 0;
}

static int take_net(Hv__VmConfig *c, char *item, struct cm_err *err)
{
	Hv__NetConfig *n;
	char *save = NULL, *word = strtok_r(item, ",", &save);

	if (c->n_nets == VM_NETS_MAX)
		return cm_err_set(err, CM_E_BAD_VALUE, "net: more than %u networks", VM_NETS_MAX);
	n = malloc(sizeof *n);
	CM_ASSERT(n);
	hv__net_config__init(n);
	n->tap_fd = -1;
	c->nets[c->n_nets++] = n;
	for (; word; word = strtok_r(NULL, ",", &save)) {
		if (strncmp(word, "bridge=", 7) == 0)
			conf_set(&n->bridge, word + 7);
		else if (strncmp(word, "mac=", 4) == 0)
			conf_set(&n->mac, word + 4);
		else
			return cm_err_set(err, CM_E_BAD_VALUE, "net: unknown option '%s'", word);
	}
	return 0;
}

static int take_list(Hv__VmConfig *c, const char *text,
		     int (*take)(Hv__VmConfig *, char *, struct cm_err *), struct cm_err *err)
{
	char *copy = conf_dup(text), *save = NULL;
	int rc = 0;

	for (char *item = strtok_r(copy, "; ", &save); item && rc == 0;
	     item = strtok_r(NULL, "; ", &save))
		rc = take(c, item, err);
	free(copy);
	return rc;
}

static int set_disks(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *v,
		     struct cm_err *err)
{
	(void)p;
	return take_list(c, v, take_disk, err);
}

static int set_nets(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *v,
		    struct cm_err *err)
{
	(void)p;
	return take_list(c, v, take_net, err);
}

static int set_string(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *v,
		      struct cm_err *err)
{
	(void)err;
	conf_set((char **)(uintptr_t)string_at(c, p), v);
	return 0;
}

static int take_number(const struct clu_vmconf_param *p, const char *v, uint64_t *out,
		       struct cm_err *err)
{
	if (px_parse_size(v, out) || *out < p->min || *out > p->max)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s: '%s' is not a number from %llu to %llu",
				  p->name, v, (unsigned long long)p->min,
				  (unsigned long long)p->max);
	return 0;
}

static int set_number(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *v,
		      struct cm_err *err)
{
	uint64_t wide = 0;
	int rc = take_number(p, v, &wide, err);
	uint32_t n = (uint32_t)wide;

	memcpy((char *)c + p->at, &n, sizeof n);
	return rc;
}

static int set_memory(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *v,
		      struct cm_err *err)
{
	return take_number(p, v, &c->memory_bytes, err);
}

/* --- the table ----------------------------------------------------------- */

// clang-format off
#define AT(field)   .at = offsetof(Hv__VmConfig, field)
#define STRING(field) .type = "string", AT(field), .set = set_string, .get = get_string
#define NUMBER(field, lo, hi) .type = "integer", AT(field), .min = (lo), .max = (hi), .set = set_number, .get = get_number

const struct clu_vmconf_param clu_vmconf_params[] = {
	{.name = "uuid", STRING(uuid), .required = true, .dflt = "",
	 .text = "Identity of the VM; names its ownership block."},
	{.name = "memory", .type = "string", .min = VM_MEMORY_MIN, .max = VM_MEMORY_MAX, .set = set_memory, .get = get_memory,
	 .dflt = "512M", .text = "Guest memory: 32M to 1T, a multiple of 2M."},
	{.name = "cpus", NUMBER(cpus, 1, VM_CPUS_MAX), .dflt = "1", .text = "Number of vCPUs, 1 to 64."},
	{.name = "engine", STRING(engine), .dflt = "auto", .text = "CPU engine: auto, kvm or soft."},
	{.name = "kernel", STRING(kernel), .required = true, .dflt = "",
	 .text = "Path of a bzImage or x86-64 ELF kernel, present on every node."},
	{.name = "initrd", STRING(initrd), .dflt = "", .text = "Path of the initial ramdisk."},
	{.name = "cmdline", STRING(cmdline), .dflt = "", .text = "Kernel command line."},
	{.name = "disk", .type = "string", .set = set_disks, .get = get_disks, .dflt = "",
	 .text = "Disks: URL or VOLUME/DISK, each with optional ,serial=S ,readonly; separated by ';'."},
	{.name = "net", .type = "string", .set = set_nets, .get = get_nets, .dflt = "",
	 .text = "Networks: bridge=NAME with optional ,mac=M; separated by ';'."},
	{.name = "lease", STRING(lease), .dflt = "",
	 .text = "Volume or URL that holds the ownership block; default: the first disk's volume."},
	{.name = "machine", STRING(machine), .dflt = "hv-1", .text = "Machine type."},
	{.name = "io_timeout_ms", NUMBER(io_timeout_ms, 0, 600000), .dflt = "0",
	 .text = "Base of all storage timeouts; 0: the cluster's default."},
	{.name = "io_fail_after_ms", NUMBER(io_fail_after_ms, 0, 1000000000), .dflt = "0",
	 .text = "Disk I/O that cannot proceed for so long fails in the guest; 0: it waits, and the VM with it."},
};
// clang-format on
const size_t clu_vmconf_n_params = CM_ARRAY_LEN(clu_vmconf_params);

void clu_vmconf_each(const Hv__VmConfig *c, clu_vmconf_fn fn, void *arg)
{
	char text[CLU_VMCONF_TEXT];

	for (size_t i = 0; i < clu_vmconf_n_params; i++) {
		const struct clu_vmconf_param *p = &clu_vmconf_params[i];
		const char *v = p->get(c, p, text);

		if (v)
			fn(p->name, v, arg);
	}
}

/* The volume of "VOLUME/DISK", else nothing. */
static void default_lease(Hv__VmConfig *c)
{
	struct stor_url u;

	if (c->lease[0] || !c->n_disks || stor_url_parse(c->disks[0]->url, &u, NULL))
		return;
	if (u.kind == STOR_URL_VOLUME)
		conf_set(&c->lease, u.volume);
}

int clu_vmconf_build(const char *vm, clu_vmconf_get_fn get, void *arg, Hv__VmConfig **out,
		     struct cm_err *err)
{
	Hv__VmConfig *c = malloc(sizeof *c);
	int rc = 0;

	CM_ASSERT(c);
	hv__vm_config__init(c);
	*out = NULL;
	conf_set(&c->name, vm);
	c->disks = calloc(VM_DISKS_MAX, sizeof *c->disks);
	c->nets = calloc(VM_NETS_MAX, sizeof *c->nets);
	CM_ASSERT(c->disks && c->nets);
	for (size_t i = 0; i < clu_vmconf_n_params && rc == 0; i++) {
		const struct clu_vmconf_param *p = &clu_vmconf_params[i];
		const char *v = get(p->name, arg);

		if (!v || !*v)
			v = p->dflt;
		if (p->required && !*v)
			rc = cm_err_set(err, CM_E_USAGE, "VM %s: parameter '%s' is missing", vm,
					p->name);
		else if (*v)
			rc = p->set(c, p, v, err);
	}
	for (size_t i = 0; rc == 0 && i < c->n_nets; i++)
		if (!c->nets[i]->mac[0]) {
			char mac[18];

			clu_vmconf_make_mac(c->uuid, (unsigned)i, mac);
			conf_set(&c->nets[i]->mac, mac);
		}
	if (rc == 0) {
		default_lease(c);
		rc = clu_vmconf_check(c, err);
	}
	if (rc) {
		hv__vm_config__free_unpacked(c, NULL);
		return rc;
	}
	*out = c;
	return 0;
}

/* --- checks -------------------------------------------------------------- */

static bool uuid_valid(const char *s)
{
	if (strlen(s) != 36)
		return false;
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-'
							    : !isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

static bool mac_valid(const char *s)
{
	unsigned first;

	if (strlen(s) != 17 || sscanf(s, "%2x", &first) != 1 || (first & 1))
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

static bool text_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int check_disks(const Hv__VmConfig *c, struct cm_err *err)
{
	for (size_t i = 0; i < c->n_disks; i++) {
		struct stor_url u;
		int rc = stor_url_parse(c->disks[i]->url, &u, err);

		if (rc)
			return rc;
		if (strlen(c->disks[i]->serial) > 20)
			return cm_err_set(err, CM_E_BAD_VALUE,
					  "disk serial '%s' is longer than 20 characters",
					  c->disks[i]->serial);
		for (size_t j = 0; j < i; j++)
			if (strcmp(c->disks[i]->url, c->disks[j]->url) == 0)
				return cm_err_set(err, CM_E_BAD_VALUE, "disk %s is given twice",
						  c->disks[i]->url);
	}
	return 0;
}

int clu_vmconf_check(const Hv__VmConfig *c, struct cm_err *err)
{
	const char *e = c->engine;

	if (!stor_name_valid(c->name))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "'%s' is no VM name: 1 to 63 of letters, digits, '.', '_', '-', "
				  "beginning with a letter or digit",
				  c->name);
	if (!uuid_valid(c->uuid))
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no UUID", c->uuid);
	if (c->memory_bytes < VM_MEMORY_MIN || c->memory_bytes > VM_MEMORY_MAX ||
	    c->memory_bytes % (2u << 20))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "memory: %llu MiB is not 32M to 1T in steps of 2M",
				  (unsigned long long)(c->memory_bytes >> 20));
	if (c->cpus < 1 || c->cpus > VM_CPUS_MAX)
		return cm_err_set(err, CM_E_BAD_VALUE, "cpus: %u is not 1 to %u", c->cpus,
				  VM_CPUS_MAX);
	if (strcmp(e, "auto") && strcmp(e, "kvm") && strcmp(e, "soft"))
		return cm_err_set(err, CM_E_BAD_VALUE, "engine: '%s' is not auto, kvm or soft", e);
	if (strcmp(c->machine, "hv-1"))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "machine: '%s' is unknown; this release has hv-1", c->machine);
	if (c->kernel[0] != '/')
		return cm_err_set(err, CM_E_BAD_VALUE, "kernel: '%s' is no absolute path",
				  c->kernel);
	if (c->initrd[0] && c->initrd[0] != '/')
		return cm_err_set(err, CM_E_BAD_VALUE, "initrd: '%s' is no absolute path",
				  c->initrd);
	if (strlen(c->cmdline) >= 4000 || !text_clean(c->cmdline))
		return cm_err_set(
			err, CM_E_BAD_VALUE,
			"cmdline: longer than 4000 characters, or control characters in it");
	for (size_t i = 0; i < c->n_nets; i++) {
		const Hv__NetConfig *n = c->nets[i];

		if (!n->bridge[0] || strlen(n->bridge) > 15 || strchr(n->bridge, '/'))
			return cm_err_set(err, CM_E_BAD_VALUE, "net: '%s' is no bridge name",
					  n->bridge);
		if (n->mac[0] && !mac_valid(n->mac))
			return cm_err_set(err, CM_E_BAD_VALUE,
					  "net: '%s' is no unicast MAC address", n->mac);
	}
	return check_disks(c, err);
}

int clu_vmconf_make_uuid(char out[37])
{
	uint8_t b[16];
	int rc = px_random(b, sizeof b);

	if (rc)
		return rc;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return 0;
}

void clu_vmconf_make_mac(const char *uuid, unsigned index, char out[18])
{
	/* FNV-1a; only needs to differ between VMs of a cluster, and to stay the same for one VM.
	 */
	uint64_t h = 14695981039346656037ull;

	for (const char *p = uuid; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ull;
	h = (h ^ index) * 1099511628211ull;
	snprintf(out, 18, "52:%02x:%02x:%02x:%02x:%02x", (unsigned)(h >> 48) & 0xff,
		 (unsigned)(h >> 40) & 0xff, (unsigned)(h >> 32) & 0xff, (unsigned)(h >> 24) & 0xff,
		 (unsigned)(h >> 16) & 0xff);
}

Hv__VmConfig *clu_vmconf_dup(const Hv__VmConfig *c)
{
	size_t n = hv__vm_config__get_packed_size(c);
	uint8_t *p = malloc(n ? n : 1);
	Hv__VmConfig *d;

	CM_ASSERT(p);
	hv__vm_config__pack(c, p);
	d = hv__vm_config__unpack(NULL, n, p);
	free(p);
	CM_ASSERT(d);
	return d;
}
