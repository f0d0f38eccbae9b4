/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_hv_vm_dump.c - looking at a VM that runs: it stands still meanwhile and goes on after it,
 * or does not if it lost its lease; its counters.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/hv_vmkit.h"

struct look {
	struct hv_vm *vm;
	uint64_t seen, later;
	bool shut, halt;
	unsigned calls;
};

static void on_look(void *arg)
{
	struct look *l = arg;

	l->calls++;
	l->seen = vmk_counter(l->vm);
	usleep(3000);
	l->later = vmk_counter(l->vm);
	if (l->shut)
		hv_vm_set_run_until(l->vm, 0);
	if (l->halt)
		hv_vm_halt(l->vm);
}

static void dump(struct hv_vm *vm, struct hv_json *j)
{
	struct cm_err err = CM_ERR_INIT;

	hv_json_init(j);
	hv_json_open(j, NULL, '{');
	vmk_must(hv_vm_dump(vm, j, &err), &err);
	hv_json_close(j, '}');
	assert_int_equal(j->buf.err, 0);
	/* The guest is one page; CPL 0 of 64-bit code runs in it. */
	assert_non_null(strstr(hv_json_text(j), "\"mode\":\"64-bit\""));
	assert_non_null(strstr(hv_json_text(j), "\"rip\":\"0x10000"));
	assert_non_null(strstr(hv_json_text(j), "\"name\":\"uart0\""));
	hv_json_fini(j);
}

/* The guest stands still during a look and goes on after it, in whatever number they come. */
static void looks(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct look l = {.calls = 0};
	uint64_t held, stopped;
	struct hv_json j;
	struct vmk w;

	vmk_open(&w, engine, 2);
	l.vm = w.vm;
	assert_int_equal(hv_vm_look(w.vm, on_look, &l, NULL, &err), CM_E_VM_STATE); /* EMPTY */
	cm_err_clear(&err);
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	stopped = hv_vm_stopped_at_ns(w.vm);
	for (unsigned i = 0; i < 50; i++) {
		vmk_must(hv_vm_look(w.vm, on_look, &l, &held, &err), &err);
		assert_int_equal(l.seen, l.later);
		assert_true(held >= 3000000);
		assert_int_equal(hv_vm_state(w.vm), HV_VM_RUNNING);
		dump(w.vm, &j);
		dump(w.vm, &j);
		vmk_wait_past(&w, w.vm, l.later);
	}
	assert_int_equal(hv_vm_stopped_at_ns(w.vm), stopped); /* no pause, for those who measure */
	vmk_pause(&w, w.vm);
	vmk_must(hv_vm_look(w.vm, on_look, &l, &held, &err), &err);
	assert_int_equal(held, 0);
	dump(w.vm, &j);
	assert_int_equal(l.calls, 51);
	vmk_must(hv_vm_run(w.vm, &err), &err);
	vmk_wait_past(&w, w.vm, l.later);
	vmk_mail(w.vm, VMK_MAIL_OFF);
	vmk_wait_event(&w, HV_VM_EV_POWERED_OFF);
	vmk_check_said(w.vm, 1);
	assert_int_equal(hv_vm_look(w.vm, on_look, &l, NULL, &err), CM_E_VM_STATE); /* OFF */
	vmk_close(&w);
}

/* The end of the lease, and a halt, while the vCPUs are held: they do not come back. */
static void look_and_lose(const struct hv_engine_ops *engine)
{
	struct cm_err err = CM_ERR_INIT;
	struct vmk w;
	struct look l = {.shut = true};

	vmk_open(&w, engine, 2);
	l.vm = w.vm;
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	vmk_must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err);
	usleep(20000);
	assert_int_equal(vmk_counter(w.vm), l.later);
	vmk_wait_event(&w, HV_VM_EV_FENCED);
	assert_int_equal(vmk_counter(w.vm), l.later);
	l.shut = false;
	vmk_must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err); /* FENCED may be looked at */
	hv_vm_set_run_until(w.vm, HV_RUN_FOREVER);
	vmk_must(hv_vm_run(w.vm, &err), &err);
	vmk_wait_past(&w, w.vm, l.later);
	l.halt = true;
	vmk_must(hv_vm_look(w.vm, on_look, &l, NULL, &err), &err);
	usleep(20000);
	assert_int_equal(vmk_counter(w.vm), l.later);
	vmk_close(&w);
}

static void tallies(const struct hv_engine_ops *engine)
{
	struct hv_tally a, b;
	struct vmk w;

	vmk_open(&w, engine, 1);
	hv_vm_tally(w.vm, 0, &a);
	assert_int_equal(a.count, 1); /* no vCPU yet, but its thread */
	vmk_boot_and_run(&w);
	vmk_wait_past(&w, w.vm, 100);
	hv_vm_tally(w.vm, 0, &a);
	vmk_wait_past(&w, w.vm, vmk_counter(w.vm) + 100000);
	hv_vm_tally(w.vm, 0, &b);
	assert_int_equal(a.count, b.count);
	for (unsigned i = 0; i < a.count; i++) {
		assert_string_equal(a.row[i].name, b.row[i].name);
		assert_true(a.row[i].value <= b.row[i].value);
	}
	assert_true(hv_tally_get(&b, "time.cpu_ns") > hv_tally_get(&a, "time.cpu_ns"));
	assert_true(hv_tally_get(&a, "exits.pio") >= 1); /* the sign of its boot */
	if (engine == &hv_engine_soft)
		assert_true(hv_tally_get(&b, "insns.done") >
			    hv_tally_get(&a, "insns.done") + 100000);
	vmk_close(&w);
}

VMK_BOTH(looks)
VMK_BOTH(look_and_lose)
VMK_BOTH(tallies)

int main(int argc, char **argv)
{
	const struct CMUnitTest soft[] = {
		cmocka_unit_test(soft_looks),
		cmocka_unit_test(soft_look_and_lose),
		cmocka_unit_test(soft_tallies),
	};
	const struct CMUnitTest kvm[] = {
		cmocka_unit_test(kvm_looks),
		cmocka_unit_test(kvm_look_and_lose),
		cmocka_unit_test(kvm_tallies),
	};

	return VMK_RUN(argc, argv, soft, kvm);
}
