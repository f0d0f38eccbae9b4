# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges what a Rig went through: the VM never ran twice, nothing acknowledged is lost, no page is stale, nothing is left behind.

Findings are {kind: [texts]}; the kinds are those of the campaign's table."""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "san"), os.path.join(os.path.dirname(HERE), "kvm")]
import corekit  # noqa: E402
import labsan_oracle  # noqa: E402
from pairplan import KINDS  # noqa: E402



class Findings(dict):
    def add(self, kind, text):
        assert kind in KINDS
        self.setdefault(kind, []).append(text)


def beats(processes, found):
    """No two processes' beats overlap; none is missing within a process. Of a process that was frozen and that nobody killed, one
    beat counts for less: its instruction had been executed, and is reported, with the time of now, after the thaw."""
    runs, end = [], time.monotonic() + 20
    for p in processes:
        while p.beats.open and not p.alive() and time.monotonic() < end:
            time.sleep(0.005)  # what it said before its end is read still
        seen = p.beats.seen[:-1] if p.thawed and len(p.beats.seen) > 1 else p.beats.seen
        if seen:
            runs.append((seen[0][0], seen[-1][0], p))
    runs.sort(key=lambda run: run[0])
    for (_, last, one), (first, _, other) in zip(runs, runs[1:]):
        if first <= last:
            found.add("dual_active", "n%d (pid %d) beat %.1f ms after n%d (pid %d) had begun" % (
                one.index, one.process.pid, (last - first) / 1e6, other.index, other.process.pid))
    values = b"".join(p.beats.values() for _, _, p in runs)
    # A start that is cold begins anew; what was in a dead process' pipe may be missing before it.
    for part in values.split(bytes([corekit.BEAT_START])):
        if not corekit.beats_are_whole(bytes([corekit.BEAT_START]) + part) and part[:1] == b"\x80":
            found.add("corrupted", "beats are missing or doubled within one life of the guest")


def memory(processes, found):
    for p in processes:
        for line in p.serial().splitlines():
            if "FAILED" in line or "TRAP" in line:
                found.add("corrupted", "n%d (pid %d): %s" % (p.index, p.process.pid, line.strip()))


def acked(processes):
    return [n for p in processes for n in p.beats.acked()]


def records(processes, last_boot, found):
    """last_boot: what the guest said of its disk when it began for the last time."""
    said = re.findall(r"store records=(\d+) last=(\d+) bad=(\d+)", last_boot)
    if not said:
        found.add("lost_vms", "the guest said nothing of its records: " + last_boot[-200:])
        return
    have, last, bad = (int(n) for n in said[-1])
    want = max(acked(processes), default=0)
    if last < want or have < want or bad:
        found.add("lost_writes", "record %d was acknowledged; the disk has %d, the last is %d, %d are bad" % (want, have, last, bad))


def san(path, ranges, found):
    """What the SAN's write log accuses; ranges: (LUN, first block) where there is one writer at a time."""
    log = labsan_oracle.load(path)
    for text in labsan_oracle.check_fence(log):
        found.add("late_writes", text)
    for lun, first in ranges:
        for text in labsan_oracle.check_writers(log, lun, first, 1 << 40):
            found.add("late_writes", text)


def leaks(rig, found, timeout=20):
    """After the VM's orderly end: no process, no session, no key. But a process that was killed while it came or went leaves its keys,
    if it owned nothing; the next session of the same nexus replaces them, so there are two a node and LUN at most (a path each)."""
    killed = {p.index for p in rig.all if p.exit is not None and p.exit < 0} | {node for node, process in rig.spawned if (process.poll() or 0) < 0}
    end = time.monotonic() + timeout
    while True:
        left = ["process %d" % p.process.pid for p in rig.all if p.alive()]
        left += ["session %s" % s["initiator"] for s in rig.san.ctl("sessions")["sessions"]]
        for lun in range(4):
            for node in range(2):
                keys = [r["key"] for r in rig.san.registrations(lun) if r["initiator"].endswith(":n%d" % node)]
                if len(keys) > (2 if node in killed else 0):
                    left.append("keys %s of n%d on LUN %d" % (" ".join(keys), node, lun))
        if not left or time.monotonic() > end:
            break
        time.sleep(0.05)
    for text in left:
        found.add("leaked", text)
