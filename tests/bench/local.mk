# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/bench is made of.
noinst_PROGRAMS += tests/bench/observer
tests_bench_observer_SOURCES = tests/bench/observer.c
EXTRA_DIST += scripts/bench tests/bench/QemuGuest tests/bench/bench_engine.py tests/bench/bench_failover.py tests/bench/bench_guest.py tests/bench/bench_mips.py tests/bench/bench_move.py tests/bench/bench_start.py tests/hvwire.py tests/bench/observer.py \
	tests/bench/qemu_peer.py tests/bench/stats.py
