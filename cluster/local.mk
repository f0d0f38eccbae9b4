# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcluster.a
libcluster_a_SOURCES = \
	cluster/clu_agent.c cluster/clu_agent.h cluster/clu_agent_int.h \
	cluster/clu_conf.c cluster/clu_conf.h \
	cluster/clu_conn.c \
	cluster/clu_console.c \
	cluster/clu_corosync.c cluster/clu_corosync.h \
	cluster/clu_event.c cluster/clu_event.h \
	cluster/clu_exec.c cluster/clu_exec.h \
	cluster/clu_fenced.c \
	cluster/clu_heir.c \
	cluster/clu_land.c \
	cluster/clu_move.c cluster/clu_move_int.h \
	cluster/clu_move_doc.c \
	cluster/clu_move_verb.c \
	cluster/clu_ocf.c cluster/clu_ocf.h cluster/clu_ocf_int.h \
	cluster/clu_ocf_meta.c \
	cluster/clu_ocf_proc.c \
	cluster/clu_pcmk.c cluster/clu_pcmk.h \
	cluster/clu_pcmk_parse.c \
	cluster/clu_pcmk_picture.c \
	cluster/clu_pcmk_xml.c cluster/clu_pcmk_xml.h \
	cluster/clu_peer.c cluster/clu_peer.h \
	cluster/clu_probe.c \
	cluster/clu_proof.c \
	cluster/clu_register.c \
	cluster/clu_saved.c \
	cluster/clu_start.c \
	cluster/clu_store.c \
	cluster/clu_super.c cluster/clu_super.h \
	cluster/clu_tap.c cluster/clu_tap.h \
	cluster/clu_verb_cluster.c \
	cluster/clu_verb_look.c \
	cluster/clu_verb_vm.c \
	cluster/clu_verb_volume.c cluster/clu_disk_grown.c \
	cluster/clu_vmconf.c cluster/clu_vmconf.h \
	cluster/clu_volwork.c
libcluster_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(XML_CFLAGS) $(JSON_CFLAGS) $(COROSYNC_CFLAGS)
$(libcluster_a_OBJECTS): proto/ctl.pb-c.h
