/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_url.c - parses storage URLs. Data of the operator; opens nothing. Format: stor_url.h.
 */
#include "config.h"

#include "sharedstorage/dev/stor_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/dev/stor_timing.h"

bool stor_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= STOR_DISK_NAME || *name == '.' || *name == '-')
		return false;
	for (; *name; name++)
		if (!(isascii((unsigned char)*name) && isalnum((unsigned char)*name)) &&
		    !strchr("._-", *name))
			return false;
	return true;
}

/* Copies the n bytes at from; false if they do not fit or are empty. */
static bool take(char *to, size_t cap, const char *from, size_t n)
{
	if (!n || n >= cap)
		return false;
	memcpy(to, from, n);
	to[n] = 0;
	return true;
}

static bool number(const char *s, unsigned long max, unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*s) || strlen(s) > 9)
		return false;
	*out = strtoul(s, &end, 10);
	return !*end && *out <= max;
}

/* "1.2.3.4", "1.2.3.4:3260", "[::1]", "[::1]:3260" -> with port, numeric only. */
bool stor_url_portal(const char *s, size_t n, char *out, size_t cap)
{
	char host[64], text[64];
	struct in6_addr addr;
	unsigned long port = STOR_ISCSI_PORT;
	char *colon;
	bool six;

	if (!take(text, sizeof text, s, n))
		return false;
	six = text[0] == '[';
	colon = six ? strchr(text, ']') : strchr(text, ':');
	if (six) {
		if (!colon)
			return false;
		*colon++ = 0;
		if (*colon && *colon != ':')
			return false;
		colon = *colon ? colon : NULL;
	}
	if (colon) {
		if (!number(colon + 1, 65535, &port) || !port)
			return false;
		*colon = 0;
	}
	snprintf(host, sizeof host, "%s", six ? text + 1 : text);
	if (inet_pton(six ? AF_INET6 : AF_INET, host, &addr) != 1)
		return false;
	return (size_t)snprintf(out, cap, six ? "[%s]:%lu" : "%s:%lu", host, port) < cap;
}

static bool yes_no(const char *v, bool *out)
{
	*out = !strcmp(v, "yes");
	return *out || !strcmp(v, "no");
}

/* Those that any URL may have. -1: none of them. */
static int option_any(struct stor_url *u, const char *key, const char *v)
{
	char *end;

	if (!strcmp(key, "volume"))
		return stor_uuid_parse(v, &u->volume_id) == 0 && !stor_uuid_is_zero(&u->volume_id);
	if (strcmp(key, "tag") != 0)
		return -1;
	if (strlen(v) > 8 || !isxdigit((unsigned char)*v))
		return 0;
	u->tag = (uint32_t)strtoul(v, &end, 16);
	return !*end;
}

static bool option_iscsi(struct stor_url *u, const char *key, const char *v)
{
	unsigned long n;

	if (!strcmp(key, "lock")) {
		if (!number(v, 16383, &n))
			return false;
		u->lock_lun = (int)n;
		return true;
	}
	if (!strcmp(key, "unmap")) {
		bool yes;

		if (!yes_no(v, &yes))
			return false;
		u->no_unmap = !yes;
		return true;
	}
	if (!strcmp(key, "data-timeout")) {
		if (!number(v, STOR_DATA_MAX_S, &n) || !n)
			return false;
		u->data_timeout_ms = (unsigned)n * 1000;
		return true;
	}
	if (!strcmp(key, "header-digest"))
		return yes_no(v, &u->header_digest);
	if (!strcmp(key, "secret-file"))
		return take(u->secret_file, sizeof u->secret_file, v, strlen(v));
	if (!strcmp(key, "target-user"))
		return take(u->target_user, sizeof u->target_user, v, strlen(v));
	if (!strcmp(key, "target-secret-file"))
		return take(u->target_secret_file, sizeof u->target_secret_file, v, strlen(v));
	return false;
}

