# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzz targets. Each is one file with LLVMFuzzerTestOneInput and fuzz_seed; list it in FUZZ_TARGETS.
FUZZ_TARGETS = tests/fuzz/fuzz_boot tests/fuzz/fuzz_state tests/fuzz/fuzz_virtq tests/fuzz/fuzz_virtio \
	tests/fuzz/fuzz_mig tests/fuzz/fuzz_stor
EXTRA_PROGRAMS += $(FUZZ_TARGETS)
CLEANFILES += $(FUZZ_TARGETS)
if FUZZING
FUZZ_MAIN =
FUZZ_FLAGS = -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/fuzz_main.c
FUZZ_FLAGS =
endif
FUZZ_HVCORE_LIBS = libhvcore.a libsharedstorage.a libproto.a libcommon.a $(HVCORE_LIBS) $(HV_SYS_LIBS) -lm

tests_fuzz_fuzz_boot_SOURCES = tests/fuzz/fuzz_boot.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_boot_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
tests_fuzz_fuzz_boot_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_boot_LDADD = $(FUZZ_HVCORE_LIBS)
tests_fuzz_fuzz_state_SOURCES = tests/fuzz/fuzz_state.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_state_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_state_LDADD = $(FUZZ_HVCORE_LIBS)
tests_fuzz_fuzz_virtq_SOURCES = tests/fuzz/fuzz_virtq.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_virtq_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_virtq_LDADD = $(FUZZ_HVCORE_LIBS)
tests_fuzz_fuzz_virtio_SOURCES = tests/fuzz/fuzz_virtio.c tests/fuzz/fuzz.h tests/unit/hv_devkit.c \
	tests/unit/hv_devkit.h $(FUZZ_MAIN)
tests_fuzz_fuzz_virtio_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_virtio_LDADD = $(FUZZ_HVCORE_LIBS)
tests_fuzz_fuzz_mig_SOURCES = tests/fuzz/fuzz_mig.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_mig_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_mig_LDADD = libmigration.a $(FUZZ_HVCORE_LIBS)
tests_fuzz_fuzz_stor_SOURCES = tests/fuzz/fuzz_stor.c tests/fuzz/fuzz.h $(FUZZ_MAIN)
tests_fuzz_fuzz_stor_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_FLAGS)
tests_fuzz_fuzz_stor_LDADD = libsharedstorage.a libcommon.a $(HV_SYS_LIBS)

# A short run of each target: FUZZ_RUNS inputs, from a printed seed. Best in a tree configured with
# --with-sanitizers=asan,ubsan.
.PHONY: check-fuzz
check-fuzz: $(FUZZ_TARGETS)
	for t in $(FUZZ_TARGETS); do ./$$t || exit 1; done
