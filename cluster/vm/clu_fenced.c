/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_fenced.c - how was a lost node fenced? Pacemaker's history says that, when and by whom, but
 * not with which device: off by a power switch and shut out of the SAN by fence_hvsan look the same
 * there, and are not the same (docs/adr/0004).
 *
 * Where every configured device is a power switch (fencing/fen_power.h), "off" is off. Where the others
 * are all fence_hvsan, the node that carried the fencing out is asked whether it ran there
 * (fencing/fen_mark.h); who cannot be asked is taken for one where it did. With any other device
 * nobody can tell. Parses the JSON of that one answer.
 */
#include "config.h"

#include "cluster/vm/clu_fenced.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_member.h"
#include "cluster/node/clu_peer.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_log.h"
#include "fencing/fen_mark.h"
#include "fencing/fen_power.h"
#include "proto/px_req.h"

#define FENCED_PEER_MS 1000u
#define MARK_DIR       160
/* Marks this old are of an earlier life of a node that is a member again. */
#define FENCED_STALE_S 60u
/* stonith_admin --confirm: an operator states that the node is off */
#define FENCED_BY_HUMAN "a human"

struct fenced_ask {
	clu__fenced_fn done;
	void *arg;
	char node[CLU_PCMK_NAME], delegate[CLU_PCMK_NAME];
};

static void mark_dir(const struct clu_agent *a, char *out, size_t cap)
{
	snprintf(out, cap, "%s/fence_hvsan", a->conf->state_dir);
}

static enum fen_by fenced_by(const struct clu_agent *a)
{
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	enum fen_by by = FEN_BY_NOBODY;

	for (size_t i = 0; pic && i < pic->n_fence_types; i++)
		by = fen_by_also(by, pic->fence_types[i].name, a->conf->power_agents);
	return by;
}

bool clu_fenced_marked(const struct clu_agent *a, const char *node)
{
	char dir[MARK_DIR];

	mark_dir(a, dir, sizeof dir);
	return fen_mark_is_set(dir, node);
}

void clu_fenced_joined(struct clu_agent *a, const char *node)
{
	char dir[MARK_DIR];

	mark_dir(a, dir, sizeof dir);
	fen_mark_clear(dir, node, FENCED_STALE_S);
}

static void fenced_answer(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct fenced_ask *q = arg;
	struct json_object *o = r && r->code == 0 && r->doc ? json_tokener_parse(r->doc) : NULL, *v;
	bool off = o && json_object_object_get_ex(o, "fence_hvsan", &v) &&
		   json_object_is_type(v, json_type_boolean) && !json_object_get_boolean(v);

	if (!o)
		cm_notice("node %s, which fenced %s, cannot say how (%s): taken for a fencing by "
			  "the SAN",
			  q->delegate, q->node, err->text);
	json_object_put(o);
	q->done(off ? CLU__FENCED_OFF : CLU__FENCED_SAN, q->arg);
	free(q);
}

enum clu__fenced clu__fenced_how(struct clu_agent *a, const struct clu_pcmk_fence *f,
				 clu__fenced_fn done, void *arg)
{
	struct fenced_ask *q;
	struct px_ask ask;

	enum fen_by by = fenced_by(a);

	if (by == FEN_BY_POWER || strcmp(f->delegate, FENCED_BY_HUMAN) == 0)
		return CLU__FENCED_OFF;
	if (by != FEN_BY_HVSAN)
		return CLU__FENCED_SAN;
	if (strcmp(f->delegate, a->node) == 0)
		return clu_fenced_marked(a, f->target) ? CLU__FENCED_SAN : CLU__FENCED_OFF;
	if (!a->peers || !clu_member_is(a, f->delegate))
		return CLU__FENCED_SAN;
	q = calloc(1, sizeof *q);
	CM_ASSERT(q);
	q->done = done;
	q->arg = arg;
	snprintf(q->node, sizeof q->node, "%s", f->target);
	snprintf(q->delegate, sizeof q->delegate, "%s", f->delegate);
	px_ask_init(&ask, "peer-fence-mark", NULL);
	ask.req.node = q->node;
	clu_peers_call(a->peers, q->delegate, &ask.req, FENCED_PEER_MS, fenced_answer, q);
	return CLU__FENCED_NONE;
}
