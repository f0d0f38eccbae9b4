# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcluster.a
libcluster_a_SOURCES = \
	cluster/clu_agent.c cluster/clu_agent.h cluster/node/clu_agent_int.h \
	cluster/node/clu_conf.c cluster/node/clu_conf.h \
	cluster/clu_conn.c \
	cluster/verb/clu_verb_console.c \
	cluster/node/clu_corosync.c cluster/node/clu_corosync.h \
	cluster/node/clu_event.c cluster/node/clu_event.h \
	cluster/pcmk/clu_exec.c cluster/pcmk/clu_exec.h \
	cluster/vm/clu_fenced.c \
	cluster/vm/clu_heir.c \
	cluster/move/clu_land.c \
	cluster/move/clu_move.c cluster/move/clu_move_int.h \
	cluster/move/clu_move_doc.c \
	cluster/move/clu_move_verb.c \
	cluster/ocf/clu_ocf.c cluster/ocf/clu_ocf.h cluster/ocf/clu_ocf_int.h \
	cluster/ocf/clu_ocf_meta.c \
	cluster/ocf/clu_ocf_proc.c \
	cluster/pcmk/clu_pcmk.c cluster/pcmk/clu_pcmk.h \
	cluster/pcmk/clu_pcmk_parse.c \
	cluster/pcmk/clu_pcmk_picture.c \
	cluster/pcmk/clu_pcmk_xml.c cluster/pcmk/clu_pcmk_xml.h \
	cluster/node/clu_peer.c cluster/node/clu_peer.h \
	cluster/vm/clu_probe.c \
	cluster/vm/clu_proof.c \
	cluster/verb/clu_verb_register.c \
	cluster/verb/clu_verb_saved.c \
	cluster/vm/clu_start.c \
	cluster/vm/clu_store.c \
	cluster/vm/clu_super.c cluster/vm/clu_super.h \
	cluster/vm/clu_tap.c cluster/vm/clu_tap.h \
	cluster/verb/clu_verb_cluster.c \
	cluster/verb/clu_verb_look.c \
	cluster/verb/clu_verb_vm.c \
	cluster/verb/clu_verb_volume.c cluster/verb/clu_disk_grown.c \
	cluster/vm/clu_vmconf.c cluster/vm/clu_vmconf.h \
	cluster/vm/clu_volwork.c
libcluster_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(XML_CFLAGS) $(JSON_CFLAGS) $(COROSYNC_CFLAGS)
$(libcluster_a_OBJECTS): proto/ctl.pb-c.h
