/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_log.h - log lines of daemons (tools print instead).
 *
 * Levels are defined by who must read them: crit: data or availability is in danger, wake somebody;
 * err: an operation of an operator failed; warning: it will fail if nobody looks; notice: state
 * changes an operator wants to see (start, move, takeover); info: course of operations; debug,
 * trace: developers.
 *
 * Lines go to stderr (or a file) from a writer thread, so a slow log never stalls a lease renewal;
 * when the queue is full lines are dropped, counted, and the count is reported. err and above are
 * written before the call returns.
 *
 * Thread: cm_log_init/_fini [main]; the rest [any].
 */
#ifndef CM_LOG_H
#define CM_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "common/cm_err.h"

enum cm_log_level {
	CM_LOG_NONE = 0,
	CM_LOG_CRIT,
	CM_LOG_ERR,
	CM_LOG_WARNING,
	CM_LOG_NOTICE,
	CM_LOG_INFO,
	CM_LOG_DEBUG,
	CM_LOG_TRACE,
};

/* ident is kept by pointer. fd is written to (2 = stderr). Without init, lines go to stderr
 * directly. */
void cm_log_init(const char *ident, enum cm_log_level level, int fd);
void cm_log_fini(void); /* writes what is queued */
void cm_log_set_level(enum cm_log_level level);
enum cm_log_level cm_log_get_level(void);
/* "notice" -> level; CM_LOG_NONE if unknown. */
enum cm_log_level cm_log_level_find(const char *word);
/* A word put on every line of this process, such as "vm=web1" (copied, at most 63 bytes). */
void cm_log_set_context(const char *context);

void cm_log(enum cm_log_level level, const char *fmt, ...) cm_printf(2, 3);
#define cm_crit(...)	cm_log(CM_LOG_CRIT, __VA_ARGS__)
#define cm_error(...)	cm_log(CM_LOG_ERR, __VA_ARGS__)
#define cm_warning(...) cm_log(CM_LOG_WARNING, __VA_ARGS__)
#define cm_notice(...)	cm_log(CM_LOG_NOTICE, __VA_ARGS__)
#define cm_info(...)	cm_log(CM_LOG_INFO, __VA_ARGS__)
#define cm_debug(...)	cm_log(CM_LOG_DEBUG, __VA_ARGS__)

#endif
