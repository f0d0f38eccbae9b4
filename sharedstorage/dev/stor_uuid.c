/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_uuid.c - UUIDs as bytes and as text. Parses text of operators and other hosts, and the boot
 * id of this host's kernel.
 */
#include "config.h"

#include "sharedstorage/dev/stor_uuid.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

bool stor_uuid_equal(const struct stor_uuid *a, const struct stor_uuid *b)
{
	return !memcmp(a->b, b->b, sizeof a->b);
}

bool stor_uuid_is_zero(const struct stor_uuid *a)
{
	static const struct stor_uuid zero;

	return stor_uuid_equal(a, &zero);
}

int stor_uuid_parse(const char *text, struct stor_uuid *out)
{
	unsigned n = 0;

	if (strnlen(text, STOR_UUID_TEXT) != STOR_UUID_TEXT - 1)
		return CM_E_BAD_VALUE;
	for (unsigned i = 0; i < STOR_UUID_TEXT - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		unsigned char c = (unsigned char)text[i];
		uint8_t v;

		if (dash ? c != '-' : !isxdigit(c))
			return CM_E_BAD_VALUE;
		if (dash)
			continue;
		v = (uint8_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
		out->b[n / 2] = (uint8_t)(n % 2 ? out->b[n / 2] << 4 | v : v);
		n++;
	}
	return 0;
}

void stor_uuid_format(const struct stor_uuid *id, char out[STOR_UUID_TEXT])
{
	char *p = out;

	for (unsigned i = 0; i < sizeof id->b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", id->b[i]);
	}
}

void stor_uuid_random(struct stor_uuid *out)
{
	CM_ASSERT(getrandom(out->b, sizeof out->b, 0) == (ssize_t)sizeof out->b);
}

int stor_boot_id(struct stor_uuid *out)
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n < STOR_UUID_TEXT - 1)
		return -EIO;
	text[STOR_UUID_TEXT - 1] = 0;
	return stor_uuid_parse(text, out);
}
