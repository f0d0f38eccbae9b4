/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hvcore.c - the parts of hvcore by themselves: guest memory, bus, field tables and sections,
 * bzImage and ELF, ACPI tables, CPUID contracts, JSON, the VM's state table. No /dev/kvm, no root.
 */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "common/cm_loop.h"
#include "hvcore/boot/hv_acpi.h"
#include "hvcore/boot/hv_boot.h"
#include "hvcore/boot/hv_elf.h"
#include "hvcore/boot/hv_unpack.h"
#include "hvcore/cpu/hv_cpuid.h"
#include "hvcore/cpu/hv_tables.h"
#include "hvcore/hv_qga.h"
#include "hvcore/hv_qga_parse.h"
#include "hvcore/machine/hv_bus.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/machine/hv_mem.h"
#include "hvcore/machine/hv_port.h"
#include "hvcore/state/hv_json.h"
#include "hvcore/state/hv_state.h"
#include "hvcore/vm/hv_vm_int.h"

/* --- memory ------------------------------------------------------------------- */

static void mem_ranges(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	struct iovec iov[2];
	unsigned n = 0;
	uint8_t byte;
	uint32_t word;

	(void)state;
	assert_true(hv_mem_new(&mem, 33u << 20, &err) < 0); /* not a multiple of 2 MiB */
	cm_err_clear(&err);
	/* 4 GiB: 3 below the hole, 1 above; nothing of it is touched. */
	assert_int_equal(hv_mem_new(&mem, 4ull << 30, &err), 0);
	assert_int_equal(hv_mem_slots(mem), 2);
	assert_non_null(hv_mem_ptr(mem, 0, HV_RAM_LOW_MAX));
	assert_null(hv_mem_ptr(mem, 0, HV_RAM_LOW_MAX + 1));
	assert_null(hv_mem_ptr(mem, HV_RAM_LOW_MAX - 1, 2));
	assert_null(hv_mem_ptr(mem, HV_RAM_LOW_MAX, 1));
	assert_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA - 1, 2));
	assert_non_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA, 1ull << 30));
	assert_null(hv_mem_ptr(mem, HV_RAM_HIGH_GPA, (1ull << 30) + 1));
	assert_null(hv_mem_ptr(mem, 0, 0));
	assert_null(hv_mem_ptr(mem, 16, UINT64_MAX));
	assert_null(hv_mem_ptr(mem, UINT64_MAX, 16));
	assert_null(hv_mem_ptr(mem, UINT64_MAX - 7, 8));

	assert_int_equal(hv_mem_read(mem, HV_RAM_LOW_MAX, &byte, 1), -EFAULT);
	assert_int_equal(hv_mem_read(mem, HV_RAM_LOW_MAX, &byte, 0), 0);
	assert_int_equal(hv_mem_store32(mem, 0x1002, 1), -EINVAL);
	assert_int_equal(hv_mem_store32(mem, 0x1004, 0x12345678), 0);
	assert_int_equal(hv_mem_load32(mem, 0x1004, &word), 0);
	assert_int_equal(word, 0x12345678);
	assert_int_equal(hv_mem_load32(mem, HV_RAM_LOW_MAX, &word), -EFAULT);

	assert_int_equal(hv_mem_iov_add(mem, 0x1000, 0x1000, iov, 2, &n), 0);
	assert_int_equal(hv_mem_iov_add(mem, 0x2000, 0x1000, iov, 2, &n), 0);
	assert_int_equal(n, 1); /* neighbours join */
	assert_int_equal(iov[0].iov_len, 0x2000);
	assert_int_equal(hv_mem_iov_add(mem, 0x8000, 1, iov, 2, &n), 0);
	assert_int_equal(hv_mem_iov_add(mem, 0x18000, 1, iov, 2, &n), -E2BIG);
	assert_int_equal(hv_mem_iov_add(mem, HV_RAM_LOW_MAX - 1, 2, iov, 2, &n), -EFAULT);
	hv_mem_free(mem);
}

