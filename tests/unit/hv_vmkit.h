/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_vmkit.h - a whole VM with a guest of thirty instructions, for tests on both engines.
 *
 * The guest counts in RBX and in memory, compares both in every turn, and does what a mailbox word says.
 *
 * Thread: everything on the test's thread, which turns the loop.
 */
#ifndef HV_VMKIT_H
#define HV_VMKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cm_loop.h"
#include "hvcore/vm/hv_vm.h"

#define VMK_GUEST_GPA   0x1000000u
#define VMK_COUNTER_GPA 0x1100000u
#define VMK_MAILBOX_GPA 0x1101000u
#define VMK_MAIL_OFF    1u
#define VMK_MAIL_RESET  2u
#define VMK_MAIL_FAULT  3u

struct vmk {
	const struct hv_engine_ops *engine;
	struct cm_loop *loop;
	struct hv_vm_config cfg;
	struct hv_vm *vm;
	enum hv_vm_event event;
	unsigned events;
	bool done;
};

void vmk_open(struct vmk *w, const struct hv_engine_ops *engine, unsigned cpus);
void vmk_close(struct vmk *w);
/* Another VM of the same configuration. */
struct hv_vm *vmk_make(struct vmk *w);
void vmk_must(int rc, const struct cm_err *err);
/* Boots; the gate is shut before and open after it. */
void vmk_boot_and_run(struct vmk *w);
void vmk_pause(struct vmk *w, struct hv_vm *vm);
/* For hv_vm_pause and hv_vm_stop: no error, and done is set. */
void vmk_done(void *arg, int error);
/* Turns the loop until *what or for ten seconds at most. */
void vmk_turn_until(struct vmk *w, const bool *what);
void vmk_wait_event(struct vmk *w, enum hv_vm_event ev);
uint64_t vmk_counter(struct hv_vm *vm);
/* The guest counts beyond n. */
void vmk_wait_past(struct vmk *w, struct hv_vm *vm, uint64_t n);
/* VMK_MAIL_* */
void vmk_mail(struct hv_vm *vm, uint32_t word);
/* The guest booted so often here, and never found register and memory to differ. */
void vmk_check_said(struct hv_vm *vm, unsigned boots);
/* False: said why it is skipped. */
bool vmk_kvm_is_here(void);

/* test(engine) as two tests, one for each engine; kvm's skips where it cannot run. */
#define VMK_BOTH(test)                                                                             \
	static void soft_##test(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		test(&hv_engine_soft);                                                             \
	}                                                                                          \
	static void kvm_##test(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		if (!vmk_kvm_is_here())                                                            \
			skip();                                                                    \
		test(&hv_engine_kvm);                                                              \
	}
/* main(): the tests of soft, or with the argument "kvm" those of kvm; 77 where it cannot run. */
#define VMK_RUN(argc, argv, soft, kvm)                                                             \
	((argc) > 1 && strcmp((argv)[1], "kvm") == 0                                               \
		 ? vmk_kvm_is_here() ? cmocka_run_group_tests(kvm, NULL, NULL) : 77                \
		 : cmocka_run_group_tests(soft, NULL, NULL))

#endif
