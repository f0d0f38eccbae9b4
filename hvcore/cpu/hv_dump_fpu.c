/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_dump_fpu.c - the FXSAVE image and the LAPIC's register page of a vCPU for people. Reads bytes
 * of the state; changes nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/cm_buf.h"
#include "common/cm_err.h"
#include "hvcore/cpu/hv_dump_cpu.h"

/* Places in an FXSAVE image. */
#define FX_MXCSR 24u
#define FX_ST	 32u
#define FX_XMM	 160u
#define FX_BYTES 512u

/* Offsets of LAPIC registers. */
#define LAPIC_ID    0x20u
#define LAPIC_TPR   0x80u
#define LAPIC_PPR   0xa0u
#define LAPIC_SVR   0xf0u
#define LAPIC_ISR   0x100u
#define LAPIC_IRR   0x200u
#define LAPIC_ESR   0x280u
#define LAPIC_TIMER 0x320u
#define LAPIC_TMICT 0x380u
#define LAPIC_TMCCT 0x390u

void hv__dump_fpu(struct hv_json *j, const struct hv_vcpu_state *s)
{
	const uint8_t *fx = s->xsave;
	char text[40];

	if (s->xsave_bytes < FX_BYTES)
		return;
	hv_json_open(j, "fpu", '{');
	hv_json_hex(j, "fcw", cm_le16(fx));
	hv_json_hex(j, "fsw", cm_le16(fx + 2));
	hv_json_hex(j, "ftw", fx[4]);
	hv_json_hex(j, "mxcsr", cm_le32(fx + FX_MXCSR));
	hv_json_open(j, "st", '[');
	for (unsigned i = 0; i < 8; i++) {
		const uint8_t *r = fx + FX_ST + 16 * i;

		snprintf(text, sizeof text, "%04x:%016" PRIx64, cm_le16(r + 8), cm_le64(r));
		hv_json_str(j, NULL, text);
	}
	hv_json_close(j, ']');
	hv_json_open(j, "xmm", '[');
	for (unsigned i = 0; i < 16; i++) {
		const uint8_t *r = fx + FX_XMM + 16 * i;

		snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, cm_le64(r + 8),
			 cm_le64(r));
		hv_json_str(j, NULL, text);
	}
	hv_json_close(j, ']');
	hv_json_close(j, '}');
}

/* --- LAPIC --------------------------------------------------------------- */

/* Vectors whose bits are set in a register of 256. */
static void put_vectors(struct hv_json *j, const char *key, const uint8_t *reg)
{
	char text[8];

	hv_json_open(j, key, '[');
	for (unsigned v = 0; v < 256; v++)
		if (cm_le32(reg + v / 32 * 16) >> v % 32 & 1) {
			snprintf(text, sizeof text, "0x%02x", v);
			hv_json_str(j, NULL, text);
		}
	hv_json_close(j, ']');
}

static void put_timer(struct hv_json *j, const struct hv_vcpu_state *s)
{
	static const char *const mode[4] = {"one-shot", "periodic", "TSC deadline", "reserved"};
	uint32_t lvt = cm_le32(s->lapic + LAPIC_TIMER);

	hv_json_open(j, "timer", '{');
	hv_json_str(j, "mode", mode[lvt >> 17 & 3]);
	hv_json_bool(j, "masked", lvt >> 16 & 1);
	hv_json_hex(j, "vector", lvt & 0xff);
	hv_json_u64(j, "initial", cm_le32(s->lapic + LAPIC_TMICT));
	hv_json_u64(j, "current", cm_le32(s->lapic + LAPIC_TMCCT));
	for (unsigned i = 0; i < s->msr_count && i < HV_MSR_MAX; i++)
		if (s->msr[i].index == 0x6e0)
			hv_json_hex(j, "deadline", s->msr[i].value);
	hv_json_close(j, '}');
}

void hv__dump_lapic(struct hv_json *j, const struct hv_vcpu_state *s)
{
	const uint8_t *l = s->lapic;

	hv_json_open(j, "lapic", '{');
	hv_json_hex(j, "base_msr", s->apic_base);
	hv_json_bool(j, "enabled", s->apic_base >> 11 & 1);
	hv_json_bool(j, "x2apic", s->apic_base >> 10 & 1);
	hv_json_hex(j, "id", cm_le32(l + LAPIC_ID));
	hv_json_hex(j, "tpr", cm_le32(l + LAPIC_TPR));
	hv_json_hex(j, "ppr", cm_le32(l + LAPIC_PPR));
	hv_json_hex(j, "svr", cm_le32(l + LAPIC_SVR));
	hv_json_hex(j, "esr", cm_le32(l + LAPIC_ESR));
	put_vectors(j, "in_service", l + LAPIC_ISR);
	put_vectors(j, "requested", l + LAPIC_IRR);
	put_timer(j, s);
	hv_json_close(j, '}');
}