static void mem_populated(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	uint64_t *map;
	size_t words;

	(void)state;
	assert_int_equal(hv_mem_new(&mem, HV_RAM_MIN_BYTES, &err), 0);
	words = hv_mem_bitmap_words(mem, 0);
	map = calloc(words, 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	for (size_t i = 0; i < words; i++)
		assert_int_equal(map[i], 0);
	assert_int_equal(hv_mem_store64(mem, 5 * HV_PAGE_BYTES, 1), 0);
	assert_int_equal(hv_mem_store64(mem, 70 * HV_PAGE_BYTES, 1), 0);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[0], 1ull << 5);
	assert_int_equal(map[1], 1ull << 6);
	assert_int_equal(hv_mem_discard(mem, 5 * HV_PAGE_BYTES, HV_PAGE_BYTES), 0);
	assert_int_equal(hv_mem_discard(mem, 5 * HV_PAGE_BYTES + 1, HV_PAGE_BYTES), -EINVAL);
	memset(map, 0, words * 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[0], 0);
	assert_int_equal(map[1], 1ull << 6);
	assert_int_equal(hv_mem_clear(mem, &err), 0);
	memset(map, 0, words * 8);
	assert_int_equal(hv_mem_populated(mem, 0, map), 0);
	assert_int_equal(map[1], 0);
	free(map);
	hv_mem_free(mem);
}

/* --- bus ---------------------------------------------------------------------- */

struct seen {
	uint64_t offset, value;
	unsigned len, reads, writes;
};

static void seen_io(void *arg, uint64_t offset, void *data, unsigned len, bool write)
{
	struct seen *s = arg;

	s->offset = offset;
	s->len = len;
	if (write) {
		s->value = 0;
		memcpy(&s->value, data, len);
		s->writes++;
	} else {
		memset(data, 0x5a, len);
		s->reads++;
	}
}

static void bus_access(void **state)
{
	struct seen a = {0}, b = {0};
	struct hv_lock lock;
	struct hv_bus *bus;
	uint64_t v = 0, bells = 0;
	uint32_t w = 7;
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	hv_lock_init(&lock);
	assert_int_equal(hv_bus_new(&bus, &lock), 0);
	assert_int_equal(hv_bus_add_mmio(bus, 0x1000, 0x100, "a", seen_io, &a), 0);
	assert_int_equal(hv_bus_add_mmio(bus, 0x10ff, 1, "b", seen_io, &b), -EEXIST);
	assert_int_equal(hv_bus_add_mmio(bus, 0xf80, 0x81, "b", seen_io, &b), -EEXIST);
	assert_int_equal(hv_bus_add_mmio(bus, UINT64_MAX, 2, "b", seen_io, &b), -EINVAL);
	assert_int_equal(hv_bus_add_mmio(bus, 0xf80, 0x80, "b", seen_io, &b), 0);
	assert_int_equal(hv_bus_add_pio(bus, 0xfff8, 9, "p", seen_io, &b), -EINVAL);

	hv_bus_mmio(bus, 0x10fc, &w, 4, true);
	assert_int_equal(a.offset, 0xfc);
	assert_int_equal(a.value, 7);
	hv_bus_mmio(bus, 0xf80, &v, 8, false);
	assert_int_equal(v, 0x5a5a5a5a5a5a5a5aull);
	/* Leaves its range, or nobody is there: all ones. */
	hv_bus_mmio(bus, 0x10fe, &w, 4, false);
	assert_int_equal(w, 0xffffffffu);
	hv_bus_pio(bus, 0x42, &w, 1, false);
	assert_int_equal(hv_bus_unknown(bus), 2);
	assert_int_equal(a.reads, 0);

	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, true), 0);
	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, true), -EEXIST);
	a.writes = 0;
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	assert_int_equal(a.writes, 0);
	assert_int_equal(read(fd, &bells, 8), 8);
	assert_int_equal(bells, 2);
	hv_bus_mmio(bus, 0x1050, &w, 2, true); /* not a doorbell's size */
	assert_int_equal(a.writes, 1);
	assert_int_equal(hv_bus_doorbell(bus, 0x1050, fd, false), 0);
	hv_bus_mmio(bus, 0x1050, &w, 4, true);
	assert_int_equal(a.writes, 2);
	hv_bus_free(bus);
	hv_lock_fini(&lock);
	close(fd);
}

