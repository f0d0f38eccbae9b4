/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_virtq.c - the virtqueue walker over memory that the input made: any rings, any descriptors. Every chain that comes out
 * must lie in RAM and inside its bounds. Also the request parsers of virtio-blk and virtio-net on those chains.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "hvcore/devices/hv_blk_parse.h"
#include "hvcore/devices/hv_net_header.h"
#include "hvcore/devices/hv_virtq.h"
#include "hvcore/machine/hv_mem.h"
#include "tests/fuzz/fuzz.h"

#define RAM (32ull << 20)
#define HERE 0x1000ull

static void look(const struct hv_chain *c, struct hv_mem *mem)
{
	struct hv_blk_limits limits = {.capacity_bytes = 1 << 20, .sector_bytes = 512};
	static struct iovec iov[HV_CHAIN_MAX];
	static uint64_t gpa[HV_CHAIN_MAX];
	uint8_t head[HV_NET_HEADER_BYTES];
	struct hv_blk_cmd cmd;
	uint64_t sum = 0;

	CM_ASSERT(c->out + c->in > 0 && c->out + c->in <= HV_CHAIN_MAX);
	for (unsigned i = 0; i < c->out + c->in; i++) {
		CM_ASSERT(hv_mem_ptr(mem, c->gpa[i], c->iov[i].iov_len) == c->iov[i].iov_base);
		sum += c->iov[i].iov_len;
	}
	CM_ASSERT(sum == (uint64_t)c->out_bytes + c->in_bytes);
	if (hv_blk_parse(c, &limits, &cmd) == 0 && (cmd.kind == HV_BLK_READ || cmd.kind == HV_BLK_WRITE)) {
		unsigned n = hv_blk_data(c, &cmd, iov, gpa);

		sum = 0;
		for (unsigned i = 0; i < n; i++)
			sum += iov[i].iov_len;
		CM_ASSERT(sum == cmd.length_bytes && cmd.offset_bytes + sum <= limits.capacity_bytes);
		CM_ASSERT(hv_mem_ptr(mem, cmd.status_gpa, 1));
	}
	if (hv_chain_read(c, 0, head, sizeof head) == sizeof head &&
	    hv_net_header_check(head, c->gpa[0], c->out_bytes - (uint32_t)sizeof head) == 0)
		CM_ASSERT(head[0] <= 1 && cm_le16(head + 10) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hv_mem *mem;
	static struct hv_chain c;
	struct hv_virtq_state s = {0};
	struct cm_err err = CM_ERR_INIT;
	struct hv_virtq q;

	if (!mem && hv_mem_new(&mem, RAM, &err) < 0)
		return 0;
	if (size < 8 || size > 12288)
		return 0;
	CM_ASSERT(hv_mem_write(mem, HERE, data + 8, size - 8) == 0);
	s.num = 1u << (data[0] & 7);
	s.desc_gpa = HERE + (data[1] & 0xf0u);
	s.avail_gpa = HERE + (data[2] * 4u);
	s.used_gpa = data[3] & 1 ? RAM - 8 : 0x20000;
	s.last_avail = data[4];
	s.ready = 1;
	hv_virtq_init(&q, &s, mem, HV_VIRTQ_SIZE_MAX);
	hv_virtq_set_features(&q, (uint64_t)data[5] << 28);
	/* Not checked before on purpose: the rings may have been moved by a stream or by nobody. */
	for (unsigned i = 0; i < 64 && hv_virtq_pop(&q, &c) > 0; i++) {
		look(&c, mem);
		if (hv_virtq_push(&q, c.head, c.in_bytes) < 0)
			break;
		(void)hv_virtq_wants_irq(&q);
	}
	hv_virtq_bell_off(&q);
	(void)hv_virtq_bell_on(&q);
	(void)hv_virtq_bell_more(&q);
	(void)hv_virtq_check(&q);
	return 0;
}

/* Good rings: plain chains, an indirect one, a disk request. */
size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap)
{
	uint8_t *m = out + 8;

	if (n >= 3 || cap < 4096)
		return 0;
	memset(out, 0, 4096);
	out[0] = 4;          /* 16 entries */
	out[2] = 0x100 / 4;  /* available ring at 0x100, behind the table */
	out[5] = n == 1 ? 3 : 0;
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *d = m + (n == 1 ? 0x400 : 0) + 16 * i;

		cm_put_le64(d, 0x4000 + 0x1000 * i);
		cm_put_le32(d + 8, i == 0 ? 16 : i == 1 ? 512 : 1);
		cm_put_le16(d + 12, (uint16_t)((i < 2 ? 1 : 0) | (i ? 2 : 0)));
		cm_put_le16(d + 14, (uint16_t)(i + 1));
	}
	if (n == 1) {
		cm_put_le64(m, HERE + 0x400);
		cm_put_le32(m + 8, 48);
		cm_put_le16(m + 12, 4);
	}
	cm_put_le16(m + 0x102, (uint16_t)(n + 1)); /* avail.idx */
	return 4096;
}
