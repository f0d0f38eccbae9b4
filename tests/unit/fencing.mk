# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of fencing.
check_PROGRAMS += tests/unit/test_fencing
TESTS += tests/unit/test_fencing
tests_unit_test_fencing_SOURCES = tests/unit/test_fencing.c
tests_unit_test_fencing_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fencing_LDADD = libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_watchdogd
TESTS += tests/unit/test_watchdogd
tests_unit_test_watchdogd_SOURCES = tests/unit/test_watchdogd.c
tests_unit_test_watchdogd_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_watchdogd_LDADD = libfencing.a libcommon.a $(CMOCKA_LIBS) $(LIBS)
