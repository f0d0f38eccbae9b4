/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_debugport.c - port 0xe9: heartbeats and test output of bare guests, with the time at which they came.
 *
 * What the guest writes byte by byte goes to the hv_char as lines of text, stamped with CLOCK_MONOTONIC in
 * nanoseconds at the moment of the write, so that an observer with the same clock measures what the guest did and not
 * when somebody read it:
 *   NS b HH     one byte: '@' at the start of a line (first instruction after a boot), or 0x80..0xff (a beat)
 *   NS l TEXT   one line of printable bytes (anything else in it is shown as '?')
 *
 * Data of: the guest. Threats: endless lines -> cut at 120 bytes; control characters -> '?'; floods -> the hv_char's
 * ring drops the oldest.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_char.h"

#define LINE_BYTES 120u
#define BOOT_BYTE  0x40u
#define BEAT_FIRST 0x80u

struct debug_state {
	uint8_t len;
	uint8_t line[LINE_BYTES]; /* begun, not ended */
	uint64_t bytes, beats;
};

struct debug_port {
	struct hv_char *chr;
	uint64_t first_beat_ns, last_beat_ns, longest_gap_ns; /* of this process */
};

static const struct hv_field debug_fields[] = {
	HV_F_U8(struct debug_state, len),
	HV_F_BYTES(struct debug_state, line),
	HV_F_U64(struct debug_state, bytes),
	HV_F_U64(struct debug_state, beats),
	HV_F_END,
};

static void debug_defaults(void *state, const void *cfg)
{
	(void)cfg;
	*(struct debug_state *)state = (struct debug_state){0};
}

static int debug_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct debug_state *s = state;

	(void)cfg;
	if (s->len >= LINE_BYTES)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "debugport: line too long");
	return 0;
}

static int debug_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	const struct hv_char_config *c = cfg;
	struct debug_port *p = calloc(1, sizeof *p);

	if (!p)
		return cm_err_set(err, -ENOMEM, "debugport: no memory");
	p->chr = c->chr;
	dev->impl = p;
	return 0;
}

static void debug_destroy(struct hv_dev *dev)
{
	free(dev->impl);
	dev->impl = NULL;
}

static uint64_t debug_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void debug_beat(struct debug_port *p, struct debug_state *s, uint8_t byte)
{
	uint64_t now = debug_now_ns();
	char text[40];
	int n = snprintf(text, sizeof text, "%" PRIu64 " b %02x\n", now, byte);

	if (!p->first_beat_ns)
		p->first_beat_ns = now;
	else
		p->longest_gap_ns = CM_MAX(p->longest_gap_ns, now - p->last_beat_ns);
	p->last_beat_ns = now;
	s->beats++;
	hv_char_output(p->chr, (const uint8_t *)text, (size_t)n);
}

static void debug_line(struct debug_port *p, struct debug_state *s)
{
	char text[LINE_BYTES + 40];
	int n = snprintf(text, sizeof text, "%" PRIu64 " l %.*s\n", debug_now_ns(), (int)s->len,
			 (const char *)s->line);

	s->len = 0;
	hv_char_output(p->chr, (const uint8_t *)text, (size_t)n);
}

static void debug_byte(struct debug_port *p, struct debug_state *s, uint8_t byte)
{
	s->bytes++;
	if (byte >= BEAT_FIRST || (byte == BOOT_BYTE && !s->len)) {
		debug_beat(p, s, byte);
		return;
	}
	if (byte == '\r')
		return;
	if (byte != '\n')
		s->line[s->len++] = byte >= ' ' && byte < 0x7f ? byte : '?';
	if (byte == '\n' || s->len == LINE_BYTES)
		debug_line(p, s);
}

static void debug_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	uint8_t *byte = data;

	(void)offset;
	if (write)
		debug_byte(dev->impl, dev->state, *byte);
	else if (len == 1)
		*byte = 0xe9; /* as Bochs does: tells a guest that the port is there */
}

static void debug_counters(struct hv_dev *dev, hv_counter_fn fn, void *arg)
{
	const struct debug_state *s = dev->state;
	const struct debug_port *p = dev->impl;

	fn(arg, "bytes", s->bytes);
	fn(arg, "beats", s->beats);
	fn(arg, "first_beat_ns", p->first_beat_ns);
	fn(arg, "last_beat_ns", p->last_beat_ns);
	fn(arg, "longest_gap_ns", p->longest_gap_ns);
}

const struct hv_dev_ops hv_dev_debugport = {
	.name = "debugport",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct debug_state),
	.fields = debug_fields,
	.defaults = debug_defaults,
	.check = debug_check,
	.create = debug_create,
	.destroy = debug_destroy,
	.io = debug_io,
	.counters = debug_counters,
};
