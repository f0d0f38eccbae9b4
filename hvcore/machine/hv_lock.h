/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_lock.h - the machine lock: one mutex that guards every device of a VM.
 *
 * Taken by the bus around each device access of a vCPU, and by every loop-thread callback of a
 * device (descriptor, timer, disk completion). Never held across anything that can block: disks and
 * network are asynchronous. Nobody waits for a vCPU to stop while holding it.
 */
#ifndef HV_LOCK_H
#define HV_LOCK_H

#include <pthread.h>

#include "common/cm_err.h"

struct hv_lock {
	pthread_mutex_t mutex;
};

static inline void hv_lock_init(struct hv_lock *l)
{
	CM_ASSERT(pthread_mutex_init(&l->mutex, NULL) == 0);
}

static inline void hv_lock_fini(struct hv_lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

static inline void hv_lock_take(struct hv_lock *l)
{
	CM_ASSERT(pthread_mutex_lock(&l->mutex) == 0);
}

static inline void hv_lock_drop(struct hv_lock *l)
{
	CM_ASSERT(pthread_mutex_unlock(&l->mutex) == 0);
}

#endif
