/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_elf.c - an ELF: every cut, every bound, and where it may be placed.
 */
#include "config.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/boot/hv_boot.h"
#include "hvcore/boot/hv_elf.h"
#include "hvcore/machine/hv_mem.h"

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
	assert_int_equal(hv_elf_parse((uint8_t *)&f, sizeof f, &elf, &err), 0);
	assert_int_equal(elf.end_gpa, 0x1002000);
	for (size_t n = 0; n < sizeof f; n++)
		assert_true(hv_elf_parse((uint8_t *)&f, n, &elf, &err) < 0);
	assert_int_equal(hv_mem_new(&mem, HV_RAM_MIN_BYTES, &err), 0);
	cm_err_clear(&err);
	assert_int_equal(hv_boot_place(mem, (uint8_t *)&f, sizeof f, &entry, &end, &err), 0);
	f.p[0].p_paddr = 0x1fff000; /* the end of RAM is in the middle of it */
	f.h.e_entry = 0x1fff000;
	assert_true(hv_boot_place(mem, (uint8_t *)&f, sizeof f, &entry, &end, &err) < 0);
	f.p[0].p_paddr = 0x1000; /* where our tables are */
	f.h.e_entry = 0x1000;
	assert_true(hv_boot_place(mem, (uint8_t *)&f, sizeof f, &entry, &end, &err) < 0);
	f.p[0].p_paddr = UINT64_MAX - 0x1000;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof f, &elf, &err) < 0);
	f.p[0].p_paddr = 0x1000000;
	f.h.e_entry = 0x1002000; /* just past it */
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof f, &elf, &err) < 0);
	f.h.e_entry = 0x1000000;
	f.p[0].p_filesz = UINT64_MAX;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof f, &elf, &err) < 0);
	f.p[0].p_filesz = 64;
	f.h.e_phnum = 0xffff;
	assert_true(hv_elf_parse((uint8_t *)&f, sizeof f, &elf, &err) < 0);
	hv_mem_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
