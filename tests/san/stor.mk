# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of sharedstorage/ and fencing/ against labsan and, where it can, stock tgt: part of check-san.
noinst_LIBRARIES += libsantest.a
libsantest_a_SOURCES = tests/san/santarget.c tests/san/santest.c tests/san/santest.h tests/san/sanparty.c tests/san/sanparty.h \
	tests/san/sanstuck.c tests/san/sanstuck.h
libsantest_a_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
STOR_SAN_TESTS = tests/san/test_san_io tests/san/test_san_lease tests/san/test_san_barrier tests/san/test_san_exclusive \
	tests/san/test_san_probe tests/san/test_san_faults tests/san/test_san_handover tests/san/test_fence_hvsan \
	tests/san/test_san_break tests/san/test_san_cancel tests/san/test_san_matrix tests/san/test_san_pause tests/san/test_san_schedule \
	tests/san/test_san_paths tests/san/test_san_slow
EXTRA_PROGRAMS += $(STOR_SAN_TESTS)
CLEANFILES += $(STOR_SAN_TESTS)
# Volumes: a crash at every write together with a power cut of the SAN (labsan), four processes at once.
STOR_VOL_TESTS = tests/san/test_san_volcrash tests/san/test_san_volume
EXTRA_PROGRAMS += $(STOR_VOL_TESTS)
CLEANFILES += $(STOR_VOL_TESTS)
tests_san_test_san_volcrash_SOURCES = tests/unit/test_stor_vol.c $(VOLOPSKIT) $(VOLKIT)
tests_san_test_san_volcrash_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -DCRASH_SAN
tests_san_test_san_volcrash_LDADD = $(SAN_LDADD)
tests_san_test_san_volume_SOURCES = tests/san/test_san_volume.c $(VOLKIT)
tests_san_test_san_volume_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_volume_LDADD = libsantest.a libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(BLKID_LIBS) $(HV_SYS_LIBS)
SAN_LDADD = libsantest.a libfencing.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
tests_san_test_san_io_SOURCES = tests/san/test_san_io.c
tests_san_test_san_io_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_io_LDADD = $(SAN_LDADD)
tests_san_test_san_lease_SOURCES = tests/san/test_san_lease.c
tests_san_test_san_lease_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_lease_LDADD = $(SAN_LDADD)
tests_san_test_san_barrier_SOURCES = tests/san/test_san_barrier.c
tests_san_test_san_barrier_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_barrier_LDADD = $(SAN_LDADD)
tests_san_test_san_break_SOURCES = tests/san/test_san_break.c
tests_san_test_san_break_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_break_LDADD = $(SAN_LDADD)
tests_san_test_san_cancel_SOURCES = tests/san/test_san_cancel.c
tests_san_test_san_cancel_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_cancel_LDADD = $(SAN_LDADD)
tests_san_test_san_matrix_SOURCES = tests/san/test_san_matrix.c tests/san/sanmatrix.c tests/san/sanmatrix.h
tests_san_test_san_matrix_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) -DTOP_SRCDIR='"$(abs_top_srcdir)"'
tests_san_test_san_matrix_LDADD = $(SAN_LDADD)
tests_san_test_san_pause_SOURCES = tests/san/test_san_pause.c
tests_san_test_san_pause_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_pause_LDADD = libsantest.a libhvcore.a $(SAN_LDADD)
tests_san_test_san_schedule_SOURCES = tests/san/test_san_schedule.c
tests_san_test_san_schedule_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_schedule_LDADD = $(SAN_LDADD)
tests_san_test_san_paths_SOURCES = tests/san/test_san_paths.c
tests_san_test_san_paths_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_paths_LDADD = $(SAN_LDADD)
tests_san_test_san_slow_SOURCES = tests/san/test_san_slow.c
tests_san_test_san_slow_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_slow_LDADD = $(SAN_LDADD)
tests_san_test_san_exclusive_SOURCES = tests/san/test_san_exclusive.c
tests_san_test_san_exclusive_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_exclusive_LDADD = $(SAN_LDADD)
tests_san_test_san_probe_SOURCES = tests/san/test_san_probe.c
tests_san_test_san_probe_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_probe_LDADD = $(SAN_LDADD)
tests_san_test_san_handover_SOURCES = tests/san/test_san_handover.c
tests_san_test_san_handover_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_handover_LDADD = $(SAN_LDADD)
tests_san_test_san_faults_SOURCES = tests/san/test_san_faults.c
tests_san_test_san_faults_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_san_faults_LDADD = $(SAN_LDADD)
tests_san_test_fence_hvsan_SOURCES = tests/san/test_fence_hvsan.c
tests_san_test_fence_hvsan_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_test_fence_hvsan_LDADD = $(SAN_LDADD)

EXTRA_DIST += tests/san/run_stor
.PHONY: check-san-stor
check-san-stor: $(STOR_SAN_TESTS) $(STOR_VOL_TESTS) tests/san/labsan fence_hvsan
	$(srcdir)/tests/san/run_stor $(abs_builddir)
