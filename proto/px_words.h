/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_words.h - the enums of proto/ctl.proto and the words that people read and type for them.
 *
 * Programs compare enums; only what comes from a person (or goes to one) is a word. Plain functions.
 * Thread: [any].
 */
#ifndef PX_WORDS_H
#define PX_WORDS_H

#include <stdbool.h>

#include "proto/ctl.pb-c.h"

/* "running", "handing-over"; "none" for NONE, "?" for a value of a newer version. Never NULL. */
const char *px_vm_state_word(Hv__VmState state);
/* NONE if there is no such word. */
Hv__VmState px_vm_state_find(const char *word);
/* Is there a guest in that process that goes on, now or at the next resume? (running, paused) */
bool px_vm_state_runs(Hv__VmState state);

/* "live", "quick". */
const char *px_mig_mode_word(Hv__MigrationMode mode);
/* NONE if there is no such word. */
Hv__MigrationMode px_mig_mode_find(const char *word);

#endif
