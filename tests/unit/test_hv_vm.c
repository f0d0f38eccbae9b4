/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vm.c - a VM on both engines: run, pause, dirty log, reset, power off, failure, and the
 * gate. The kvm cases skip, visibly, where /dev/kvm cannot be used.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_clock.h"
#include "common/cm_jump.h"
#include "hvcore/machine/hv_mem.h"
#include "tests/unit/hv_vmkit.h"

static void run_pause_resume(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct vmk w;
	uint64_t n;

	vmk_open(&w, engine, 2);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_pause(&w, w.vm);
	n = vmk_counter(w.vm);
	cm_loop_turn(w.loop, 20);
	assert_int_equal(vmk_counter(w.vm), n); /* paused means paused */
	vmk_must(hv_vm_run(w.vm, &err), &err);
	vmk_wait_past(&w, w.vm, n);
	vmk_mail(w.vm, VMK_MAIL_OFF);
	vmk_wait_event(&w, HV_VM_EV_POWERED_OFF);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_OFF);
	vmk_check_said(w.vm, 1);
	vmk_close(&w);
}

static bool dirty(struct hv_vm *vm, uint64_t gpa, uint64_t *map)
{
	memset(map, 0, hv_mem_bitmap_words(hv_vm_mem(vm), 0) * 8);
	assert_int_equal(hv_mem_dirty_fetch(hv_vm_mem(vm), 0, map), 0);
	return map[gpa / HV_PAGE_BYTES / 64] >> (gpa / HV_PAGE_BYTES % 64) & 1;
}

static void dirty_log(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct hv_mem *mem;
	struct vmk w;
	uint64_t *map;
	uint64_t n;

	vmk_open(&w, engine, 1);
	mem = hv_vm_mem(w.vm);
	map = calloc(hv_mem_bitmap_words(mem, 0), 8);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_must(hv_mem_dirty_start(mem, 0, &err), &err);
	assert_true(dirty(w.vm, VMK_GUEST_GPA, map)); /* all pages count as dirty at first */
	assert_int_equal(hv_mem_dirty_clear(mem, 0, 0, hv_mem_pages(mem, 0), map), 0);
	n = vmk_counter(w.vm);
	vmk_wait_past(&w, w.vm, n);
	assert_true(dirty(w.vm, VMK_COUNTER_GPA, map)); /* the guest writes it */
	assert_false(dirty(w.vm, 0x1200000, map));  /* nobody does */
	vmk_pause(&w, w.vm);
	(void)dirty(w.vm, 0, map);
	assert_int_equal(hv_mem_dirty_clear(mem, 0, 0, hv_mem_pages(mem, 0), map), 0);
	assert_false(dirty(w.vm, VMK_COUNTER_GPA, map));
	vmk_mail(w.vm, 0);
	assert_true(dirty(w.vm, VMK_MAILBOX_GPA, map)); /* the host did */
	assert_int_equal(hv_mem_dirty_stop(mem, 0), 0);
	free(map);
	vmk_close(&w);
}

static void reset_and_fail(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct vmk w;

	vmk_open(&w, engine, 1);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_mail(w.vm, VMK_MAIL_RESET);
	vmk_wait_event(&w, HV_VM_EV_RESET);
	vmk_wait_past(&w, w.vm, 100);
	vmk_check_said(w.vm, 2);
	vmk_mail(w.vm, VMK_MAIL_FAULT); /* no IDT: a triple fault */
	vmk_wait_event(&w, HV_VM_EV_FAILED);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_FAILED);
	vmk_must(hv_vm_reset(w.vm, &err), &err);
	vmk_wait_event(&w, HV_VM_EV_RESET);
	vmk_wait_past(&w, w.vm, 100);
	w.done = false;
	vmk_must(hv_vm_stop(w.vm, vmk_done, &w, &err), &err);
	vmk_turn_until(&w, &w.done);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_OFF);
	vmk_close(&w);
}

static void gate(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct vmk w;
	uint64_t n = 0, end;

	vmk_open(&w, engine, 2);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	hv_vm_set_run_until(w.vm, cm_now_ns() + 50 * CM_NS_PER_MS);
	/* The guest never exits by itself; the guard stops it, the loop does not even turn. */
	end = cm_now_ns() + 60 * CM_NS_PER_S;
	for (unsigned still = 0; still < 10; still = vmk_counter(w.vm) == n ? still + 1 : 0) {
		assert_true(cm_now_ns() < end);
		n = vmk_counter(w.vm);
		usleep(20000);
	}
	vmk_wait_event(&w, HV_VM_EV_FENCED);
	assert_int_equal(hv_vm_state(w.vm), HV_VM_FENCED);
	assert_true(hv_vm_run(w.vm, &err) < 0);
	cm_err_clear(&err);
	hv_vm_set_run_until(w.vm, HV_RUN_FOREVER);
	vmk_must(hv_vm_run(w.vm, &err), &err);
	vmk_wait_past(&w, w.vm, n);
	hv_vm_set_run_until(w.vm, 0);
	vmk_wait_event(&w, HV_VM_EV_FENCED);
	vmk_close(&w);
}

/* The host was paused, and only other clocks know: a permit that looks good still is none. */
static void paused_host(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct vmk w;
	uint64_t n;

	vmk_open(&w, engine, 2);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	hv_vm_set_run_until(w.vm, cm_now_ns() + 3600 * CM_NS_PER_S);
	vmk_wait_past(&w, w.vm, vmk_counter(w.vm));
	cm_jump_pretend(1800 * CM_NS_PER_S); /* within the permit */
	vmk_wait_past(&w, w.vm, vmk_counter(w.vm) + 100);
	cm_jump_pretend(1800 * CM_NS_PER_S);
	vmk_wait_event(&w, HV_VM_EV_FENCED);
	n = vmk_counter(w.vm);
	assert_true(hv_vm_run(w.vm, &err) < 0);
	cm_err_clear(&err);
	hv_vm_set_run_until(w.vm, cm_now_ns() + 3600 * CM_NS_PER_S);
	vmk_must(hv_vm_run(w.vm, &err), &err);
	vmk_wait_past(&w, w.vm, n);
	vmk_close(&w);
}

VMK_BOTH(run_pause_resume)
VMK_BOTH(dirty_log)
VMK_BOTH(reset_and_fail)
VMK_BOTH(gate)
VMK_BOTH(paused_host)

int main(int argc, char **argv)
{
	const struct CMUnitTest soft[] = {
		cmocka_unit_test(soft_run_pause_resume),
		cmocka_unit_test(soft_dirty_log),
		cmocka_unit_test(soft_reset_and_fail),
		cmocka_unit_test(soft_gate),
		cmocka_unit_test(soft_paused_host),
	};
	const struct CMUnitTest kvm[] = {
		cmocka_unit_test(kvm_run_pause_resume),
		cmocka_unit_test(kvm_dirty_log),
		cmocka_unit_test(kvm_reset_and_fail),
		cmocka_unit_test(kvm_gate),
		cmocka_unit_test(kvm_paused_host),
	};

	return VMK_RUN(argc, argv, soft, kvm);
}
