# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of migration.
check_PROGRAMS += tests/unit/test_mig
TESTS += tests/unit/test_mig
tests_unit_test_mig_SOURCES = tests/unit/test_mig.c tests/unit/mig_bench.c tests/unit/mig_bench.h
tests_unit_test_mig_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_LDADD = libmigration.a libhvcore.a libenginekvm.a libenginesoft.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm

check_PROGRAMS += tests/unit/test_mig_kill
TESTS += tests/unit/test_mig_kill
tests_unit_test_mig_kill_SOURCES = tests/unit/test_mig_kill.c
tests_unit_test_mig_kill_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
tests_unit_test_mig_kill_LDADD = libsharedstorage.a libproto.a libcommon.a $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_mig_store
TESTS += tests/unit/test_mig_store
tests_unit_test_mig_store_SOURCES = tests/unit/test_mig_store.c tests/unit/volkit.c tests/unit/volkit.h
tests_unit_test_mig_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_mig_store_LDADD = libmigration.a libhvcore.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
