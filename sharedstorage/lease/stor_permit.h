/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_permit.h - the permission to take a VM over from an owner that did not release it.
 *
 * Opaque. It can be made only by fencing/, from a struct fen_proof: the constructor is declared in
 * stor_permit_int.h, which scripts/check-layers lets nobody but fencing/ and sharedstorage/lease/
 * include. So a takeover without proof does not compile. A permit is good for one VM, one epoch and
 * one owner process, and for one takeover.
 *
 * Thread: [any]. Ownership: of who got it; stor_lease_take_over takes it.
 */
#ifndef STOR_PERMIT_H
#define STOR_PERMIT_H

struct stor_permit;

void stor_permit_free(struct stor_permit *permit);

#endif