/* --- fields and sections --------------------------------------------------------- */

struct inner {
	uint16_t x;
};
struct object {
	uint8_t a;
	uint64_t b;
	bool c;
	uint32_t d[3];
	uint8_t e[5];
	struct inner f[2];
	uint32_t later;
};
static const struct hv_field inner_fields[] = {HV_F_U16(struct inner, x), HV_F_END};
static const struct hv_field object_fields[] = {
	HV_F_U8(struct object, a),
	HV_F_U64(struct object, b),
	HV_F_BOOL(struct object, c),
	HV_F_U32S(struct object, d),
	HV_F_BYTES(struct object, e),
	HV_F_STRUCTS(struct object, f, inner_fields),
	HV_F_END,
};
static const struct hv_field later_fields[] = {HV_F_U32(struct object, later), HV_F_END};
static bool later_present(const void *o)
{
	return ((const struct object *)o)->later != 0;
}
static const struct hv_subsection optional_sub[] = {{"later", false, later_fields, later_present},
						    {NULL, false, NULL, NULL}};
static const struct hv_subsection mandatory_sub[] = {{"later", true, later_fields, NULL},
						     {NULL, false, NULL, NULL}};

static int get(const struct cm_buf *b, size_t len, const struct hv_subsection *subs,
	       struct object *o)
{
	struct cm_err err = CM_ERR_INIT;
	struct cm_rd r = cm_rd_init(b->data, len);
	struct hv_section s;
	int rc = hv_section_get(&r, &s, &err);

	return rc < 0 ? rc : hv_object_get(&s, object_fields, subs, o, &err);
}

static void sections(void **state)
{
	const struct object one = {.a = 1,
				   .b = 0x1122334455667788ull,
				   .c = true,
				   .d = {3, 4, 5},
				   .e = "abcd",
				   .f = {{6}, {7}},
				   .later = 9};
	struct object two = {0};
	struct cm_buf b;

	(void)state;
	assert_int_equal(hv_fields_bytes(object_fields), 1 + 8 + 1 + 12 + 5 + 4);
	cm_buf_init(&b, 4096);
	hv_object_put(&b, "object", 3, 1, object_fields, optional_sub, &one);
	assert_int_equal(b.err, 0);
	assert_int_equal(get(&b, b.len, optional_sub, &two), 0);
	assert_int_equal(two.b, one.b);
	assert_true(two.c);
	assert_memory_equal(two.d, one.d, sizeof(one.d));
	assert_string_equal((char *)two.e, "abcd");
	assert_int_equal(two.f[1].x, 7);
	assert_int_equal(two.later, 9);
	/* An optional subsection that we do not know is skipped ... */
	two.later = 1;
	assert_int_equal(get(&b, b.len, NULL, &two), 0);
	assert_int_equal(two.later, 1);
	/* ... every cut and every flipped bit is noticed ... */
	for (size_t n = 0; n < b.len; n++)
		assert_true(get(&b, n, optional_sub, &two) < 0);
	for (size_t n = 0; n < b.len * 8; n++) {
		b.data[n / 8] ^= (uint8_t)(1 << n % 8);
		assert_true(get(&b, b.len, optional_sub, &two) < 0);
		b.data[n / 8] ^= (uint8_t)(1 << n % 8);
	}
	/* ... and an unknown mandatory one is refused. */
	cm_buf_reset(&b);
	hv_object_put(&b, "object", 3, 1, object_fields, mandatory_sub, &one);
	assert_int_equal(get(&b, b.len, mandatory_sub, &two), 0);
	assert_int_equal(get(&b, b.len, NULL, &two), CM_E_STREAM_SECTION);
	cm_buf_fini(&b);
}

static void vcpu_tables(void **state)
{
	struct hv_vcpu_state *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
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
	assert_memory_equal(a->gpr, b->gpr, sizeof(a->gpr));
	assert_memory_equal(a->lapic, b->lapic, sizeof(a->lapic));
	assert_memory_equal(a->xsave, b->xsave, sizeof(a->xsave));
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

/* --- kernels ------------------------------------------------------------------------ */

#define PLAIN_BYTES (3u << 20)

static uint8_t *plain(void)
{
	uint8_t *p = malloc(PLAIN_BYTES);
	uint32_t x = 1;

	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i % 64 < 48 ? (uint8_t)(i / 64) : (uint8_t)(x >> 24);
	}
	return p;
}

