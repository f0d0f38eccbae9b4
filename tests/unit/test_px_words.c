/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_px_words.c - every value of the wire's enums has a word of its own, and the words lead back; what a newer version says
 * is neither taken for something else nor out of bounds.
 */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cm_err.h"
#include "proto/px_words.h"

static const int strange[] = {-1, 99, INT_MIN, INT_MAX};

static void vm_states(void **state)
{
	const ProtobufCEnumDescriptor *d = &hv__vm_state__descriptor;

	(void)state;
	for (unsigned i = 0; i < d->n_values; i++) {
		Hv__VmState s = (Hv__VmState)d->values[i].value;
		const char *word = px_vm_state_word(s);

		assert_string_not_equal(word, "?");
		assert_int_equal(px_vm_state_find(word), s);
		assert_int_equal(px_vm_state_runs(s), s == HV__VM_STATE__VM_RUNNING || s == HV__VM_STATE__VM_PAUSED);
	}
	for (size_t i = 0; i < CM_ARRAY_LEN(strange); i++) {
		assert_string_equal(px_vm_state_word((Hv__VmState)strange[i]), "?");
		assert_false(px_vm_state_runs((Hv__VmState)strange[i]));
	}
	assert_string_equal(px_vm_state_word(HV__VM_STATE__VM_HANDING_OVER), "handing-over");
	assert_int_equal(px_vm_state_find("sideways"), HV__VM_STATE__VM_STATE_NONE);
	assert_int_equal(px_vm_state_find(""), HV__VM_STATE__VM_STATE_NONE);
}

static void migration_modes(void **state)
{
	const ProtobufCEnumDescriptor *d = &hv__migration_mode__descriptor;

	(void)state;
	for (unsigned i = 0; i < d->n_values; i++) {
		const char *word = px_mig_mode_word((Hv__MigrationMode)d->values[i].value);

		assert_string_not_equal(word, "?");
		assert_int_equal(px_mig_mode_find(word), d->values[i].value);
	}
	for (size_t i = 0; i < CM_ARRAY_LEN(strange); i++)
		assert_string_equal(px_mig_mode_word((Hv__MigrationMode)strange[i]), "?");
	assert_int_equal(px_mig_mode_find("sideways"), HV__MIGRATION_MODE__MODE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vm_states),
		cmocka_unit_test(migration_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
