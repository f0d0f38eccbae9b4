/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_sys.h - the system calls whose failure must be tested, behind a table that tests may replace.
 *
 * Use cm_sys.pwrite(...) instead of pwrite(...) wherever a failure has consequences. Tests put in
 * their own function and call cm_sys_reset() afterwards.
 *
 * Thread: calls [any]; replacing only while nothing else runs.
 */
#ifndef CM_SYS_H
#define CM_SYS_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct cm_sys {
	int (*open)(const char *path, int flags, mode_t mode);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t n);
	ssize_t (*write)(int fd, const void *buf, size_t n);
	ssize_t (*pread)(int fd, void *buf, size_t n, off_t off);
	ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t off);
	ssize_t (*preadv)(int fd, const struct iovec *iov, int n, off_t off);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int n, off_t off);
	int (*fdatasync)(int fd);
	int (*fallocate)(int fd, int mode, off_t off, off_t len);
	int (*ftruncate)(int fd, off_t len);
	void *(*mmap)(void *addr, size_t n, int prot, int flags, int fd, off_t off);
	int (*memfd_create)(const char *name, unsigned flags);
	int (*ioctl)(int fd, unsigned long request, void *arg);
};

extern struct cm_sys cm_sys;
void cm_sys_reset(void);

#endif
