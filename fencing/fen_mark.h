/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_mark.h - what fence_hvsan leaves on the node where it ran: "I was asked to shut NODE out".
 *
 * Pacemaker's history says that a node was fenced, but not by which device. A power switch proves
 * that nothing of the node runs (proof a); fence_hvsan proves only what it looked at. So it leaves
 * a mark before it begins, and hvclusterd believes the history's "off" only where the node that
 * carried it out has none (cluster/vm/clu_fenced.c). The marks of a node go when it is seen as a
 * member again. They are on a disk and there before the fencing begins: a delegate that reboots would
 * otherwise say "none" of a node that is only shut out.
 *
 * Thread: [any]. Errors: -errno, -EINVAL for a name that is none.
 */
#ifndef FEN_MARK_H
#define FEN_MARK_H

#include <stdbool.h>

#include "common/cm_err.h"

#define FEN_MARK_DIR "/var/lib/hvcluster/fence_hvsan"

/* Makes dir, if it must. Durable when it returns. */
int fen_mark_set(const char *dir, const char *node) cm_must_check;
/* What cannot be looked at counts as marked. */
bool fen_mark_is_set(const char *dir, const char *node);
/* Removes a mark that is older than this (s): one that a fencing of now has just made stays. */
void fen_mark_clear(const char *dir, const char *node, unsigned older_than_s);

#endif
