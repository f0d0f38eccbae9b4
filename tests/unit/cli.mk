# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of cli/.
TESTS += tests/unit/check-man
EXTRA_DIST += tests/unit/check-man
