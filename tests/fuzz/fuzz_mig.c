/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_mig.c - the decoders of the migration stream: frames, greetings, notes, trailers, memory tables; and a whole landing from
 * bytes. What decodes must encode again to something that decodes to the same.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/machine/hv_mem.h"
#include "migration/mig_compat.h"
#include "migration/mig_land.h"
#include "tests/fuzz/fuzz.h"

static void objects(const uint8_t *data, size_t size)
{
	static struct hv_cpuid cpuid;
	struct cm_err err = CM_ERR_INIT;
	struct mig_welcome w, w2;
	struct mig_hello h;
	struct mig_disks d, d2;
	struct mig_final f;
	struct mig_note n;
	struct cm_buf b;

	cm_buf_init(&b, 1 << 20);
	(void)!mig_hello_decode(data, size, &h, &cpuid, &err);
	(void)!mig_note_decode(data, size, &n, &err);
	(void)!mig_final_decode(data, size, &f, &err);
	if (mig_welcome_decode(data, size, &w, &err) == 0) {
		mig_welcome_encode(&b, &w);
		CM_ASSERT(mig_welcome_decode(b.data, b.len, &w2, &err) == 0);
		CM_ASSERT(w2.code == w.code && stor_owner_same(&w.owner, &w2.owner));
	}
	cm_buf_reset(&b);
	if (mig_disks_decode(data, size, &d, &err) == 0) {
		mig_disks_encode(&b, &d);
		CM_ASSERT(mig_disks_decode(b.data, b.len, &d2, &err) == 0);
		CM_ASSERT(mig_compat_disks(&d, &d2, &err) == 0);
	}
	cm_buf_fini(&b);
}

static void table(const uint8_t *data, size_t size)
{
	static struct mig_ram_head head;
	static const uint64_t pages[2] = {8192, 16};
	struct cm_err err = CM_ERR_INIT;
	struct mig_frame f;

	if (size < MIG_FRAME_BYTES || mig_frame_decode(data, cm_le32(data + 12), &f, &err) < 0) {
		f = (struct mig_frame){.type = size & 1 ? MIG_FRAME_RAM : MIG_FRAME_ZERO, .length = (uint32_t)size};
	} else {
		data += MIG_FRAME_BYTES;
		size -= MIG_FRAME_BYTES;
	}
	if (mig_ram_decode(data, size, &f, pages, 2, &head, &err) < 0)
		return;
	CM_ASSERT(head.slot < 2 && head.runs <= MIG_RUNS_MAX);
	for (uint32_t i = 0; i < head.runs; i++)
		CM_ASSERT(head.run[i].first + head.run[i].pages <= pages[head.slot]);
}

/* The input as the file of an image, its frames' checksums mended so that the fuzzer gets behind them. */
static void landing(const uint8_t *data, size_t size)
{
	static struct hv_mem *mem;
	struct cm_err err = CM_ERR_INIT;
	struct mig_final final;
	struct mig_ram_in ram;
	struct cm_buf state;
	struct mig_io io;
	struct mig_landing l = {.io = &io, .ram = &ram, .state = &state, .final = &final};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint32_t sequence = 0;
	struct cm_rd r = cm_rd_init(data, size);

	if (!mem && hv_mem_new(&mem, 32 << 20, &err) < 0)
		return;
	while (cm_rd_left(&r) >= 4) {
		struct mig_frame f = {.type = (uint16_t)(cm_rd_u8(&r) % 14), .flags = MIG_FRAME_CRC, .sequence = sequence++};
		uint8_t head[MIG_FRAME_BYTES];
		size_t len = cm_rd_u16(&r) & 0x1ff;
		const uint8_t *payload;

		len = CM_MIN(len, cm_rd_left(&r));
		payload = cm_rd_get(&r, len);
		f.length = (uint32_t)len;
		f.crc = cm_crc32c(0, payload, len);
		if (!f.type)
			break;
		mig_frame_encode(&f, head);
		if (write(fd, head, sizeof head) < 0 || (len && write(fd, payload, len) < 0))
			break;
	}
	lseek(fd, 0, SEEK_SET);
	cm_buf_init(&state, 1 << 20);
	mig_io_init(&io, NULL, fd);
	if (mig_ram_in_init(&ram, mem, &io, &err) == 0) {
		(void)!mig_land(&l, &err);
		mig_ram_in_fini(&ram);
	}
	mig_io_fini(&io);
	cm_buf_fini(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	objects(data, size);
	table(data, size);
	landing(data, size);
	return 0;
}

static size_t seed_landing(uint8_t *out)
{
	struct mig_run run[2] = {{.first = 3, .pages = 4}, {.first = 100, .pages = 1}};
	struct cm_buf b, f;
	size_t n;

	cm_buf_init(&f, 4096);
	cm_buf_init(&b, 4096);
	mig_ram_encode(&b, 0, run, 2);
	cm_buf_u8(&f, MIG_FRAME_ZERO);
	cm_buf_u16(&f, (uint16_t)b.len);
	cm_buf_put(&f, b.data, b.len);
	cm_buf_u8(&f, MIG_FRAME_STATE);
	cm_buf_u16(&f, 5);
	cm_buf_put(&f, "state", 5);
	n = f.len;
	memcpy(out, f.data, n);
	cm_buf_fini(&b);
	cm_buf_fini(&f);
	return n;
}

size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap)
{
	static struct hv_cpuid cpuid = {.count = 2};
	struct mig_run run[2] = {{.first = 3, .pages = 4}, {.first = 100, .pages = 1}};
	struct mig_hello h = {.magic = MIG_MAGIC, .format = 1, .format_min = 1, .machine = "hv-1", .vcpus = 2};
	struct mig_welcome w = {.format = 1, .owner = {.node = "there"}};
	struct mig_final f = {.pages = 7, .describe = "{}"};
	struct mig_note note = {.text = "note"};
	struct cm_buf b;
	size_t len;
	struct mig_disks d = {.n = 2, .disk = {{.size_bytes = 1 << 20}, {.size_bytes = 2 << 20, .readonly = true}}};

	if (cap < 65536 || n >= 7)
		return 0;
	if (n == 5)
		return seed_landing(out);
	cm_buf_init(&b, cap);
	if (n == 0)
		mig_hello_encode(&b, &h, &cpuid);
	else if (n == 1)
		mig_welcome_encode(&b, &w);
	else if (n == 2)
		mig_note_encode(&b, &note);
	else if (n == 3)
		mig_final_encode(&b, &f);
	else if (n == 6)
		mig_disks_encode(&b, &d);
	else
		mig_ram_encode(&b, 0, run, 2);
	len = b.len;
	memcpy(out, b.data, len);
	cm_buf_fini(&b);
	return len;
}
