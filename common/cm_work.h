/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_work.h - straight blocking code beside an event loop: a thread of its own for each piece of
 * work.
 *
 * Thread: cm_work [loop]; work runs on the new thread, done on the loop when it is over.
 * Ownership: arg is the work's from the call until done.
 */
#ifndef CM_WORK_H
#define CM_WORK_H

#include "common/cm_loop.h"

/* -ENOMEM or -EAGAIN: no thread; neither function is called then. */
int cm_work(struct cm_loop *loop, void (*work)(void *arg), void (*done)(void *arg),
	    void *arg) cm_must_check;

#endif
