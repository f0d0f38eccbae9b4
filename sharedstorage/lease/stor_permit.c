/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_permit.c - permits to take a VM over; see stor_permit.h for who may make one. Parses
 * nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sharedstorage/lease/stor_permit_int.h"

struct stor_permit *stor_permit_new(const struct stor_block *seen, bool exact, const char *why)
{
	struct stor_permit *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->vm = seen->vm;
	p->epoch = seen->epoch;
	p->victim = seen->owner;
	memcpy(p->shut, seen->shut, sizeof p->shut);
	p->exact = exact;
	p->renewal = seen->renewal;
	p->nonce = seen->nonce;
	snprintf(p->why, sizeof p->why, "%s", why);
	return p;
}

void stor_permit_free(struct stor_permit *permit)
{
	free(permit);
}
