/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_agent_int.h - the agent's own struct: who it is, and one pointer for each of its parts. What
 * a part is, its module's header says; whoever needs it includes that one.
 *
 * Thread: [loop]. Ownership: clu_agent.c makes and frees the parts.
 */
#ifndef CLU_AGENT_INT_H
#define CLU_AGENT_INT_H

#include "cluster/node/clu_conf.h"
#include "common/cm_loop.h"
#include "proto/px_chan.h"

struct fen_wd_client;

struct clu_agent {
	struct cm_loop *loop;
	const struct clu_conf *conf;
	struct px_self self;
	char node[64], boot_id[37];
	struct clu_events *events;     /* node/clu_event.h */
	struct clu_members *members;   /* node/clu_member.h */
	struct clu_super *super;       /* vm/clu_super.h */
	struct clu_probed *probed;     /* vm/clu_probe.h */
	struct clu_landings *landings; /* vm/clu_landings.h */
	struct clu_deaths *deaths;     /* vm/clu_deaths.h */
	struct clu_move *moves;	       /* move/clu_move.h */
	struct clu_relay *relays;      /* verb/clu_verb_console.h */
	struct clu_conns *conns;       /* clu_conn.h */
	struct px_server *server;      /* for operators and the OCF agent */
	uint64_t last_move;	       /* number of the latest try of a move */
	struct fen_wd_client *watchdog; /* hvwatchdogd, asked only; VMs have a word of their own with it */
	/* In a cluster only; NULL when standalone. */
	struct clu_corosync *corosync; /* node/clu_corosync.h */
	struct clu_pcmk *pcmk;	       /* pcmk/clu_pcmk.h */
	struct px_tls *tls;
	struct clu_peers *peers; /* node/clu_peer.h */
	struct cm_timer peers_timer;
};

#endif
