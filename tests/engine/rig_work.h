/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The work of the payload as pure functions; see rig_work.c. heap: 2 MiB, zero. */
#ifndef RIG_WORK_H
#define RIG_WORK_H

#include <stdint.h>

uint64_t rig_work(unsigned int work, uint64_t amount, void *heap);
uint64_t rig_mix(uint64_t h, uint64_t v);
/* What system call 1 gives, and what user mode does with it. */
uint64_t rig_service(uint64_t argument);
uint64_t rig_user_step(uint64_t h, uint64_t served);

#endif
