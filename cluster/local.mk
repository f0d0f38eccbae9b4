# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcluster.a
libcluster_a_SOURCES = \
	cluster/clu_agent.c cluster/clu_agent.h \
	cluster/clu_conn.c cluster/clu_conn.h \
	cluster/clu_dead.c cluster/clu_dead.h \
	cluster/clu_verbs.c cluster/clu_verbs.h \
	cluster/verb/clu_disk_grown.c cluster/verb/clu_disk_grown.h \
	cluster/verb/clu_verb_cluster.c cluster/verb/clu_verb_cluster.h \
	cluster/verb/clu_verb_console.c cluster/verb/clu_verb_console.h \
	cluster/verb/clu_verb_disk.c cluster/verb/clu_verb_disk.h \
	cluster/verb/clu_verb_look.c cluster/verb/clu_verb_look.h \
	cluster/verb/clu_verb_node.c cluster/verb/clu_verb_node.h \
	cluster/verb/clu_verb_peer.c cluster/verb/clu_verb_peer.h \
	cluster/verb/clu_verb_register.c cluster/verb/clu_verb_register.h \
	cluster/verb/clu_verb_run.c cluster/verb/clu_verb_run.h \
	cluster/verb/clu_verb_saved.c cluster/verb/clu_verb_saved.h \
	cluster/verb/clu_verb_vm.c cluster/verb/clu_verb_vm.h \
	cluster/verb/clu_verb_volume.c cluster/verb/clu_verb_volume.h \
	cluster/verb/clu_volume_job.c cluster/verb/clu_volume_job.h \
	cluster/move/clu_heir_offer.c cluster/move/clu_heir_offer.h \
	cluster/move/clu_land.c cluster/move/clu_land.h \
	cluster/move/clu_move.c cluster/move/clu_move.h \
	cluster/move/clu_move_doc.c \
	cluster/move/clu_move_end.c \
	cluster/move/clu_move_list.c \
	cluster/move/clu_move_verb.c \
	cluster/move/clu_move_way.c \
	cluster/move/clu_move_int.h \
	cluster/vm/clu_copy.c cluster/vm/clu_copy.h \
	cluster/vm/clu_deaths.c cluster/vm/clu_deaths.h \
	cluster/vm/clu_define.c cluster/vm/clu_define.h \
	cluster/vm/clu_fenced.c cluster/vm/clu_fenced.h \
	cluster/vm/clu_heir.c cluster/vm/clu_heir.h \
	cluster/vm/clu_landings.c cluster/vm/clu_landings.h \
	cluster/vm/clu_probe.c cluster/vm/clu_probe.h \
	cluster/vm/clu_proof.c cluster/vm/clu_proof.h \
	cluster/vm/clu_saved_note.c cluster/vm/clu_saved_note.h \
	cluster/vm/clu_spawn.c cluster/vm/clu_spawn.h \
	cluster/vm/clu_start.c cluster/vm/clu_start.h \
	cluster/vm/clu_store.c cluster/vm/clu_store.h \
	cluster/vm/clu_super.c cluster/vm/clu_super.h \
	cluster/vm/clu_tap.c cluster/vm/clu_tap.h \
	cluster/vm/clu_vmconf.c cluster/vm/clu_vmconf.h \
	cluster/vm/clu_volwork.c cluster/vm/clu_volwork.h \
	cluster/vm/clu_where.c cluster/vm/clu_where.h \
	cluster/vm/clu_wish.c cluster/vm/clu_wish.h \
	cluster/node/clu_conf.c cluster/node/clu_conf.h \
	cluster/node/clu_corosync.c cluster/node/clu_corosync.h \
	cluster/node/clu_event.c cluster/node/clu_event.h \
	cluster/node/clu_host.c cluster/node/clu_host.h \
	cluster/node/clu_member.c cluster/node/clu_member.h \
	cluster/node/clu_peer.c cluster/node/clu_peer.h \
	cluster/node/clu_quorum.c cluster/node/clu_quorum.h \
	cluster/node/clu_agent_int.h \
	cluster/node/clu_doc.h \
	cluster/pcmk/clu_exec.c cluster/pcmk/clu_exec.h \
	cluster/pcmk/clu_pcmk.c cluster/pcmk/clu_pcmk.h \
	cluster/pcmk/clu_pcmk_parse.c \
	cluster/pcmk/clu_pcmk_picture.c \
	cluster/pcmk/clu_pcmk_xml.c cluster/pcmk/clu_pcmk_xml.h \
	cluster/ocf/clu_ocf.c cluster/ocf/clu_ocf.h \
	cluster/ocf/clu_ocf_meta.c \
	cluster/ocf/clu_ocf_proc.c \
	cluster/ocf/clu_ocf_int.h
libcluster_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(XML_CFLAGS) $(JSON_CFLAGS) $(COROSYNC_CFLAGS)
$(libcluster_a_OBJECTS): proto/ctl.pb-c.h
