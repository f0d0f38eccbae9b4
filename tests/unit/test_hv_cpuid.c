/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_cpuid.c - the contract of CPUID: what is never offered, and which host fits.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/cpu/hv_cpuid.h"

static void cpuid_contract(void **state)
{
	struct hv_cpuid all = {0}, c, less;
	struct cm_err err = CM_ERR_INIT;
	const uint32_t functions[] = {0,	  1,	      6,	  7,	      0xd,
				      0x40000001, 0x80000000, 0x80000001, 0x80000007, 0x80000008};

	(void)state;
	for (size_t i = 0; i < CM_ARRAY_LEN(functions); i++)
		all.leaf[all.count++] = (struct hv_cpuid_leaf){
			functions[i], 0,  functions[i] == 7 || functions[i] == 0xd, ~0u, ~0u,
			~0u,	      ~0u};
	hv_cpuid_contract(&all, 4, 2000000, &c);
	/* Nothing whose state we do not save: VMX, MPX, PKU, AMX, PT, PMU, AVX-512, TSX. */
	assert_int_equal(hv_cpuid_find(&c, 1, 0)->ecx >> 5 & 1, 0);
	assert_int_equal(hv_cpuid_find(&c, 1, 0)->ecx >> 31 & 1, 1);
	assert_int_equal(hv_cpuid_find(&c, 7, 0)->ebx &
				 (1u << 4 | 1u << 11 | 1u << 14 | 1u << 16 | 1u << 25),
			 0);
	assert_int_equal(hv_cpuid_find(&c, 7, 0)->ecx >> 3 & 1, 0);
	assert_int_equal(hv_cpuid_find(&c, 0xd, 0)->eax, 7);
	assert_null(hv_cpuid_find(&c, 0xa, 0));
	assert_non_null(hv_cpuid_find(&c, 0xb, 1));
	assert_int_equal(hv_cpuid_find(&c, 0, 0)->eax, 0xd);
	assert_int_equal(hv_cpuid_find(&c, 0x80000000, 0)->eax, 0x80000008);
	assert_int_equal(hv_cpuid_find(&c, 0x40000000, 0)->ebx, 0x4b4d564b);

	assert_int_equal(hv_cpuid_fits(&c, &all, &err), 0);
	less = all;
	less.leaf[3].ebx &= ~(1u << 5); /* AVX2 */
	assert_int_equal(hv_cpuid_fits(&c, &less, &err), CM_E_INCOMPATIBLE);
	assert_non_null(strstr(err.text, "bit 5 of CPUID 0x7"));
	/* A contract made of less fits more. */
	hv_cpuid_contract(&less, 4, 0, &c);
	assert_int_equal(hv_cpuid_fits(&c, &all, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpuid_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