static void check_unpack(const uint8_t *packed, size_t n, const uint8_t *want)
{
	struct cm_err err = CM_ERR_INIT;
	uint8_t *out = malloc(PLAIN_BYTES + 1);

	assert_int_equal(hv_unpack(packed, n, out, PLAIN_BYTES, &err), 0);
	assert_memory_equal(out, want, PLAIN_BYTES);
	assert_true(hv_unpack(packed, n, out, PLAIN_BYTES + 1, &err) < 0); /* too little came out */
	assert_true(hv_unpack(packed, n, out, PLAIN_BYTES / 2, &err) < 0); /* too much */
	for (size_t cut = 0; cut < n - 8; cut += n / 37 + 1)
		assert_true(hv_unpack(packed, cut, out, PLAIN_BYTES, &err) < 0);
	free(out);
}

static void unpack_all(void **state)
{
	uint8_t *in = plain(), *z = malloc(2 * PLAIN_BYTES);
	size_t n = 0, at = 4;
	z_stream gz = {.next_in = in,
		       .avail_in = PLAIN_BYTES,
		       .next_out = z,
		       .avail_out = 2 * PLAIN_BYTES};

	(void)state;
	assert_int_equal(deflateInit2(&gz, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&gz, Z_FINISH), Z_STREAM_END);
	check_unpack(z, gz.total_out, in);
	deflateEnd(&gz);

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, PLAIN_BYTES, z, &n,
						 2 * PLAIN_BYTES),
			 LZMA_OK);
	cm_put_le32(z + n, PLAIN_BYTES);
	check_unpack(z, n + 4, in);

	n = ZSTD_compress(z, 2 * PLAIN_BYTES, in, PLAIN_BYTES, 1);
	cm_put_le32(z + n, PLAIN_BYTES);
	check_unpack(z, n + 4, in);

	cm_put_le32(z, 0x184c2102);
	n = (size_t)LZ4_compress_default((char *)in, (char *)z + at + 4, PLAIN_BYTES,
					 2 * PLAIN_BYTES - 16);
	cm_put_le32(z + at, (uint32_t)n);
	at += 4 + n;
	cm_put_le32(z + at, PLAIN_BYTES);
	check_unpack(z, at + 4, in);
	free(in);
	free(z);
}

static void bzimage_header(void **state)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_bzimage bz;
	uint8_t f[4096] = {0};

	(void)state;
	f[0x1f1] = 1;
	cm_put_le16(f + 0x1fe, 0xaa55);
	f[0x201] = 0x66;
	memcpy(f + 0x202, "HdrS", 4);
	cm_put_le16(f + 0x206, 0x20f);
	cm_put_le16(f + 0x236, 1);
	cm_put_le32(f + 0x248, 0x100);
	cm_put_le32(f + 0x24c, 0x200);
	cm_put_le32(f + 1024 + 0x300 - 4, 0x10000);
	assert_int_equal(hv_bzimage_parse(f, sizeof(f), &bz, &err), 0);
	assert_int_equal(bz.payload, 1024 + 0x100);
	assert_int_equal(bz.unpacked_bytes, 0x10000);
	assert_true(hv_bzimage_parse(f, 1024 + 0x2ff, &bz, &err) < 0);
	cm_put_le32(f + 0x248, 0xffffff00);
	assert_true(hv_bzimage_parse(f, sizeof(f), &bz, &err) < 0);
	cm_put_le32(f + 0x248, 0x100);
	cm_put_le32(f + 0x24c, 0xffffffff);
	assert_true(hv_bzimage_parse(f, sizeof(f), &bz, &err) < 0);
	cm_put_le32(f + 0x24c, 0x200);
	cm_put_le16(f + 0x236, 0); /* 32-bit only */
	assert_true(hv_bzimage_parse(f, sizeof(f), &bz, &err) < 0);
}

