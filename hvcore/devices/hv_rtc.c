/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_rtc.c - an MC146818 in its index and data ports: the time, 114 bytes of memory, no interrupts.
 *
 * The time is the host's UTC plus an offset that the guest sets by writing the clock; the offset travels
 * with the VM, the host's clock does not. Reads never see an update in progress (UIP is always 0).
 * Alarms and periodic interrupts do not exist: their enable bits do not stick.
 *
 * Data of: the guest (any index, any value). Threats: dates that do not exist -> timegm normalises them, the
 * offset is clamped to +-100 years; the index is masked to 7 bits.
 */
#include "config.h"

#include <string.h>
#include <time.h>

#include "common/cm_clock.h"
#include "hvcore/devices/hv_devices.h"

#define RTC_BYTES 128u
#define RTC_OFFSET_MAX_S (100ll * 366 * 86400)

enum { R_SEC = 0, R_MIN = 2, R_HOUR = 4, R_WDAY = 6, R_MDAY = 7, R_MONTH = 8, R_YEAR = 9,
       R_A = 10, R_B = 11, R_C = 12, R_D = 13, R_CENTURY = 0x32 };

#define A_32KHZ  0x26u
#define B_SET    0x80u
#define B_BINARY 0x04u
#define B_24H    0x02u
#define B_MASK   0x87u /* SET, binary, 24 h, daylight saving; no interrupts */
#define D_VALID  0x80u
#define PM       0x80u

struct rtc_state {
	uint8_t index;
	uint8_t reg[RTC_BYTES]; /* clock registers hold what the guest wrote while B_SET */
	uint64_t offset_s;      /* two's complement: guest time minus host time */
};

static const struct hv_field rtc_fields[] = {
	HV_F_U8(struct rtc_state, index),
	HV_F_BYTES(struct rtc_state, reg),
	HV_F_U64(struct rtc_state, offset_s),
	HV_F_END,
};

static void rtc_defaults(void *state, const void *cfg)
{
	struct rtc_state *s = state;

	(void)cfg;
	memset(s, 0, sizeof *s);
	s->reg[R_A] = A_32KHZ;
	s->reg[R_B] = B_24H;
	s->reg[R_D] = D_VALID;
}

static int rtc_check(const void *state, const void *cfg, struct cm_err *err)
{
	const struct rtc_state *s = state;
	int64_t off = (int64_t)s->offset_s;

	(void)cfg;
	if (s->index >= RTC_BYTES || off > RTC_OFFSET_MAX_S || off < -RTC_OFFSET_MAX_S)
		return cm_err_set(err, CM_E_STREAM_CORRUPT, "rtc: impossible index or offset");
	return 0;
}

static uint8_t rtc_put(const struct rtc_state *s, int v)
{
	if (s->reg[R_B] & B_BINARY)
		return (uint8_t)v;
	return (uint8_t)((v / 10 % 10) << 4 | v % 10);
}

static int rtc_take(const struct rtc_state *s, uint8_t v)
{
	return s->reg[R_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static void rtc_latch(struct rtc_state *s)
{
	time_t now = (time_t)(cm_wall_ns() / CM_NS_PER_S) + (time_t)(int64_t)s->offset_s;
	bool h24 = s->reg[R_B] & B_24H;
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return;
	s->reg[R_SEC] = rtc_put(s, tm.tm_sec);
	s->reg[R_MIN] = rtc_put(s, tm.tm_min);
	s->reg[R_HOUR] = rtc_put(s, h24 ? tm.tm_hour : (tm.tm_hour + 11) % 12 + 1);
	if (!h24 && tm.tm_hour >= 12)
		s->reg[R_HOUR] |= PM;
	s->reg[R_WDAY] = rtc_put(s, tm.tm_wday + 1);
	s->reg[R_MDAY] = rtc_put(s, tm.tm_mday);
	s->reg[R_MONTH] = rtc_put(s, tm.tm_mon + 1);
	s->reg[R_YEAR] = rtc_put(s, tm.tm_year % 100);
	s->reg[R_CENTURY] = rtc_put(s, 19 + tm.tm_year / 100);
}

/* The guest has set the clock: keep the difference. */
static void rtc_set(struct rtc_state *s)
{
	uint8_t hour = s->reg[R_HOUR];
	struct tm tm = {
		.tm_sec = rtc_take(s, s->reg[R_SEC]),
		.tm_min = rtc_take(s, s->reg[R_MIN]),
		.tm_hour = rtc_take(s, hour & ~PM),
		.tm_mday = rtc_take(s, s->reg[R_MDAY]),
		.tm_mon = rtc_take(s, s->reg[R_MONTH]) - 1,
		.tm_year = (rtc_take(s, s->reg[R_CENTURY]) - 19) * 100 + rtc_take(s, s->reg[R_YEAR]),
	};
	int64_t off;

	if (!(s->reg[R_B] & B_24H))
		tm.tm_hour = tm.tm_hour % 12 + (hour & PM ? 12 : 0);
	off = (int64_t)timegm(&tm) - (int64_t)(cm_wall_ns() / CM_NS_PER_S);
	off = CM_MAX(CM_MIN(off, RTC_OFFSET_MAX_S), -RTC_OFFSET_MAX_S);
	s->offset_s = (uint64_t)off;
}

static bool rtc_is_clock(unsigned i)
{
	return i == R_SEC || i == R_MIN || i == R_HOUR || (i >= R_WDAY && i <= R_YEAR) || i == R_CENTURY;
}

static void rtc_write(struct rtc_state *s, unsigned i, uint8_t v)
{
	bool was_set = s->reg[R_B] & B_SET;

	if (i == R_C || i == R_D)
		return;
	if (rtc_is_clock(i) && !was_set) {
		rtc_latch(s); /* one field of a running clock */
		s->reg[i] = v;
		rtc_set(s);
		return;
	}
	if (i != R_B) {
		s->reg[i] = i == R_A ? v & 0x7f : v;
		return;
	}
	if (v & B_SET && !was_set)
		rtc_latch(s);
	s->reg[R_B] = v & B_MASK;
	if (was_set && !(v & B_SET))
		rtc_set(s);
}

static int rtc_create(struct hv_dev *dev, const void *cfg, struct cm_err *err)
{
	(void)dev;
	(void)cfg;
	(void)err;
	return 0;
}

static void rtc_destroy(struct hv_dev *dev)
{
	(void)dev;
}

static void rtc_io(struct hv_dev *dev, uint64_t offset, void *data, unsigned len, bool write)
{
	struct rtc_state *s = dev->state;
	uint8_t *byte = data;

	if (len != 1)
		return;
	if (offset == 0) {
		if (write)
			s->index = *byte & 0x7f; /* bit 7 masks the NMI, which does not exist */
		return;
	}
	if (write) {
		rtc_write(s, s->index, *byte);
		return;
	}
	if (rtc_is_clock(s->index) && !(s->reg[R_B] & B_SET))
		rtc_latch(s);
	*byte = s->reg[s->index];
}

const struct hv_dev_ops hv_dev_rtc = {
	.name = "rtc",
	.version = 1,
	.min_version = 1,
	.state_bytes = sizeof(struct rtc_state),
	.fields = rtc_fields,
	.defaults = rtc_defaults,
	.check = rtc_check,
	.create = rtc_create,
	.destroy = rtc_destroy,
	.io = rtc_io,
};
