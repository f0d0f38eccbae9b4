/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_conf.c - the configuration file. Parses data of the administrator.
 */
#include "config.h"

#include "cluster/node/clu_conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum conf_kind { CONF_NONE, CONF_STRING, CONF_NUMBER, CONF_BOOL };

// clang-format off
static const struct conf_key {
	const char *name;
	enum conf_kind kind;
	size_t offset, size; /* of a string; of a number the least value */
} conf_keys[] = {
#define S(f) {#f, CONF_STRING, offsetof(struct clu_conf, f), sizeof(((struct clu_conf *)0)->f)}
#define N(f, least) {#f, CONF_NUMBER, offsetof(struct clu_conf, f), least}
#define B(f) {#f, CONF_BOOL, offsetof(struct clu_conf, f), 0}
	S(node), S(peer_address), N(peer_port, 0), S(migration_address), S(tls_cert), S(tls_key), S(tls_ca),
	S(run_dir), S(state_dir), S(hvcore), S(user), S(group), S(power_agents), N(io_timeout_ms, 0), N(reserve_mb, 0),
	N(picture_ms, 200), B(standalone), B(watchdog_required),
#undef S
#undef N
#undef B
};
// clang-format on

void clu_conf_default(struct clu_conf *c)
{
	memset(c, 0, sizeof *c);
	c->peer_port = CLU_PEER_PORT;
	snprintf(c->tls_cert, sizeof c->tls_cert, "%s/node.crt", HV_SYSCONFDIR);
	snprintf(c->tls_key, sizeof c->tls_key, "%s/node.key", HV_SYSCONFDIR);
	snprintf(c->tls_ca, sizeof c->tls_ca, "%s/ca.crt", HV_SYSCONFDIR);
	snprintf(c->run_dir, sizeof c->run_dir, "/run/hvcluster");
	snprintf(c->state_dir, sizeof c->state_dir, "/var/lib/hvcluster");
	snprintf(c->hvcore, sizeof c->hvcore, "%s/hvcore", HV_LIBEXECDIR);
	snprintf(c->group, sizeof c->group, "hvcluster");
	c->reserve_mb = 256;
	c->picture_ms = 2000;
	c->watchdog_required = true;
}

static int conf_value(struct clu_conf *c, const struct conf_key *k, const char *v,
		      struct cm_err *err)
{
	char *field = (char *)c + k->offset, *end;
	unsigned long n;

	switch (k->kind) {
	case CONF_STRING:
		if (strlen(v) >= k->size)
			return cm_err_set(err, CM_E_BAD_VALUE, "%s: longer than %zu characters",
					  k->name, k->size - 1);
		strcpy(field, v);
		return 0;
	case CONF_NUMBER:
		n = strtoul(v, &end, 10);
		if (end == v || *end || n > UINT32_MAX)
			return cm_err_set(err, CM_E_BAD_VALUE, "%s: '%s' is no number", k->name, v);
		if (n < k->size)
			return cm_err_set(err, CM_E_BAD_VALUE, "%s: %lu is too little, at least %zu", k->name, n, k->size);
		*(uint32_t *)(void *)field = (uint32_t)n;
		return 0;
	case CONF_BOOL:
		if (strcmp(v, "yes") && strcmp(v, "no"))
			return cm_err_set(err, CM_E_BAD_VALUE, "%s: '%s' is not yes or no", k->name,
					  v);
		*(bool *)field = v[0] == 'y';
		return 0;
	case CONF_NONE:
		break;
	}
	return 0;
}

static char *trim(char *s)
{
	char *e;

	while (isspace((unsigned char)*s))
		s++;
	e = s + strlen(s);
	while (e > s && isspace((unsigned char)e[-1]))
		*--e = '\0';
	return s;
}

static int conf_line(struct clu_conf *c, char *line, struct cm_err *err)
{
	char *eq, *key, *value;

	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	eq = strchr(line, '=');
	if (!eq)
		return cm_err_set(err, CM_E_BAD_VALUE, "want 'key = value'");
	*eq = '\0';
	key = trim(line);
	value = trim(eq + 1);
	for (size_t i = 0; i < CM_ARRAY_LEN(conf_keys); i++)
		if (strcmp(conf_keys[i].name, key) == 0)
			return conf_value(c, &conf_keys[i], value, err);
	return cm_err_set(err, CM_E_BAD_VALUE, "unknown key '%s'", key);
}

int clu_conf_parse(const char *text, size_t len, const char *name, struct clu_conf *c,
		   struct cm_err *err)
{
	unsigned lineno = 0;
	size_t at = 0;

	while (at < len) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - (text + at)) : len - at;
		char line[512];
		int rc;

		lineno++;
		if (n >= sizeof line || memchr(text + at, '\0', n))
			return cm_err_set(err, CM_E_BAD_VALUE, "%s line %u: too long or not text",
					  name, lineno);
		memcpy(line, text + at, n);
		line[n] = '\0';
		rc = conf_line(c, line, err);
		if (rc) {
			cm_err_prefix(err, "%s line %u", name, lineno);
			return rc;
		}
		at += n + 1;
	}
	return 0;
}

int clu_conf_load(const char *path, bool must, struct clu_conf *c, struct cm_err *err)
{
	char text[16384];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f) {
		if (!must && errno == ENOENT)
			return 0;
		return cm_err_set(err, CM_E_NO_FILE, "cannot read %s: %s", path, strerror(errno));
	}
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	if (n == sizeof text)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is too long", path);
	return clu_conf_parse(text, n, path, c, err);
}
