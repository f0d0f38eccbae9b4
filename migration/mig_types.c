/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_types.c - names of modes and phases. Parses a word of the operator (the mode).
 */
#include "config.h"

#include "migration/mig_types.h"

#include <string.h>

const char *mig_mode_name(enum mig_mode mode)
{
	static const char *const names[] = {"none", "live", "quick"};

	return (unsigned)mode < CM_ARRAY_LEN(names) ? names[mode] : "?";
}

enum mig_mode mig_mode_find(const char *word)
{
	if (strcmp(word, "live") == 0)
		return MIG_MODE_LIVE;
	return strcmp(word, "quick") == 0 ? MIG_MODE_QUICK : MIG_MODE_NONE;
}

const char *mig_phase_name(enum mig_phase phase)
{
	static const char *const names[] = {"pause", "drain", "save", "ram", "state", "commit", "accept", "resume"};

	return (unsigned)phase < CM_ARRAY_LEN(names) ? names[phase] : "?";
}
