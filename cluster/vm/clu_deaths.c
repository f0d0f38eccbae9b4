/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_deaths.c - see clu_deaths.h. Parses nothing.
 */
#include "config.h"

#include "cluster/vm/clu_deaths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_err.h"

TAILQ_HEAD(deaths, clu_death);
struct clu_deaths {
	struct deaths list;
};

struct clu_deaths *clu_deaths_new(void)
{
	struct clu_deaths *l = calloc(1, sizeof *l);

	CM_ASSERT(l);
	TAILQ_INIT(&l->list);
	return l;
}

void clu_deaths_free(struct clu_deaths *l)
{
	free(l);
}

void clu_deaths_remove(struct clu_deaths *l, struct clu_death *d)
{
	TAILQ_REMOVE(&l->list, d, link);
}

void clu_deaths_add(struct clu_deaths *l, struct clu_death *d, const char *vm)
{
	snprintf(d->vm, sizeof d->vm, "%s", vm);
	d->acted = false;
	TAILQ_INSERT_TAIL(&l->list, d, link);
}

void clu_deaths_acted(struct clu_deaths *l, const char *vm)
{
	struct clu_death *d;

	TAILQ_FOREACH (d, &l->list, link)
		if (strcmp(d->vm, vm) == 0)
			d->acted = true;
}
