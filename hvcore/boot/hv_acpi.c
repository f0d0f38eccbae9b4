/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_acpi.c - what a guest's ACPI driver needs to find the devices of hv-1, power off, reset and
 * hear the power button. Hardware-reduced: no PM timer, no SCI, no 8259, no PIT. ACPI 6.4
 * chapter 5.
 *
 * Writes only; parses nothing.
 */
#include "config.h"

#include "hvcore/boot/hv_acpi.h"

#include <string.h>

#include "hvcore/boot/hv_aml.h"
#include "hvcore/machine/hv_machine.h"

#define RSDP_BYTES 36u

#define FADT_FLAGS                                                                                 \
	(1u << 4 | 1u << 5 | 1u << 10 | 1u << 20) /* PWR_BUTTON SLP_BUTTON RESET_REG HW_REDUCED */
#define FADT_BOOT_ARCH (1u << 2) /* no VGA; no 8042, no legacy devices; a CMOS RTC */

static void put_fixed(struct cm_buf *b, const char *s, size_t n)
{
	char field[8] = "        ";

	CM_ASSERT(n <= sizeof field && strlen(s) <= n);
	memcpy(field, s, strlen(s));
	cm_buf_put(b, field, n);
}

static size_t table_begin(struct cm_buf *b, const char *signature, uint8_t revision)
{
	size_t at;

	while (b->len % 16)
		cm_buf_u8(b, 0);
	at = b->len;
	cm_buf_put(b, signature, 4);
	cm_buf_u32(b, 0); /* length, later */
	cm_buf_u8(b, revision);
	cm_buf_u8(b, 0); /* checksum, later */
	put_fixed(b, "HVCLUS", 6);
	put_fixed(b, "HV-1", 8);
	cm_buf_u32(b, 1);
	cm_buf_put(b, "HVCL", 4);
	cm_buf_u32(b, 1);
	return at;
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void table_end(struct cm_buf *b, size_t at)
{
	if (b->err)
		return;
	cm_put_le32(b->data + at + 4, (uint32_t)(b->len - at));
	b->data[at + 9] = checksum(b->data + at, b->len - at);
}

/* Generic address: one byte register in memory. */
static void put_gas(struct cm_buf *b, uint64_t gpa)
{
	cm_buf_u8(b, 0);
	cm_buf_u8(b, 8);
	cm_buf_u8(b, 0);
	cm_buf_u8(b, 1);
	cm_buf_u64(b, gpa);
}

static void put_zeroes(struct cm_buf *b, size_t n)
{
	while (n--)
		cm_buf_u8(b, 0);
}

static size_t put_fadt(struct cm_buf *b, uint64_t dsdt_gpa)
{
	size_t at = table_begin(b, "FACP", 6);

	put_zeroes(b, 4); /* FACS */
	cm_buf_u32(b, (uint32_t)dsdt_gpa);
	put_zeroes(b, 109 - 44); /* no fixed hardware */
	cm_buf_u16(b, FADT_BOOT_ARCH);
	cm_buf_u8(b, 0);
	cm_buf_u32(b, FADT_FLAGS);
	put_gas(b, HV_POWER_GPA + HV_POWER_RESET);
	cm_buf_u8(b, 1); /* reset value */
	put_zeroes(b, 2);
	cm_buf_u8(b, 4); /* minor version */
	put_zeroes(b, 8);
	cm_buf_u64(b, dsdt_gpa);
	put_zeroes(b, 244 - 148);
	put_gas(b, HV_POWER_GPA + HV_POWER_SLEEP_CTL);
	put_gas(b, HV_POWER_GPA + HV_POWER_SLEEP_STS);
	put_fixed(b, "hvcluste", 8); /* hypervisor vendor */
	table_end(b, at);
	return at;
}

static size_t put_madt(struct cm_buf *b, unsigned vcpus)
{
	size_t at = table_begin(b, "APIC", 5);

	cm_buf_u32(b, (uint32_t)HV_LAPIC_GPA);
	cm_buf_u32(b, 0); /* no 8259s */
	for (unsigned i = 0; i < vcpus; i++) {
		cm_buf_u8(b, 0);
		cm_buf_u8(b, 8);
		cm_buf_u8(b, (uint8_t)i);
		cm_buf_u8(b, (uint8_t)i);
		cm_buf_u32(b, 1); /* enabled */
	}
	cm_buf_u8(b, 1);
	cm_buf_u8(b, 12);
	cm_buf_u8(b, HV_IOAPIC_ID);
	cm_buf_u8(b, 0);
	cm_buf_u32(b, (uint32_t)HV_IOAPIC_GPA);
	cm_buf_u32(b, 0);
	table_end(b, at);
	return at;
}

static void put_com1(struct cm_buf *b)
{
	size_t dev = hv_aml_device(b, "COM1"), res;

	hv_aml_name(b, "_HID");
	hv_aml_eisa_id(b, "PNP0501");
	hv_aml_name(b, "_UID");
	hv_aml_integer(b, 1);
	hv_aml_name(b, "_CRS");
	res = hv_aml_resources(b);
	hv_aml_resource_io(b, HV_COM1_PORT, 8);
	hv_aml_resource_irq(b, HV_COM1_GSI);
	hv_aml_resources_end(b, res);
	hv_aml_end(b, dev);
}

static void put_rtc(struct cm_buf *b)
{
	size_t dev = hv_aml_device(b, "RTC_"), res;

	hv_aml_name(b, "_HID");
	hv_aml_eisa_id(b, "PNP0B00");
	hv_aml_name(b, "_CRS");
	res = hv_aml_resources(b);
	hv_aml_resource_io(b, HV_RTC_PORT, 2);
	hv_aml_resources_end(b, res);
	hv_aml_end(b, dev);
}

static void put_virtio(struct cm_buf *b, unsigned slot)
{
	const char name[5] = {'V', 'R', (char)('0' + slot / 10), (char)('0' + slot % 10), '\0'};
	size_t dev = hv_aml_device(b, name), res;

	hv_aml_name(b, "_HID");
	hv_aml_string(b, "LNRO0005");
	hv_aml_name(b, "_UID");
	hv_aml_integer(b, slot);
	hv_aml_name(b, "_CRS");
	res = hv_aml_resources(b);
	hv_aml_resource_memory(b, (uint32_t)(HV_VIRTIO_GPA + slot * HV_VIRTIO_STRIDE),
			       (uint32_t)HV_VIRTIO_BYTES);
	hv_aml_resource_irq(b, HV_VIRTIO_GSI + slot);
	hv_aml_resources_end(b, res);
	hv_aml_end(b, dev);
}

/* The power button, and the generic event device that tells of it. */
static void put_power(struct cm_buf *b)
{
	size_t dev, res, inner, cond;

	dev = hv_aml_device(b, "PWRB");
	hv_aml_name(b, "_HID");
	hv_aml_eisa_id(b, "PNP0C0C");
	hv_aml_end(b, dev);

	dev = hv_aml_device(b, "GED_");
	hv_aml_name(b, "_HID");
	hv_aml_string(b, "ACPI0013");
	hv_aml_name(b, "_CRS");
	res = hv_aml_resources(b);
	hv_aml_resource_irq(b, HV_POWER_GSI);
	hv_aml_resources_end(b, res);
	hv_aml_region(b, "PWRR", (uint32_t)HV_POWER_GPA, (uint32_t)HV_POWER_BYTES);
	inner = hv_aml_field(b, "PWRR");
	hv_aml_field_skip(b, HV_POWER_EVENT * 8);
	hv_aml_field_unit(b, "EVNT", 8);
	hv_aml_end(b, inner);
	inner = hv_aml_method(b, "_EVT", 1);
	hv_aml_read_local0(b, "EVNT");
	cond = hv_aml_if_local0_bit(b, 1);
	hv_aml_notify(b, "PWRB", 0x80);
	hv_aml_end(b, cond);
	hv_aml_end(b, inner);
	hv_aml_end(b, dev);
}

static size_t put_dsdt(struct cm_buf *b, uint32_t slots)
{
	size_t at = table_begin(b, "DSDT", 2), scope;

	scope = hv_aml_scope(b, "\\_SB_");
	put_com1(b);
	put_rtc(b);
	for (unsigned i = 0; i < HV_VIRTIO_SLOTS; i++)
		if (slots & 1u << i)
			put_virtio(b, i);
	put_power(b);
	hv_aml_end(b, scope);
	hv_aml_name(b, "\\_S5_");
	scope = hv_aml_package(b, 4);
	hv_aml_integer(b, HV_POWER_S5_TYP);
	for (int i = 0; i < 3; i++)
		hv_aml_integer(b, 0);
	hv_aml_end(b, scope);
	table_end(b, at);
	return at;
}

static void put_rsdp(struct cm_buf *b, size_t at, uint64_t xsdt_gpa)
{
	uint8_t *p = b->data + at;

	if (b->err)
		return;
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "HVCLUS", 6);
	p[15] = 2;
	cm_put_le32(p + 20, RSDP_BYTES);
	cm_put_le64(p + 24, xsdt_gpa);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, RSDP_BYTES);
}

int hv_acpi_build(const struct hv_acpi_config *cfg, struct cm_buf *out)
{
	size_t base = out->len, dsdt, fadt, madt, xsdt;

	CM_ASSERT(base == 0);
	put_zeroes(out, RSDP_BYTES);
	dsdt = put_dsdt(out, cfg->virtio_slots);
	fadt = put_fadt(out, cfg->base_gpa + dsdt);
	madt = put_madt(out, cfg->vcpus);
	xsdt = table_begin(out, "XSDT", 1);
	cm_buf_u64(out, cfg->base_gpa + fadt);
	cm_buf_u64(out, cfg->base_gpa + madt);
	table_end(out, xsdt);
	put_rsdp(out, base, cfg->base_gpa + xsdt);
	return out->err;
}
