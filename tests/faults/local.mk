# SPDX-License-Identifier: GPL-2.0-or-later
# Campaigns of faults (scripts/faults), and whether their planted errors still have a place in the source.
EXTRA_DIST += scripts/faults tests/faults/campaign.py tests/faults/lab.py tests/faults/mutants.py tests/faults/pair.py \
	tests/faults/pairjudge.py tests/faults/pairplan.py tests/faults/pairrig.py tests/faults/sim.py tests/faults/README.md tests/faults/check-mutants
TESTS += tests/faults/check-mutants
