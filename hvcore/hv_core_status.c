/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_status.c - the document of `status`. Changes nothing.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "hvcore/hv_core_int.h"

static void counter(void *arg, const char *name, uint64_t value)
{
	if (value)
		hv_json_u64(arg, name, value);
}

static void put_lease(struct hv_core *core, struct hv_json *j)
{
	struct stor_lease *l = hv_owner_lease(core->owner);
	uint64_t until = stor_lease_valid_until(l), now = cm_now_ns();

	hv_json_u64(j, "epoch", stor_lease_epoch(l));
	hv_json_open(j, "lease", '{');
	hv_json_str(j, "state", stor_lease_state_name(l));
	hv_json_u64(j, "valid_ms", until > now ? (until - now) / CM_NS_PER_MS : 0);
	hv_json_close(j, '}');
}

static void put_disks(struct hv_core *core, struct hv_json *j)
{
	const Hv__VmConfig *c = core->start->vm;

	hv_json_open(j, "disks", '[');
	for (unsigned i = 0; i < c->n_disks; i++) {
		struct stor_dev_status st, below;

		hv_json_open(j, NULL, '{');
		hv_json_str(j, "url", c->disks[i]->url);
		if (core->vmcfg.disk[i].dev) {
			/* A disk of a volume stalls with the LUN below it, and has its path. */
			stor_dev_get_status(core->vmcfg.disk[i].dev, &st);
			stor_dev_get_status(hv_disks_below(core->disks, i), &below);
			if (st.state == STOR_DEV_READY)
				st.state = below.state;
			hv_json_str(j, "state", stor_dev_state_name(st.state));
			hv_json_str(j, "why", st.why[0] ? st.why : below.why);
			hv_json_str(j, "path", below.path);
			hv_json_u64(j, "waiting", below.queued);
			hv_json_u64(j, "reads", st.reads);
			hv_json_u64(j, "writes", st.writes);
			hv_json_u64(j, "flushes", st.flushes);
			hv_json_u64(j, "read_bytes", st.read_bytes);
			hv_json_u64(j, "write_bytes", st.write_bytes);
			hv_json_u64(j, "errors", st.errors);
			hv_json_u64(j, "reconnects", below.reconnects);
			hv_json_u64(j, "lost_flushes", st.lost_flushes);
		}
		hv_json_close(j, '}');
	}
	hv_json_close(j, ']');
}

/* Bytes of this process that are not the guest's memory and not shared: "Private_*" of the kernel.
 */
static uint64_t private_bytes(void)
{
	unsigned long long anon_kb = 0, kb;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "RssAnon: %llu kB", &kb) == 1)
			anon_kb = kb;
	if (f)
		fclose(f);
	return anon_kb << 10;
}

void hv_core_status(struct hv_core *core, struct hv_json *j)
{
	char uuid[STOR_UUID_TEXT];
	uint64_t now = cm_now_ns();

	stor_uuid_format(&core->uuid, uuid);
	hv_json_open(j, NULL, '{');
	hv_json_str(j, "name", core->start->vm->name);
	hv_json_str(j, "state", hv_core_state_word(core->state));
	hv_json_str(j, "uuid", uuid);
	hv_json_u64(j, "pid", (uint64_t)getpid());
	hv_json_str(j, "machine", HV_MACHINE_NAME);
	hv_json_u64(j, "memory_bytes", core->start->vm->memory_bytes);
	hv_json_u64(j, "cpus", core->vmcfg.cpus);
	hv_json_u64(j, "uptime_ms", core->ran_ns ? (now - core->ran_ns) / CM_NS_PER_MS : 0);
	hv_json_u64(j, "private_bytes", private_bytes());
	if (core->owner)
		put_lease(core, j);
	if (core->disks && !core->closing) {
		put_disks(core, j);
		hv_json_str(j, "storage", hv_disks_trouble(core->disks));
	}
	if (core->vm) {
		hv_json_str(j, "engine", hv_vm_engine_ops(core->vm)->name);
		hv_json_str(j, "engine_why", hv_vm_engine_why(core->vm));
		hv_json_str(j, "vm_state", hv_vm_state_name(hv_vm_state(core->vm)));
		if (hv_vm_started_at_ns(core->vm))
			hv_json_u64(j, "start_us",
				    (hv_vm_started_at_ns(core->vm) - core->born_ns) / 1000);
		hv_json_open(j, "counters", '{');
		hv_vm_counters(core->vm, counter, j);
		hv_json_close(j, '}');
		hv_qga_status(core->qga, j);
	}
	if (core->hooks.status)
		core->hooks.status(core, j);
	hv_json_close(j, '}');
}
