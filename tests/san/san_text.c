/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_text.c - key=value text of login and text PDUs, and the negotiation of RFC 7143 chapter 13.
 *
 * Parses the peer's text: it is a row of strings, each ended by a zero byte; san_text_valid()
 * must have said yes before any other function looks at it.
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool san_text_valid(const uint8_t *text, uint32_t len)
{
	return len == 0 || text[len - 1] == 0;
}

const char *san_text_get(const uint8_t *text, uint32_t len, const char *key)
{
	size_t klen = strlen(key), n;
	uint32_t i;

	for (i = 0; i < len; i += (uint32_t)n + 1) {
		const char *s = (const char *)text + i;

		n = strlen(s);
		if (n > klen && s[klen] == '=' && memcmp(s, key, klen) == 0)
			return s + klen + 1;
	}
	return NULL;
}

int san_text_add(char *out, size_t cap, size_t *len, const char *key, const char *value)
{
	int n = snprintf(out + *len, cap - *len, "%s=%s", key, value);

	if (n < 0 || (size_t)n + 1 > cap - *len)
		return -ENOSPC;
	*len += (size_t)n + 1;
	return 0;
}

/* Is word one of the comma separated words of list? */
static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list) {
		size_t m = strcspn(list, ",");

		if (m == n && memcmp(list, word, n) == 0)
			return true;
		list += m;
		if (*list == ',')
			list++;
	}
	return false;
}

enum kind {
	KIND_DIGEST,
	KIND_MIN,
	KIND_MAX,
	KIND_AND,
	KIND_OR,
	KIND_DECLARE, /* a number the peer tells, no answer */
	KIND_SKIP,    /* a text the peer tells, no answer */
};

struct key {
	const char *name;
	enum kind kind;
	uint32_t ours, low, high;
	size_t number; /* offset of the result in struct san_params, 0 = not kept */
	size_t flag;
};

#define NUM(f)	(offsetof(struct san_params, f))
#define FLAG(f) (offsetof(struct san_params, f) + 1)

static const struct key keys[] = {
	{"HeaderDigest", KIND_DIGEST, 0, 0, 0, 0, FLAG(header_digest)},
	{"DataDigest", KIND_DIGEST, 0, 0, 0, 0, FLAG(data_digest)},
	{"MaxConnections", KIND_MIN, 1, 1, 65535, 0, 0},
	{"InitialR2T", KIND_OR, 0, 0, 0, 0, FLAG(initial_r2t)},
	{"ImmediateData", KIND_AND, 1, 0, 0, 0, FLAG(immediate_data)},
	{"MaxRecvDataSegmentLength", KIND_DECLARE, 0, 512, 16777215, NUM(max_xmit), 0},
	{"MaxBurstLength", KIND_MIN, SAN_MAX_BURST, 512, 16777215, NUM(max_burst), 0},
	{"FirstBurstLength", KIND_MIN, SAN_MAX_RECV, 512, 16777215, NUM(first_burst), 0},
	{"DefaultTime2Wait", KIND_MAX, 0, 0, 3600, 0, 0},
	{"DefaultTime2Retain", KIND_MIN, 0, 0, 3600, 0, 0},
	{"MaxOutstandingR2T", KIND_MIN, SAN_MAX_R2T, 1, 65535, NUM(max_r2t), 0},
	{"DataPDUInOrder", KIND_OR, 1, 0, 0, 0, 0},
	{"DataSequenceInOrder", KIND_OR, 1, 0, 0, 0, 0},
	{"ErrorRecoveryLevel", KIND_MIN, 0, 0, 2, 0, 0},
	{"IFMarker", KIND_AND, 0, 0, 0, 0, 0},
	{"OFMarker", KIND_AND, 0, 0, 0, 0, 0},
	{"InitiatorName", KIND_SKIP, 0, 0, 0, 0, 0},
	{"InitiatorAlias", KIND_SKIP, 0, 0, 0, 0, 0},
	{"TargetName", KIND_SKIP, 0, 0, 0, 0, 0},
	{"SessionType", KIND_SKIP, 0, 0, 0, 0, 0},
	{"AuthMethod", KIND_SKIP, 0, 0, 0, 0, 0},
	{"CHAP_A", KIND_SKIP, 0, 0, 0, 0, 0},
	{"CHAP_I", KIND_SKIP, 0, 0, 0, 0, 0},
	{"CHAP_C", KIND_SKIP, 0, 0, 0, 0, 0},
	{"CHAP_N", KIND_SKIP, 0, 0, 0, 0, 0},
	{"CHAP_R", KIND_SKIP, 0, 0, 0, 0, 0},
};