static void elf_bounds(void **state)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p[2];
		uint8_t code[64];
	} f = {
		.h = {.e_type = ET_EXEC,
		      .e_machine = EM_X86_64,
		      .e_entry = 0x1000010,
		      .e_phoff = sizeof(Elf64_Ehdr),
		      .e_phentsize = sizeof(Elf64_Phdr),
		      .e_phnum = 1},
		.p = {{.p_type = PT_LOAD,
		       .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
		       .p_paddr = 0x1000000,
		       .p_filesz = 64,
		       .p_memsz = 0x2000}},
	};
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	struct hv_elf elf;
	uint64_t entry, end;

	(void)state;
	memcpy(f.h.e_ident, ELFMAG, SELFMAG);
	f.h.e_ident[EI_CLASS] = ELFCLASS64;
	f.h.e_ident[EI_DATA] = ELFDATA2LSB;
	assert_int_equal(hv_elf_parse((uint8_t *)&f, sizeof(f), &elf, &err), 0);
	assert_int_equal(elf.end_gpa, 0x1002000);
	for (size_t n = 0; n < sizeof(f); n++)
		assert_true(hv_elf_parse((uint8_t *)&f, n, &elf, &err) < 0);
	assert_int_equal(hv_mem_new(&mem, HV_RAM_MIN_BYTES, &err), 0);
	cm_err_clear(&err);
	assert_int_equal(hv_boot_place(mem, (uint8_t *)&f, sizeof(f), &entry, &end, &err), 0);
	f.p[0].p_paddr = 0x1fff000; /* the end of RAM is in the middle of it */
	f.h.e_entry = 0x1fff000;
	assert_true(hv_boot_place(mem, (uint8_t *)&f, sizeof(f), &entry, &end, &err) < 0);
	f.p[0].p_paddr = 0x1000; /* where our tables are */
	f.h.e_entry = 0x1000;
	assert_true(hv_boot_place(mem, (uint8_t *)&f, sizeof(f), &entry, &end, &err) < 0);
	f.p[0].p_paddr = UINT64_MAX - 0x1000;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof(f), &elf, &err) < 0);
	f.p[0].p_paddr = 0x1000000;
	f.h.e_entry = 0x1002000; /* just past it */
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof(f), &elf, &err) < 0);
	f.h.e_entry = 0x1000000;
	f.p[0].p_filesz = UINT64_MAX;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof(f), &elf, &err) < 0);
	f.p[0].p_filesz = 64;
	f.h.e_phnum = 0xffff;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof(f), &elf, &err) < 0);
	hv_mem_free(mem);
}

/* --- ACPI ------------------------------------------------------------------------------ */

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

/* --- CPUID ------------------------------------------------------------------------------- */

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

/* --- the rest ------------------------------------------------------------------------------ */

static void json(void **state)
{
	struct hv_json j;

	(void)state;
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "a", "x\"\\\n\xff");
	hv_json_open(&j, "b", '[');
	hv_json_u64(&j, NULL, UINT64_MAX);
	hv_json_bool(&j, NULL, true);
	hv_json_close(&j, ']');
	hv_json_close(&j, '}');
	assert_string_equal(
		hv_json_text(&j),
		"{\"a\":\"x\\\"\\\\\\u000a\\u00ff\",\"b\":[18446744073709551615,true]}");
	hv_json_fini(&j);
}

