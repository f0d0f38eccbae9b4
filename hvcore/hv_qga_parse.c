/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_qga_parse.c - finds members, integers and strings in a line of JSON.
 *
 * Does not check that the whole line is good JSON: what it is asked for is there in the right shape,
 * or not. Data of: the guest.
 *
 * Threats and answers: every index is compared with the length before use; nesting is a counter, so
 * deep nesting costs nothing; integers are checked for overflow.
 */
#include "config.h"

#include "hvcore/hv_qga_parse.h"

#include <string.h>

static size_t skip_space(struct hv_qga_span s, size_t at)
{
	while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\r' || s.p[at] == '\n'))
		at++;
	return at;
}

/* at is behind the opening quote; returns the place of the closing one, or s.n. */
static size_t string_end(struct hv_qga_span s, size_t at)
{
	while (at < s.n && s.p[at] != '"')
		at += s.p[at] == '\\' ? 2 : 1;
	return at < s.n ? at : s.n;
}

/* The end of the value that begins at `at`. */
static size_t value_end(struct hv_qga_span s, size_t at)
{
	size_t depth = 0;

	for (; at < s.n; at++) {
		char c = s.p[at];

		if (c == '"') {
			at = string_end(s, at + 1);
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return at;
			depth--;
		} else if (c == ',' && !depth) {
			return at;
		}
	}
	return s.n;
}

bool hv_qga_member(struct hv_qga_span object, const char *key, struct hv_qga_span *value)
{
	size_t len = strlen(key), at = skip_space(object, 0);

	if (at >= object.n || object.p[at] != '{')
		return false;
	do {
		size_t name, end, from;

		at = skip_space(object, at + 1);
		if (at >= object.n || object.p[at] != '"')
			return false;
		name = at + 1;
		end = string_end(object, name);
		at = skip_space(object, end + 1);
		if (at >= object.n || object.p[at] != ':')
			return false;
		from = skip_space(object, at + 1);
		at = value_end(object, from);
		if (end - name == len && memcmp(object.p + name, key, len) == 0) {
			while (at > from && strchr(" \t\r\n", object.p[at - 1]))
				at--;
			*value = (struct hv_qga_span){object.p + from, at - from};
			return at > from;
		}
	} while (at < object.n && object.p[at] == ',');
	return false;
}

bool hv_qga_i64(struct hv_qga_span value, int64_t *out)
{
	bool minus = value.n && value.p[0] == '-';
	int64_t sum = 0;
	size_t at = minus;

	if (at >= value.n)
		return false;
	for (; at < value.n; at++) {
		int digit = value.p[at] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, (int64_t)10, &sum) ||
		    __builtin_add_overflow(sum, (int64_t)digit, &sum))
			return false;
	}
	*out = minus ? -sum : sum;
	return true;
}

bool hv_qga_text(struct hv_qga_span value, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	if (value.n < 2 || value.p[0] != '"' || string_end(value, 1) != value.n - 1)
		return false;
	for (size_t at = 1; at < value.n - 1 && n + 1 < cap; at++) {
		char c = value.p[at];

		if (c == '\\' && at + 1 < value.n - 1)
			c = value.p[++at];
		out[n++] = c >= ' ' && c <= '~' ? c : '?';
	}
	out[n] = '\0';
	return true;
}
