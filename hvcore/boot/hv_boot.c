/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_boot.c - the loader: kernel, initrd, boot_params, command line, E820, random seed, ACPI, page
 * tables.
 *
 * Parses the operator's kernel (with hv_unpack.c and hv_elf.c); what it says is checked against the
 * file and against guest memory. Read first: Linux' Documentation/arch/x86/boot.rst, "64-bit boot
 * protocol".
 */
#include "config.h"

#include "hvcore/boot/hv_boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "hvcore/boot/hv_acpi.h"
#include "hvcore/boot/hv_elf.h"
#include "hvcore/boot/hv_unpack.h"
#include "hvcore/machine/hv_mem.h"

/* Offsets in boot_params. */
#define BP_BYTES	4096u
#define BP_ACPI_RSDP	0x070u
#define BP_E820_ENTRIES 0x1e8u
#define BP_HEADER	0x1f1u
#define BP_BOOT_FLAG	0x1feu
#define BP_MAGIC	0x202u
#define BP_VERSION	0x206u
#define BP_LOADER	0x210u
#define BP_LOADFLAGS	0x211u
#define BP_RAMDISK	0x218u
#define BP_RAMDISK_LEN	0x21cu
#define BP_CMDLINE	0x228u
#define BP_CMDLINE_SIZE 0x238u
#define BP_SETUP_DATA	0x250u
#define BP_E820		0x2d0u

#define LOW_RAM_END    0x9fc00ull
#define KERNEL_MIN_GPA 0x100000ull
#define FILE_MAX       (1ull << 30)
#define SEED_BYTES     32u
#define SETUP_RNG_SEED 9u
#define INITRD_MAX_GPA 0x7fffffffull

#define E820_RAM      1u
#define E820_RESERVED 2u

int hv_boot_place(struct hv_mem *mem, const uint8_t *kernel, size_t kernel_bytes,
		  uint64_t *entry_gpa, uint64_t *end_gpa, struct cm_err *err)
{
	struct hv_elf elf;
	int rc = hv_elf_parse(kernel, kernel_bytes, &elf, err);

	if (rc < 0)
		return rc;
	if (elf.low_gpa < KERNEL_MIN_GPA)
		return cm_err_set(err, CM_E_BAD_KERNEL,
				  "the kernel wants to be at 0x%llx, below the first megabyte",
				  (unsigned long long)elf.low_gpa);
	for (unsigned i = 0; i < elf.segments; i++) {
		const struct hv_elf_segment *s = &elf.segment[i];

		if (!hv_mem_ptr(mem, s->gpa, s->mem_bytes))
			return cm_err_set(
				err, CM_E_BAD_KERNEL,
				"the kernel needs memory at 0x%llx to 0x%llx, which this VM "
				"does not have: give it more --memory",
				(unsigned long long)s->gpa,
				(unsigned long long)(s->gpa + s->mem_bytes));
		/* Memory is zero already; only what the file has is written. */
		rc = hv_mem_write(mem, s->gpa, kernel + s->file_offset, (size_t)s->file_bytes);
		if (rc < 0)
			return cm_err_set(err, rc, "loading the kernel: %s", strerror(-rc));
	}
	*entry_gpa = elf.entry_gpa;
	*end_gpa = elf.end_gpa;
	return 0;
}

/* A file as read-only memory. */
struct file_view {
	const uint8_t *data;
	size_t len;
};

static int view_open(int fd, const char *what, struct file_view *v, struct cm_err *err)
{
	struct stat st;
	void *p;

	*v = (struct file_view){0};
	if (fstat(fd, &st) != 0)
		return cm_err_set(err, CM_E_NO_FILE, "%s: %s", what, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > FILE_MAX)
		return cm_err_set(err, CM_E_BAD_KERNEL, "%s: not a file of 1 byte to 1 GiB", what);
	p = cm_sys.mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return cm_err_set(err, CM_E_NO_FILE, "%s: %s", what, strerror(errno));
	v->data = p;
	v->len = (size_t)st.st_size;
	return 0;
}

static void view_close(struct file_view *v)
{
	if (v->data)
		munmap((void *)(uintptr_t)v->data, v->len);
	v->data = NULL;
}

