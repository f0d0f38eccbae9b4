/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_dev_int.h - what the parts of stor_dev (stor_dev.c over stor_dev_queue.c) have of each other.
 * Thread: [loop].
 */
#ifndef STOR_DEV_INT_H
#define STOR_DEV_INT_H

#include "sharedstorage/dev/stor_dev_back.h"

void stor__dev_queue_init(struct stor_dev *dev);
/* The device is READY: what waits goes out, oldest first. */
void stor__dev_queue_drain(struct stor_dev *dev);
/* Everything that waits ends with rc. */
void stor__dev_queue_fail(struct stor_dev *dev, int rc);

#endif
