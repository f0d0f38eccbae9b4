# SPDX-License-Identifier: GPL-2.0-or-later
# What holds for names, everywhere; and that the checks find what is wrong.
TESTS += scripts/check-faults scripts/check-tests tests/scripts/check-names-test
EXTRA_DIST += scripts/check-faults scripts/check-tests tests/scripts/check-names-test
include tests/unit/common.mk
include tests/unit/fsm.mk
include tests/unit/proto.mk
include tests/unit/sharedstorage.mk
include tests/unit/hvcore.mk
include tests/unit/devices.mk
include tests/unit/soft.mk
include tests/unit/fencing.mk
include tests/unit/migration.mk
include tests/unit/cluster.mk
include tests/unit/cli.mk
