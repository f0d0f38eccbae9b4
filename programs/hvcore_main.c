/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_main.c - hvcore, the process of one VM: the CPU runs its guest, by KVM.
 *
 * Not for people: hvclusterd or `hvctl run` starts it (proto/ctl.proto, "Starting hvcore"). For a
 * VM that wants the soft engine, or that this host's KVM cannot run, it becomes hvcore-soft before
 * anything else happens (hvcore_engine.c), so whoever starts VMs need not know.
 */
#include "config.h"

#include <stddef.h>

#include "programs/hvcore_process.h"

int main(int argc, char **argv)
{
	static const struct hv_engine_ops *const engines[] = {&hv_engine_kvm, NULL};
	static const struct hvcore_program program = {
		.engines = engines,
		.kvm = "/dev/kvm",
		.other = "hvcore-soft",
		.other_engine = "soft",
	};

	return hvcore_process(&program, argc, argv);
}
