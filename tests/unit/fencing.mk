# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of fencing.
check_PROGRAMS += tests/unit/test_fencing
TESTS += tests/unit/test_fencing
tests_unit_test_fencing_SOURCES = tests/unit/test_fencing.c
tests_unit_test_fencing_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fencing_LDADD = libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