static bool option_file(struct stor_url *u, const char *key, const char *v)
{
	unsigned long n;
	bool yes;

	if (!strcmp(key, "sector")) {
		if (!number(v, 4096, &n) || (n != 512 && n != 4096))
			return false;
		u->sector_bytes = (unsigned)n;
		return true;
	}
	if (!strcmp(key, "direct")) {
		if (!yes_no(v, &yes))
			return false;
		u->direct = yes;
		return true;
	}
	return false;
}

/* Cuts "?a=b&c=d" off rest and reads it. */
static int options(struct stor_url *u, char *rest, struct cm_err *err)
{
	char *q = strchr(rest, '?'), *save = NULL;

	if (!q)
		return 0;
	*q++ = 0;
	for (char *o = strtok_r(q, "&", &save); o; o = strtok_r(NULL, "&", &save)) {
		char *eq = strchr(o, '=');
		bool ok = false;

		if (eq) {
			int any;

			*eq++ = 0;
			any = option_any(u, o, eq);
			ok = any >= 0 ? any
			   : u->kind == STOR_URL_ISCSI ? option_iscsi(u, o, eq)
						       : option_file(u, o, eq);
		}
		if (!ok)
			return cm_err_set(err, CM_E_BAD_URL,
					  "option '%s' is unknown or has a bad value", o);
	}
	return 0;
}

static int parse_iscsi(struct stor_url *u, char *s, struct cm_err *err)
{
	char *slash = strchr(s, '/'), *lun, *at;
	unsigned long n;

	if (!slash)
		return cm_err_set(err, CM_E_BAD_URL, "the URL has no /iqn/lun");
	*slash++ = 0;
	lun = strrchr(slash, '/');
	if (!lun)
		return cm_err_set(err, CM_E_BAD_URL, "the URL has no LUN behind the iqn");
	*lun++ = 0;
	if (!number(lun, 16383, &n))
		return cm_err_set(err, CM_E_BAD_URL, "LUN '%s' is not a number of 0..16383", lun);
	u->lun = (unsigned)n;
	if (!take(u->target, sizeof u->target, slash, strlen(slash)) || strchr(slash, '/'))
		return cm_err_set(err, CM_E_BAD_URL, "the target name is empty or too long");
	at = strrchr(s, '@');
	if (at) {
		if (!take(u->user, sizeof u->user, s, (size_t)(at - s)))
			return cm_err_set(err, CM_E_BAD_URL, "the user name is empty or too long");
		if (strchr(u->user, ':') || strchr(u->user, '%'))
			return cm_err_set(err, CM_E_BAD_URL,
					  "no secret in a URL: use secret-file=PATH");
		s = at + 1;
	}
	for (;;) {
		char *comma = strchr(s, ',');
		size_t len = comma ? (size_t)(comma - s) : strlen(s);

		if (u->portals == STOR_URL_PORTALS)
			return cm_err_set(err, CM_E_BAD_URL, "more than %d portals",
					  STOR_URL_PORTALS);
		if (!stor_url_portal(s, len, u->portal[u->portals], sizeof u->portal[0]))
			return cm_err_set(err, CM_E_BAD_URL,
					  "'%.*s' is not a numeric address[:port]",
					  (int)CM_MIN(len, 64u), s);
		u->portals++;
		if (!comma)
			return 0;
		s = comma + 1;
	}
}

static int parse_volume(struct stor_url *u, const char *s, struct cm_err *err)
{
	const char *slash = strchr(s, '/');

	u->kind = STOR_URL_VOLUME;
	if (!slash || !take(u->volume, sizeof u->volume, s, (size_t)(slash - s)) ||
	    !take(u->disk, sizeof u->disk, slash + 1, strlen(slash + 1)) ||
	    !stor_name_valid(u->volume) || !stor_name_valid(u->disk))
		return cm_err_set(err, CM_E_BAD_URL, "'%.100s' is neither a URL nor VOLUME/DISK",
				  s);
	return 0;
}

