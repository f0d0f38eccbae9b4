# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libsharedstorage.a
libsharedstorage_a_SOURCES = \
	sharedstorage/stor_open.c sharedstorage/stor_open.h \
	sharedstorage/dev/stor_dev.c sharedstorage/dev/stor_dev.h sharedstorage/dev/stor_dev_back.h \
	sharedstorage/dev/stor_dev_int.h sharedstorage/dev/stor_dev_queue.c sharedstorage/dev/stor_file.c \
	sharedstorage/dev/stor_file.h sharedstorage/dev/stor_fileio.c sharedstorage/dev/stor_fileio.h \
	sharedstorage/dev/stor_req.c sharedstorage/dev/stor_timing.h sharedstorage/dev/stor_uring.c \
	sharedstorage/dev/stor_uring.h sharedstorage/dev/stor_url.c sharedstorage/dev/stor_url.h \
	sharedstorage/dev/stor_key.c sharedstorage/dev/stor_key.h sharedstorage/dev/stor_uuid.c sharedstorage/dev/stor_uuid.h \
	sharedstorage/iscsi/stor_iscsi.c sharedstorage/iscsi/stor_iscsi.h sharedstorage/iscsi/stor_iscsi_adm.c \
	sharedstorage/iscsi/stor_iscsi_admit.c sharedstorage/iscsi/stor_iscsi_base.c \
	sharedstorage/iscsi/stor_iscsi_exclusive.c sharedstorage/iscsi/stor_iscsi_fence.c \
	sharedstorage/iscsi/stor_iscsi_flush.c sharedstorage/iscsi/stor_iscsi_guard.c \
	sharedstorage/iscsi/stor_iscsi_int.h sharedstorage/iscsi/stor_iscsi_io.c \
	sharedstorage/iscsi/stor_iscsi_send.c sharedstorage/iscsi/stor_locked.c \
	sharedstorage/iscsi/stor_iscsi_older.c sharedstorage/iscsi/stor_iscsi_refused.c \
	sharedstorage/iscsi/stor_locked.h sharedstorage/iscsi/stor_pr.c sharedstorage/iscsi/stor_pr.h \
	sharedstorage/iscsi/stor_probe.c sharedstorage/iscsi/stor_probe.h sharedstorage/iscsi/stor_probe_judge.c \
	sharedstorage/iscsi/stor_scsi.c sharedstorage/iscsi/stor_scsi.h sharedstorage/iscsi/stor_sense.c \
	sharedstorage/iscsi/stor_sense.h \
	sharedstorage/iscsi/stor_sess.c sharedstorage/iscsi/stor_sess.h \
	sharedstorage/lease/stor_block_io.c sharedstorage/lease/stor_lease.c sharedstorage/lease/stor_lease.h \
	sharedstorage/lease/stor_lease_api.c sharedstorage/lease/stor_lease_base.c \
	sharedstorage/lease/stor_lease_disk.c sharedstorage/lease/stor_lease_disk.h \
	sharedstorage/lease/stor_lease_gate.c sharedstorage/lease/stor_lease_int.h \
	sharedstorage/lease/stor_lease_judge.c sharedstorage/lease/stor_lease_own.c \
	sharedstorage/lease/stor_lease_seek.c sharedstorage/lease/stor_permit.c \
	sharedstorage/lease/stor_permit.h sharedstorage/lease/stor_permit_int.h \
	sharedstorage/volume/stor_disk.c sharedstorage/volume/stor_disk.h sharedstorage/volume/stor_disk_int.h \
	sharedstorage/volume/stor_diskchoose.c sharedstorage/volume/stor_diskio.c \
	sharedstorage/volume/stor_diskmap.c sharedstorage/volume/stor_diskpart.c \
	sharedstorage/volume/stor_disktake.c sharedstorage/volume/stor_volcheck.c sharedstorage/volume/stor_volcheck_int.h sharedstorage/volume/stor_volleak.c sharedstorage/volume/stor_volclaim.c \
	sharedstorage/volume/stor_volconf.c sharedstorage/volume/stor_voldisk.c \
	sharedstorage/volume/stor_voldump.c sharedstorage/volume/stor_volfmt.c \
	sharedstorage/volume/stor_volguard.c sharedstorage/volume/stor_volguard.h sharedstorage/volume/stor_volfmt.h sharedstorage/volume/stor_volfmt_int.h sharedstorage/volume/stor_supfmt.c sharedstorage/volume/stor_volmake.c sharedstorage/volume/stor_volgrow.c sharedstorage/volume/stor_volimage.c \
	sharedstorage/volume/stor_volio.c sharedstorage/volume/stor_volreader.c sharedstorage/volume/stor_volstale.c sharedstorage/volume/stor_volslot.c sharedstorage/volume/stor_volslotat.c \
	sharedstorage/volume/stor_voltable.c sharedstorage/volume/stor_volume.c \
	sharedstorage/volume/stor_volume.h sharedstorage/volume/stor_volume_int.h \
	sharedstorage/volume/stor_volvm.c
libsharedstorage_a_CFLAGS = $(AM_CFLAGS) $(ISCSI_CFLAGS) $(ZLIB_CFLAGS) $(BLKID_CFLAGS)
