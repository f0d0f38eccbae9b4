/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_tables.c - the table of a vCPU covers all of its state.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hvcore/boot/hv_boot.h"
#include "hvcore/cpu/hv_tables.h"

static void vcpu_tables(void **state)
{
	struct hv_vcpu_state *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
	struct cm_err err = CM_ERR_INIT;
	struct cm_buf buf;
	struct cm_rd r;

	(void)state;
	/* The table covers every value of the struct: what is filled comes back. Padding is not
	 * looked at. */
	hv_boot_vcpu(0, 0x1000000, a);
	a->cr2 = 1;
	a->cr8 = 2;
	a->tsc = 3;
	a->tsc_khz = 4;
	a->dr[3] = 5;
	a->events.sipi_vector = 6;
	a->lapic[1023] = 7;
	a->xsave[4095] = 8;
	cm_buf_init(&buf, 1u << 16);
	hv_fields_encode(&buf, hv_vcpu_fields, a);
	assert_int_equal(buf.len, hv_fields_bytes(hv_vcpu_fields));
	r = cm_rd_init(buf.data, buf.len);
	hv_fields_decode(&r, hv_vcpu_fields, b);
	assert_int_equal(r.err, 0);
	assert_memory_equal(a->gpr, b->gpr, sizeof a->gpr);
	assert_memory_equal(a->lapic, b->lapic, sizeof a->lapic);
	assert_memory_equal(a->xsave, b->xsave, sizeof a->xsave);
	assert_int_equal(b->cr8, 2);
	assert_int_equal(b->events.sipi_vector, 6);
	assert_int_equal(b->seg[HV_CS].attr, a->seg[HV_CS].attr);
	assert_int_equal(hv_vcpu_check(b, &err), 0);
	b->msr_count = HV_MSR_MAX + 1;
	assert_true(hv_vcpu_check(b, &err) < 0);
	cm_buf_fini(&buf);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vcpu_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