static int load_bzimage(struct hv_mem *mem, const struct file_view *k, uint8_t *params,
			uint64_t *entry_gpa, uint64_t *end_gpa, struct cm_err *err)
{
	struct hv_bzimage bz;
	uint8_t *elf;
	int rc = hv_bzimage_parse(k->data, k->len, &bz, err);

	if (rc < 0)
		return rc;
	elf = cm_sys.mmap(NULL, bz.unpacked_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (elf == MAP_FAILED)
		return cm_err_set(err, CM_E_NO_MEMORY, "no memory to unpack the kernel");
	rc = hv_unpack(k->data + bz.payload, bz.payload_bytes, elf, bz.unpacked_bytes, err);
	if (rc == 0)
		rc = hv_boot_place(mem, elf, bz.unpacked_bytes, entry_gpa, end_gpa, err);
	munmap(elf, bz.unpacked_bytes);
	memcpy(params + BP_HEADER, k->data + BP_HEADER, bz.header_bytes);
	return rc;
}

static int load_kernel(struct hv_mem *mem, int fd, uint8_t *params, uint64_t *entry_gpa,
		       uint64_t *end_gpa, struct cm_err *err)
{
	struct file_view k;
	int rc = view_open(fd, "kernel", &k, err);

	if (rc < 0)
		return rc;
	if (hv_is_bzimage(k.data, k.len))
		rc = load_bzimage(mem, &k, params, entry_gpa, end_gpa, err);
	else
		rc = hv_boot_place(mem, k.data, k.len, entry_gpa, end_gpa, err);
	view_close(&k);
	return rc;
}

/* As high in low memory as the protocol allows, so that it is out of the kernel's way. */
static int load_initrd(struct hv_mem *mem, int fd, uint8_t *params, uint64_t kernel_end_gpa,
		       struct cm_err *err)
{
	uint64_t top = CM_MIN(hv_mem_slot(mem, 0)->bytes, INITRD_MAX_GPA + 1), gpa;
	struct file_view v;
	int rc;

	if (fd < 0)
		return 0;
	rc = view_open(fd, "initrd", &v, err);
	if (rc < 0)
		return rc;
	gpa = v.len <= top ? (top - v.len) & ~0xfffull : 0;
	if (gpa < ((kernel_end_gpa + 0xfff) & ~0xfffull))
		rc = cm_err_set(err, CM_E_NO_MEMORY,
				"the initrd of %zu bytes does not fit: give the VM more --memory",
				v.len);
	else
		rc = hv_mem_write(mem, gpa, v.data, v.len);
	cm_put_le32(params + BP_RAMDISK, (uint32_t)gpa);
	cm_put_le32(params + BP_RAMDISK_LEN, (uint32_t)v.len);
	view_close(&v);
	return rc;
}

static int load_cmdline(struct hv_mem *mem, const char *cmdline, uint8_t *params,
			struct cm_err *err)
{
	size_t n = strlen(cmdline) + 1;
	uint32_t max = cm_le32(params + BP_CMDLINE_SIZE);

	if (n > HV_BOOT_CMDLINE_MAX || (max && n > max + 1u))
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "the command line has %zu bytes; at most %u fit", n - 1,
				  CM_MIN(max ? max : HV_BOOT_CMDLINE_MAX, HV_BOOT_CMDLINE_MAX - 1));
	cm_put_le32(params + BP_CMDLINE, (uint32_t)HV_BOOT_CMDLINE_GPA);
	if (!max)
		cm_put_le32(params + BP_CMDLINE_SIZE, HV_BOOT_CMDLINE_MAX - 1);
	return hv_mem_write(mem, HV_BOOT_CMDLINE_GPA, cmdline, n);
}

static void e820_add(uint8_t *params, uint64_t gpa, uint64_t bytes, uint32_t type)
{
	uint8_t *e = params + BP_E820 + 20u * params[BP_E820_ENTRIES]++;

	cm_put_le64(e, gpa);
	cm_put_le64(e + 8, bytes);
	cm_put_le32(e + 16, type);
}

static void put_e820(const struct hv_mem *mem, uint8_t *params)
{
	const struct hv_mem_slot *low = hv_mem_slot(mem, 0);

	e820_add(params, 0, LOW_RAM_END, E820_RAM);
	e820_add(params, LOW_RAM_END, KERNEL_MIN_GPA - LOW_RAM_END, E820_RESERVED);
	e820_add(params, KERNEL_MIN_GPA, low->bytes - KERNEL_MIN_GPA, E820_RAM);
	if (hv_mem_slots(mem) == 2)
		e820_add(params, hv_mem_slot(mem, 1)->gpa, hv_mem_slot(mem, 1)->bytes, E820_RAM);
}

