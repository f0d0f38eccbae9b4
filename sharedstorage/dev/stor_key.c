/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_key.c - see stor_key.h. Parses nothing. Part of format: tags are in ownership blocks.
 */
#include "config.h"

#include "sharedstorage/dev/stor_key.h"

#include <string.h>

#include "common/cm_buf.h"

uint32_t stor_lun_tag(const char *serial)
{
	uint32_t tag = cm_crc32c(0, serial, strlen(serial));

	return !*serial ? 0 : tag ? tag : 1;
}

void stor_keys_ended(struct stor_key *to, unsigned nto, const struct stor_key *from, unsigned nfrom)
{
	for (unsigned i = 0; i < nto; i++)
		for (unsigned k = 0; k < nfrom; k++)
			if (to[i].key && to[i].key == from[k].key)
				to[i].ended |= from[k].ended;
}
