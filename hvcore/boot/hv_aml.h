/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_aml.h - a small builder of ACPI machine language, just what hv_acpi.c says.
 *
 * begin/end pairs enclose packages (their lengths are filled in by end). Thread: [any]; errors stay
 * in the buffer (cm_buf).
 */
#ifndef HV_AML_H
#define HV_AML_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_buf.h"

/* Names have four characters; a path may begin with '\\'. */
size_t hv_aml_scope(struct cm_buf *b, const char *path);
size_t hv_aml_device(struct cm_buf *b, const char *name);
size_t hv_aml_method(struct cm_buf *b, const char *name, unsigned args);
size_t hv_aml_package(struct cm_buf *b, uint8_t elements);
size_t hv_aml_field(struct cm_buf *b, const char *region); /* byte access, no lock, preserve */
void hv_aml_end(struct cm_buf *b, size_t begin);

void hv_aml_name(struct cm_buf *b, const char *path); /* Name (path, <next object>) */
void hv_aml_integer(struct cm_buf *b, uint32_t v);
void hv_aml_string(struct cm_buf *b, const char *s);
void hv_aml_eisa_id(struct cm_buf *b, const char *id); /* "PNP0501" */
void hv_aml_region(struct cm_buf *b, const char *name, uint32_t gpa,
		   uint32_t bytes); /* SystemMemory */
void hv_aml_field_skip(struct cm_buf *b, uint8_t bits);
void hv_aml_field_unit(struct cm_buf *b, const char *name, uint8_t bits);
void hv_aml_notify(struct cm_buf *b, const char *path, uint8_t value);
/* Local0 = name, so that a register is read once. */
void hv_aml_read_local0(struct cm_buf *b, const char *name);
size_t hv_aml_if_local0_bit(struct cm_buf *b, uint8_t bits);

/* Resource templates: begin, items, end. */
size_t hv_aml_resources(struct cm_buf *b);
void hv_aml_resource_io(struct cm_buf *b, uint16_t port, uint8_t ports);
void hv_aml_resource_memory(struct cm_buf *b, uint32_t gpa, uint32_t bytes);
void hv_aml_resource_irq(struct cm_buf *b, uint32_t gsi); /* level, active high, exclusive */
void hv_aml_resources_end(struct cm_buf *b, size_t begin);

#endif
