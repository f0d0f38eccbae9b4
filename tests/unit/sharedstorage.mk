# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of sharedstorage/.
stor_test_libs = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
stor_tests = \
	tests/unit/test_stor_file \
	tests/unit/test_stor_lease \
	tests/unit/test_stor_lease_disk \
	tests/unit/test_stor_pr \
	tests/unit/test_stor_scsi \
	tests/unit/test_stor_sense \
	tests/unit/test_stor_timing \
	tests/unit/test_stor_url
check_PROGRAMS += $(stor_tests)
TESTS += $(stor_tests)
tests_unit_test_stor_file_SOURCES = tests/unit/test_stor_file.c
tests_unit_test_stor_file_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_file_LDADD = $(stor_test_libs)
tests_unit_test_stor_lease_SOURCES = tests/unit/test_stor_lease.c
tests_unit_test_stor_lease_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_lease_LDADD = $(stor_test_libs)
tests_unit_test_stor_lease_disk_SOURCES = tests/unit/test_stor_lease_disk.c
tests_unit_test_stor_lease_disk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_lease_disk_LDADD = $(stor_test_libs)
tests_unit_test_stor_pr_SOURCES = tests/unit/test_stor_pr.c
tests_unit_test_stor_pr_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_pr_LDADD = $(stor_test_libs)
tests_unit_test_stor_scsi_SOURCES = tests/unit/test_stor_scsi.c
tests_unit_test_stor_scsi_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_scsi_LDADD = $(stor_test_libs)
tests_unit_test_stor_sense_SOURCES = tests/unit/test_stor_sense.c
tests_unit_test_stor_sense_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_sense_LDADD = $(stor_test_libs)
tests_unit_test_stor_timing_SOURCES = tests/unit/test_stor_timing.c
tests_unit_test_stor_timing_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_timing_LDADD = $(stor_test_libs)
tests_unit_test_stor_url_SOURCES = tests/unit/test_stor_url.c
tests_unit_test_stor_url_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_url_LDADD = $(stor_test_libs)

# Volumes: data and metadata; what they keep for VMs; limits; damage; frozen ones; the data path of a disk.
VOLKIT = tests/unit/volkit.c tests/unit/volkit.h
stor_vol_tests = \
	tests/unit/test_stor_disk \
	tests/unit/test_stor_volcheck \
	tests/unit/test_stor_voldump \
	tests/unit/test_stor_volfmt \
	tests/unit/test_stor_volguard \
	tests/unit/test_stor_volleak \
	tests/unit/test_stor_volume \
	tests/unit/test_stor_volclaim tests/unit/test_stor_volvm
check_PROGRAMS += $(stor_vol_tests)
TESTS += $(stor_vol_tests)
tests_unit_test_stor_disk_SOURCES = tests/unit/test_stor_disk.c $(VOLKIT)
tests_unit_test_stor_disk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_disk_LDADD = $(stor_test_libs)
tests_unit_test_stor_volcheck_SOURCES = tests/unit/test_stor_volcheck.c $(VOLKIT)
tests_unit_test_stor_volcheck_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volcheck_LDADD = $(stor_test_libs)
tests_unit_test_stor_voldump_SOURCES = tests/unit/test_stor_voldump.c $(VOLKIT)
tests_unit_test_stor_voldump_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -DGOLDEN_DIR='"$(abs_top_srcdir)/tests/golden"'
tests_unit_test_stor_voldump_LDADD = $(stor_test_libs)
tests_unit_test_stor_volfmt_SOURCES = tests/unit/test_stor_volfmt.c $(VOLKIT)
tests_unit_test_stor_volfmt_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volfmt_LDADD = $(stor_test_libs)
tests_unit_test_stor_volguard_SOURCES = tests/unit/test_stor_volguard.c $(VOLKIT)
tests_unit_test_stor_volguard_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volguard_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(BLKID_LIBS) $(HV_SYS_LIBS)
tests_unit_test_stor_volleak_SOURCES = tests/unit/test_stor_volleak.c $(VOLKIT)
tests_unit_test_stor_volleak_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volleak_LDADD = $(stor_test_libs)
tests_unit_test_stor_volume_SOURCES = tests/unit/test_stor_volume.c $(VOLKIT)
tests_unit_test_stor_volume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volume_LDADD = $(stor_test_libs)
tests_unit_test_stor_volclaim_SOURCES = tests/unit/test_stor_volclaim.c $(VOLKIT)
tests_unit_test_stor_volclaim_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volclaim_LDADD = $(stor_test_libs)
tests_unit_test_stor_volvm_SOURCES = tests/unit/test_stor_volvm.c $(VOLKIT)
tests_unit_test_stor_volvm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volvm_LDADD = $(stor_test_libs)
EXTRA_DIST += tests/golden/volume-512.z tests/golden/volume-512.dump tests/golden/volume-4096.z tests/golden/volume-4096.dump

# A crash at every write of any operation, enumerated.
VOLOPSKIT = tests/unit/volopskit.c tests/unit/volopskit.h tests/unit/volvmopskit.c
check_PROGRAMS += tests/unit/test_stor_vol
TESTS += tests/unit/test_stor_vol
tests_unit_test_stor_vol_SOURCES = tests/unit/test_stor_vol.c $(VOLOPSKIT) $(VOLKIT)
tests_unit_test_stor_vol_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_vol_LDADD = $(stor_test_libs)
