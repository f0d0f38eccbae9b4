/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_power.h - which fence agents are power switches. "Fenced" by one of these means that the node's
 * processors do not run any more (proof a); by any other (fence_scsi, fence_mpath, a switch port,
 * fence_hvsan, a watchdog that was trusted) it only means that the node cannot reach something, and
 * its VMs may go on for seconds: then the owner's lease has to expire visibly (proof d).
 *
 * Pure. Thread: [any].
 */
#ifndef FEN_POWER_H
#define FEN_POWER_H

#include <stdbool.h>

/*
 * type: of the agent, as in pacemaker's configuration ("fence_ipmilan", "external/ipmi"). also: more of them, separated by
 * commas or blanks, or "": by naming one the administrator states that when it reports success the
 * node has lost its power or has been reset.
 */
bool fen_power_agent(const char *type, const char *also);

/*
 * What a successful fencing proves, judged by the agents that may have carried it out (pacemaker does not say which one it
 * was). Feed it each configured one, from FEN_BY_NOBODY on.
 */
enum fen_by {
	FEN_BY_NOBODY = 0, /* no device is configured (any more): nobody can tell */
	FEN_BY_POWER,	   /* power switches only: the node is off */
	FEN_BY_HVSAN,	   /* or fence_hvsan, which leaves a mark where it ran */
	FEN_BY_OTHERS,	   /* or something else: nobody can tell */
};
enum fen_by fen_by_also(enum fen_by by, const char *type, const char *also);

#endif
