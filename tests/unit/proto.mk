# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of proto/.
px_test_libs = libproto.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_px_frame tests/unit/test_px_words
TESTS += tests/unit/test_px_frame tests/unit/test_px_words
tests_unit_test_px_frame_SOURCES = tests/unit/test_px_frame.c
tests_unit_test_px_frame_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_px_frame_LDADD = $(px_test_libs)
tests_unit_test_px_words_SOURCES = tests/unit/test_px_words.c
tests_unit_test_px_words_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_px_words_LDADD = $(px_test_libs)

# With a server.
PXKIT = tests/unit/pxkit.c tests/unit/pxkit.h
px_tests = \
	tests/unit/test_px_call \
	tests/unit/test_px_client \
	tests/unit/test_px_tls
check_PROGRAMS += $(px_tests)
TESTS += $(px_tests)
tests_unit_test_px_call_SOURCES = tests/unit/test_px_call.c $(PXKIT)
tests_unit_test_px_call_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_px_call_LDADD = $(px_test_libs)
tests_unit_test_px_client_SOURCES = tests/unit/test_px_client.c $(PXKIT)
tests_unit_test_px_client_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_px_client_LDADD = $(px_test_libs)
tests_unit_test_px_tls_SOURCES = tests/unit/test_px_tls.c $(PXKIT)
tests_unit_test_px_tls_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_px_tls_LDADD = $(px_test_libs)
