/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_words.c - words of the enums of proto/ctl.proto. Parses single words of operators.
 */
#include "config.h"

#include "proto/px_words.h"

#include <string.h>

#include "common/cm_err.h"

static const char *const vm_states[] = {
	[HV__VM_STATE__VM_STATE_NONE] = "none",
	[HV__VM_STATE__VM_STARTING] = "starting",
	[HV__VM_STATE__VM_RUNNING] = "running",
	[HV__VM_STATE__VM_PAUSED] = "paused",
	[HV__VM_STATE__VM_INCOMING] = "incoming",
	[HV__VM_STATE__VM_HANDING_OVER] = "handing-over",
	[HV__VM_STATE__VM_SAVING] = "saving",
	[HV__VM_STATE__VM_SAVED] = "saved",
	[HV__VM_STATE__VM_STOPPING] = "stopping",
	[HV__VM_STATE__VM_STOPPED] = "stopped",
	[HV__VM_STATE__VM_FAILED] = "failed",
};

static const char *const mig_modes[] = {
	[HV__MIGRATION_MODE__MODE_NONE] = "none",
	[HV__MIGRATION_MODE__MODE_LIVE] = "live",
	[HV__MIGRATION_MODE__MODE_QUICK] = "quick",
};

/* 0 if it is none of them: every enum has its NONE there. */
static unsigned find(const char *const *words, unsigned n, const char *word)
{
	for (unsigned i = 1; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return 0;
}

const char *px_vm_state_word(Hv__VmState state)
{
	return (unsigned)state < CM_ARRAY_LEN(vm_states) ? vm_states[state] : "?";
}

Hv__VmState px_vm_state_find(const char *word)
{
	return (Hv__VmState)find(vm_states, CM_ARRAY_LEN(vm_states), word);
}

bool px_vm_state_runs(Hv__VmState state)
{
	return state == HV__VM_STATE__VM_RUNNING || state == HV__VM_STATE__VM_PAUSED;
}

const char *px_mig_mode_word(Hv__MigrationMode mode)
{
	return (unsigned)mode < CM_ARRAY_LEN(mig_modes) ? mig_modes[mode] : "?";
}

Hv__MigrationMode px_mig_mode_find(const char *word)
{
	return (Hv__MigrationMode)find(mig_modes, CM_ARRAY_LEN(mig_modes), word);
}
