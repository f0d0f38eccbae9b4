/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verbs.h - the tables of verbs of the agent, for its connections.
 */
#ifndef CLU_VERBS_H
#define CLU_VERBS_H

#include "cluster/clu_conn.h"

extern const struct clu_conn_table clu__verbs;

#endif