static void vm_table(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	if (cm_fsm_check(&hv_vm_fsm, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(hv_vm_state_name(HV_VM_PAUSED), "PAUSED");
}

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

/* --- guest agent ------------------------------------------------------------------------ */

static struct hv_qga_span span(const char *s)
{
	return (struct hv_qga_span){s, strlen(s)};
}

static void agent_parse(void **state)
{
	static const char good[] =
		" { \"a\\\"}\" : [1,{\"b\":2}] , \"return\": {\"version\":\"7.2\\n\\u0001\"} ,\"n\":-42 } ";
	struct hv_qga_span v, w;
	char text[8];
	int64_t n;

	(void)state;
	assert_true(hv_qga_member(span(good), "return", &v));
	assert_true(hv_qga_member(v, "version", &w));
	assert_true(hv_qga_text(w, text, sizeof(text)));
	assert_string_equal(text, "7.2nu00");
	assert_true(hv_qga_member(span(good), "n", &v) && hv_qga_i64(v, &n));
	assert_int_equal(n, -42);
	assert_false(hv_qga_member(span(good), "b", &v));
	assert_false(hv_qga_i64(span("9223372036854775808"), &n));
	assert_false(hv_qga_i64(span("-"), &n) || hv_qga_i64(span("1.5"), &n) || hv_qga_i64(span(""), &n));
	assert_false(hv_qga_text(span("\"open"), text, sizeof(text)));
	assert_false(hv_qga_text(span("\"a\\\""), text, sizeof(text)));
	/* Every cut of it, in a block of exactly that size, so that a sanitizer sees a step too far. */
	for (size_t cut = 0; cut < sizeof(good); cut++) {
		char *copy = malloc(cut + !cut);

		assert_non_null(copy);
		memcpy(copy, good, cut);
		if (hv_qga_member((struct hv_qga_span){copy, cut}, "n", &v))
			assert_true(v.p + v.n <= copy + cut);
		(void)hv_qga_text((struct hv_qga_span){copy, cut}, text, sizeof(text));
		free(copy);
	}
}

/* The guest's end of the port, in one process with the client. */
struct agent_bench {
	struct hv_lock lock;
	struct cm_loop *loop;
	struct hv_port port;
	struct hv_qga *qga;
	char heard[1024];
	size_t len;
	int answers, rc;
	char text[128];
};

static size_t agent_hears(void *dev, const uint8_t *data, size_t len)
{
	struct agent_bench *b = dev;
	size_t n = len > 7 ? 7 : len; /* always in pieces */

	assert_true(b->len + n < sizeof(b->heard));
	memcpy(b->heard + b->len, data, n);
	b->len += n;
	b->heard[b->len] = '\0';
	return n;
}

static void agent_turn(struct agent_bench *b)
{
	for (int i = 0; i < 40; i++) {
		hv_lock_take(&b->lock);
		if (b->port.room)
			b->port.room(b->port.arg);
		hv_lock_drop(&b->lock);
		cm_loop_turn(b->loop, 5);
	}
}

static void agent_says(struct agent_bench *b, const char *data, size_t len)
{
	hv_lock_take(&b->lock);
	b->port.output(b->port.arg, (const uint8_t *)data, len);
	hv_lock_drop(&b->lock);
	agent_turn(b);
}

static void agent_opens(struct agent_bench *b, bool open)
{
	hv_lock_take(&b->lock);
	b->port.opened(b->port.arg, open);
	hv_lock_drop(&b->lock);
	agent_turn(b);
}

static void agent_done(void *arg, int rc, const char *text)
{
	struct agent_bench *b = arg;

	b->answers++;
	b->rc = rc;
	snprintf(b->text, sizeof(b->text), "%s", text);
}

static void agent_begin(struct agent_bench *b)
{
	struct cm_err err = CM_ERR_INIT;

	memset(b, 0, sizeof(*b));
	hv_lock_init(&b->lock);
	b->loop = cm_loop_new(&err);
	assert_non_null(b->loop);
	assert_int_equal(hv_qga_new(&b->qga, b->loop, &b->lock, &b->port), 0);
	b->port.input = agent_hears;
	b->port.dev = b;
}

static void agent_end(struct agent_bench *b)
{
	hv_qga_free(b->qga);
	assert_null(b->port.output);
	cm_loop_free(b->loop);
}

/* Through the handshake. */
static void agent_connects(struct agent_bench *b)
{
	char line[64];
	const char *id;

	b->len = 0;
	agent_opens(b, true);
	id = strstr(b->heard, "\"id\":");
	assert_non_null(id);
	assert_int_equal(b->heard[0], (char)0xff);
	assert_false(hv_qga_connected(b->qga));
	agent_says(b, "{\"return\": 1}\n", 14); /* of an earlier life */
	assert_null(strstr(b->heard, "guest-info"));
	snprintf(line, sizeof(line), "junk\xff{\"return\": %ld}\n", strtol(id + 5, NULL, 10));
	agent_says(b, line, strlen(line));
	assert_non_null(strstr(b->heard, "guest-info"));
	agent_says(b, "{\"return\": {\"version\": \"7.2\"}}\n", 31);
	agent_says(b, "{\"return\": \"thawed\"}\n", 21);
	assert_true(hv_qga_connected(b->qga));
}

static void agent_talk(void **state)
{
	struct agent_bench b;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	agent_begin(&b);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), CM_E_VM_STATE);
	agent_connects(&b);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_FREEZE, agent_done, &b, &err), 0);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), CM_E_VM_STATE);
	agent_turn(&b);
	assert_non_null(strstr(b.heard, "guest-fsfreeze-freeze"));
	agent_says(&b, "{\"return\": 3}\n", sizeof "{\"return\": 3}\n" - 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.rc, 0);
	assert_string_equal(b.text, "{\"frozen\":3}");
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_SHUTDOWN, agent_done, &b, &err), 0);
	agent_says(&b, "{\"error\": {\"class\":\"X\",\"desc\":\"is \\\"off\\\"\"}}\n", sizeof "{\"error\": {\"class\":\"X\",\"desc\":\"is \\\"off\\\"\"}}\n" - 1);
	assert_int_equal(b.answers, 2);
	assert_int_equal(b.rc, CM_E_VM_STATE);
	assert_string_equal(b.text, "is \"off\"");
	/* A port that shuts during a shutdown is what was wanted; during a ping it is not. */
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_PING, agent_done, &b, &err), 0);
	agent_opens(&b, false);
	assert_false(hv_qga_connected(b.qga));
	agent_connects(&b); /* notices that the port was shut meanwhile */
	assert_int_equal(b.answers, 3);
	assert_int_equal(b.rc, CM_E_VM_STATE);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_SHUTDOWN, agent_done, &b, &err), 0);
	agent_end(&b);
	assert_int_equal(b.answers, 4);
	assert_int_equal(b.rc, 0);
}

