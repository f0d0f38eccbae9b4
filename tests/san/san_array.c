/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_array.c - what arrays are like that others are not: a small command window, portals that send a login elsewhere,
 * paths that cannot serve now.
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

/* All commands but INQUIRY and REPORT LUNS that come by this portal are refused: ALUA standby, transition, a dead back end. */
void san_array_path(struct san *san, FILE *out, char **w, int n)
{
	unsigned long no = n > 1 ? strtoul(w[0], NULL, 10) : SAN_MAX_PORTALS;
	unsigned int key = 0, asc = 0, ascq = 0;

	if (no >= san->nportals || (strcmp(w[1], "ok") != 0 &&
				    (sscanf(w[1], "%x/%x/%x", &key, &asc, &ascq) != 3 || key > 15 ||
				     asc > 255 || ascq > 255))) {
		san_ctl_fail(out, "usage", "path PORTAL K/ASC/ASCQ|ok");
		return;
	}
	san->portals[no].key = (uint8_t)key;
	san->portals[no].sense = (uint16_t)(asc << 8 | ascq);
	fprintf(out, "{\"ok\":true}");
}

/* False: the command has its status. */
bool san_array_serves(struct san_cmd *cmd)
{
	const struct san_portal *p = cmd->conn ? cmd->conn->portal : NULL;

	if (!p || !p->key || cmd->op->flags & SAN_OP_NO_UA)
		return true;
	san_sense(cmd, p->key, p->sense);
	return false;
}
