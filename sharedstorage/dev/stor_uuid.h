/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_uuid.h - who is who: VMs, disks, boots of a host, processes, single writes. Thread: [any].
 */
#ifndef STOR_UUID_H
#define STOR_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_err.h"

struct stor_uuid {
	uint8_t b[16];
};
#define STOR_UUID_TEXT 37
bool stor_uuid_equal(const struct stor_uuid *a, const struct stor_uuid *b);
bool stor_uuid_is_zero(const struct stor_uuid *a);
/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
int stor_uuid_parse(const char *text, struct stor_uuid *out) cm_must_check;
void stor_uuid_format(const struct stor_uuid *id, char out[STOR_UUID_TEXT]);
void stor_uuid_random(struct stor_uuid *out);
/* Boot id of this host (/proc/sys/kernel/random/boot_id). */
int stor_boot_id(struct stor_uuid *out) cm_must_check;

#endif
