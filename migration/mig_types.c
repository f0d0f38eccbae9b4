/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_types.c - names of phases. Parses nothing.
 */
#include "config.h"

#include "migration/mig_types.h"

const char *mig_phase_name(enum mig_phase phase)
{
	static const char *const names[] = {"pause", "drain", "save", "ram", "state", "commit", "accept", "resume"};

	return (unsigned)phase < CM_ARRAY_LEN(names) ? names[phase] : "?";
}
