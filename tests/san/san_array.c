/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_array.c - what arrays are like that others are not: a small command window, portals that send a login elsewhere.
 *
 * Parses the words of a test's control command.
 */
#include "config.h"

#include "tests/san/san.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of sessions of now and later ones; it never shrinks for commands that were invited already. */
void san_array_window(struct san *san, FILE *out, char **w, int n)
{
	unsigned long v = n ? strtoul(w[0], NULL, 10) : 0;

	if (v < 1 || v > SAN_QUEUE) {
		san_ctl_fail(out, "usage", "window 1..128");
		return;
	}
	san->window = (uint32_t)v;
	fprintf(out, "{\"ok\":true}");
}

/* Logins by a portal are sent elsewhere; the sessions that are there stay. */
void san_array_redirect(struct san *san, FILE *out, char **w, int n)
{
	unsigned long no = n > 1 ? strtoul(w[0], NULL, 10) : SAN_MAX_PORTALS;
	struct san_portal *p = &san->portals[no];

	if (no >= san->nportals || strlen(w[1]) >= sizeof p->moved_to) {
		san_ctl_fail(out, "usage", "redirect PORTAL ADDRESS[:PORT][,TPGT]|none [permanent]");
		return;
	}
	strcpy(p->moved_to, strcmp(w[1], "none") == 0 ? "" : w[1]);
	p->moved_for_good = n > 2;
	fprintf(out, "{\"ok\":true}");
}
