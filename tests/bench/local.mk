# SPDX-License-Identifier: GPL-2.0-or-later
# What scripts/bench is made of.
noinst_PROGRAMS += tests/bench/observer tests/bench/blockload tests/bench/blockload_iscsi \
	tests/bench/sansteps
tests_bench_observer_SOURCES = tests/bench/observer.c
tests_bench_blockload_SOURCES = tests/bench/blockload_stor.c tests/bench/blockload.c tests/bench/blockload.h
tests_bench_blockload_LDADD = libsharedstorage.a libcommon.a $(HV_SYS_LIBS)
tests_bench_blockload_iscsi_SOURCES = tests/bench/blockload_iscsi.c tests/bench/blockload.c tests/bench/blockload.h
tests_bench_blockload_iscsi_CFLAGS = $(AM_CFLAGS) $(ISCSI_CFLAGS)
tests_bench_blockload_iscsi_LDADD = $(ISCSI_LIBS)
tests_bench_sansteps_SOURCES = tests/bench/sansteps.c
tests_bench_sansteps_LDADD = libsharedstorage.a libcommon.a $(HV_SYS_LIBS)
EXTRA_DIST += scripts/bench tests/bench/QemuGuest tests/bench/bench_block.py tests/bench/bench_engine.py tests/bench/bench_failover.py tests/bench/bench_guest.py tests/bench/bench_mips.py tests/bench/bench_move.py tests/bench/bench_san.py tests/bench/bench_start.py tests/bench/bench_volume.py tests/bench/blockload.py tests/hvwire.py tests/bench/observer.py \
	tests/bench/qemu_peer.py tests/bench/san_peer.py tests/bench/stats.py
