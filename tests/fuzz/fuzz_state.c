/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_state.c - decoders of saved state: sections as they are, and payloads of every object of the
 * machine (without the checksum in the way). The first byte chooses.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "hvcore/cpu/hv_tables.h"
#include "hvcore/vm/hv_devset.h"
#include "tests/fuzz/fuzz.h"

#define KINDS 20u

static const struct hv_char_config char_cfg;
static struct hv_devset_config cfg;

static void configure(void)
{
	for (unsigned i = 0; i < hv_machine_row_count; i++) {
		const struct hv_dev_ops *ops = hv_machine_rows[i].ops;

		cfg.row[i].present =
			ops != &hv_dev_empty && ops != &hv_dev_blk && ops != &hv_dev_net;
		cfg.row[i].cfg = &char_cfg;
	}
}

static void one_device(unsigned row, struct hv_section *s)
{
	void *states[HV_DEVSET_MAX] = {NULL};
	struct cm_err err = CM_ERR_INIT;

	memcpy(s->name, hv_machine_rows[row].ops->name, strlen(hv_machine_rows[row].ops->name) + 1);
	s->instance = hv_machine_rows[row].instance;
	(void)!hv_devset_decode(&cfg, s, states, &err);
	hv_devset_free_states(states);
}

static void one_table(const struct hv_field *fields, const struct hv_section *s, size_t bytes)
{
	struct cm_err err = CM_ERR_INIT;
	void *object = calloc(1, bytes);

	CM_ASSERT(object);
	if (hv_object_get(s, fields, NULL, object, &err) == 0) {
		if (fields == hv_vcpu_fields)
			(void)!hv_vcpu_check(object, &err);
		if (fields == hv_cpuid_fields)
			(void)!hv_cpuid_check(object, &err);
	}
	free(object);
}

static void raw(const uint8_t *data, size_t len)
{
	struct cm_err err = CM_ERR_INIT;
	struct cm_rd r = cm_rd_init(data, len);
	struct hv_section s;

	while (hv_section_get(&r, &s, &err) == 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hv_section s = {.version = 1};
	unsigned kind;

	if (!len)
		return 0;
	configure();
	kind = data[0] % KINDS;
	s.data = data + 1;
	s.length = (uint32_t)(len - 1);
	if (kind < hv_machine_row_count)
		one_device(kind, &s);
	else if (kind == hv_machine_row_count)
		one_table(hv_vcpu_fields, &s, sizeof(struct hv_vcpu_state));
	else if (kind == hv_machine_row_count + 1)
		one_table(hv_cpuid_fields, &s, sizeof(struct hv_cpuid));
	else if (kind == hv_machine_row_count + 2)
		one_table(hv_ioapic_fields, &s, sizeof(struct hv_ioapic_state));
	else
		raw(data + 1, len - 1);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *b, size_t cap)
{
	struct cm_buf out;
	size_t n = 0;

	if (i >= KINDS)
		return 0;
	configure();
	cm_buf_init(&out, cap - 1);
	if (i < hv_machine_row_count) {
		const struct hv_dev_ops *ops = hv_machine_rows[i].ops;
		void *state = calloc(1, ops->state_bytes + 1);

		CM_ASSERT(state);
		if (ops->defaults && cfg.row[i].present)
			ops->defaults(state, cfg.row[i].cfg);
		if (ops->fields)
			hv_fields_encode(&out, ops->fields, state);
		free(state);
	} else {
		struct hv_vcpu_state *v = calloc(1, sizeof *v);

		CM_ASSERT(v);
		if (i == hv_machine_row_count)
			hv_fields_encode(&out, hv_vcpu_fields, v);
		else
			hv_object_put(&out, "vcpu", 0, 1, hv_ioapic_fields, NULL, v);
		free(v);
	}
	cm_buf_u16(&out, 0);
	b[0] = (uint8_t)i;
	n = out.len;
	memcpy(b + 1, out.data, n);
	cm_buf_fini(&out);
	return n + 1;
}
