/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_chap.c - CHAP of RFC 7143 chapter 12, one-way and two-way, with MD5 or SHA-256.
 *
 * Parses the peer's CHAP keys. Secrets come from files the operator named; they are compared in
 * constant time and never printed. This is a target for tests: no other attack is defended.
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MD5    5
#define SHA256 7

static int from_hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Decodes 0x... or 0b... (base64) into out; returns the length or -EINVAL. */
static int decode(const char *s, uint8_t *out, size_t cap)
{
	size_t n = 0, len = strlen(s);

	if (len > 2 && s[0] == '0' && (s[1] == 'b' || s[1] == 'B')) {
		uint8_t tmp[512];
		int got, pad = 0;

		s += 2;
		len -= 2;
		if (len % 4 || len / 4 * 3 > sizeof tmp)
			return -EINVAL;
		while (len > (size_t)pad && s[len - 1 - (size_t)pad] == '=')
			pad++;
		got = EVP_DecodeBlock(tmp, (const unsigned char *)s, (int)len);
		if (got < 0 || pad > 2 || (size_t)(got - pad) > cap)
			return -EINVAL;
		memcpy(out, tmp, (size_t)(got - pad));
		return got - pad;
	}
	if (len < 3 || s[0] != '0' || (s[1] != 'x' && s[1] != 'X'))
		return -EINVAL;
	s += 2;
	len -= 2;
	if (len % 2) { /* an odd number of digits: the first byte has one */
		if (from_hex(*s) < 0 || cap == 0)
			return -EINVAL;
		out[n++] = (uint8_t)from_hex(*s++);
	}
	for (; *s; s += 2) {
		if (n >= cap || from_hex(s[0]) < 0 || from_hex(s[1]) < 0)
			return -EINVAL;
		out[n++] = (uint8_t)(from_hex(s[0]) << 4 | from_hex(s[1]));
	}
	return (int)n;
}

static void to_hex(const uint8_t *p, size_t n, char *out)
{
	size_t i;

	strcpy(out, "0x");
	for (i = 0; i < n; i++)
		sprintf(out + 2 + 2 * i, "%02x", p[i]);
}

static int digest(int alg, uint8_t id, const struct san_secret *s, const uint8_t *chal, size_t n,
		  uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int len = 0;
	int ok = ctx && EVP_DigestInit_ex(ctx, alg == MD5 ? EVP_md5() : EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(ctx, &id, 1) && EVP_DigestUpdate(ctx, s->secret, s->len) &&
		 EVP_DigestUpdate(ctx, chal, n) && EVP_DigestFinal_ex(ctx, out, &len);

	EVP_MD_CTX_free(ctx);
	return ok ? (int)len : -EIO;
}

static int offer(struct san_conn *c, const char *algs, char *out, size_t cap, size_t *len)
{
	char hex[2 * sizeof c->chap.challenge + 3], num[8];

	c->chap.algorithm = 0;
	while (*algs && !c->chap.algorithm) {
		int a = (int)strtol(algs, NULL, 10);

		if (a == MD5 || a == SHA256)
			c->chap.algorithm = a;
		algs += strcspn(algs, ",");
		if (*algs)
			algs++;
	}
	if (!c->chap.algorithm || RAND_bytes(c->chap.challenge, sizeof c->chap.challenge) != 1 ||
	    RAND_bytes(&c->chap.id, 1) != 1)
		return -EACCES;
	snprintf(num, sizeof num, "%d", c->chap.algorithm);
	if (san_text_add(out, cap, len, "CHAP_A", num) < 0)
		return -ENOSPC;
	snprintf(num, sizeof num, "%u", c->chap.id);
	to_hex(c->chap.challenge, sizeof c->chap.challenge, hex);
	if (san_text_add(out, cap, len, "CHAP_I", num) < 0 ||
	    san_text_add(out, cap, len, "CHAP_C", hex) < 0)
		return -ENOSPC;
	c->chap.step = 2;
	return 0;
}

static int prove_ourselves(struct san_conn *c, const char *id, const char *chal, char *out,
			   size_t cap, size_t *len)
{
	const struct san_secret *me = &c->san->chap_out;
	uint8_t bytes[256], md[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 3];
	int n = decode(chal, bytes, sizeof bytes);
	int mdlen;

	/* a challenge that is our own one is a reflection attack */
	if (!me->len || n <= 0 ||
	    ((size_t)n == sizeof c->chap.challenge &&
	     memcmp(bytes, c->chap.challenge, (size_t)n) == 0))
		return -EACCES;
	mdlen = digest(c->chap.algorithm, (uint8_t)strtoul(id, NULL, 0), me, bytes, (size_t)n, md);
	if (mdlen < 0)
		return mdlen;
	to_hex(md, (size_t)mdlen, hex);
	if (san_text_add(out, cap, len, "CHAP_N", me->user) < 0 ||
	    san_text_add(out, cap, len, "CHAP_R", hex) < 0)
		return -ENOSPC;
	return 0;
}

/*
 * One step of the exchange. 0 = go on (answer in out; c->chap.done when the peer is trusted),
 * -EACCES = refuse the login.
 */
int san_chap_step(struct san_conn *c, const uint8_t *text, uint32_t len, char *out, size_t cap,
		  size_t *out_len)
{
	const char *algs = san_text_get(text, len, "CHAP_A");
	const char *name = san_text_get(text, len, "CHAP_N");
	const char *resp = san_text_get(text, len, "CHAP_R");
	const char *id = san_text_get(text, len, "CHAP_I");
	const char *chal = san_text_get(text, len, "CHAP_C");
	uint8_t got[EVP_MAX_MD_SIZE], want[EVP_MAX_MD_SIZE];
	int n, m;

	if (c->chap.step == 1 && algs)
		return offer(c, algs, out, cap, out_len);
	if (c->chap.step != 2 || !name || !resp)
		return -EACCES;
	n = decode(resp, got, sizeof got);
	m = digest(c->chap.algorithm, c->chap.id, &c->san->chap_in, c->chap.challenge,
		   sizeof c->chap.challenge, want);
	if (n <= 0 || n != m || CRYPTO_memcmp(got, want, (size_t)n) != 0 ||
	    strcmp(name, c->san->chap_in.user) != 0)
		return -EACCES;
	if (id && chal && prove_ourselves(c, id, chal, out, cap, out_len) < 0)
		return -EACCES;
	c->chap.done = true;
	c->chap.step = 3;
	return 0;
}
