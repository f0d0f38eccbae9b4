/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_soft_main.c - hvcore-soft, the process of one VM whose guest is interpreted.
 *
 * The same sources as hvcore with the other engine; hvcore starts it in its own place
 * (hvcore_engine.c). An interpreter has no business in the program that runs everybody's VMs.
 */
#include "config.h"

#include <stddef.h>

#include "programs/hvcore_process.h"

int main(int argc, char **argv)
{
	static const struct hv_engine_ops *const engines[] = {&hv_engine_soft, NULL};
	static const struct hvcore_program program = {.engines = engines};

	return hvcore_process(&program, argc, argv);
}
