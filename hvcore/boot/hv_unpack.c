/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_unpack.c - bzImage header and payload. The guest need not spend 100 million (LZ4) or 4
 * thousand million (xz) instructions on unpacking itself, and both engines share one entry.
 *
 * Parses the operator's kernel file: offsets and sizes in it are checked, never trusted.
 * Documentation: Linux' Documentation/arch/x86/boot.rst.
 */
#include "config.h"

#include "hvcore/boot/hv_unpack.h"

#include <errno.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "common/cm_buf.h"

#define OFF_SETUP_SECTS	 0x1f1u
#define OFF_JUMP	 0x201u
#define OFF_MAGIC	 0x202u
#define OFF_VERSION	 0x206u
#define OFF_INITRD_MAX	 0x22cu
#define OFF_XLOADFLAGS	 0x236u
#define OFF_CMDLINE_SIZE 0x238u
#define OFF_PAYLOAD	 0x248u
#define OFF_PAYLOAD_LEN	 0x24cu
#define HEADER_MIN	 0x268u
#define LZ4_MAGIC	 0x184c2102u
#define LZ4_CHUNK	 (8u << 20)
#define XZ_MEMORY_LIMIT	 (256ull << 20)

bool hv_is_bzimage(const uint8_t *file, size_t len)
{
	return len >= HEADER_MIN && memcmp(file + OFF_MAGIC, "HdrS", 4) == 0 &&
	       file[0x1fe] == 0x55 && file[0x1ff] == 0xaa;
}

int hv_bzimage_parse(const uint8_t *file, size_t len, struct hv_bzimage *out, struct cm_err *err)
{
	size_t setup, at, bytes;

	memset(out, 0, sizeof *out);
	if (!hv_is_bzimage(file, len))
		return cm_err_set(err, CM_E_BAD_KERNEL, "this is no bzImage");
	if (cm_le16(file + OFF_VERSION) < 0x020c || !(cm_le16(file + OFF_XLOADFLAGS) & 1))
		return cm_err_set(
			err, CM_E_BAD_KERNEL,
			"the bzImage has no 64-bit entry (it is 32-bit or older than Linux 3.8)");
	setup = ((file[OFF_SETUP_SECTS] ? file[OFF_SETUP_SECTS] : 4u) + 1u) * 512u;
	at = cm_le32(file + OFF_PAYLOAD);
	bytes = cm_le32(file + OFF_PAYLOAD_LEN);
	if (setup > len || at > len - setup || bytes > len - setup - at || bytes < 8)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the bzImage is cut short");
	out->payload = setup + at;
	out->payload_bytes = bytes;
	/* The build puts the unpacked size at the end of the payload, whatever the packer. */
	out->unpacked_bytes = cm_le32(file + out->payload + bytes - 4);
	if (out->unpacked_bytes < 64 || out->unpacked_bytes > HV_KERNEL_MAX)
		return cm_err_set(err, CM_E_BAD_KERNEL,
				  "the bzImage says that it unpacks to %u bytes",
				  out->unpacked_bytes);
	out->header_bytes =
		CM_MIN((size_t)file[OFF_JUMP] + OFF_MAGIC, (size_t)HEADER_MIN) - OFF_SETUP_SECTS;
	out->initrd_max_gpa = cm_le32(file + OFF_INITRD_MAX);
	out->cmdline_max = cm_le32(file + OFF_CMDLINE_SIZE);
	return 0;
}

static int unpack_gzip(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *got)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)in,
		      .avail_in = (uInt)len,
		      .next_out = out,
		      .avail_out = (uInt)cap};
	int rc = inflateInit2(&z, 16 + MAX_WBITS);

	if (rc != Z_OK)
		return -ENOMEM;
	rc = inflate(&z, Z_FINISH);
	*got = z.total_out;
	inflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : -EBADMSG;
}

static int unpack_xz(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *got)
{
	uint64_t limit = XZ_MEMORY_LIMIT;
	size_t in_pos = 0, out_pos = 0;
	lzma_ret rc =
		lzma_stream_buffer_decode(&limit, 0, NULL, in, &in_pos, len, out, &out_pos, cap);

	*got = out_pos;
	return rc == LZMA_OK ? 0 : rc == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int unpack_zstd(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *got)
{
	size_t n = ZSTD_decompress(out, cap, in, len);

	*got = ZSTD_isError(n) ? 0 : n;
	return ZSTD_isError(n) ? -EBADMSG : 0;
}

/* Legacy frame: magic, then {le32 packed size, block} until the end; each block unpacks to at most
 * 8 MiB. */
static int unpack_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *got)
{
	size_t at = 4, done = 0;

	while (at < len && done < cap) {
		size_t room = CM_MIN(cap - done, LZ4_CHUNK);
		uint32_t n;
		int rc;

		if (len - at < 4)
			return -EBADMSG;
		n = cm_le32(in + at);
		at += 4;
		if (n == LZ4_MAGIC)
			continue;
		if (n > len - at || n > LZ4_COMPRESSBOUND(LZ4_CHUNK))
			return -EBADMSG;
		rc = LZ4_decompress_safe((const char *)in + at, (char *)out + done, (int)n,
					 (int)room);
		if (rc < 0)
			return -EBADMSG;
		at += n;
		done += (size_t)rc;
	}
	*got = done;
	return 0;
}

int hv_unpack(const uint8_t *in, size_t len, uint8_t *out, size_t cap, struct cm_err *err)
{
	static const struct {
		const char *name;
		uint8_t magic[6];
		uint8_t magic_bytes;
		bool size_appended; /* the 4 bytes of the size are not part of the packed data */
		int (*fn)(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *got);
	} packers[] = {
		{"gzip", {0x1f, 0x8b}, 2, false, unpack_gzip},
		{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, true, unpack_xz},
		{"LZ4", {0x02, 0x21, 0x4c, 0x18}, 4, true, unpack_lz4},
		{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, true, unpack_zstd},
	};

	if (len > HV_KERNEL_MAX || cap > HV_KERNEL_MAX)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the kernel is too large");
	for (size_t i = 0; i < CM_ARRAY_LEN(packers); i++) {
		size_t got = 0, n = packers[i].size_appended ? len - 4 : len;
		int rc;

		if (len < 12 || memcmp(in, packers[i].magic, packers[i].magic_bytes) != 0)
			continue;
		rc = packers[i].fn(in, n, out, cap, &got);
		if (rc < 0 || got != cap)
			return cm_err_set(err, rc == -ENOMEM ? CM_E_NO_MEMORY : CM_E_BAD_KERNEL,
					  "the %s payload of the kernel is damaged: %zu of %zu "
					  "bytes came out",
					  packers[i].name, got, cap);
		return 0;
	}
	return cm_err_set(
		err, CM_E_BAD_KERNEL,
		"the kernel is packed in a way we do not know (gzip, xz, LZ4 and zstd are known); "
		"give the vmlinux");
}
