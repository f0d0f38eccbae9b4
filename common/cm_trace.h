/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_trace.h - the flight recorder: the last few thousand events of this process, always on, in
 * memory.
 *
 * Recording is lock-free and costs some tens of nanoseconds. Dumped on request (control socket), by
 * CM_ASSERT and by fatal signals.
 *
 * Thread: record [any], also from signal handlers; dump [any].
 */
#ifndef CM_TRACE_H
#define CM_TRACE_H

#include <stdint.h>
#include <stdio.h>

/* what and fmt must be string literals; fmt takes exactly two uint64_t (as %lu, %lx, ...) or fewer.
 */
void cm_trace_record(const char *what, const char *fmt, uint64_t a, uint64_t b);
#define cm_trace(what, fmt, a, b) cm_trace_record(what, fmt, (uint64_t)(a), (uint64_t)(b))

void cm_trace_dump(FILE *to);
/* Installs handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT that dump the recorder to
 * stderr. */
void cm_trace_install_handlers(void);

#endif
