# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of common/.
cm_tests = \
	tests/unit/test_cm_buf \
	tests/unit/test_cm_clock \
	tests/unit/test_cm_err \
	tests/unit/test_cm_fault \
	tests/unit/test_cm_jump \
	tests/unit/test_cm_loop \
	tests/unit/test_cm_timers
check_PROGRAMS += $(cm_tests)
TESTS += $(cm_tests)
cm_test_libs = libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
tests_unit_test_cm_buf_SOURCES = tests/unit/test_cm_buf.c
tests_unit_test_cm_buf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_buf_LDADD = $(cm_test_libs)
tests_unit_test_cm_clock_SOURCES = tests/unit/test_cm_clock.c
tests_unit_test_cm_clock_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_clock_LDADD = $(cm_test_libs)
tests_unit_test_cm_jump_SOURCES = tests/unit/test_cm_jump.c
tests_unit_test_cm_jump_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_jump_LDADD = $(cm_test_libs)
tests_unit_test_cm_err_SOURCES = tests/unit/test_cm_err.c
tests_unit_test_cm_err_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_err_LDADD = $(cm_test_libs)
tests_unit_test_cm_fault_SOURCES = tests/unit/test_cm_fault.c
tests_unit_test_cm_fault_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_fault_LDADD = $(cm_test_libs)
tests_unit_test_cm_loop_SOURCES = tests/unit/test_cm_loop.c
tests_unit_test_cm_loop_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_loop_LDADD = $(cm_test_libs)
tests_unit_test_cm_timers_SOURCES = tests/unit/test_cm_timers.c
tests_unit_test_cm_timers_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cm_timers_LDADD = $(cm_test_libs)
