/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_elf.c - ELF program headers, by physical address. Parses the operator's kernel file; every
 * number in it is checked against the length before use. Knows nothing of guest memory: who loads
 * checks that too.
 */
#include "config.h"

#include "hvcore/boot/hv_elf.h"

#include <elf.h>
#include <string.h>

static int add_segment(struct hv_elf *out, const Elf64_Phdr *p, size_t len, struct cm_err *err)
{
	struct hv_elf_segment *s;

	if (out->segments == HV_ELF_SEGMENTS)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the ELF has more than %u segments to load",
				  HV_ELF_SEGMENTS);
	if (p->p_offset > len || p->p_filesz > len - p->p_offset)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the ELF file is cut short");
	if (p->p_filesz > p->p_memsz || p->p_paddr + p->p_memsz < p->p_paddr)
		return cm_err_set(err, CM_E_BAD_KERNEL, "an ELF segment has impossible sizes");
	s = &out->segment[out->segments++];
	*s = (struct hv_elf_segment){.gpa = p->p_paddr,
				     .file_offset = p->p_offset,
				     .file_bytes = p->p_filesz,
				     .mem_bytes = p->p_memsz};
	if (out->segments == 1 || s->gpa < out->low_gpa)
		out->low_gpa = s->gpa;
	if (s->gpa + s->mem_bytes > out->end_gpa)
		out->end_gpa = s->gpa + s->mem_bytes;
	return 0;
}

int hv_elf_parse(const uint8_t *file, size_t len, struct hv_elf *out, struct cm_err *err)
{
	Elf64_Ehdr h;

	memset(out, 0, sizeof *out);
	if (len < sizeof h || memcmp(file, ELFMAG, SELFMAG) != 0)
		return cm_err_set(err, CM_E_BAD_KERNEL,
				  "this is neither a bzImage nor an ELF file");
	memcpy(&h, file, sizeof h);
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != EM_X86_64 || (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return cm_err_set(err, CM_E_BAD_KERNEL, "the ELF file is no x86-64 executable");
	if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phoff > len ||
	    h.e_phnum > (len - h.e_phoff) / sizeof(Elf64_Phdr))
		return cm_err_set(err, CM_E_BAD_KERNEL,
				  "the ELF program headers are outside the file");
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;
		int rc;

		memcpy(&p, file + h.e_phoff + i * sizeof p, sizeof p);
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		rc = add_segment(out, &p, len, err);
		if (rc < 0)
			return rc;
	}
	out->entry_gpa = h.e_entry;
	if (!out->segments)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the ELF file has nothing to load");
	if (out->entry_gpa < out->low_gpa || out->entry_gpa >= out->end_gpa)
		return cm_err_set(err, CM_E_BAD_KERNEL, "the ELF entry 0x%llx is in no segment",
				  (unsigned long long)out->entry_gpa);
	return 0;
}
