/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_faults.h - what goes wrong in one seed, and when it is mended.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdint.h>

/* From now until `until`; everything is mended then. */
void sim_faults_begin(uint64_t until);

#endif
