/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_locked.h - a LUN of a target without COMPARE AND WRITE, joined with a small lock LUN, as one
 * stor_dev. Thread: [loop].
 */
#ifndef STOR_LOCKED_H
#define STOR_LOCKED_H

#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/dev/stor_url.h"

/* url has a lock_lun. Event READY or FAILED follows. */
struct stor_dev *stor_locked_open(struct cm_loop *loop, const struct stor_url *url,
				  const struct stor_dev_opts *opts, struct cm_err *err);

#endif
