# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libmigration.a
libmigration_a_SOURCES = \
	migration/mig_compat.c migration/mig_compat.h \
	migration/mig_converge.c migration/mig_converge.h \
	migration/mig_dst.c migration/mig_dst.h migration/mig_dst_int.h \
	migration/mig_dst_fsm.c migration/mig_dst_work.c \
	migration/mig_image.c migration/mig_image.h migration/mig_image_int.h \
	migration/mig_image_work.c \
	migration/mig_io.c migration/mig_io.h \
	migration/mig_land.c migration/mig_land.h \
	migration/mig_ram.h migration/mig_ram_in.c migration/mig_ram_out.c \
	migration/mig_sock.c migration/mig_sock.h \
	migration/mig_src.c migration/mig_src.h migration/mig_src_int.h \
	migration/mig_src_fsm.c migration/mig_src_work.c \
	migration/mig_store.c migration/mig_store.h \
	migration/mig_stream.c migration/mig_stream.h \
	migration/mig_types.c migration/mig_types.h \
	migration/mig_vm.c migration/mig_vm.h \
	migration/mig_worker.c migration/mig_worker.h \
	migration/core/mig_core.c migration/core/mig_core.h migration/core/mig_core_int.h \
	migration/core/mig_core_doc.c migration/core/mig_core_doc.h \
	migration/core/mig_core_dst.c migration/core/mig_core_dst.h \
	migration/core/mig_core_end.c migration/core/mig_core_end.h \
	migration/core/mig_core_image.c migration/core/mig_core_image.h \
	migration/core/mig_core_restore.c migration/core/mig_core_restore.h \
	migration/core/mig_core_save.c migration/core/mig_core_save.h \
	migration/core/mig_core_src.c migration/core/mig_core_src.h \
	migration/core/mig_core_ticket.c migration/core/mig_core_ticket.h \
	migration/core/mig_core_undo.c migration/core/mig_core_undo.h
libmigration_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
