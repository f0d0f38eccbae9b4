/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_engine_choice.c - chooses an engine out of a list. Knows none of them by name. The word is the
 * operator's.
 */
#include "config.h"

#include "hvcore/cpu/hv_engine_choice.h"

#include <stdio.h>
#include <string.h>

bool hv_engine_word_is_auto(const char *word)
{
	return !word[0] || strcmp(word, "auto") == 0;
}

static void choose_auto(const struct hv_engine_ops *const *engines, struct hv_engine_choice *out)
{
	for (; *engines && !out->ops; engines++) {
		struct hv_engine_caps caps = {.usable = false};
		int rc = (*engines)->probe(&caps, NULL);

		if (!out->why[0])
			snprintf(out->why, sizeof out->why, "%s", caps.words);
		if (rc == 0 && caps.usable && caps.runs_stock_linux)
			out->ops = *engines;
	}
	if (!out->ops)
		cm_err_set(&out->err, CM_E_NO_ENGINE, "no engine runs stock guests here: %s",
			   out->why);
}

void hv_engine_choose(const struct hv_engine_ops *const *engines, const char *word,
		      struct hv_engine_choice *out)
{
	*out = (struct hv_engine_choice){.kvm_fd = -1, .err = CM_ERR_INIT};
	if (hv_engine_word_is_auto(word)) {
		choose_auto(engines, out);
		return;
	}
	for (; *engines; engines++)
		if (strcmp((*engines)->name, word) == 0)
			out->ops = *engines;
	if (!out->ops)
		cm_err_set(&out->err, CM_E_BAD_VALUE, "engine '%s': auto, kvm or soft", word);
}
