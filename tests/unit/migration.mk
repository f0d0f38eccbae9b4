# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of migration.
mig_test_libs = libmigration.a libhvcore.a libenginekvm.a libenginesoft.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
MIGKIT = tests/unit/migkit.c tests/unit/migkit.h
mig_tests = \
	tests/unit/test_mig_image \
	tests/unit/test_mig_src \
	tests/unit/test_mig_stream
check_PROGRAMS += $(mig_tests)
TESTS += $(mig_tests)
tests_unit_test_mig_image_SOURCES = tests/unit/test_mig_image.c $(MIGKIT)
tests_unit_test_mig_image_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_image_LDADD = $(mig_test_libs)
tests_unit_test_mig_src_SOURCES = tests/unit/test_mig_src.c $(MIGKIT)
tests_unit_test_mig_src_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_src_LDADD = $(mig_test_libs)
tests_unit_test_mig_stream_SOURCES = tests/unit/test_mig_stream.c
tests_unit_test_mig_stream_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_stream_LDADD = $(mig_test_libs)

# Two real processes.
check_PROGRAMS += tests/unit/test_mig_core
TESTS += tests/unit/test_mig_core
tests_unit_test_mig_core_SOURCES = tests/unit/test_mig_core.c
tests_unit_test_mig_core_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
tests_unit_test_mig_core_LDADD = libsharedstorage.a libproto.a libcommon.a $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_mig_store
TESTS += tests/unit/test_mig_store
tests_unit_test_mig_store_SOURCES = tests/unit/test_mig_store.c tests/unit/volkit.c tests/unit/volkit.h
tests_unit_test_mig_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_store_LDADD = $(mig_test_libs)
