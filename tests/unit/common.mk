# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of common/.
check_PROGRAMS += tests/unit/test_common
TESTS += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_common_LDADD = libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
