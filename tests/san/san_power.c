/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_power.c - a power cut of the simulated array, and its return.
 *
 * What is lost: sessions, commands on the medium, dirty cache (all of it or a random part), unit
 * attentions, RESERVE(6), and reservations that were not made persistent (APTPL). Parses nothing.
 */
#include "config.h"

#include "tests/san/san.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void san_power_cut(struct san *san, unsigned int keep_percent, uint64_t seed)
{
	struct san_conn *c;
	uint64_t lost = 0;
	char text[96];
	unsigned int i;

	if (!san->powered)
		return;
	san->powered = false;
	for (i = 0; i < san->nportals; i++)
		san_portal_close(&san->portals[i]);
	TAILQ_FOREACH (c, &san->conns, link)
		san_conn_close(c, "power cut");
	san_cmds_power_cut(san);
	for (i = 0; i < san->nluns; i++) {
		lost += san_medium_power_cut(san->luns[i], keep_percent, seed + i);
		san->luns[i]->reserved = NULL;
		san->luns[i]->stalled = false;
	}
	snprintf(text, sizeof text, "lost_bytes=%llu keep=%u seed=%llu", (unsigned long long)lost,
		 keep_percent, (unsigned long long)seed);
	san_log_event(san, "power-cut", text);
}

int san_power_on(struct san *san)
{
	struct san_nexus *n;
	unsigned int i;
	int rc;

	if (san->powered)
		return 0;
	for (i = 0; i < san->nluns; i++) {
		san_pr_wipe(san->luns[i]);
		rc = san_pr_load(san->luns[i]);
		if (rc < 0)
			return rc;
	}
	TAILQ_FOREACH (n, &san->nexuses, link) {
		memset(n->ua, 0, sizeof n->ua);
		for (i = 0; i < san->nluns; i++)
			san_ua_add(n, san->luns[i], 0x2900);
	}
	for (i = 0; i < san->nportals; i++) {
		rc = san_portal_listen(&san->portals[i]);
		if (rc < 0)
			return rc;
	}
	san->powered = true;
	san_log_event(san, "power-on", "");
	return 0;
}
