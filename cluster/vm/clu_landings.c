/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_landings.c - which VMs began to land here of late. Lands nothing (move/clu_land.c does).
 * Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_landings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/node/clu_member.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_clock.h"

#define LANDINGS_KEPT	   32u
#define LANDINGS_RECENT_NS (15 * CM_NS_PER_S)

struct landing {
	char vm[64], source[64];
	uint64_t at_ns;
};

struct clu_landings {
	struct landing kept[LANDINGS_KEPT];
};

struct clu_landings *clu_landings_new(void)
{
	struct clu_landings *l = calloc(1, sizeof *l);

	CM_ASSERT(l);
	return l;
}

void clu_landings_free(struct clu_landings *l)
{
	free(l);
}

static const struct landing *landing_find(const struct clu_landings *l, const char *vm)
{
	for (size_t i = 0; i < LANDINGS_KEPT; i++)
		if (strcmp(l->kept[i].vm, vm) == 0)
			return &l->kept[i];
	return NULL;
}

void clu_landings_note(struct clu_landings *l, const char *vm, const char *source)
{
	struct landing *at = &l->kept[0];

	for (size_t i = 0; i < LANDINGS_KEPT; i++) {
		if (strcmp(l->kept[i].vm, vm) == 0) {
			at = &l->kept[i];
			break;
		}
		if (l->kept[i].at_ns < at->at_ns)
			at = &l->kept[i];
	}
	snprintf(at->vm, sizeof at->vm, "%s", vm);
	snprintf(at->source, sizeof at->source, "%s", source);
	at->at_ns = cm_now_ns();
}

void clu_landings_forget(struct clu_landings *l, const char *vm)
{
	for (size_t i = 0; i < LANDINGS_KEPT; i++)
		if (strcmp(l->kept[i].vm, vm) == 0)
			l->kept[i].vm[0] = '\0';
}

bool clu_landings_recent(const struct clu_landings *l, const char *vm)
{
	const struct landing *k = landing_find(l, vm);

	return k && cm_now_ns() - k->at_ns < LANDINGS_RECENT_NS;
}

const char *clu_landings_orphan(const struct clu_agent *a, const char *name)
{
	struct clu_vm *vm = clu_super_find(a->super, name);
	const struct landing *k = landing_find(a->landings, name);

	if (!vm || !clu_vm_incoming(vm) || !a->pcmk || !k)
		return NULL;
	return clu_member_is(a, k->source) ? NULL : k->source;
}
