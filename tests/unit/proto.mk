# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of proto/.
check_PROGRAMS += tests/unit/test_proto
TESTS += tests/unit/test_proto
tests_unit_test_proto_SOURCES = tests/unit/test_proto.c
tests_unit_test_proto_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_proto_LDADD = libproto.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
