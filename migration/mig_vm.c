/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_vm.c - a VM's configuration as the words of a greeting. Sends nothing; what a peer or an
 * image says is judged in mig_compat.c.
 */
#include "config.h"

#include "migration/mig_vm.h"

#include <stdio.h>
#include <string.h>

#include "hvcore/vm/hv_vm.h"
#include "migration/mig_compat.h"

void mig_vm_hello(struct hv_vm *vm, const char *node, struct mig_hello *h)
{
	const struct hv_vm_config *vc = hv_vm_config(vm);

	*h = (struct mig_hello){
		.magic = MIG_MAGIC,
		.format = MIG_FORMAT,
		.format_min = MIG_FORMAT_MIN,
		.machine = HV_MACHINE_NAME,
		.memory_bytes = vc->memory_bytes,
		.vcpus = vc->cpus,
	};
	memcpy(h->uuid, vc->uuid, sizeof h->uuid);
	snprintf(h->name, sizeof h->name, "%s", vc->name);
	snprintf(h->node, sizeof h->node, "%s", node ? node : "");
	snprintf(h->engine, sizeof h->engine, "%s", hv_vm_engine_ops(vm)->name);
}

int mig_vm_supported(struct hv_vm *vm, struct hv_cpuid *supported, struct cm_err *err)
{
	if (hv_vm_engine_ops(vm)->cpuid_supported(hv_vm_engine(vm), supported) < 0)
		return cm_err_set(err, CM_E_NO_ENGINE,
				  "the engine here does not tell what it offers");
	return 0;
}

int mig_vm_check(struct hv_vm *vm, const struct mig_hello *h, const struct hv_cpuid *contract,
		 const struct hv_cpuid *supported, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(vm);
	struct mig_compat_host host = {
		.machine = HV_MACHINE_NAME,
		.memory_bytes = vc->memory_bytes,
		.vcpus = vc->cpus,
		.supported = supported,
	};

	memcpy(host.uuid, vc->uuid, sizeof host.uuid);
	return mig_compat_check(h, contract, &host, err);
}
