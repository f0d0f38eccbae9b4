/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_engine.h - which engine runs the VM, and with it which program (docs/adr/0005).
 *
 * To be asked before anything else is done: no thread, no lease, no disk, no privilege given up.
 */
#ifndef HVCORE_ENGINE_H
#define HVCORE_ENGINE_H

#include "hvcore/cpu/hv_engine_choice.h"
#include "programs/hvcore_process.h"
#include "proto/ctl.pb-c.h"

/*
 * Chooses by start's word for the engine. If the other program has to run the VM, it takes the
 * place of this one and this does not return: every descriptor is kept, and the start message is
 * handed on in a memfd whose number is its argv[1]. Else out has an engine, or says why not.
 */
void hvcore_engine_choose(const struct hvcore_program *program, const Hv__CoreStart *start,
			  struct hv_engine_choice *out);

#endif
