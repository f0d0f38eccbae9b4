/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_heir.h - the verb take-over: its ctx is the hv_core. [loop]
 */
#ifndef HVCORE_HEIR_H
#define HVCORE_HEIR_H

#include "proto/px_req.h"

void hvcore_heir_take_over(struct px_req *q, void *core);

#endif