/* A seed lets the guest's random pool start filled: boots faster, and needs no RDRAND. */
static int put_seed(struct hv_mem *mem, uint8_t *params)
{
	uint8_t node[16 + SEED_BYTES] = {0};
	int rc;

	cm_put_le32(node + 8, SETUP_RNG_SEED);
	cm_put_le32(node + 12, SEED_BYTES);
	if (getrandom(node + 16, SEED_BYTES, 0) != SEED_BYTES)
		return -EIO;
	cm_put_le64(params + BP_SETUP_DATA, HV_BOOT_SETUP_GPA);
	rc = hv_mem_write(mem, HV_BOOT_SETUP_GPA, node, sizeof node);
	explicit_bzero(node, sizeof node);
	return rc;
}

static int put_acpi(struct hv_mem *mem, const struct hv_boot_config *cfg, uint8_t *params)
{
	const struct hv_acpi_config acpi = {
		.vcpus = cfg->vcpus,
		.virtio_slots = cfg->virtio_slots,
		.base_gpa = HV_ACPI_GPA,
	};
	struct cm_buf b;
	int rc;

	cm_buf_init(&b, HV_ACPI_BYTES);
	rc = hv_acpi_build(&acpi, &b);
	if (rc == 0)
		rc = hv_mem_write(mem, HV_ACPI_GPA, b.data, b.len);
	cm_buf_fini(&b);
	cm_put_le64(params + BP_ACPI_RSDP, HV_ACPI_GPA);
	return rc;
}

/* The first 4 GiB, one to one, in 2 MiB pages; and a GDT with the segments the protocol asks for.
 */
static int put_tables(struct hv_mem *mem)
{
	const uint64_t pdpt = HV_BOOT_PML4_GPA + 0x1000, pd = HV_BOOT_PML4_GPA + 0x2000;
	const uint64_t gdt[5] = {0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull,
				 0x00008b0000000067ull};
	int rc = hv_mem_store64(mem, HV_BOOT_PML4_GPA, pdpt | 3);

	for (uint64_t i = 0; rc == 0 && i < 4; i++)
		rc = hv_mem_store64(mem, pdpt + 8 * i, (pd + 0x1000 * i) | 3);
	for (uint64_t i = 0; rc == 0 && i < 2048; i++)
		rc = hv_mem_store64(mem, pd + 8 * i, i << 21 | 0x83);
	if (rc == 0)
		rc = hv_mem_write(mem, HV_BOOT_GDT_GPA, gdt, sizeof gdt);
	return rc;
}

static void put_header(uint8_t *params)
{
	memcpy(params + BP_MAGIC, "HdrS", 4);
	cm_put_le16(params + BP_BOOT_FLAG, 0xaa55);
	if (cm_le16(params + BP_VERSION) < 0x020c)
		cm_put_le16(params + BP_VERSION, 0x020f);
	params[BP_LOADER] = 0xff;
	params[BP_LOADFLAGS] |= 0x81; /* loaded high, heap usable */
}

int hv_boot_load(struct hv_mem *mem, const struct hv_boot_config *cfg, uint64_t *entry_gpa,
		 struct cm_err *err)
{
	uint8_t params[BP_BYTES] = {0};
	uint64_t end_gpa = 0;
	int rc = load_kernel(mem, cfg->kernel_fd, params, entry_gpa, &end_gpa, err);

	if (rc == 0)
		rc = load_initrd(mem, cfg->initrd_fd, params, end_gpa, err);
	if (rc == 0)
		rc = load_cmdline(mem, cfg->cmdline, params, err);
	if (rc == 0)
		rc = put_seed(mem, params);
	if (rc == 0)
		rc = put_acpi(mem, cfg, params);
	if (rc == 0)
		rc = put_tables(mem);
	if (rc == 0) {
		put_header(params);
		put_e820(mem, params);
		rc = hv_mem_write(mem, HV_BOOT_PARAMS_GPA, params, sizeof params);
	}
	return rc < 0 ? cm_err_set(err, rc, "preparing the boot: %s", cm_err_text(rc)) : 0;
}
