/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_file.h - a file or block device of this host as a stor_dev. Thread: [loop].
 */
#ifndef STOR_FILE_H
#define STOR_FILE_H

#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/dev/stor_url.h"

/* Event READY follows. NULL and err: it cannot be opened, or another VM has it. */
struct stor_dev *stor_file_open(struct cm_loop *loop, const struct stor_url *url,
				const struct stor_dev_opts *opts, struct cm_err *err);

#endif
