# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of sharedstorage/.
check_PROGRAMS += tests/unit/test_stor_format tests/unit/test_stor_lease
TESTS += tests/unit/test_stor_format tests/unit/test_stor_lease
tests_unit_test_stor_format_SOURCES = tests/unit/test_stor_format.c
tests_unit_test_stor_format_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_format_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
tests_unit_test_stor_lease_SOURCES = tests/unit/test_stor_lease.c
tests_unit_test_stor_lease_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_lease_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_stor_file
TESTS += tests/unit/test_stor_file
tests_unit_test_stor_file_SOURCES = tests/unit/test_stor_file.c
tests_unit_test_stor_file_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_file_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_stor_volume
TESTS += tests/unit/test_stor_volume
VOLKIT = tests/unit/volkit.c tests/unit/volkit.h
tests_unit_test_stor_volume_SOURCES = tests/unit/test_stor_volume.c $(VOLKIT)
tests_unit_test_stor_volume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volume_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

# What a volume keeps for VMs: claims, saved states, configurations.
check_PROGRAMS += tests/unit/test_stor_volvm
TESTS += tests/unit/test_stor_volvm
tests_unit_test_stor_volvm_SOURCES = tests/unit/test_stor_volvm.c $(VOLKIT)
tests_unit_test_stor_volvm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volvm_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

# A crash at every write, enumerated.
check_PROGRAMS += tests/unit/test_stor_volcrash
TESTS += tests/unit/test_stor_volcrash
VOLOPS = tests/unit/volops.c tests/unit/volops.h
tests_unit_test_stor_volcrash_SOURCES = tests/unit/test_stor_volcrash.c $(VOLOPS) $(VOLKIT)
tests_unit_test_stor_volcrash_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volcrash_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

# Limits, growth, damage.
check_PROGRAMS += tests/unit/test_stor_vollimits
TESTS += tests/unit/test_stor_vollimits
tests_unit_test_stor_vollimits_SOURCES = tests/unit/test_stor_vollimits.c $(VOLKIT)
tests_unit_test_stor_vollimits_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_vollimits_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

# Frozen volumes.
check_PROGRAMS += tests/unit/test_stor_volgolden
TESTS += tests/unit/test_stor_volgolden
tests_unit_test_stor_volgolden_SOURCES = tests/unit/test_stor_volgolden.c $(VOLKIT)
tests_unit_test_stor_volgolden_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -DGOLDEN_DIR='"$(abs_top_srcdir)/tests/golden"'
tests_unit_test_stor_volgolden_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
EXTRA_DIST += tests/golden/volume-512.z tests/golden/volume-512.dump tests/golden/volume-4096.z tests/golden/volume-4096.dump

# The data path of a disk.
check_PROGRAMS += tests/unit/test_stor_disk
TESTS += tests/unit/test_stor_disk
tests_unit_test_stor_disk_SOURCES = tests/unit/test_stor_disk.c $(VOLKIT)
tests_unit_test_stor_disk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_disk_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
