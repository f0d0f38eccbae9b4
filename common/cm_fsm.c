/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_fsm.c - the engine of full-table state machines. Parses nothing.
 */
#include "config.h"

#include "common/cm_fsm.h"

#include <errno.h>

#include "common/cm_log.h"
#include "common/cm_trace.h"

void cm_fsm_init(struct cm_fsm *m, const struct cm_fsm_def *def, unsigned state, void *ctx,
		 const char *label)
{
	CM_ASSERT(state > 0 && state < def->states);
	*m = (struct cm_fsm){.def = def, .ctx = ctx, .label = label, .state = state};
}

static const struct cm_fsm_cell *fsm_cell(const struct cm_fsm_def *d, unsigned state,
					  unsigned event)
{
	return &d->cells[state * d->events + event];
}

bool cm_fsm_feed(struct cm_fsm *m, unsigned event, const char *reason, void *event_arg)
{
	const struct cm_fsm_def *d = m->def;

	/* An action returns its follow-up event instead of feeding it, so feeds never nest. */
	CM_ASSERT(!m->feeding);
	m->feeding = true;
	while (event) {
		const struct cm_fsm_cell *c;

		CM_ASSERT(event < d->events);
		c = fsm_cell(d, m->state, event);
		CM_ASSERT(c->kind != CM_FSM_MISSING);
		if (c->kind == CM_FSM_IGN)
			break;
		if (c->kind == CM_FSM_BAD) {
			cm_error("%s: %s cannot take %s(%s)", m->label, d->state_names[m->state],
				 d->event_names[event], reason);
			m->feeding = false;
			return false;
		}
		cm_log(c->next == m->state ? CM_LOG_DEBUG : CM_LOG_INFO, "%s: %s --%s(%s)--> %s",
		       m->label, d->state_names[m->state], d->event_names[event], reason,
		       d->state_names[c->next]);
		cm_trace(d->name, "state %lu event %lu", m->state, event);
		m->state = c->next;
		event = c->action ? c->action(m->ctx, event_arg) : 0;
		reason = "follows";
	}
	m->feeding = false;
	return true;
}

const char *cm_fsm_state_name(const struct cm_fsm *m)
{
	return m->def->state_names[m->state];
}

int cm_fsm_check(const struct cm_fsm_def *d, struct cm_err *err)
{
	for (unsigned s = 1; s < d->states; s++)
		for (unsigned e = 1; e < d->events; e++) {
			const struct cm_fsm_cell *c = fsm_cell(d, s, e);

			if (c->kind == CM_FSM_MISSING)
				return cm_err_set(err, -EINVAL, "%s: no cell for %s in %s", d->name,
						  d->event_names[e], d->state_names[s]);
			if (c->kind == CM_FSM_ACT && (c->next == 0 || c->next >= d->states))
				return cm_err_set(err, -EINVAL, "%s: %s in %s leads nowhere",
						  d->name, d->event_names[e], d->state_names[s]);
		}
	return 0;
}

void cm_fsm_dot(const struct cm_fsm_def *d, FILE *to)
{
	fprintf(to, "digraph %s {\n", d->name);
	for (unsigned s = 1; s < d->states; s++)
		for (unsigned e = 1; e < d->events; e++) {
			const struct cm_fsm_cell *c = fsm_cell(d, s, e);

			if (c->kind == CM_FSM_ACT)
				fprintf(to, "\t%s -> %s [label=\"%s\"];\n", d->state_names[s],
					d->state_names[c->next], d->event_names[e]);
		}
	fprintf(to, "}\n");
}
