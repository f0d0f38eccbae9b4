/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_key.c - see stor_key.h. Parses nothing. Part of format: tags are in ownership blocks.
 */
#include "config.h"

#include "sharedstorage/dev/stor_key.h"

#include <string.h>

#include "common/cm_buf.h"

uint16_t stor_lun_tag(const char *serial)
{
	uint32_t crc = cm_crc32c(0, serial, strlen(serial));
	uint16_t tag = (uint16_t)(crc ^ crc >> 16);

	return !*serial ? 0 : tag ? tag : 1;
}
