/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_uring.h - reads and writes of one file through io_uring, on the event loop. Inside
 * dev/ (stor_file.c).
 *
 * The kernel tries each request without blocking and gives it to a thread of its own if it would
 * block, so the loop never waits for a disk. What is asked for in one turn of the loop goes to the
 * kernel by one call at its end.
 *
 * Thread: [loop].
 */
#ifndef STOR_URING_H
#define STOR_URING_H

#include "sharedstorage/dev/stor_dev.h"

struct stor_uring;

/* res: bytes moved, which may be fewer than asked for, or -errno. */
typedef void (*stor_uring_fn)(struct stor_req *req, int res, void *arg);

/* For the open file fd, which stays the caller's. NULL: this kernel or its policy does not let us.
 */
struct stor_uring *stor__uring_new(struct cm_loop *loop, int fd, stor_uring_fn done, void *arg);
/* A READ or WRITE, as it is in req; its memory and iovec array stay untouched until done. False:
 * the ring is full, nothing happened. */
bool stor__uring_submit(struct stor_uring *u, struct stor_req *req);
/* Nothing is under way. NULL is fine. */
void stor__uring_free(struct stor_uring *u);

#endif
