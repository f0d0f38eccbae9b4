/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanstuck.h - what tests of the barrier share: writes that the array keeps to itself, a VM with two stores, takeovers that have
 * to wait. labsan only.
 *
 * Thread: the test's only thread.
 */
#ifndef SANSTUCK_H
#define SANSTUCK_H

#include "fencing/fen_proof.h"
#include "tests/san/sanparty.h"

#define NODE(n) "iqn.2026-01.test.host:" n
/* Of tests that use LUN 1 for something else than the lock. */
#define NOT_JOINED() \
	do { \
		if (joined) \
			skip(); \
	} while (0)

/* Of cmocka: a login does not wait for what the nexus' last session left. */
int setup_sloppy(void **state);

/* A write of `value` that the array keeps until "release all". Its answer never comes, or late. */
void stuck_write(struct fix *f, struct san_host *h, unsigned lun, int value);
/* The VM's data on LUN 1; the block stays on LUN 0. */
void second_store(struct fix *f, struct party *p, const char *node, uint16_t slot, bool exclusive);
/* node-a has LUN 1, too, and dies (its lease is not renewed any more) with a write there that the array holds. Its key there. */
uint64_t dies_with_a_second_store(struct fix *f);
/* Two hosts, or three, that are registered; the first one owns the VM, and the array holds a write of it. */
void two_and_a_stuck_write(struct fix *f);
void three_and_a_stuck_write(struct fix *f, struct party *c);
/* node-c shuts the owner out, and dies in its PREEMPT AND ABORT. */
void third_dies_fencing(struct fix *f, struct party *c, struct stor_dev *on);

void take_over_begins(struct party *p, struct stor_permit *permit);
/* It must wait for the stuck write; then the new owner's data stays. */
void takes_over_behind_it(struct fix *f, struct party *p);
/* Proof (d) by p's own device, with which the block becomes FREE. */
void vacates(struct fix *f, struct party *p);
bool block_names(const struct stor_block *b, uint64_t key); /* as the owner's */

#endif
