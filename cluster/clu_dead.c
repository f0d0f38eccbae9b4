/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_dead.c - a VM's process died: what it held is let go of, or goes to its move's destination,
 * and pacemaker is told. Parses nothing.
 */
#include "config.h"

#include "cluster/clu_dead.h"

#include <stdlib.h>
#include <string.h>

#include "cluster/move/clu_heir_offer.h"
#include "cluster/move/clu_move.h"
#include "cluster/node/clu_agent_int.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_deaths.h"
#include "cluster/vm/clu_start.h"
#include "cluster/vm/clu_store.h"
#include "cluster/vm/clu_super.h"
#include "common/cm_log.h"

#define DEAD_MS	     1500u
#define DEAD_LOOK_MS 500u

static void reclaim_done(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)r;
	(void)arg;
	if (err->code && err->code != CM_E_LEASE_HELD)
		cm_warning("the ownership of a dead VM could not be let go: %s", err->text);
}

static void reclaim(struct clu_agent *a, const Hv__VmConfig *c)
{
	clu_start_vm(a, CLU_START_RELEASE, c, NULL, 10000, NULL, reclaim_done, NULL);
}

static void failed_reported(int code, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (code) /* the next monitor finds it */
		cm_info("pacemaker was not told of a dead VM: %s", err->text);
}

/*
 * Pacemaker would notice a dead process at its next monitor only. But a death may also be the end
 * of a stop or of a move that pacemaker is in the middle of: so look a moment later, at a fresh
 * picture, whether it still believes that the VM runs here, and has not begun to act on it since
 * (a picture does not show that, and it would restart what it is just starting).
 */
struct dead {
	struct clu_agent *agent;
	struct cm_timer timer;
	struct clu_death death;
	bool asked; /* a fresh picture was asked for */
};

static void dead_free(void *arg)
{
	struct dead *d = arg;

	cm_timer_fini(&d->timer);
	clu_deaths_remove(d->agent->deaths, &d->death);
	free(d);
}

static void dead_look(struct cm_timer *t, void *arg)
{
	struct dead *d = arg;
	struct clu_agent *a = d->agent;
	const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);
	const struct clu_pcmk_vm *v = pic ? clu_pcmk_find_vm(pic, d->death.vm) : NULL;

	if (!d->asked) {
		d->asked = true;
		clu_pcmk_refresh(a->pcmk);
		cm_timer_arm_ms(t, DEAD_LOOK_MS);
		return;
	}
	if (!d->death.acted && !clu_move_is(a, d->death.vm) &&
	    !clu_super_find(a->super, d->death.vm) && v && v->active && !v->failed &&
	    v->role == CLU_PCMK_ROLE_STARTED && strcmp(v->node, a->node) == 0)
		clu_pcmk_report_failed(a->pcmk, d->death.vm, a->node, failed_reported, NULL);
	cm_loop_defer(a->loop, dead_free, d);
}

static void report_failed(struct clu_agent *a, const char *name)
{
	struct dead *d = a->pcmk ? calloc(1, sizeof *d) : NULL;

	if (!d)
		return;
	d->agent = a;
	clu_deaths_add(a->deaths, &d->death, name);
	cm_timer_init(&d->timer, a->loop, dead_look, d);
	cm_timer_arm_ms(&d->timer, DEAD_MS);
}

void clu__dead_vm(struct clu_agent *a, const struct clu_vm *vm)
{
	Hv__VmConfig *c;

	/* Let go of what a dead process held, so that any node can start the VM at once. */
	if (clu_store_vm(a, clu_vm_name(vm), &c, NULL) == 0) {
		if (c->lease[0] && !clu_heir_offer(a, c, (uint32_t)clu_vm_pid(vm), reclaim))
			reclaim(a, c);
		hv__vm_config__free_unpacked(c, NULL);
	}
	report_failed(a, clu_vm_name(vm));
}
