/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_sys.c - the default system call table. Parses nothing.
 */
#include "config.h"

#include "common/cm_sys.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int sys_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static const struct cm_sys sys_default = {
	.open = sys_open,
	.close = close,
	.read = read,
	.write = write,
	.pread = pread,
	.pwrite = pwrite,
	.preadv = preadv,
	.pwritev = pwritev,
	.fdatasync = fdatasync,
	.fallocate = fallocate,
	.ftruncate = ftruncate,
	.mmap = mmap,
	.memfd_create = memfd_create,
	.ioctl = sys_ioctl,
};

struct cm_sys cm_sys = {
	.open = sys_open,
	.close = close,
	.read = read,
	.write = write,
	.pread = pread,
	.pwrite = pwrite,
	.preadv = preadv,
	.pwritev = pwritev,
	.fdatasync = fdatasync,
	.fallocate = fallocate,
	.ftruncate = ftruncate,
	.mmap = mmap,
	.memfd_create = memfd_create,
	.ioctl = sys_ioctl,
};

void cm_sys_reset(void)
{
	cm_sys = sys_default;
}
