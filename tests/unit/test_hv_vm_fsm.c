/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vm_fsm.c - the table of a VM is complete.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/vm/hv_vm_fsm.h"
#include "hvcore/vm/hv_vm_int.h"

static void vm_table(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	if (cm_fsm_check(hv_vm_fsm(), &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(hv_vm_state_name(HV_VM_PAUSED), "PAUSED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
