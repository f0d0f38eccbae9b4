/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_fileio.h - one request of a file device, done by blocking system calls. Inside dev/
 * (stor_file.c).
 *
 * Thread: [worker], any number at a time for one file.
 */
#ifndef STOR_FILEIO_H
#define STOR_FILEIO_H

#include <pthread.h>

#include "sharedstorage/dev/stor_dev.h"

#define STOR_FILEIO_ALIGN 512u
#define STOR_FILEIO_MAX	  (1u << 20) /* bytes of one system call that has a buffer of ours */

struct stor_fileio {
	int fd;
	bool direct;		  /* O_DIRECT is on */
	pthread_mutex_t caw_lock; /* OFD locks do not tell threads of one description apart */
};

/* Does it. 0 or an error, as stor_dev.h says. */
int stor__fileio_do(struct stor_fileio *f, struct stor_req *r);
/* O_DIRECT takes that memory. */
bool stor__fileio_aligned(const struct iovec *iov, int niov);
/* Locks (F_RDLCK, F_WRLCK) or unlocks a range for this open file description; waits for it. */
int stor__fileio_lock(int fd, short type, uint64_t off, uint64_t len);

#endif
