/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_engine_choice.h - which of a program's engines runs a VM: the one that was asked for, or what
 * `auto` means on this host.
 *
 * Thread: [any]. Plain values; the engines are constant.
 */
#ifndef HV_ENGINE_CHOICE_H
#define HV_ENGINE_CHOICE_H

#include "common/cm_err.h"
#include "hvcore/cpu/hv_engine.h"

#define HV_WHY_MAX 256u

struct hv_engine_choice {
	const struct hv_engine_ops *ops; /* NULL: none */
	char why[HV_WHY_MAX]; /* auto: what the best engine's probe says of this host; else "" */
	int kvm_fd;	      /* as in hv_engine_config; -1 */
	struct cm_err err;    /* with no ops: why there is none */
};

bool hv_engine_word_is_auto(const char *word); /* "auto", or "" */
/*
 * engines: those of the program, the best first, NULL at the end. auto takes the first that runs
 * stock guests here (tried, not assumed, so before privileges are dropped); any other word is an
 * engine's name.
 */
void hv_engine_choose(const struct hv_engine_ops *const *engines, const char *word,
		      struct hv_engine_choice *out);

#endif
