# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libsharedstorage.a
libsharedstorage_a_SOURCES = \
	sharedstorage/stor_dev.c sharedstorage/stor_dev.h sharedstorage/stor_dev_int.h \
	sharedstorage/stor_disk.c sharedstorage/stor_disk.h sharedstorage/stor_disk_int.h \
	sharedstorage/stor_diskmap.c sharedstorage/stor_disktake.c \
	sharedstorage/stor_volcheck.c sharedstorage/stor_volconf.c \
	sharedstorage/stor_voldisk.c sharedstorage/stor_voldump.c sharedstorage/stor_volimage.c sharedstorage/stor_volio.c \
	sharedstorage/stor_volslot.c sharedstorage/stor_voltable.c sharedstorage/stor_volvm.c \
	sharedstorage/stor_volfmt.c sharedstorage/stor_volfmt.h \
	sharedstorage/stor_volume.c sharedstorage/stor_volume_int.h \
	sharedstorage/stor_file.c \
	sharedstorage/stor_iscsi.c sharedstorage/stor_iscsi_int.h \
	sharedstorage/stor_iscsi_admit.c sharedstorage/stor_iscsi_exclusive.c \
	sharedstorage/stor_iscsi_fence.c sharedstorage/stor_iscsi_flush.c \
	sharedstorage/stor_iscsi_guard.c sharedstorage/stor_iscsi_io.c \
	sharedstorage/stor_scsi.c sharedstorage/stor_scsi.h \
	sharedstorage/stor_sess.c sharedstorage/stor_sess.h \
	sharedstorage/stor_lease.c sharedstorage/stor_lease.h sharedstorage/stor_lease_int.h \
	sharedstorage/stor_lease_api.c \
	sharedstorage/stor_lease_disk.c sharedstorage/stor_lease_disk.h \
	sharedstorage/stor_lease_judge.c \
	sharedstorage/stor_lease_vacate.c \
	sharedstorage/stor_locked.c \
	sharedstorage/stor_permit.c sharedstorage/stor_permit.h sharedstorage/stor_permit_int.h \
	sharedstorage/stor_pr.c sharedstorage/stor_pr.h \
	sharedstorage/stor_probe.c sharedstorage/stor_probe.h sharedstorage/stor_probe_judge.c \
	sharedstorage/stor_timing.h \
	sharedstorage/stor_uring.c sharedstorage/stor_uring.h \
	sharedstorage/stor_url.c sharedstorage/stor_url.h \
	sharedstorage/stor_volume.h
libsharedstorage_a_CFLAGS = $(AM_CFLAGS) $(ISCSI_CFLAGS) $(ZLIB_CFLAGS)
