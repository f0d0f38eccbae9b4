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
include tests/golden/local.mk
include tests/scripts/local.mk
