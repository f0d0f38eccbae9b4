/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The picture of the cluster as plain data: freeing it and looking things up. Parses nothing.
 */
#include "config.h"

#include "cluster/pcmk/clu_pcmk.h"

#include <stdlib.h>
#include <string.h>

static void params_free(struct clu_pcmk_param *params, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(params[i].name);
		free(params[i].value);
	}
	free(params);
}

void clu_pcmk_picture_fini(struct clu_pcmk_picture *pic)
{
	for (size_t i = 0; i < pic->n_vms; i++)
		params_free(pic->vms[i].params, pic->vms[i].n_params);
	params_free(pic->properties, pic->n_properties);
	free(pic->nodes);
	free(pic->vms);
	free(pic->rscs);
	free(pic->fences);
	free(pic->fence_types);
	free(pic->prefs);
	memset(pic, 0, sizeof *pic);
}

const struct clu_pcmk_node *clu_pcmk_find_node(const struct clu_pcmk_picture *pic, const char *name)
{
	for (size_t i = 0; pic && i < pic->n_nodes; i++)
		if (strcmp(pic->nodes[i].name, name) == 0)
			return &pic->nodes[i];
	return NULL;
}

const struct clu_pcmk_vm *clu_pcmk_find_vm(const struct clu_pcmk_picture *pic, const char *name)
{
	for (size_t i = 0; pic && i < pic->n_vms; i++)
		if (strcmp(pic->vms[i].name, name) == 0)
			return &pic->vms[i];
	return NULL;
}

static const char *find_param(const struct clu_pcmk_param *params, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(params[i].name, name) == 0)
			return params[i].value;
	return NULL;
}

const char *clu_pcmk_vm_param(const struct clu_pcmk_vm *vm, const char *name)
{
	return find_param(vm->params, vm->n_params, name);
}

const char *clu_pcmk_property(const struct clu_pcmk_picture *pic, const char *name)
{
	return find_param(pic->properties, pic->n_properties, name);
}

const struct clu_pcmk_fence *clu_pcmk_find_fence(const struct clu_pcmk_picture *pic, const char *node,
						 enum clu_pcmk_fence_state state)
{
	const struct clu_pcmk_fence *best = NULL;

	for (size_t i = 0; pic && i < pic->n_fences; i++) {
		const struct clu_pcmk_fence *f = &pic->fences[i];

		if (strcmp(f->target, node) != 0 || f->state != state)
			continue;
		if (!best || f->completed_wall_s > best->completed_wall_s)
			best = f;
	}
	return best;
}

const char *clu_pcmk_role_name(enum clu_pcmk_role role)
{
	switch (role) {
	case CLU_PCMK_ROLE_STOPPED:
		return "stopped";
	case CLU_PCMK_ROLE_STARTING:
		return "starting";
	case CLU_PCMK_ROLE_STARTED:
		return "started";
	case CLU_PCMK_ROLE_STOPPING:
		return "stopping";
	case CLU_PCMK_ROLE_MIGRATING:
		return "migrating";
	case CLU_PCMK_ROLE_NONE:
		break;
	}
	return "unknown";
}
