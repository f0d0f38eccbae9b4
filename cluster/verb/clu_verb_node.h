/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_node.h - nodes. Thread: [loop].
 */
#ifndef CLU_VERB_NODE_H
#define CLU_VERB_NODE_H

struct clu_agent;
struct clu_pcmk_node;
struct clu_pcmk_picture;
struct json_object;
struct px_req;

void clu_verb_node_list(struct px_req *q, void *agent);
void clu_verb_node_show(struct px_req *q, void *agent);
void clu_verb_node_drain(struct px_req *q, void *agent);
void clu_verb_node_undrain(struct px_req *q, void *agent);
/* A node as a row of a document. */
struct json_object *clu__node_row(struct clu_agent *a, const struct clu_pcmk_picture *pic,
				  const struct clu_pcmk_node *n);

#endif
