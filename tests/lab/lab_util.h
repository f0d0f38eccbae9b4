/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small helpers shared by the test bed's programs (bmcd, labinit). Test code only: single-threaded,
 * errors are printed where they happen.
 */
#ifndef LAB_UTIL_H
#define LAB_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/types.h>

#define LAB_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LAB_PATH_MAX	 512

/* Names the file that lab_event() appends to; borrowed, NULL turns events off. */
void lab_event_file(const char *path);
/* Appends one JSON line {"t_ns":monotonic,"who":who,"what":what,"node":node,"note":note}. */
void lab_event(const char *who, const char *what, const char *node, const char *note);
/* Prints to stderr with the program's name in front. */
void lab_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void lab_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* snprintf that dies when the text does not fit. */
void lab_fmt(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

long long lab_now_ns(void);
void lab_sleep_ms(int ms);

/* Runs argv[0] by its path with `input` (may be NULL) on stdin; returns the exit status, -1 if killed. */
int lab_run(const char *const argv[], const char *input);
/* fork() into new namespaces (CLONE_NEW* flags). */
pid_t lab_fork_ns(int flags);
/* Writes text to path (truncates); 0 or -errno. */
int lab_write_file(const char *path, const char *text);
/* Reads at most cap-1 bytes, NUL-terminates, strips one newline; 0 or -errno. */
int lab_read_file(const char *path, char *out, size_t cap);
/* mkdir -p; 0 or -errno. */
int lab_mkdirs(const char *path, mode_t mode);
/* rm -rf without following links or crossing file systems; 0 or -errno of the first failure. */
int lab_rmtree(const char *path);

#endif
