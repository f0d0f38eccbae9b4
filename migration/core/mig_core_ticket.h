/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_core_ticket.h - the single-use key of a move, out of the ticket that two agents have
 * minted. Pure but for the clock; thread: [any].
 */
#ifndef MIG_CORE_TICKET_H
#define MIG_CORE_TICKET_H

#include "proto/ctl.pb-c.h"
#include "proto/px_tls.h"

/* t may be NULL. CM_E_MIG_TICKET. Wipe psk after use. */
int mig__core_ticket_key(const Hv__Ticket *t, struct px_psk *psk, struct cm_err *err) cm_must_check;

#endif
