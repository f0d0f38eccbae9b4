/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_guest.h - the VM of a simulated hvcore: what takes the place of hvcore/vm/hv_vm.h where leases and moves touch it.
 *
 * Its vCPU runs whenever it may by its run-until, and writes records. Thread: [loop].
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "hvcore/vm/hv_vm.h"
#include "sharedstorage/dev/stor_dev.h"

struct sim_node;
struct sim_proc;

void sim_guest_begin(void);
/* Of the process that runs. */
struct hv_vm *sim_guest_new(unsigned vm, uint32_t t_ms, struct cm_loop *loop);
void sim_guest_free(struct hv_vm *vm);
void sim_guest_disks(struct hv_vm *vm, struct stor_dev *const *devs, unsigned n);
/* Reads its records, then runs; done(0), or an error. */
void sim_guest_boot(struct hv_vm *vm, void (*done)(void *arg, int rc), void *arg);
/* It has been booted or has come by a move, and is not OFF. */
bool sim_guest_is_on(const struct hv_vm *vm);
bool sim_guest_runs(const struct hv_vm *vm);
/* The process was stopped by a signal and goes on: its vCPU is still in the guest, whatever the time. */
void sim_guest_residue(struct sim_proc *proc);
void sim_guest_woke(struct sim_node *node);
void sim_guest_died(struct sim_proc *proc);
/* Does that VM run anywhere, by its own permit? */
bool sim_guest_anywhere(unsigned vm);

#endif
