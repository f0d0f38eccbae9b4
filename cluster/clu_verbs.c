/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verbs.c - the tables of verbs: every question that this agent answers, and who may ask it.
 */
#include "config.h"

#include "cluster/clu_verbs.h"

#include "cluster/clu_conn.h"
#include "cluster/move/clu_heir_offer.h"
#include "cluster/move/clu_land.h"
#include "cluster/move/clu_move.h"
#include "cluster/verb/clu_verb_cluster.h"
#include "cluster/verb/clu_verb_console.h"
#include "cluster/verb/clu_verb_disk.h"
#include "cluster/verb/clu_verb_look.h"
#include "cluster/verb/clu_verb_node.h"
#include "cluster/verb/clu_verb_peer.h"
#include "cluster/verb/clu_verb_register.h"
#include "cluster/verb/clu_verb_run.h"
#include "cluster/verb/clu_verb_saved.h"
#include "cluster/verb/clu_verb_vm.h"
#include "cluster/verb/clu_verb_volume.h"

/* {{name, arguments, handler, root only}, looks at the picture of the cluster} */
// clang-format off
static const struct clu_verb operator_verbs[] = {
	{{"list", "", clu_verb_list, false}, true},
	{{"show", "vm", clu_verb_show, false}, true},
	{{"why", "vm", clu_verb_why, false}, true},
	{{"create", "vm uuid memory cpus engine kernel initrd cmdline disk net lease machine io_timeout_ms io_fail_after_ms start", clu_verb_create, false}, true},
	{{"delete", "vm force", clu_verb_delete, false}, true},
	{{"start", "vm fresh timeout_ms", clu_verb_start, false}, true},
	{{"restore", "vm timeout_ms", clu_verb_restore, false}, true},
	{{"save", "vm", clu_verb_save, false}, true},
	{{"register", "disk", clu_verb_register, false}, true},
	{{"stop", "vm force timeout_ms", clu_verb_stop, false}, true},
	{{"pause", "vm", clu_verb_core, false}, true},
	{{"resume", "vm", clu_verb_core, false}, true},
	{{"reset", "vm", clu_verb_core, false}, true},
	{{"power-button", "vm", clu_verb_core, false}, true},
	{{"qga-ping", "vm", clu_verb_core, false}, true},
	{{"qga-time", "vm", clu_verb_core, false}, true},
	{{"qga-freeze", "vm", clu_verb_core, false}, true},
	{{"qga-thaw", "vm", clu_verb_core, false}, true},
	{{"qga-shutdown", "vm", clu_verb_core, false}, true},
	{{"dump", "vm", clu_verb_core, false}, true},
	{{"counters", "vm interval_ms", clu_verb_core, false}, true},
	{{"trace", "vm on off window_ms count", clu_verb_core, false}, true},
	{{"balloon", "vm bytes", clu_verb_core, false}, true},
	{{"fault", "vm spec", clu_verb_core_fault, true}, true},
	{{"console", "vm", clu_verb_console, false}, true},
	{{"migrate", "vm node max_blackout_ms", clu_verb_migrate, false}, true},
	{{"migrate-cancel", "vm", clu_verb_migrate_cancel, false}, true},
	{{"node-list", "", clu_verb_node_list, false}, true},
	{{"node-show", "node", clu_verb_node_show, false}, true},
	{{"node-drain", "node", clu_verb_node_drain, false}, true},
	{{"node-undrain", "node", clu_verb_node_undrain, false}, true},
	{{"cluster-status", "", clu_verb_cluster_status, false}, true},
	{{"events", "follow", clu_verb_events, false}, false},
	{{"host-check", "", clu_verb_host_check, false}, false},
	{{"volume-create", "volume url extent force", clu_verb_volume_create, true}, true},
	{{"volume-list", "", clu_verb_volume_list, false}, true},
	{{"volume-show", "volume", clu_verb_volume_show, false}, true},
	{{"volume-check", "volume repair", clu_verb_volume_check, true}, true},
	{{"volume-forget", "volume", clu_verb_volume_forget, true}, true},
	{{"volume-attach", "volume url", clu_verb_volume_attach, true}, true},
	{{"volume-vms", "volume", clu_verb_volume_vms, false}, true},
	{{"disk-create", "disk size thick", clu_verb_disk_create, false}, true},
	{{"disk-inspect", "disk", clu_verb_disk_inspect, false}, true},
	{{"disk-resize", "disk size", clu_verb_disk_resize, false}, true},
	{{"disk-rename", "disk to", clu_verb_disk_rename, false}, true},
	{{"disk-delete", "disk", clu_verb_disk_delete, false}, true},
	{{"disk-release", "disk sure", clu_verb_disk_release, true}, true},
	{{"volume-dump", "volume what", clu_verb_volume_dump, false}, true},
	{{"volume-grow", "volume", clu_verb_volume_grow, false}, true},
	{{"disk-resized", "", clu_verb_core, false}, true},
};

static const struct clu_verb ocf_verbs[] = {
	{{"local-start", "vm timeout_ms", clu_verb_local_start, true}, true},
	{{"local-stop", "vm force timeout_ms", clu_verb_local_stop, true}, false},
	{{"local-status", "vm", clu_verb_local_status, false}, false},
	{{"local-orphan", "vm", clu_verb_local_orphan, true}, false},
	{{"local-migrate-to", "vm node timeout_ms", clu_verb_local_migrate_to, true}, true},
	{{"local-migrate-from", "vm timeout_ms", clu_verb_local_migrate_from, true}, false},
};

/* Besides these a peer may use the operator's verbs, for a VM that is here: an agent forwards
 * them. */
static const struct clu_verb peer_verbs[] = {
	{{"peer-hello", "", clu_verb_peer_hello, false}, false},
	{{"peer-reclaim", "vm", clu_verb_peer_reclaim, false}, false},
	{{"peer-status", "vm", clu_verb_local_status, false}, true},
	{{"peer-fence-mark", "node", clu_verb_peer_fence_mark, false}, false},
	{{"peer-take-over", "vm pid boot", clu_verb_peer_take_over, false}, false},
	{{"peer-incoming", "vm", clu_verb_peer_incoming, false}, true},
	{{"peer-incoming-cancel", "vm", clu_verb_peer_incoming_cancel, false}, false},
};
// clang-format on

const struct clu_conn_table clu__verbs = {
	.operators = {operator_verbs, CM_ARRAY_LEN(operator_verbs)},
	.ocf = {ocf_verbs, CM_ARRAY_LEN(ocf_verbs)},
	.peers = {peer_verbs, CM_ARRAY_LEN(peer_verbs)},
	.data = clu_verb_console_input,
};
