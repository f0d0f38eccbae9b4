/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vm_save.c - a VM saved and loaded, by the same engine and by the other: one state
 * format. Damaged states are refused whole.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hvcore/machine/hv_mem.h"
#include "tests/unit/hv_vmkit.h"

static void copy_memory(struct hv_vm *to, struct hv_vm *from)
{
	const struct hv_mem_slot *s = hv_mem_slot(hv_vm_mem(from), 0);
	size_t words = hv_mem_bitmap_words(hv_vm_mem(from), 0);
	uint64_t *map = calloc(words, sizeof *map);
	unsigned pages = 0;

	assert_int_equal(hv_mem_populated(hv_vm_mem(from), 0, map), 0);
	for (uint64_t p = 0; p < s->bytes / HV_PAGE_BYTES; p++)
		if (map[p / 64] >> (p % 64) & 1) {
			assert_int_equal(hv_mem_write(hv_vm_mem(to), p * HV_PAGE_BYTES,
						      s->hva + p * HV_PAGE_BYTES, HV_PAGE_BYTES),
					 0);
			pages++;
		}
	/* Never-touched memory is not even there. */
	assert_true(pages > 0 && pages < s->bytes / HV_PAGE_BYTES / 4);
	free(map);
}

static void save_and_load(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *second;
	struct cm_buf one, two;
	struct vmk w;
	uint64_t n;

	vmk_open(&w, engine, 2);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_pause(&w, w.vm);
	n = vmk_counter(w.vm);
	cm_buf_init(&one, 1u << 20);
	vmk_must(hv_vm_save(w.vm, &one, &err), &err);

	second = vmk_make(&w);
	/* Damaged state is refused whole, and the VM stays usable. */
	for (size_t at = 0; at < one.len; at += one.len / 50 + 1) {
		one.data[at] ^= 0x40;
		assert_true(hv_vm_load(second, one.data, one.len, &err) < 0);
		one.data[at] ^= 0x40;
		cm_err_clear(&err);
		assert_true(hv_vm_load(second, one.data, at, &err) < 0);
		cm_err_clear(&err);
		assert_int_equal(hv_vm_state(second), HV_VM_EMPTY);
	}
	copy_memory(second, w.vm);
	vmk_must(hv_vm_load(second, one.data, one.len, &err), &err);
	assert_int_equal(hv_vm_state(second), HV_VM_PAUSED);

	/* What was loaded saves the same, but for the clocks. */
	cm_buf_init(&two, 1u << 20);
	vmk_must(hv_vm_save(second, &two, &err), &err);
	assert_int_equal(two.len, one.len);

	hv_vm_set_run_until(second, HV_RUN_FOREVER);
	vmk_must(hv_vm_run(second, &err), &err);
	vmk_wait_past(&w, second, n);
	assert_int_equal(vmk_counter(w.vm), n);
	vmk_mail(second, VMK_MAIL_OFF);
	vmk_wait_event(&w, HV_VM_EV_POWERED_OFF);
	vmk_check_said(second, 0); /* registers came along with the memory */
	hv_vm_free(second);
	cm_buf_fini(&one);
	cm_buf_fini(&two);
	vmk_close(&w);
}

/* Saved by one engine, run on by the other: one state format. Where CPUID does not allow it, the
 * words say why. */
static void cross(const struct hv_engine_ops *from, const struct hv_engine_ops *to)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_vm *second;
	struct cm_buf b;
	struct vmk w;
	uint64_t n;
	int rc;

	vmk_open(&w, from, 2);
	w.cfg.cpu_base = true;
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_pause(&w, w.vm);
	n = vmk_counter(w.vm);
	cm_buf_init(&b, 1u << 20);
	vmk_must(hv_vm_save(w.vm, &b, &err), &err);
	w.cfg.engine = to;
	second = vmk_make(&w);
	copy_memory(second, w.vm);
	rc = hv_vm_load(second, b.data, b.len, &err);
	cm_buf_fini(&b);
	if (rc == 0) {
		hv_vm_set_run_until(second, HV_RUN_FOREVER);
		vmk_must(hv_vm_run(second, &err), &err);
		vmk_wait_past(&w, second, n);
		vmk_mail(second, VMK_MAIL_OFF);
		vmk_wait_event(&w, HV_VM_EV_POWERED_OFF);
		vmk_check_said(second, 0);
	}
	hv_vm_free(second);
	vmk_close(&w);
	if (rc == CM_E_INCOMPATIBLE) {
		print_message("SKIP: %s\n", err.text);
		skip();
	}
	vmk_must(rc, &err);
}

VMK_BOTH(save_and_load)

static void soft_to_kvm(void **state)
{
	(void)state;
	cross(&hv_engine_soft, &hv_engine_kvm);
}

static void kvm_to_soft(void **state)
{
	(void)state;
	cross(&hv_engine_kvm, &hv_engine_soft);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest soft[] = {
		cmocka_unit_test(soft_save_and_load),
	};
	const struct CMUnitTest kvm[] = {
		cmocka_unit_test(kvm_save_and_load),
		cmocka_unit_test(soft_to_kvm),
		cmocka_unit_test(kvm_to_soft),
	};

	return VMK_RUN(argc, argv, soft, kvm);
}
