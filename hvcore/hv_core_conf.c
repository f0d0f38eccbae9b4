/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_conf.c - from the start message to a VM's configuration. Data of the operator, checked
 * here.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "common/cm_sys.h"
#include "hvcore/hv_core_int.h"

const char *hv__core_option(const struct hv_core *core, const char *key)
{
	for (size_t i = 0; i < core->start->n_options; i++)
		if (strcmp(core->start->options[i]->key, key) == 0)
			return core->start->options[i]->value;
	return NULL;
}

static int open_file(const char *path, const char *what, int *fd, struct cm_err *err)
{
	*fd = -1;
	if (!path[0])
		return 0;
	*fd = cm_sys.open(path, O_RDONLY | O_CLOEXEC, 0);
	if (*fd < 0)
		return cm_err_set(err, CM_E_NO_FILE, "%s %s: %s", what, path, strerror(errno));
	return 0;
}

static int parse_mac(const char *text, uint8_t mac[6], struct cm_err *err)
{
	unsigned b[6];
	char end;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    b[0] & 1)
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no MAC address of a host", text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

/* The program has chosen already: it may still open /dev/kvm, the VM's own user may not. */
static int set_engine(struct hv_core *core, struct cm_err *err)
{
	const struct hv_engine_choice *choice = core->hooks.engine;
	const char *insns = hv__core_option(core, "insns_per_us");
	struct hv_vm_config *v = &core->vmcfg;
	char end;

	if (!choice->ops)
		return cm_err_set(err, choice->err.code, "%s", choice->err.text);
	v->engine = choice->ops;
	v->kvm_fd = choice->kvm_fd;
	memcpy(v->engine_why, choice->why, sizeof v->engine_why);
	if (choice->why[0])
		cm_notice("engine auto: %s: %s", choice->ops->name, choice->why);
	if (insns && sscanf(insns, "%" SCNu32 "%c", &v->insns_per_us, &end) != 1)
		return cm_err_set(err, CM_E_BAD_VALUE, "insns_per_us: '%s' is no number", insns);
	return 0;
}

static int set_nets(struct hv_vm_config *v, const Hv__VmConfig *c, struct cm_err *err)
{
	if (c->n_nets > HV_SLOT_NET_MAX)
		return cm_err_set(err, CM_E_BAD_VALUE, "%zu network cards: at most %u", c->n_nets,
				  HV_SLOT_NET_MAX);
	for (unsigned i = 0; i < HV_SLOT_NET_MAX; i++)
		v->net[i].tap_fd = -1;
	for (size_t i = 0; i < c->n_nets; i++) {
		int rc = parse_mac(c->nets[i]->mac, v->net[i].mac, err);

		if (rc < 0)
			return rc;
		v->net[i].tap_fd = c->nets[i]->tap_fd;
		if (v->net[i].tap_fd >= 0)
			(void)fcntl(v->net[i].tap_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	}
	return 0;
}

static int set_disks(struct hv_vm_config *v, const Hv__VmConfig *c, struct cm_err *err)
{
	if (c->n_disks > HV_SLOT_BLK_MAX)
		return cm_err_set(err, CM_E_BAD_VALUE, "%zu disks: at most %u", c->n_disks,
				  HV_SLOT_BLK_MAX);
	for (size_t i = 0; i < c->n_disks; i++) {
		snprintf(v->disk[i].serial, sizeof v->disk[i].serial, "%s", c->disks[i]->serial);
		v->disk[i].read_only = c->disks[i]->readonly;
	}
	return 0;
}

static void open_heartbeat(struct hv_core *core)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const char *path = core->start->heartbeat_socket;

	if (!path[0] || strlen(path) >= sizeof un.sun_path)
		return;
	strcpy(un.sun_path, path);
	core->heartbeat_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (core->heartbeat_fd >= 0 &&
	    connect(core->heartbeat_fd, (struct sockaddr *)&un, sizeof un) == 0)
		return;
	cm_warning("heartbeat socket %s: %s", path, strerror(errno));
	if (core->heartbeat_fd >= 0)
		close(core->heartbeat_fd);
	core->heartbeat_fd = -1;
}

static void open_console_log(struct hv_core *core)
{
	const char *path = core->start->console_log;

	if (!path[0])
		return;
	core->console_log_fd = cm_sys.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (core->console_log_fd < 0)
		cm_warning("console log %s: %s", path, strerror(errno));
}

int hv__core_configure(struct hv_core *core, struct cm_err *err)
{
	const Hv__VmConfig *c = core->start->vm;
	struct hv_vm_config *v = &core->vmcfg;
	int rc;

	if (!c || !c->name[0] || strlen(c->name) >= sizeof v->name)
		return cm_err_set(err, CM_E_BAD_VALUE, "the VM needs a name of 1 to %zu characters",
				  sizeof v->name - 1);
	if (c->machine[0] && strcmp(c->machine, HV_MACHINE_NAME) != 0)
		return cm_err_set(err, CM_E_BAD_VALUE, "machine '%s': this release has %s",
				  c->machine, HV_MACHINE_NAME);
	if (strlen(c->cmdline) >= sizeof v->cmdline)
		return cm_err_set(err, CM_E_BAD_VALUE, "the command line is longer than %zu bytes",
				  sizeof v->cmdline - 1);
	snprintf(v->name, sizeof v->name, "%s", c->name);
	snprintf(v->cmdline, sizeof v->cmdline, "%s", c->cmdline);
	if (c->uuid[0] && stor_uuid_parse(c->uuid, &core->uuid) < 0)
		return cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no UUID", c->uuid);
	if (!c->uuid[0])
		stor_uuid_random(&core->uuid);
	memcpy(v->uuid, core->uuid.b, sizeof v->uuid);
	v->memory_bytes = c->memory_bytes;
	v->cpus = c->cpus ? c->cpus : 1;
	v->vcpu_begins = core->hooks.vcpu_begins;
	v->console = v->rng = v->balloon = true;
	rc = set_engine(core, err);
	if (rc == 0)
		rc = set_nets(v, c, err);
	if (rc == 0)
		rc = set_disks(v, c, err);
	if (rc == 0)
		rc = open_file(c->kernel, "kernel", &v->kernel_fd, err);
	if (rc == 0)
		rc = open_file(c->initrd, "initrd", &v->initrd_fd, err);
	open_heartbeat(core);
	open_console_log(core);
	return rc;
}
