/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_acpi.c - the ACPI tables: checksums, addresses, the devices that are there.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/boot/hv_acpi.h"
#include "hvcore/machine/hv_machine.h"

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + *p++);
	return s;
}

static void acpi_tables(void **state)
{
	const struct hv_acpi_config cfg = {
		.vcpus = 3, .virtio_slots = 0x711, .base_gpa = HV_ACPI_GPA};
	const uint8_t *xsdt, *fadt, *madt, *dsdt;
	struct cm_buf b;

	(void)state;
	cm_buf_init(&b, HV_ACPI_BYTES);
	assert_int_equal(hv_acpi_build(&cfg, &b), 0);
	assert_memory_equal(b.data, "RSD PTR ", 8);
	assert_int_equal(sum(b.data, 20), 0);
	assert_int_equal(sum(b.data, 36), 0);
	xsdt = b.data + (cm_le64(b.data + 24) - HV_ACPI_GPA);
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal(cm_le32(xsdt + 4), 36 + 16);
	assert_int_equal(sum(xsdt, 36 + 16), 0);
	fadt = b.data + (cm_le64(xsdt + 36) - HV_ACPI_GPA);
	madt = b.data + (cm_le64(xsdt + 44) - HV_ACPI_GPA);
	assert_memory_equal(fadt, "FACP", 4);
	assert_int_equal(cm_le32(fadt + 4), 276);
	assert_int_equal(sum(fadt, 276), 0);
	assert_int_equal(cm_le32(fadt + 112) >> 20 & 1, 1); /* hardware-reduced */
	assert_int_equal(cm_le64(fadt + 116 + 4), HV_POWER_GPA + HV_POWER_RESET);
	assert_int_equal(fadt[128], 1);
	assert_int_equal(cm_le64(fadt + 244 + 4), HV_POWER_GPA + HV_POWER_SLEEP_CTL);
	assert_memory_equal(madt, "APIC", 4);
	assert_int_equal(cm_le32(madt + 4), 44 + 3 * 8 + 12);
	assert_int_equal(sum(madt, cm_le32(madt + 4)), 0);
	dsdt = b.data + (cm_le64(fadt + 140) - HV_ACPI_GPA);
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_int_equal(sum(dsdt, cm_le32(dsdt + 4)), 0);
	assert_non_null(memmem(dsdt, cm_le32(dsdt + 4), "VR00", 4));
	assert_null(memmem(dsdt, cm_le32(dsdt + 4), "VR01", 4));
	assert_non_null(memmem(dsdt, cm_le32(dsdt + 4), "VR10", 4));
	cm_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acpi_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
