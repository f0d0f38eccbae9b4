/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_stor.c - whatever a disk, a target or an operator can put before sharedstorage/: ownership blocks, volume
 * structures, SCSI answers, reservation lists, URLs. The first byte of the input chooses the decoder.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/iscsi/stor_scsi.h"
#include "sharedstorage/lease/stor_lease_disk.h"
#include "sharedstorage/volume/stor_volfmt.h"
#include "tests/fuzz/fuzz.h"

/* With a right checksum, so that what lies behind it is reached; what decodes must encode to the same. */
static void block(const uint8_t *data, size_t n)
{
	uint8_t raw[512] = {0}, again[512];
	struct stor_block b;
	char words[256];

	memcpy(raw, data, CM_MIN(n, sizeof raw));
	memcpy(raw, "HVOWNBLK\3\0\0\0", 12);
	cm_put_le32(raw + 508, cm_crc32c(0, raw, 508));
	if (stor_block_decode(raw, sizeof raw, &b))
		return;
	stor_block_print(&b, words, sizeof words);
	stor_block_encode(&b, again, sizeof again);
	CM_ASSERT(!stor_block_decode(again, sizeof again, &b));
}

static void volume(const uint8_t *data, size_t n)
{
	uint8_t raw[512] = {0};
	struct stor_super s;
	struct stor_hostslot h;
	struct stor_diskslot d;
	struct stor_confhead head;
	struct stor_confbody body;

	static const char *const magic[] = {"HVVOLUM1", "HVHOST01", "HVDISK01",
					    "HVCONF01", "HVCBODY1", "HVFORGOT"};

	memcpy(raw, data, CM_MIN(n, sizeof raw));
	/* As it is; then with a magic and a right checksum, so that what lies behind them is reached. */
	for (unsigned i = 0; i <= CM_ARRAY_LEN(magic); i++) {
		(void)!stor_super_decode(raw, sizeof raw, &s);
		(void)!stor_hostslot_decode(raw, sizeof raw, &h);
		(void)!stor_diskslot_decode(raw, sizeof raw, &d);
		(void)!stor_confhead_decode(raw, sizeof raw, &head);
		(void)!stor_confbody_decode(raw, sizeof raw, &body);
		(void)stor_forgotten_is(raw, sizeof raw);
		if (i == CM_ARRAY_LEN(magic))
			break;
		memcpy(raw, magic[i], 8);
		cm_put_le32(raw + sizeof raw - 4, cm_crc32c(0, raw, sizeof raw - 4));
	}
	(void)!stor_table_check(raw, sizeof raw);
	stor_table_seal(raw, sizeof raw);
	(void)!stor_table_check(raw, sizeof raw);
}

static void scsi(const uint8_t *data, size_t n)
{
	static const uint8_t pages[] = {0x80, 0x83, 0xb0, 0xb2};
	uint8_t page[256];
	uint64_t keys[8], holder;
	uint32_t generation;
	unsigned count, type;
	struct stor_pr_caps caps;
	struct stor_pr_nexus nexus[4];
	struct stor_capacity c;
	struct stor_limits l;
	char serial[16], id[64];
	bool a, b;

	(void)!stor_pr_decode_keys(data, n, keys, 8, &count, &generation);
	(void)!stor_pr_decode_reservation(data, n, &holder, &type);
	(void)!stor_pr_decode_caps(data, n, &caps);
	(void)!stor_pr_decode_nexuses(data, n, nexus, CM_ARRAY_LEN(nexus), &count);
	(void)!stor__decode_capacity(data, n, &c);
	(void)!stor__decode_serial(data, n, serial, sizeof serial);
	(void)!stor__decode_limits(data, n, &l);
	(void)!stor__decode_provisioning(data, n, &a, &b);
	for (unsigned i = 0; n >= 4 && i < CM_ARRAY_LEN(pages); i++) { /* behind the page's own name */
		memcpy(page, data, CM_MIN(n, sizeof page));
		page[1] = pages[i];
		(void)!stor__decode_serial(page, CM_MIN(n, sizeof page), serial, sizeof serial);
		(void)!stor__decode_lun_id(page, CM_MIN(n, sizeof page), id, sizeof id);
		(void)!stor__decode_limits(page, CM_MIN(n, sizeof page), &l);
		(void)!stor__decode_provisioning(page, CM_MIN(n, sizeof page), &a, &b);
	}
}

static void url(const uint8_t *data, size_t n)
{
	char text[2048];
	struct stor_uuid id;
	struct stor_url u;

	n = CM_MIN(n, sizeof text - 1);
	memcpy(text, data, n);
	text[n] = 0;
	if (!stor_url_parse(text, &u, NULL))
		CM_ASSERT(u.kind != STOR_URL_NONE);
	(void)!stor_uuid_parse(text, &id);
	(void)stor_name_valid(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const uint8_t *, size_t) = {block, volume, scsi, url};

	if (size)
		targets[data[0] % CM_ARRAY_LEN(targets)](data + 1, size - 1);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const urls[] = {"file:/x?sector=512#d",
					   "iscsi://u@10.0.0.1,[::1]:99/iqn.2026-01.a:b/3?lock=4&unmap=no",
					   "vol/disk"};
	struct stor_block b = {.state = STOR_BLOCK_RUNNING, .io_timeout_ms = 2000,
			       .owner = {.node = "n1"}, .peer = {.node = "n2"}, .vm = {.b = {1}}};

	if (cap < 600)
		return 0;
	memset(out, 0, 600);
	out[0] = (uint8_t)i;
	switch (i) {
	case 0:
		stor_block_encode(&b, out + 1, 512);
		return 513;
	case 1:
		return 513;
	case 2: /* READ KEYS with two keys; any page of the others */
		out[8] = 16;
		return 256;
	case 3:
	case 4:
	case 5:
		out[0] = 3;
		memcpy(out + 1, urls[i - 3], strlen(urls[i - 3]));
		return 1 + strlen(urls[i - 3]);
	case 6: /* READ FULL STATUS of one iSCSI nexus, and of one whose name ends nowhere */
		out[0] = 2;
		cm_put_be32(out + 1 + 4, 2 * (24 + 36));
		for (unsigned k = 0; k < 2; k++) {
			uint8_t *d = out + 1 + 8 + (size_t)k * (24 + 36);

			cm_put_be64(d, 0x4856000100000007ull);
			cm_put_be32(d + 20, 36);
			d[24] = 0x45;
			d[27] = 32;
			memcpy(d + 28, k ? "iqn.2026-01.a:bbbbbbbbbbbbbbbbbb" : "iqn.2026-01.a:b,i,0x800000070002", 32);
		}
		return 1 + 8 + 2 * (24 + 36);
	default:
		return 0;
	}
}
