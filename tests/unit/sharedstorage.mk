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
tests_unit_test_stor_volume_SOURCES = tests/unit/test_stor_volume.c
tests_unit_test_stor_volume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_stor_volume_LDADD = libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
