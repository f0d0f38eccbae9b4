/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_tap.h - tap interfaces for VMs: made here, with privilege, and handed to hvcore by
 * descriptor.
 *
 * The interface lives as long as a descriptor of it is open. Thread: [any].
 */
#ifndef CLU_TAP_H
#define CLU_TAP_H

#include "common/cm_err.h"

/* A tap with virtio-net headers, up, on the bridge. Returns the descriptor or a negative code
 * (CM_E_DEVICE with the reason). name_hint: at most 9 characters are used. */
int clu_tap_open(const char *bridge, const char *name_hint, struct cm_err *err);

#endif
