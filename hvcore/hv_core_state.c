/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_state.c - what the process is at, what it has, and who hears of it. Parses nothing.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "hvcore/hv_core_int.h"
#include "proto/px_words.h"

struct cm_loop *hv_core_loop(struct hv_core *core)
{
	return core->loop;
}

struct hv_vm *hv_core_vm(struct hv_core *core)
{
	return core->vm;
}

struct hv_disks *hv_core_disks(struct hv_core *core)
{
	return core->disks;
}

struct hv_owner *hv_core_owner(struct hv_core *core)
{
	return core->owner;
}

const Hv__CoreStart *hv_core_start(const struct hv_core *core)
{
	return core->start;
}

struct hv_qga *hv_core_qga(struct hv_core *core)
{
	return core->qga;
}

void *hv_core_hook_arg(struct hv_core *core)
{
	return core->hooks.arg;
}

uint64_t hv_core_epoch(struct hv_core *core)
{
	return core->owner ? stor_lease_epoch(hv_owner_lease(core->owner)) : 0;
}

uint64_t hv_core_ran_at_ns(const struct hv_core *core)
{
	return core->ran_ns;
}

bool hv_core_is_ending(const struct hv_core *core)
{
	return core->ending;
}

void hv_core_set_owned(struct hv_core *core, bool owned)
{
	bool came = owned && !core->owned;

	core->owned = owned;
	if (came && core->disks && !core->ending)
		hv_disks_claim_anew(core->disks, hv_core_epoch(core));
}

void hv_core_watch(struct hv_core *core, const struct hv_core_watcher *w)
{
	CM_ASSERT(!core->watcher.event);
	core->watcher = *w;
}

enum hv_core_state hv_core_state(const struct hv_core *core)
{
	return core->state;
}

const char *hv_core_state_word(enum hv_core_state state)
{
	return px_vm_state_word((Hv__VmState)state);
}

void hv_core_event(struct hv_core *core, const char *kind, const char *severity, const char *doc,
		   const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (strcmp(severity, "error") == 0)
		cm_error("%s: %s", kind, text);
	else
		cm_notice("%s: %s", kind, text);
	if (core->watcher.event)
		core->watcher.event(core->watcher.arg, kind, severity, text, doc);
}

void hv_core_set_state(struct hv_core *core, enum hv_core_state state)
{
	if (core->state == state)
		return;
	core->state = state;
	if (state == HV_CORE_RUNNING && !core->ran_ns)
		core->ran_ns = cm_now_ns();
	hv_core_event(core, "state", "notice", "", "%s", hv_core_state_word(state));
}
