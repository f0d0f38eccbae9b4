/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_ticket.c - is this a ticket to go by? Parses tickets of the agent; that one belongs to
 * the VM and its epoch is checked where it is used.
 */
#include "config.h"

#include "migration/core/mig_core_ticket.h"

#include <string.h>

#include "common/cm_clock.h"

int mig__core_ticket_key(const Hv__Ticket *t, struct px_psk *psk, struct cm_err *err)
{
	if (!t || t->psk.len != sizeof psk->key || t->id.len != sizeof psk->id)
		return cm_err_set(
			err, CM_E_MIG_TICKET,
			"a migration needs a ticket with a key of %zu and an id of %zu bytes",
			sizeof psk->key, sizeof psk->id);
	if (t->expires_wall_ns && cm_wall_ns() > t->expires_wall_ns)
		return cm_err_set(err, CM_E_MIG_TICKET, "the ticket has expired");
	memcpy(psk->key, t->psk.data, sizeof psk->key);
	memcpy(psk->id, t->id.data, sizeof psk->id);
	return 0;
}
