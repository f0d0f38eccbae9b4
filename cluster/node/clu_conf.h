/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_conf.h - hvclusterd's configuration: "key = value" lines of /etc/hvcluster/hvcluster.conf,
 * parsed once into a const struct. Unknown keys and bad values are errors that name the line.
 *
 * Thread: [any]. Data of the administrator.
 */
#ifndef CLU_CONF_H
#define CLU_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

#define CLU_PEER_PORT 7410u

struct clu_conf {
	char node[64];	       /* this node's name; "" = as corosync or uname says */
	char peer_address[64]; /* where other agents reach us; "" = corosync's first ring address */
	uint32_t peer_port;
	char migration_address[64]; /* where incoming migrations listen; "" = peer_address */
	char tls_cert[256], tls_key[256], tls_ca[256];
	char run_dir[96];	/* sockets: hvclusterd.sock, vm/NAME.sock */
	char state_dir[128];	/* logs, standalone configurations */
	char hvcore[256];	/* path of the hvcore program */
	char user[64];		/* hvcore drops to this user; "" = stay */
	char group[64];		/* may use the operator socket besides root */
	char power_agents[256]; /* more fence agents whose success means: no power any more */
	uint32_t io_timeout_ms; /* 0 = built-in default */
	uint32_t reserve_mb;	/* host memory kept free by admission */
	uint32_t picture_ms;	/* a picture of pacemaker without any reason, so often */
	bool standalone;
	bool watchdog_required; /* under pacemaker no VM starts on a node without hvwatchdogd */
};

void clu_conf_default(struct clu_conf *c);
/* Pure: text over the defaults. name: for messages. */
int clu_conf_parse(const char *text, size_t len, const char *name, struct clu_conf *c,
		   struct cm_err *err);
/* The file; a missing one is an error only if must. */
int clu_conf_load(const char *path, bool must, struct clu_conf *c, struct cm_err *err);

#endif
