/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_open.c - which backend a URL means; opens it. Parses the operator's URL by stor_url.c.
 */
#include "config.h"

#include "sharedstorage/stor_open.h"

#include "sharedstorage/dev/stor_dev_back.h"
#include "sharedstorage/dev/stor_file.h"
#include "sharedstorage/dev/stor_url.h"
#include "sharedstorage/iscsi/stor_iscsi.h"
#include "sharedstorage/iscsi/stor_locked.h"

static struct stor_dev *open_kind(struct cm_loop *loop, const char *text,
				  const struct stor_url *url, const struct stor_dev_opts *opts,
				  struct cm_err *err)
{
	switch (url->kind) {
	case STOR_URL_FILE:
		return stor_file_open(loop, url, opts, err);
	case STOR_URL_ISCSI:
		if (url->lock_lun >= 0)
			return stor_locked_open(loop, url, opts, err);
		return stor_iscsi_open(loop, url, opts, err);
	case STOR_URL_VOLUME:
	case STOR_URL_NONE:
		break;
	}
	cm_err_set(err, CM_E_BAD_URL, "%s is not the URL of a file or LUN", text);
	return NULL;
}

struct stor_dev *stor_dev_open(struct cm_loop *loop, const char *text,
			       const struct stor_dev_opts *opts, struct cm_err *err)
{
	struct stor_url url;
	struct stor_dev *dev;

	if (stor_url_parse(text, &url, err))
		return NULL;
	if (url.disk[0]) {
		cm_err_set(err, CM_E_BAD_URL, "%s names a disk; open its volume first", text);
		return NULL;
	}
	dev = open_kind(loop, text, &url, opts, err);
	if (dev)
		dev->volume = url.volume_id;
	return dev;
}
