/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_dump_cpu.c - the document of a vCPU, also of garbage. No VM.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/cpu/hv_dump_cpu.h"

static struct hv_vcpu_state linux_like(void)
{
	struct hv_vcpu_state s = {.rip = 0xffffffff81000000ull, .rflags = 0x246};

	s.gpr[HV_R15] = 0x1234;
	s.cr0 = 0x80050033;
	s.efer = 0xd01;
	s.seg[HV_CS] = (struct hv_seg){.selector = 0x10, .limit = ~0u, .attr = 0xa9b};
	s.seg[HV_SS] = (struct hv_seg){.attr = HV_SEG_UNUSABLE | 3u << 5};
	s.mp_state = HV_MP_HALTED;
	s.events.nmi_pending = 1;
	s.events.exception_pending = s.events.exception_has_error = 1;
	s.events.exception_nr = 14;
	s.events.exception_error = 6;
	s.apic_base = 0xfee00900;
	s.lapic[0x200 + 0x10 * (0xec / 32) + 0xec % 32 / 8] = 1u << 0xec % 8; /* IRR: 0xec */
	s.lapic[0x320] = 0xec;
	s.lapic[0x322] = 4; /* TSC deadline */
	s.msr_count = 2;
	s.msr[0] = (struct hv_msr){0xc0000082, 0xabc};
	s.msr[1] = (struct hv_msr){0x6e0, 0x777};
	s.xsave_bytes = 512;
	s.xsave[0] = 0x7f;
	s.xsave[1] = 3;
	s.xsave[160 + 16] = 0x99; /* XMM1 */
	return s;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static void cpu_document(void **state)
{
	static const char *const want[] = {
		"\"run_state\":\"halted\"",
		"\"mode\":\"64-bit\"",
		"\"cpl\":3",
		"\"rip\":\"0xffffffff81000000\"",
		"\"rflags_bits\":\"PF ZF IF\"",
		"\"r15\":\"0x1234\"",
		"\"cr0_bits\":\"PE MP ET NE WP AM PG\"",
		"\"efer_bits\":\"SCE LME LMA NXE\"",
		"\"words\":\"code 64 readable\"",
		"\"words\":\"unusable\"",
		"\"exception 14, error 0x6\"",
		"\"NMI\"",
		"\"requested\":[\"0xec\"]",
		"\"in_service\":[]",
		"\"mode\":\"TSC deadline\"",
		"\"deadline\":\"0x777\"",
		"\"enabled\":true",
		"{\"index\":\"0xc0000082\",\"name\":\"LSTAR\",\"value\":\"0xabc\"}",
		"\"fcw\":\"0x37f\"",
		"\"00000000000000000000000000000099\""};
	struct hv_vcpu_state s = linux_like();
	struct hv_json j;

	(void)state;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_dump_cpu(&j, &s);
	hv_json_close(&j, '}');
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
		has(hv_json_text(&j), want[i]);
	hv_json_fini(&j);
}

/* Any bytes at all: the document ends, and is one. */
static void cpu_of_garbage(void **state)
{
	static struct hv_vcpu_state s;
	struct hv_json j;

	(void)state;
	for (unsigned fill = 0; fill < 256; fill += 51) {
		memset(&s, (int)fill, sizeof s);
		hv_json_init(&j);
		hv_json_open(&j, NULL, '{');
		hv_dump_cpu(&j, &s);
		hv_json_close(&j, '}');
		assert_int_equal(j.buf.err, 0);
		has(hv_json_text(&j), "\"msrs\":[");
		hv_json_fini(&j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_document),
		cmocka_unit_test(cpu_of_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
