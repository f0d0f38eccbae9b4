# SPDX-License-Identifier: GPL-2.0-or-later
"""E2: instructions a second of the soft engine in small works without a machine around it, and how much slower than the host CPU they are.
E3: what a live migration's dirty log (taken and re-armed every 20 ms) costs the guest, as a percentage."""
import os
import re
import statistics
import subprocess

import stats

NEEDS_KVM = False
WORKS = ["integer", "sha256", "string", "float", "x87", "faults", "user", "sort"]
LOGGED = ["string", "sort"]
NAMES = [f"E2_mips_{w}" for w in WORKS] + [f"E3_dirty_log_{w}" for w in LOGGED]
LINE = re.compile(r"soft +(\w+) +([\d.]+) s +([\d.]+) MIPS +([\d.]+) times native")


def once(env, *options):
    """{work: (seconds, MIPS, times native)}"""
    program, payload = (os.path.join(env.build, p) for p in ("check_works", "tests/engine/rig.elf"))
    if not os.path.exists(program) or not os.path.exists(payload):
        raise env.cannot("make check_works tests/engine/rig.elf first")
    done = subprocess.run([program, payload, "--engine", "soft", "--bench", *options], stdout=subprocess.PIPE, text=True, check=True)
    return {m[1]: tuple(map(float, m.groups()[1:])) for m in LINE.finditer(done.stdout)}


def run(env, names):
    rows, plain, logged = [], [], []
    for _ in range(min(env.pairs, 5)):
        plain.append(once(env))
        logged.append({w: once(env, "--log", "--work", w)[w] for w in LOGGED if f"E3_dirty_log_{w}" in names})
    for work in WORKS:
        if f"E2_mips_{work}" in names:
            slower = statistics.median(p[work][2] for p in plain)
            rows.append(stats.make_row(f"E2_mips_{work}", "MIPS", [p[work][1] for p in plain], more_is_better=True,
                                       note=f"{slower:.1f} times the time of the same C code on the host CPU"))
    for work in LOGGED:
        if f"E3_dirty_log_{work}" in names:
            rows.append(stats.make_row(f"E3_dirty_log_{work}", "%", [(b[work][0] / a[work][0] - 1) * 100 for a, b in zip(plain, logged)]))
    return rows
