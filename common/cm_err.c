/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_err.c - error codes, their words, and the error object.
 *
 * Does not log and does not allocate. Parses only the operator's word in cm_err_find().
 */
#include "config.h"

#include "common/cm_err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_trace.h"

static const struct {
	int code;
	const char *name, *text, *fix;
} err_table[] = {
#define XX(c, n, t, f) {-(c), #n, t, f},
	CM_ERR_MAP(XX)
#undef XX
};

int cm_err_vset(struct cm_err *err, int code, const char *fmt, va_list ap)
{
	if (err && err->code == 0) {
		err->code = code;
		vsnprintf(err->text, sizeof err->text, fmt, ap);
	}
	return code;
}

int cm_err_set(struct cm_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cm_err_vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int cm_err_prefix(struct cm_err *err, const char *fmt, ...)
{
	char old[CM_ERR_TEXT];
	va_list ap;
	size_t n;

	if (!err || err->code == 0)
		return err ? err->code : 0;
	memcpy(old, err->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof err->text - n, ": %s", old);
	return err->code;
}

void cm_err_clear(struct cm_err *err)
{
	err->code = 0;
	err->text[0] = '\0';
}

static int err_index(int code)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(err_table); i++)
		if (err_table[i].code == code)
			return (int)i;
	return -1;
}

const char *cm_err_name(int code)
{
	int i = err_index(code);
	const char *name;

	if (i >= 0)
		return err_table[i].name;
	if (code == 0)
		return "OK";
	name = strerrorname_np(-code);
	return name ? name : "UNKNOWN";
}

const char *cm_err_text(int code)
{
	int i = err_index(code);
	const char *text;

	if (i >= 0)
		return err_table[i].text;
	if (code == 0)
		return "success";
	text = strerrordesc_np(-code);
	return text ? text : "unknown error";
}

const char *cm_err_fix(int code)
{
	int i = err_index(code);

	return i >= 0 ? err_table[i].fix : "";
}

int cm_err_find(const char *word)
{
	char *end;
	long n = strtol(word, &end, 10);

	if (end != word && *end == '\0') {
		if (n > 0)
			n = -n;
		if (n < -100000 || n == 0)
			return 0;
		if (err_index((int)n) >= 0 || strerrorname_np((int)-n))
			return (int)n;
		return 0;
	}
	for (size_t i = 0; i < CM_ARRAY_LEN(err_table); i++)
		if (strcasecmp(err_table[i].name, word) == 0)
			return err_table[i].code;
	for (int e = 1; e < 4096; e++) {
		const char *name = strerrorname_np(e);

		if (name && strcasecmp(name, word) == 0)
			return -e;
	}
	return 0;
}

void cm_err_each(void (*fn)(int code, void *arg), void *arg)
{
	for (size_t i = 0; i < CM_ARRAY_LEN(err_table); i++)
		fn(err_table[i].code, arg);
}

_Noreturn void cm_assert_failed(const char *expr, const char *file, int line, const char *func)
{
	fprintf(stderr, "hvcluster: assertion '%s' failed at %s:%d in %s()\n", expr, file, line,
		func);
	cm_trace_dump(stderr);
	fflush(stderr);
	abort();
}
