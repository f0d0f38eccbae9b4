/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_uring.c - io_uring by its three system calls' worth of interface: a ring of requests that we
 * write, a ring of answers that the kernel writes, and io_uring_enter between them. The ring's
 * descriptor is readable while there are answers. Parses the kernel's answers only.
 */
#include "config.h"

#include "sharedstorage/dev/stor_uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cm_log.h"

#define URING_ENTRIES 128u /* under way at once; the ring of answers has twice as many */

struct stor_uring {
	struct cm_loop *loop;
	struct cm_io io;
	int ring_fd, file_fd;
	stor_uring_fn done;
	void *arg;
	void *rings;
	size_t rings_bytes;
	struct io_uring_sqe *sqes;
	size_t sqes_bytes;
	/* shared with the kernel */
	unsigned *sq_tail, *cq_head, *cq_tail;
	const struct io_uring_cqe *cqes;
	unsigned sq_mask, cq_mask;
	unsigned unsent,
		busy; /* written but not yet told to the kernel; under way, those included */
	bool push_due;
};

static int uring_enter(const struct stor_uring *u, unsigned n)
{
	return (int)syscall(SYS_io_uring_enter, u->ring_fd, n, 0, 0, NULL, 0);
}

/* --- answers ------------------------------------------------------------------------------- */

static void uring_ready(struct cm_io *io, unsigned events, void *arg)
{
	struct stor_uring *u = arg;
	unsigned head = *u->cq_head, tail = __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE);

	(void)io;
	(void)events;
	/* Those that come in meanwhile are for the next turn: others have work, too. */
	while (head != tail) {
		const struct io_uring_cqe *cqe = &u->cqes[head & u->cq_mask];
		struct stor_req *req = (void *)(uintptr_t)cqe->user_data;
		int res = cqe->res;

		__atomic_store_n(u->cq_head, ++head, __ATOMIC_RELEASE);
		u->busy--;
		u->done(req, res, u->arg);
	}
}

/* --- requests ------------------------------------------------------------------------------ */

static void uring_push(void *arg)
{
	struct stor_uring *u = arg;

	u->push_due = false;
	while (u->unsent) {
		int n = uring_enter(u, u->unsent);

		if (n > 0) {
			u->unsent -= (unsigned)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* The kernel has no memory for them now: what is under way will give some back. */
		CM_ASSERT(n == 0 || errno == EAGAIN || errno == EBUSY || errno == ENOMEM);
		u->push_due = true;
		cm_loop_defer(u->loop, uring_push, u);
		return;
	}
}

bool stor__uring_submit(struct stor_uring *u, struct stor_req *req)
{
	unsigned tail = *u->sq_tail;
	struct io_uring_sqe *sqe = &u->sqes[tail & u->sq_mask];

	if (u->busy == URING_ENTRIES)
		return false;
	u->busy++;
	*sqe = (struct io_uring_sqe){
		.opcode = req->op == STOR_OP_WRITE ? IORING_OP_WRITEV : IORING_OP_READV,
		.fd = u->file_fd,
		.off = req->offset_bytes,
		.addr = (uintptr_t)req->iov,
		.len = (uint32_t)req->niov,
		.user_data = (uintptr_t)req,
	};
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	u->unsent++;
	if (!u->push_due) {
		u->push_due = true;
		cm_loop_defer(u->loop, uring_push, u);
	}
	return true;
}

/* --- life ------------------------------------------------------------------------------------ */

static void *uring_map(int fd, size_t bytes, off_t what)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	return p == MAP_FAILED ? NULL : p;
}

static bool uring_maps(struct stor_uring *u, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	uint8_t *rings;
	unsigned *array;

	u->rings_bytes = CM_MAX(sq, cq);
	u->sqes_bytes = p->sq_entries * sizeof *u->sqes;
	u->rings = uring_map(u->ring_fd, u->rings_bytes, IORING_OFF_SQ_RING);
	u->sqes = uring_map(u->ring_fd, u->sqes_bytes, IORING_OFF_SQES);
	if (!u->rings || !u->sqes)
		return false;
	rings = u->rings;
	u->sq_tail = (void *)(rings + p->sq_off.tail);
	u->sq_mask = *(unsigned *)(void *)(rings + p->sq_off.ring_mask);
	u->cq_head = (void *)(rings + p->cq_off.head);
	u->cq_tail = (void *)(rings + p->cq_off.tail);
	u->cq_mask = *(unsigned *)(void *)(rings + p->cq_off.ring_mask);
	u->cqes = (void *)(rings + p->cq_off.cqes);
	array = (void *)(rings + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i; /* requests are taken in the order of their slots */
	return true;
}

struct stor_uring *stor__uring_new(struct cm_loop *loop, int fd, stor_uring_fn done, void *arg)
{
	struct io_uring_params p = {0};
	struct stor_uring *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	*u = (struct stor_uring){.loop = loop, .file_fd = fd, .done = done, .arg = arg};
	u->ring_fd = (int)syscall(SYS_io_uring_setup, URING_ENTRIES, &p);
	if (u->ring_fd < 0 || !(p.features & IORING_FEAT_SINGLE_MMAP) ||
	    !(p.features & IORING_FEAT_NODROP) || p.sq_entries < URING_ENTRIES ||
	    !uring_maps(u, &p)) {
		cm_debug("no io_uring here (%s): threads do the I/O of files", strerror(errno));
		stor__uring_free(u);
		return NULL;
	}
	cm_io_init(&u->io, loop, u->ring_fd, uring_ready, u);
	if (cm_io_want(&u->io, CM_READ)) {
		stor__uring_free(u);
		return NULL;
	}
	return u;
}

void stor__uring_free(struct stor_uring *u)
{
	if (!u)
		return;
	CM_ASSERT(!u->busy && !u->push_due);
	cm_io_fini(&u->io);
	if (u->rings)
		munmap(u->rings, u->rings_bytes);
	if (u->sqes)
		munmap(u->sqes, u->sqes_bytes);
	if (u->ring_fd >= 0)
		close(u->ring_fd);
	free(u);
}
