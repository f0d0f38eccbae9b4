/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_process.h - what hvcore and hvcore-soft have in common: everything but their engines.
 */
#ifndef HVCORE_PROCESS_H
#define HVCORE_PROCESS_H

#include "hvcore/cpu/hv_engine.h"

/* What one of the two programs is. */
struct hvcore_program {
	const struct hv_engine_ops *const *engines; /* the best first; NULL at the end */
	const char *kvm;   /* the device that its engine wants open; NULL: none */
	const char *other; /* the program beside it that has the engine it lacks; NULL: none */
	const char *other_engine;
};

/* The life of the process; returns its exit code. argv[1], if there: see hvcore_engine.h. */
int hvcore_process(const struct hvcore_program *program, int argc, char **argv);

#endif