static void keep_flag(struct san_conn *c, const struct key *k, bool v)
{
	if (k->flag)
		*(bool *)((char *)&c->par + k->flag - 1) = v;
}

static int answer_number(struct san_conn *c, const struct key *k, const char *value, char *text,
			 size_t cap)
{
	char *end;
	unsigned long v = strtoul(value, &end, 0);

	if (end == value || *end || v < k->low || v > k->high)
		return -EINVAL;
	if (k->kind == KIND_MIN && v > k->ours)
		v = k->ours;
	if (k->kind == KIND_MAX && v < k->ours)
		v = k->ours;
	if (k->number)
		*(uint32_t *)((char *)&c->par + k->number) = (uint32_t)v;
	snprintf(text, cap, "%lu", v);
	return 0;
}

static int answer(struct san_conn *c, const struct key *k, const char *value, char *text,
		  size_t cap)
{
	bool yes = strcmp(value, "Yes") == 0;

	switch (k->kind) {
	case KIND_DIGEST: {
		bool crc = in_list(value, "CRC32C") &&
			   !(in_list(value, "None") && strncmp(value, "None", 4) == 0);

		if (!crc && !in_list(value, "None"))
			return -EINVAL;
		keep_flag(c, k, crc);
		snprintf(text, cap, "%s", crc ? "CRC32C" : "None");
		return 0;
	}
	case KIND_AND:
	case KIND_OR:
		if (!yes && strcmp(value, "No") != 0)
			return -EINVAL;
		yes = k->kind == KIND_AND ? yes && k->ours : yes || k->ours;
		keep_flag(c, k, yes);
		snprintf(text, cap, "%s", yes ? "Yes" : "No");
		return 0;
	case KIND_MIN:
	case KIND_MAX:
	case KIND_DECLARE:
		return answer_number(c, k, value, text, cap);
	case KIND_SKIP:
		break;
	}
	return 0;
}

static const struct key *find_key(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < SAN_LEN(keys); i++)
		if (strlen(keys[i].name) == n && memcmp(keys[i].name, s, n) == 0)
			return &keys[i];
	return NULL;
}

/* Answers every key of an operational negotiation; sets the connection's parameters. */
int san_text_negotiate(struct san_conn *c, const uint8_t *text, uint32_t len, char *out, size_t cap,
		       size_t *out_len)
{
	size_t n;
	uint32_t i;

	for (i = 0; i < len; i += (uint32_t)n + 1) {
		const char *s = (const char *)text + i, *eq = strchr(s, '=');
		char name[64], value[64];
		const struct key *k;
		int rc;

		n = strlen(s);
		if (n == 0)
			continue;
		if (!eq || eq == s || (size_t)(eq - s) >= sizeof name)
			return -EINVAL;
		k = find_key(s, (size_t)(eq - s));
		memcpy(name, s, (size_t)(eq - s));
		name[eq - s] = 0;
		if (k && (k->kind == KIND_SKIP))
			continue;
		if (!k)
			snprintf(value, sizeof value, "NotUnderstood");
		else if (answer(c, k, eq + 1, value, sizeof value) < 0)
			return -EINVAL;
		if (k && k->kind == KIND_DECLARE)
			continue;
		rc = san_text_add(out, cap, out_len, name, value);
		if (rc < 0)
			return rc;
	}
	if (c->par.first_burst > c->par.max_burst)
		c->par.first_burst = c->par.max_burst;
	if (c->par.max_r2t > SAN_MAX_R2T)
		c->par.max_r2t = SAN_MAX_R2T;
	return 0;
}
