/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_iscsi.h - a LUN of an iSCSI target as a stor_dev. Thread: [loop].
 */
#ifndef STOR_ISCSI_H
#define STOR_ISCSI_H

#include "sharedstorage/dev/stor_dev.h"
#include "sharedstorage/dev/stor_url.h"

struct cm_fsm_def;

/* Event READY or FAILED follows. NULL and err: a secret cannot be read, or no memory. lock_lun of
 * url is not looked at: see stor_locked.h. */
struct stor_dev *stor_iscsi_open(struct cm_loop *loop, const struct stor_url *url,
				 const struct stor_dev_opts *opts, struct cm_err *err);
/* The machine of sessions, for tests. */
const struct cm_fsm_def *stor_iscsi_fsm(void);

#endif
