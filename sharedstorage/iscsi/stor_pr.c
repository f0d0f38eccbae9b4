/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_pr.c - the bytes of PERSISTENT RESERVE IN and OUT (SPC-4). Pure.
 *
 * Parses data of the target: every length is checked against what came, wrong shapes are errors.
 */
#include "config.h"

#include "sharedstorage/iscsi/stor_pr.h"

#include <stdlib.h>
#include <string.h>

#include "common/cm_buf.h"

void stor_pr_encode_out(uint8_t out[STOR_PR_OUT_BYTES], uint64_t key, uint64_t sa_key, bool aptpl)
{
	memset(out, 0, STOR_PR_OUT_BYTES);
	cm_put_be64(out, key);
	cm_put_be64(out + 8, sa_key);
	out[20] = aptpl ? 1 : 0;
}

int stor_pr_decode_keys(const uint8_t *d, size_t len, uint64_t *keys, unsigned cap, unsigned *count,
			uint32_t *generation)
{
	uint32_t bytes;

	*count = 0;
	if (len < 8)
		return CM_E_SAN_SENSE;
	*generation = cm_be32(d);
	bytes = cm_be32(d + 4);
	if (bytes % 8)
		return CM_E_SAN_SENSE;
	*count = bytes / 8;
	for (unsigned i = 0; i < *count && i < cap; i++) {
		if (len < 8 + 8 * ((size_t)i + 1))
			return CM_E_SAN_SENSE; /* says more than it sent: the list is not complete
						*/
		keys[i] = cm_be64(d + 8 + 8 * (size_t)i);
	}
	return 0;
}

int stor_pr_decode_reservation(const uint8_t *d, size_t len, uint64_t *holder, unsigned *type)
{
	uint32_t bytes;

	*holder = 0;
	*type = STOR_PR_NONE;
	if (len < 8)
		return CM_E_SAN_SENSE;
	bytes = cm_be32(d + 4);
	if (!bytes)
		return 0;
	if (bytes < 16 || len < 24)
		return CM_E_SAN_SENSE;
	*holder = cm_be64(d + 8);
	*type = d[21] & 15;
	return 0;
}

int stor_pr_decode_caps(const uint8_t *d, size_t len, struct stor_pr_caps *caps)
{
	*caps = (struct stor_pr_caps){0};
	if (len < 8 || cm_be16(d) < 8)
		return CM_E_SAN_SENSE;
	caps->aptpl_capable = d[2] & 1;
	caps->aptpl_active = d[3] & 1;
	if (d[3] & 0x80) { /* TMV */
		caps->type_we = d[4] & 0x02;
		caps->type_wear = d[4] & 0x80;
	}
	return 0;
}

/* "NAME,i,0xISID" in a TransportID of iSCSI; 0 if it is anything else. */
static uint64_t nexus_isid(const uint8_t *id, size_t len)
{
	char text[256], *at;

	if (len < 8 || id[0] != 0x45) /* format 01b (an initiator port), protocol 5h */
		return 0;
	len = CM_MIN(CM_MIN(len - 4, (size_t)cm_be16(id + 2)), sizeof text - 1);
	memcpy(text, id + 4, len);
	text[len] = 0;
	at = strstr(text, ",i,0x");
	return at ? strtoull(at + 5, NULL, 16) & 0xffffffffffffull : 0;
}

int stor_pr_decode_nexuses(const uint8_t *d, size_t len, struct stor_pr_nexus *out, unsigned cap,
			   unsigned *count)
{
	size_t end, at = 8;

	*count = 0;
	if (len < 8)
		return CM_E_SAN_SENSE;
	end = 8 + (size_t)cm_be32(d + 4);
	if (end > len)
		return CM_E_SAN_SENSE; /* not the whole list */
	while (at < end) {
		size_t more;

		if (end - at < 24)
			return CM_E_SAN_SENSE;
		more = cm_be32(d + at + 20);
		if (more > end - at - 24)
			return CM_E_SAN_SENSE;
		if (*count < cap)
			out[*count] = (struct stor_pr_nexus){cm_be64(d + at),
							     nexus_isid(d + at + 24, more)};
		++*count;
		at += 24 + more;
	}
	return 0;
}