static void agent_hostile(void **state)
{
	static char flood[100000];
	struct agent_bench b;
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	agent_begin(&b);
	agent_connects(&b);
	memset(flood, '{', sizeof(flood));
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_TIME, agent_done, &b, &err), 0);
	agent_says(&b, flood, sizeof(flood));
	agent_says(&b, flood, sizeof(flood));
	agent_says(&b, "\n\n\xff\n{}\n{\"return\"\n[[[\n\0\n", sizeof "\n\n\xff\n{}\n{\"return\"\n[[[\n\0\n" - 1);
	assert_int_equal(b.answers, 0);
	agent_says(&b, "{\"return\": \"noon\"}\n", sizeof "{\"return\": \"noon\"}\n" - 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.rc, CM_E_PROTO);
	srandom(7);
	for (int i = 0; i < 50; i++) {
		for (size_t k = 0; k < 500; k++)
			flood[k] = "{}[]\",:\\\n\xff 1a-"[random() % 14];
		hv_lock_take(&b.lock);
		b.port.output(b.port.arg, (const uint8_t *)flood, 500);
		hv_lock_drop(&b.lock);
		cm_loop_turn(b.loop, 5);
	}
	agent_says(&b, "\n", sizeof "\n" - 1);
	assert_int_equal(hv_qga_ask(b.qga, HV_QGA_TIME, agent_done, &b, &err), 0);
	agent_says(&b, "{\"return\": 5}\n", sizeof "{\"return\": 5}\n" - 1);
	assert_int_equal(b.answers, 2);
	assert_int_equal(b.rc, 0);
	agent_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_ranges),	  cmocka_unit_test(mem_populated),
		cmocka_unit_test(bus_access),	  cmocka_unit_test(sections),
		cmocka_unit_test(vcpu_tables),	  cmocka_unit_test(unpack_all),
		cmocka_unit_test(bzimage_header), cmocka_unit_test(elf_bounds),
		cmocka_unit_test(acpi_tables),	  cmocka_unit_test(cpuid_contract),
		cmocka_unit_test(json),		  cmocka_unit_test(vm_table),
		cmocka_unit_test(machine_list),	  cmocka_unit_test(agent_parse),
		cmocka_unit_test(agent_talk),	  cmocka_unit_test(agent_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
