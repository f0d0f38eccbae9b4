/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_boot.c - the kernel loader: bzImage header, unpackers, ELF, placing into guest memory.
 */
#include "config.h"

#include <elf.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/cm_buf.h"
#include "hvcore/boot/hv_boot.h"
#include "hvcore/boot/hv_unpack.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/machine/hv_mem.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (4u << 20)
#define PAYLOAD 1024u

static struct hv_mem *mem;
static uint8_t *out;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_bzimage bz;
	uint64_t entry, end;

	if (!mem) {
		CM_ASSERT(hv_mem_new(&mem, HV_RAM_MIN_BYTES, &err) == 0);
		out = malloc(OUT_MAX);
		CM_ASSERT(out);
	}
	cm_err_clear(&err);
	if (hv_bzimage_parse(data, len, &bz, &err) == 0 && bz.unpacked_bytes <= OUT_MAX &&
	    hv_unpack(data + bz.payload, bz.payload_bytes, out, bz.unpacked_bytes, &err) == 0)
		(void)!hv_boot_place(mem, out, bz.unpacked_bytes, &entry, &end, &err);
	cm_err_clear(&err);
	(void)!hv_boot_place(mem, data, len, &entry, &end, &err);
	return 0;
}

static size_t elf(uint8_t *b)
{
	Elf64_Ehdr h = {.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = 0x1000000,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2};
	Elf64_Phdr p[2] = {{.p_type = PT_LOAD,
			    .p_offset = 0x100,
			    .p_paddr = 0x1000000,
			    .p_filesz = 0x200,
			    .p_memsz = 0x2000},
			   {.p_type = PT_LOAD,
			    .p_offset = 0x300,
			    .p_paddr = 0x1002000,
			    .p_filesz = 0x100,
			    .p_memsz = 0x100}};

	memset(b, 0x90, 0x400);
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(b, &h, sizeof h);
	memcpy(b + sizeof h, p, sizeof p);
	return 0x400;
}

/* Header around a payload that is at PAYLOAD already; the size is appended unless it is part of it.
 */
static size_t wrap(uint8_t *b, size_t n, bool append)
{
	memset(b, 0, PAYLOAD);
	b[0x1f1] = 1;
	cm_put_le16(b + 0x1fe, 0xaa55);
	b[0x201] = 0x66;
	memcpy(b + 0x202, "HdrS", 4);
	cm_put_le16(b + 0x206, 0x20f);
	cm_put_le16(b + 0x236, 1);
	if (append) {
		cm_put_le32(b + PAYLOAD + n, 0x400);
		n += 4;
	}
	cm_put_le32(b + 0x24c, (uint32_t)n);
	return PAYLOAD + n;
}

size_t fuzz_seed(unsigned i, uint8_t *b, size_t cap)
{
	uint8_t e[0x400];
	size_t n = elf(e);
	z_stream z = {.next_in = e, .avail_in = 0x400, .next_out = b + PAYLOAD, .avail_out = 4096};

	(void)cap;
	switch (i) {
	case 0:
		memcpy(b, e, n);
		return n;
	case 1:
		n = ZSTD_compress(b + PAYLOAD, 4096, e, n, 1);
		return wrap(b, n, true);
	case 2:
		cm_put_le32(b + PAYLOAD, 0x184c2102);
		n = (size_t)LZ4_compress_default((char *)e, (char *)b + PAYLOAD + 8, (int)n, 4096);
		cm_put_le32(b + PAYLOAD + 4, (uint32_t)n);
		return wrap(b, n + 8, true);
	case 3:
		CM_ASSERT(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
		CM_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
		deflateEnd(&z);
		return wrap(b, z.total_out, false);
	default:
		return 0;
	}
}
