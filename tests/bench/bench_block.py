# SPDX-License-Identifier: GPL-2.0-or-later
"""B10: blocks. Our stor_dev against `qemu-img bench` (QEMU's iscsi driver), with a bare loop on libiscsi as the limit; the
file backend against qemu-img on the same file.

One load for all sides: N requests in flight, at the offsets 0, S, 2 S, ... modulo the size of the LUN; that is what `qemu-img bench -S` does, and
tests/bench/blockload.h does the same. S of the 4k rows is a large odd number of blocks, so that neighbours in time are far apart on the LUN: random
to every cache and read-ahead, and yet the same places in the same order for everybody. 1 MiB goes in sequence, 8 in flight.

iSCSI rows: stock tgt on 127.0.0.1 serves a file in memory without holes; header digest off and session parameters alike on all sides. Target
and initiator share one CPU (the last one), with real-time priority where that is allowed: a request then costs what both together compute, and
not how long a hypervisor takes to wake an idle CPU or who else is on the machine. BENCH_BLOCK_CPUS=0,1 (target's,initiator's) puts them on two.

Unit of these rows is microseconds per request of a whole run (less is better). The note has the ratio to the bare loop, over the same rounds,
and the initiator's CPU time per request. `qemu-img` has only whole-process CPU time: that of a run with one request is taken off."""
import os
import statistics

import san_peer
from blockload import LOADS, LUN_MIB, MIB, QEMU_IMG, QemuImg, Side, cpu_words, measure, programs, row

ISCSI = {f"B10_iscsi_{op}_{run}": (op, run) for op, run in LOADS}
FILE = {f"B10_file_{op}_{run}": (op, run) for op, run in LOADS}
NAMES = [*ISCSI, *FILE]
NEEDS_KVM = False


def iscsi_rows(env, names):
    if not names:
        return []
    target, initiator = cpu_words()
    lun = os.path.join(env.memory_dir(), "lun")
    san_peer.random_file(lun, LUN_MIB * MIB)
    with san_peer.tgt(env, [lun], target) as port:
        url = f"iscsi://127.0.0.1:{port}/{san_peer.IQN}/1"
        sides = {"ours": Side(initiator, [programs(env), url + "?header-digest=no"]),
                 "bare libiscsi": Side(initiator, [programs(env) + "_iscsi", f"127.0.0.1:{port}", san_peer.IQN, "1"])}
        words = "" if QEMU_IMG else "no peer: qemu-utils is not installed"
        if QEMU_IMG:
            try:
                sides["qemu"] = QemuImg(initiator, url)
            except RuntimeError as e:
                words = f"no peer (is qemu-block-extra installed?): {str(e).strip().splitlines()[-1]}"
        return [row(name, measure(env, sides, *ISCSI[name]), "qemu", "bare libiscsi", words) for name in names]


def file_rows(env, names):
    if not names:
        return []
    path = os.path.join(env.dir, "blocks.img")
    san_peer.random_file(path, LUN_MIB * MIB)
    sides = {"ours": Side([], [programs(env), f"file:{path}"])}
    if QEMU_IMG:
        for aio in ("threads", "native", "io_uring"):
            try:
                sides[f"qemu {aio}"] = QemuImg([], path, "-i", aio)
            except RuntimeError:
                continue  # this QEMU or this kernel does not have it
    rows = []
    for name in names:
        measured = measure(env, sides, *FILE[name])
        peers = [side for side in measured if side != "ours"]
        best = min(peers, key=lambda side: statistics.median(us for us, _ in measured[side]), default=None)
        walls = ", ".join(f"{side} {statistics.median(us for us, _ in measured[side]):.1f}" for side in peers)
        rows.append(row(name, measured, best, words=f"the peer is the best of: {walls}" if peers else "no peer: qemu-utils is not installed"))
    return rows


def run(env, names):
    return iscsi_rows(env, [n for n in names if n in ISCSI]) + file_rows(env, [n for n in names if n in FILE])
