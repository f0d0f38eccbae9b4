# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of fencing.
fen_tests = \
	tests/unit/test_fen_evidence \
	tests/unit/test_fen_power \
	tests/unit/test_fen_shut_out \
	tests/unit/test_fen_takeover
check_PROGRAMS += $(fen_tests)
TESTS += $(fen_tests)
fen_test_libs = libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
tests_unit_test_fen_evidence_SOURCES = tests/unit/test_fen_evidence.c
tests_unit_test_fen_evidence_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fen_evidence_LDADD = $(fen_test_libs)
tests_unit_test_fen_power_SOURCES = tests/unit/test_fen_power.c
tests_unit_test_fen_power_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fen_power_LDADD = $(fen_test_libs)
tests_unit_test_fen_shut_out_SOURCES = tests/unit/test_fen_shut_out.c
tests_unit_test_fen_shut_out_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fen_shut_out_LDADD = $(fen_test_libs)
tests_unit_test_fen_takeover_SOURCES = tests/unit/test_fen_takeover.c
tests_unit_test_fen_takeover_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_fen_takeover_LDADD = $(fen_test_libs)

check_PROGRAMS += tests/unit/test_hvwatchdogd
TESTS += tests/unit/test_hvwatchdogd
tests_unit_test_hvwatchdogd_SOURCES = tests/unit/test_hvwatchdogd.c
tests_unit_test_hvwatchdogd_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hvwatchdogd_LDADD = libfencing.a libcommon.a $(CMOCKA_LIBS) $(LIBS)
