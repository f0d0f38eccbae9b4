/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_open.h - a block device by its URL. The only place that knows every kind of device; dev/ and
 * iscsi/ lie below it.
 *
 * Thread: [loop]. Ownership: the device belongs to who opened it (stor_dev_close).
 */
#ifndef STOR_OPEN_H
#define STOR_OPEN_H

#include "sharedstorage/dev/stor_dev.h"

/*
 * Opens by URL (not VOLUME/DISK: see stor_disk.h). Returns at once; event READY or FAILED follows.
 * NULL: a bad URL, no memory, a file or secret that cannot be opened (err has the words).
 */
struct stor_dev *stor_dev_open(struct cm_loop *loop, const char *url,
			       const struct stor_dev_opts *opts, struct cm_err *err);

#endif
