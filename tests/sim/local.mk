# SPDX-License-Identifier: GPL-2.0-or-later
# Exhaustive and random simulations: they run the product's own pure decisions.
check_PROGRAMS += tests/sim/sim_owner
TESTS += tests/sim/sim_owner
tests_sim_sim_owner_SOURCES = tests/sim/sim_owner.c tests/sim/sim_owner.h tests/sim/sim_owner_steps.c
tests_sim_sim_owner_LDADD = libsharedstorage.a libcommon.a $(HV_SYS_LIBS)
