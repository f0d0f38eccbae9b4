# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/check-* say of this tree, and that they find each kind of planted error.
TREE_CHECKS = scripts/check-layers scripts/check-circles scripts/check-docs scripts/check-style scripts/check-size
TREE_CHECK_TESTS = tests/scripts/check-layers-test tests/scripts/check-circles-test tests/scripts/check-docs-test \
	tests/scripts/check-style-test tests/scripts/check-size-test tests/scripts/check-commits-test tests/scripts/test-test
TESTS += $(TREE_CHECKS) $(TREE_CHECK_TESTS)
EXTRA_DIST += $(TREE_CHECKS) $(TREE_CHECK_TESTS) scripts/check-commits scripts/treefiles.py tests/scripts/checkkit.py
