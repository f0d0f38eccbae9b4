/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_machine_list.c - the list of devices of a machine is guest ABI: addresses as released.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/devices/hv_devices.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/vm/hv_devset.h"
#include "hvcore/vm/hv_machine_list.h"

static void machine_list(void **state)
{
	(void)state;
	/* Guest ABI: addresses as released. */
	for (unsigned i = 0; i < hv_machine_row_count; i++) {
		const struct hv_machine_row *r = &hv_machine_rows[i];

		if (r->slot >= HV_VIRTIO_SLOTS)
			continue;
		assert_int_equal(r->base, 0xd0001000ull + r->slot * 0x1000ull);
		assert_int_equal(r->gsi, 10 + r->slot);
	}
	assert_ptr_equal(hv_machine_rows[0].ops, &hv_dev_uart);
	assert_int_equal(hv_machine_rows[0].base, 0x3f8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
