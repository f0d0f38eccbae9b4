/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SSE4.1 and SSE4.2. */
#include "config.h"

#include "hvcore/engine_soft/soft_sse.h"

const struct soft_sse_table soft_sse_fours = { NULL, 0 };
