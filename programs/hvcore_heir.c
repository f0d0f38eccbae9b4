/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_heir.c - the verb "take-over" of a VM that lands: its source is proven dead after this end
 * had verified all of its memory and before the commit (rule 5 of design section 3). The answer
 * "yes" means that it is being tried; the state says how it went.
 *
 * Parses the evidence that hvclusterd gave, through fencing/, against the block as it is now. That
 * the intent still stands is checked by the lease, in the COMPARE AND WRITE itself.
 */
#include "config.h"

#include "programs/hvcore_heir.h"

#include <stdlib.h>

#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "hvcore/hv_disks.h"
#include "migration/core/mig_core_dst.h"

struct heir {
	struct hv_core *core;
	struct px_req *q;
};

/* Is the block that of the source whose memory is here, and is the evidence about that one? */
static int heir_check(const struct heir *h, const struct stor_block *b, struct cm_err *err)
{
	const Hv__Ticket *ticket = hv_core_start(h->core)->ticket;
	const Hv__Proof *p = h->q->msg->proof;
	uint64_t epoch = ticket ? ticket->epoch : 0;
	struct stor_uuid boot = {{0}};

	if (p->boot_id[0] && stor_uuid_parse(p->boot_id, &boot) < 0)
		return cm_err_set(err, CM_E_LEASE_NO_PROOF, "the proof names no boot id");
	if ((p->epoch && p->epoch != epoch) || !fen_evidence_fits(b, &boot, epoch))
		return cm_err_set(err, CM_E_LEASE_NO_PROOF,
				  "the block (epoch %llu, node %s) is not any more that of the source (epoch %llu)",
				  (unsigned long long)b->epoch, b->owner.node, (unsigned long long)epoch);
	return 0;
}

static void heir_read(int rc, const struct stor_block *b, void *arg)
{
	struct heir *h = arg;
	struct fen_proof *proof = NULL;
	struct cm_err err = CM_ERR_INIT;

	if (rc < 0)
		cm_err_set(&err, rc, "reading the ownership block: %s", cm_err_text(rc));
	else if (heir_check(h, b, &err) == 0 &&
		 fen_proof_from_evidence(b, h->q->msg->proof->evidence, &proof, &err) == 0 &&
		 mig_core_take_over(mig_core_of(h->core), fen_permit(proof), &err) == 0)
		cm_notice("the source is gone (%s): going on with the memory that is here",
			  h->q->msg->proof->detail);
	if (err.code)
		px_req_fail(h->q, &err);
	else
		px_req_ok(h->q, NULL);
	free(h);
}

void hvcore_heir_take_over(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	uint64_t offset_bytes = 0;
	struct stor_dev *dev;
	struct heir *h;

	if (!q->msg->proof) {
		px_req_failf(q, CM_E_USAGE, "take-over needs a proof");
		return;
	}
	if (!mig_core_is_verified(mig_core_of(core))) {
		px_req_failf(q, CM_E_VM_STATE, "nothing verified is here to take over with");
		return;
	}
	h = calloc(1, sizeof *h);
	dev = hv_disks_lease_dev(hv_core_disks(core), &offset_bytes);
	CM_ASSERT(h && dev);
	*h = (struct heir){core, q};
	stor_block_read(dev, offset_bytes, heir_read, h);
}