int stor_url_parse(const char *text, struct stor_url *url, struct cm_err *err)
{
	char buf[STOR_URL_MAX], *rest, *disk;
	int rc;

	*url = (struct stor_url){
		.lock_lun = -1, .header_digest = true, .data_timeout_ms = STOR_DATA_TIMEOUT_MS,
		.sector_bytes = 512, .direct = -1};
	if (!take(buf, sizeof buf, text, strlen(text)))
		return cm_err_set(err, CM_E_BAD_URL, "the URL is empty or too long");
	if (!strncmp(buf, "file:", 5)) {
		url->kind = STOR_URL_FILE;
		rest = buf + 5;
	} else if (!strncmp(buf, "iscsi://", 8)) {
		url->kind = STOR_URL_ISCSI;
		rest = buf + 8;
	} else {
		return parse_volume(url, text, err);
	}
	disk = strrchr(rest, '#');
	if (disk) {
		*disk++ = 0;
		if (!stor_name_valid(disk) ||
		    !take(url->disk, sizeof url->disk, disk, strlen(disk)))
			return cm_err_set(err, CM_E_BAD_URL, "'%.100s' is no disk name", disk);
	}
	rc = options(url, rest, err);
	if (rc)
		return rc;
	if (url->kind == STOR_URL_ISCSI)
		return parse_iscsi(url, rest, err);
	if (!take(url->path, sizeof url->path, rest, strlen(rest)))
		return cm_err_set(err, CM_E_BAD_URL, "the path is empty or too long");
	return 0;
}

static size_t add_option(char *out, size_t cap, size_t n, const char *fmt, ...) cm_printf(4, 5);
static size_t add_option(char *out, size_t cap, size_t n, const char *fmt, ...)
{
	va_list ap;

	if (n + 1 >= cap)
		return cap;
	out[n] = strchr(out, '?') ? '&' : '?';
	va_start(ap, fmt);
	n += 1 + (size_t)vsnprintf(out + n + 1, cap - n - 1, fmt, ap);
	va_end(ap);
	return n;
}

int stor_url_bind(const char *text, const struct stor_uuid *volume, uint32_t tag, char *out,
		  size_t cap, struct cm_err *err)
{
	char buf[STOR_URL_MAX], id[STOR_UUID_TEXT], *q, *save = NULL;
	size_t n;

	if (!take(buf, sizeof buf, text, strlen(text)))
		return cm_err_set(err, CM_E_BAD_URL, "the URL is empty or too long");
	q = strchr(buf, '?');
	if (q)
		*q++ = 0;
	n = (size_t)snprintf(out, cap, "%s", buf);
	for (char *o = q ? strtok_r(q, "&", &save) : NULL; o; o = strtok_r(NULL, "&", &save))
		if (strncmp(o, "volume=", 7) != 0 && strncmp(o, "tag=", 4) != 0)
			n = add_option(out, cap, n, "%s", o);
	stor_uuid_format(volume, id);
	if (!stor_uuid_is_zero(volume))
		n = add_option(out, cap, n, "volume=%s", id);
	if (tag)
		n = add_option(out, cap, n, "tag=%08x", tag);
	return n < cap ? 0 : cm_err_set(err, CM_E_BAD_URL, "the URL is too long");
}

static bool lun_in(unsigned lun, const struct stor_url *u)
{
	return lun == u->lun || (u->lock_lun >= 0 && lun == (unsigned)u->lock_lun);
}

bool stor_url_same(const struct stor_url *a, const struct stor_url *b)
{
	bool portal = false;

	if (a->kind != b->kind)
		return false;
	if (a->kind == STOR_URL_FILE)
		return strcmp(a->path, b->path) == 0;
	for (unsigned i = 0; i < a->portals; i++)
		for (unsigned k = 0; k < b->portals; k++)
			portal |= !strcmp(a->portal[i], b->portal[k]);
	return portal && !strcmp(a->target, b->target) &&
	       (lun_in(a->lun, b) || (a->lock_lun >= 0 && lun_in((unsigned)a->lock_lun, b)));
}
