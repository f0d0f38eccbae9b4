/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_state.c - fields and sections of a saved state: every cut and every flipped bit is
 * noticed, subsections.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hvcore/state/hv_state.h"

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
	assert_memory_equal(two.d, one.d, sizeof one.d);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
