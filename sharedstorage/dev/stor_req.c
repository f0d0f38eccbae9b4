/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_req.c - fills in requests (stor_dev.h). Parses nothing. Thread: [any].
 */
#include "config.h"

#include "sharedstorage/dev/stor_dev.h"

static void req_init(struct stor_req *r, enum stor_op op, uint64_t off, uint64_t len,
		     stor_done_fn done, void *arg)
{
	*r = (struct stor_req){
		.op = op, .offset_bytes = off, .length_bytes = len, .done = done, .arg = arg};
}

static uint64_t iov_bytes(const struct iovec *iov, int niov)
{
	uint64_t n = 0;

	for (int i = 0; i < niov; i++)
		n += iov[i].iov_len;
	return n;
}

void stor_req_readv(struct stor_req *r, uint64_t off, struct iovec *iov, int niov,
		    stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_READ, off, iov_bytes(iov, niov), done, arg);
	r->iov = iov;
	r->niov = niov;
}

void stor_req_writev(struct stor_req *r, uint64_t off, struct iovec *iov, int niov,
		     stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_WRITE, off, iov_bytes(iov, niov), done, arg);
	r->iov = iov;
	r->niov = niov;
}

void stor_req_flush(struct stor_req *r, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_FLUSH, 0, 0, done, arg);
}

void stor_req_discard(struct stor_req *r, uint64_t off, uint64_t len, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_DISCARD, off, len, done, arg);
}

void stor_req_write_zeroes(struct stor_req *r, uint64_t off, uint64_t len, bool unmap,
			   stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_WRITE_ZEROES, off, len, done, arg);
	if (unmap)
		r->flags = STOR_REQ_UNMAP;
}

void stor_req_caw(struct stor_req *r, uint64_t off, const void *compare, const void *swap,
		  uint32_t sector_bytes, stor_done_fn done, void *arg)
{
	req_init(r, STOR_OP_CAW, off, sector_bytes, done, arg);
	r->compare = compare;
	r->swap = swap;
}
