# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of sharedstorage/ and fencing/ against labsan and, where it can, stock tgt: part of check-san.
noinst_LIBRARIES += libsantest.a
libsantest_a_SOURCES = tests/san/santest.c tests/san/santest.h
libsantest_a_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
STOR_SAN_TESTS = tests/san/test_san_io tests/san/test_san_lease tests/san/test_fence_hvsan
EXTRA_PROGRAMS += $(STOR_SAN_TESTS)
CLEANFILES += $(STOR_SAN_TESTS)
# Volumes: a crash at every write together with a power cut of the SAN (labsan), four processes at once.
STOR_VOL_TESTS = tests/san/test_san_volcrash tests/san/test_san_volume
EXTRA_PROGRAMS += $(STOR_VOL_TESTS)
CLEANFILES += $(STOR_VOL_TESTS)
tests_san_test_san_volcrash_SOURCES = tests/unit/test_stor_volcrash.c $(VOLKIT)
tests_san_test_san_volcrash_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -DCRASH_SAN
tests_san_test_san_volcrash_LDADD = $(SAN_LDADD)
tests_san_test_san_volume_SOURCES = tests/san/test_san_volume.c $(VOLKIT)
tests_san_test_san_volume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_volume_LDADD = $(SAN_LDADD)
SAN_LDADD = libsantest.a libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
tests_san_test_san_io_SOURCES = tests/san/test_san_io.c
tests_san_test_san_io_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_io_LDADD = $(SAN_LDADD)
tests_san_test_san_lease_SOURCES = tests/san/test_san_lease.c
tests_san_test_san_lease_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_lease_LDADD = $(SAN_LDADD)
tests_san_test_fence_hvsan_SOURCES = tests/san/test_fence_hvsan.c
tests_san_test_fence_hvsan_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_fence_hvsan_LDADD = $(SAN_LDADD)

.PHONY: check-san-stor
check-san-stor: $(STOR_SAN_TESTS) $(STOR_VOL_TESTS) tests/san/labsan fence_hvsan
	for t in 'volume labsan' 'volume tgt' 'volcrash labsan'; do echo "== test_san_$$t"; rc=0; \
		LABSAN=$(abs_builddir)/tests/san/labsan timeout -k 5 300 tests/san/test_san_$$t || rc=$$?; \
		test $$rc = 0 || test $$rc = 77 || exit 1; done
	for kind in labsan tgt; do for t in $(STOR_SAN_TESTS:=,) tests/san/test_san_lease,joined; do \
		echo "== $$t $$kind"; rc=0; \
		LABSAN=$(abs_builddir)/tests/san/labsan FENCE_HVSAN=$(abs_builddir)/fence_hvsan \
		timeout -k 5 300 $${t%,*} $$kind $${t##*,} || rc=$$?; \
		test $$rc = 0 || test $$rc = 77 || exit 1; done; done
