# SPDX-License-Identifier: GPL-2.0-or-later
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/guest/local.mk
include tests/bench/local.mk
include tests/kvm/local.mk
include tests/engine/local.mk
include tests/soft/local.mk
include tests/san/local.mk
include tests/lab/local.mk
include tests/sim/local.mk
include tests/faults/local.mk
include tests/golden/local.mk
include tests/scripts/local.mk

# Everything that tests run, built at once: scripts/test runs stages side by side, and none may build what another one uses.
# `all` is a make of its own (BUILT_SOURCES), so the rest begins when it has ended: two makes that write one object cut it short.
all_tests = $(check_PROGRAMS) $(STOR_SAN_TESTS) $(STOR_VOL_TESTS) \
	tests/engine/rig.elf check_insn check_works check_same check_saves check_fuzz
.PHONY: build-tests
build-tests: all
	@$(MAKE) $(AM_MAKEFLAGS) $(all_tests)
