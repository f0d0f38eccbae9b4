/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_virtio.c - whole devices: the input is a script of register accesses, memory writes, input from outside, moves (save and
 * load) and states straight from the input. Devices must survive all of it, and what they save must load again.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/devices/hv_virtio_mmio.h"
#include "hvcore/machine/hv_port.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/hv_devkit.h"

static struct kit kit;
static int tap[2];
static struct hv_nic_config nic;
static struct hv_port port;
static struct hv_char_config con;

static const struct hv_dev_ops *device(uint8_t which, const void **cfg)
{
	*cfg = NULL;
	switch (which % 8) {
	case 0:
		*cfg = &nic;
		return &hv_dev_net;
	case 1:
		*cfg = &con;
		return &hv_dev_console;
	case 2:
		return &hv_dev_rng;
	case 3:
		return &hv_dev_balloon;
	case 4:
		*cfg = &con;
		return &hv_dev_uart;
	case 5:
		return &hv_dev_rtc;
	case 6:
		*cfg = &con;
		return &hv_dev_debugport;
	default:
		return &hv_dev_power;
	}
}

static void start(void)
{
	CM_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, tap) == 0);
	cm_log_set_level(CM_LOG_NONE);
	kit_open(&kit);
	nic.tap_fd = tap[1];
	con.chr = kit.chr;
	con.agent = &port;
}

/* The state as it is, changed here and there by the input: a device that lets it in must be able to live with it. */
static void state_from(const struct hv_dev_ops *ops, const void *cfg, struct cm_rd *r)
{
	static union {
		uint64_t align;
		uint8_t bytes[65536];
	} state;
	unsigned changes = cm_rd_u8(r) & 7;
	struct cm_rd part;
	struct cm_buf b;

	CM_ASSERT(ops->state_bytes <= sizeof state.bytes);
	kit_settle(&kit);
	while (kit_pause(&kit) < 0)
		cm_loop_turn(kit.loop, 10);
	cm_buf_init(&b, 1 << 20);
	hv_fields_encode(&b, ops->fields, kit.dev.state);
	for (unsigned i = 0; i < changes; i++) {
		uint16_t at = cm_rd_u16(r);

		b.data[at % b.len] = cm_rd_u8(r);
	}
	part = cm_rd_init(b.data, b.len);
	memset(state.bytes, 0, sizeof state.bytes);
	hv_fields_decode(&part, ops->fields, state.bytes);
	cm_buf_fini(&b);
	kit_unplug(&kit);
	if (!kit_plug_state(&kit, ops, cfg, state.bytes))
		kit_plug(&kit, ops, cfg);
}

/* A driver that does everything right up to DRIVER_OK, so that the script begins behind the handshake. */
static void handshake(const struct hv_dev_ops *ops)
{
	static struct kit_queue q;

	if (strncmp(ops->name, "virtio", 6) != 0)
		return;
	(void)kit_driver(&kit, kit_offered(&kit));
	for (unsigned i = 0; i < 3; i++)
		kit_queue_init(&kit, &q, i, 8, 0x10000 + i * 0x1000);
	kit_driver_ok(&kit);
}

static void step(const struct hv_dev_ops *ops, const void *cfg, struct cm_rd *r)
{
	uint8_t op = cm_rd_u8(r), len = (uint8_t)(1 << (cm_rd_u8(r) & 3));
	uint32_t a = cm_rd_u16(r), v = cm_rd_u32(r);
	const uint8_t *bytes;

	switch (op & 15) {
	case 0: case 1: case 2: case 3: case 4:
		kit_out(&kit, op & 1 ? a & 0x1ff : a % 48 * 4, v, op & 1 ? len : 4);
		break;
	case 5: case 6:
		(void)kit_in(&kit, a & 0x1ff, len);
		break;
	case 7: case 8: case 9:
		bytes = cm_rd_get(r, a & 63);
		if (bytes && a & 63)
			kit_poke(&kit, 0x10000 + v % 0x4000, bytes, a & 63);
		break;
	case 10:
		(void)!write(tap[0], &v, sizeof v);
		(void)!write(tap[0], r->data, r->len);
		break;
	case 11:
		kit_settle(&kit);
		break;
	case 12:
		kit_settle(&kit);
		kit_move(&kit);
		break;
	case 13:
		state_from(ops, cfg, r);
		break;
	case 14:
		kit_out(&kit, 0x50, a, 4);
		kit_settle(&kit);
		break;
	default:
		handshake(ops);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cm_rd r = cm_rd_init(data, size);
	const struct hv_dev_ops *ops;
	const void *cfg;
	char drain[4096];

	if (!kit.loop)
		start();
	if (size < 16)
		return 0;
	ops = device(cm_rd_u8(&r), &cfg);
	kit_plug(&kit, ops, cfg);
	if (cm_rd_u8(&r) & 1)
		handshake(ops);
	for (unsigned i = 0; i < 200 && !r.err && cm_rd_left(&r); i++)
		step(ops, cfg, &r);
	kit_settle(&kit);
	kit_unplug(&kit);
	while (read(tap[0], drain, sizeof drain) > 0)
		;
	return 0;
}

/* Scripts: for each device one that works it hard. */
size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap)
{
	uint32_t x = n * 2654435761u + 1;
	size_t len = 2048;

	if (n >= 32 || cap < len)
		return 0;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		out[i] = (uint8_t)(x >> 24 & (i % 3 ? 0xff : 0x0f));
	}
	out[0] = (uint8_t)n;
	out[1] = 1;
	return len;
}
