/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_verbs.c - the table of verbs. Usage, completion and parsing all come from it.
 */
#include "config.h"

#include <stdio.h>

#include "cli/hvctl.h"

// clang-format off
const struct hvctl_verb hvctl_verbs[] = {
	{"run", "", 0, 0, NULL, "", hvctl_run, NULL, "run one VM in the foreground: no daemon, no cluster", {
		{"kernel", "FILE", NULL, "bzImage or x86-64 ELF kernel (required)"},
		{"initrd", "FILE", NULL, "initial ramdisk"},
		{"cmdline", "TEXT", NULL, "kernel command line"},
		{"disk", "FILE|URL", NULL, "disk (a path, file: or iscsi: URL); ';' separates several"},
		{"memory", "SIZE", NULL, "guest memory (256M)"},
		{"cpus", "N", NULL, "vCPUs (1)"},
		{"engine", "auto|kvm|soft", NULL, "CPU engine (auto)"},
		{"heartbeat", "SOCKET", NULL, "UNIX socket that gets the bytes of debug port 0xe9"},
		{"control", "SOCKET", NULL, "listen for control requests there"},
		{"insns-per-us", "N", NULL, "soft engine: time counted in instructions"}}},
	{"list", "", 0, 0, "list", "", NULL, hvctl_show_list, "all VMs", {{0}}},
	{"show", "VM", 1, 1, "show", "v", NULL, hvctl_show_tree, "everything about a VM", {{0}}},
	{"why", "VM", 1, 1, "why", "v", NULL, hvctl_show_why, "every reason for where a VM runs, or does not", {{0}}},
	{"create", "VM", 1, 1, "create", "v", NULL, hvctl_show_created, "define a VM", {
		{"memory", "SIZE", NULL, "guest memory (512M)"},
		{"cpus", "N", NULL, "vCPUs (1)"},
		{"kernel", "FILE", NULL, "kernel, present on every node (required)"},
		{"initrd", "FILE", NULL, "initial ramdisk"},
		{"cmdline", "TEXT", NULL, "kernel command line"},
		{"disk", "VOLUME/DISK", NULL, "disks; ';' separates several"},
		{"net", "bridge=NAME[,mac=M]", NULL, "networks; ';' separates several"},
		{"lease", "VOLUME", NULL, "volume of the ownership block (default: the first disk's)"},
		{"engine", "auto|kvm|soft", NULL, "CPU engine (auto)"},
		{"uuid", "UUID", NULL, "identity (default: random)"},
		{"io-timeout", "MS", "io_timeout_ms", "base of all storage time-outs"},
		{"io-fail-after", "MS", "io_fail_after_ms", "disk I/O that cannot proceed fails in the guest then (never)"},
		{"start", NULL, NULL, "start it at once"}}},
	{"register", "VOLUME/VM", 1, 1, "register", "d", NULL, hvctl_show_created, "define a VM from its volume's copy of the definition", {{0}}},
	{"delete", "VM", 1, 1, "delete", "v", NULL, NULL, "remove a stopped VM's definition; its disks stay", {
		{"force", NULL, NULL, "also its saved state; and although its volume cannot be reached"}}},
	{"start", "VM", 1, 1, "start", "v", NULL, hvctl_show_started, "start a VM; a saved one goes on from where it was", {
		{"fresh", NULL, NULL, "discard its saved state and boot"},
		{"timeout", "MS", "timeout_ms", "wait that long (90000)"}}},
	{"save", "VM", 1, 1, "save", "v", NULL, hvctl_show_started, "keep a running VM's state on its volume and end it", {{0}}},
	{"restore", "VM", 1, 1, "restore", "v", NULL, hvctl_show_started, "go on with a saved VM; refused if it is not saved", {
		{"timeout", "MS", "timeout_ms", "wait that long (90000)"}}},
	{"stop", "VM", 1, 1, "stop", "v", NULL, hvctl_show_started, "shut a VM down", {
		{"force", NULL, NULL, "at once, without asking the guest"},
		{"timeout", "MS", "timeout_ms", "wait that long (90000)"}}},
	{"reset", "VM", 1, 1, "reset", "v", NULL, NULL, "reset button", {{0}}},
	{"pause", "VM", 1, 1, "pause", "v", NULL, NULL, "stop the vCPUs", {{0}}},
	{"resume", "VM", 1, 1, "resume", "v", NULL, NULL, "let the vCPUs run again", {{0}}},
	{"power-button", "VM", 1, 1, "power-button", "v", NULL, NULL, "press the power button", {{0}}},
	{"agent ping", "VM", 1, 1, "qga-ping", "v", NULL, hvctl_show_tree, "does the guest agent answer", {{0}}},
	{"agent time", "VM", 1, 1, "qga-time", "v", NULL, hvctl_show_tree, "the guest's clock beside the host's", {{0}}},
	{"agent freeze", "VM", 1, 1, "qga-freeze", "v", NULL, hvctl_show_tree, "freeze the guest's file systems", {{0}}},
	{"agent thaw", "VM", 1, 1, "qga-thaw", "v", NULL, hvctl_show_tree, "thaw them again", {{0}}},
	{"agent shutdown", "VM", 1, 1, "qga-shutdown", "v", NULL, NULL, "ask the agent to shut the guest down", {{0}}},
	{"console", "VM", 1, 1, "console", "v", hvctl_console, NULL, "serial console (Ctrl-] ends)", {{0}}},
	{"migrate", "VM [NODE]", 1, 2, "migrate", "vn", NULL, hvctl_show_migrated, "move a running VM to another node", {
		{"live", NULL, "mode=live", "by pre-copy: short blackout (default)"},
		{"quick", NULL, "mode=quick", "save, transfer, restore: less traffic, longer blackout"},
		{"max-blackout", "MS", "max_blackout_ms", "hand over only when the forecast is below"},
		{"cancel", NULL, "verb=migrate-cancel", "cancel the move under way"}}},
	{"node list", "", 0, 0, "node-list", "", NULL, hvctl_show_nodes, "all nodes", {{0}}},
	{"node show", "NODE", 1, 1, "node-show", "n", NULL, hvctl_show_tree, "everything about a node", {{0}}},
	{"node drain", "NODE", 1, 1, "node-drain", "n", NULL, hvctl_show_tree, "move all VMs away and take no new ones", {{0}}},
	{"node undrain", "NODE", 1, 1, "node-undrain", "n", NULL, NULL, "take VMs again", {{0}}},
	{"cluster status", "", 0, 0, "cluster-status", "", NULL, hvctl_show_status, "quorum, fencing, nodes, VMs", {{0}}},
	{"host check", "", 0, 0, "host-check", "", NULL, hvctl_show_checks, "is this host fit to run HA VMs", {{0}}},
	{"volume list", "", 0, 0, "volume-list", "", NULL, hvctl_show_volumes, "all volumes", {{0}}},
	{"volume create", "VOLUME URL", 2, 2, "volume-create", "ur", NULL, hvctl_show_volume, "format a LUN or file as a volume: ALL DATA ON IT IS LOST", {
		{"extent", "SIZE", NULL, "allocation unit"},
		{"force", NULL, NULL, "destroy what is there, also if a host's key is registered: sure that nobody uses it"}}},
	{"volume attach", "VOLUME URL", 2, 2, "volume-attach", "ur", NULL, hvctl_show_volume, "make an existing volume known here, without changing it", {{0}}},
	{"volume vms", "VOLUME", 1, 1, "volume-vms", "u", NULL, hvctl_show_volume_vms, "the VMs that a volume tells of", {{0}}},
	{"volume show", "VOLUME", 1, 1, "volume-show", "u", NULL, hvctl_show_volume, "a volume and its disks", {{0}}},
	{"volume check", "VOLUME", 1, 1, "volume-check", "u", NULL, hvctl_show_tree, "check a volume's structures", {
		{"repair", NULL, NULL, "finish or undo what was interrupted; give leaked space back"}}},
	{"volume dump", "VOLUME [WHAT]", 1, 2, "volume-dump", "uw", NULL, hvctl_show_structures, "its structures as text: super, hosts, blocks, disks, configs, table, map:DISK", {{0}}},
	{"volume grow", "VOLUME", 1, 1, "volume-grow", "u", NULL, hvctl_show_volume, "use what its LUN or file grew by", {{0}}},
	{"volume forget", "VOLUME", 1, 1, "volume-forget", "u", NULL, NULL, "remove it from the cluster; its data stays", {{0}}},
	{"disk create", "VOLUME/DISK", 1, 1, "disk-create", "d", NULL, hvctl_show_tree, "make a disk", {
		{"size", "SIZE", NULL, "as 10G (required)"},
		{"thick", NULL, NULL, "allocate all space now"}}},
	{"disk inspect", "VOLUME/DISK", 1, 1, "disk-inspect", "d", NULL, hvctl_show_tree, "size and allocation of a disk", {{0}}},
	{"disk resize", "VOLUME/DISK", 1, 1, "disk-resize", "d", NULL, hvctl_show_tree, "grow a disk", {
		{"size", "SIZE", NULL, "new size (required)"}}},
	{"disk rename", "VOLUME/DISK NAME", 2, 2, "disk-rename", "dt", NULL, hvctl_show_tree, "give a disk another name", {{0}}},
	{"disk delete", "VOLUME/DISK", 1, 1, "disk-delete", "d", NULL, NULL, "delete a disk and its data", {{0}}},
	{"disk release", "VOLUME/DISK", 1, 1, "disk-release", "d", NULL, hvctl_show_tree, "clear the claim of a VM that does not run any more", {
		{"sure", NULL, NULL, "although nobody can look whether it runs: you say that it does not"}}},
	{"events", "", 0, 0, "events", "", hvctl_events, hvctl_show_events, "what happened on this node", {
		{"follow", NULL, NULL, "go on with new events as they come"}}},
	{"debug dump", "VM", 1, 1, "dump", "v", NULL, hvctl_show_dump, "all registers and devices of a VM, running or paused", {{0}}},
	{"debug counters", "VM", 1, 1, "counters", "v", NULL, hvctl_show_counters, "what a VM's vCPUs did: exits, MIPS, hit rates", {
		{"interval", "MS", "interval_ms", "of the next MS (to 20000); samples the soft engine's hit rates"}}},
	{"debug trace", "VM", 1, 1, "trace", "v", NULL, hvctl_show_trace, "last blocks and exceptions of a VM (soft engine)", {
		{"ms", "N", "window_ms", "record for N ms (to 20000), then show"},
		{"on", NULL, NULL, "start recording; the guest is slower"},
		{"off", NULL, NULL, "stop it; what is recorded stays"},
		{"count", "N", NULL, "so many steps of each vCPU (64)"}}},
	{"debug fault", "VM SPEC", 2, 2, "fault", "vs", NULL, NULL, "arm fault points (tests)", {{0}}},
	{"error", "CODE", 0, 1, NULL, "c", hvctl_error, NULL, "explain an error code (all without CODE)", {{0}}},
	{"help", "[VERB]", 0, 2, NULL, "cc", hvctl_help, NULL, "this help, or that of one verb", {{0}}},
};
// clang-format on
const size_t hvctl_n_verbs = CM_ARRAY_LEN(hvctl_verbs);
