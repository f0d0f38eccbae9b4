/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_where.c - on which node a VM is, and handing a request on to the agent there. Decides
 * nothing. Parses nothing: replies are relayed unread.
 */
#include "config.h"

#include "cluster/vm/clu_where.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_super.h"

const char *clu_where_node(struct clu_agent *a, const char *name)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, name) : NULL;
	struct clu_vm *vm = clu_super_find(a->super, name);

	if (vm && !clu_vm_incoming(vm))
		return a->node;
	return v && v->active && strcmp(v->node, a->node) != 0 ? v->node : "";
}

void clu_relay_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct px_req *q = arg;
	Hv__Reply out = HV__REPLY__INIT;

	if (!r || (!r->more && r->code)) {
		px_req_fail(q, err);
		return;
	}
	out.doc = r->doc;
	out.state = r->state;
	out.stage = r->stage;
	out.epoch = r->epoch;
	if (r->more)
		px_req_tell(q, &out);
	else
		px_req_reply(q, &out);
}

void clu_forward(struct clu_agent *a, const char *node, struct px_req *q)
{
	Hv__Request req = *q->msg;

	if (px_chan_peer_name(q->chan)[0]) {
		px_req_failf(q, CM_E_VM_STATE, "%s is not on node %s (any more)", q->msg->vm,
			     a->node);
		return;
	}
	if (!a->peers) {
		px_req_failf(q, CM_E_NO_CLUSTER, "node %s cannot be reached from here", node);
		return;
	}
	clu_peers_call(a->peers, node, &req, 0, clu_relay_answer, q);
}
