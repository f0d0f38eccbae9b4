# SPDX-License-Identifier: GPL-2.0-or-later
"""B10: a disk of a cluster volume against a raw LUN of the same target: the same program, the same load (bench_block.py tells it), the same
CPU for target and initiator. The disk is thick and all its extents are taken before. The target is labsan, since volumes want COMPARE AND WRITE."""
import subprocess

import san_peer
from blockload import LOADS, LUN_MIB, MIB, Side, cpu_words, measure, programs, row

VOLUME = {f"B10_volume_{op}_{run}": (op, run) for op, run in LOADS}
NAMES = list(VOLUME)
NEEDS_KVM = False


def run(env, names):
    target, initiator = cpu_words()
    with san_peer.labsan(env, [f"raw,size={LUN_MIB}M", f"volume,size={LUN_MIB + 128}M"], target) as port:
        raw, volume = (f"iscsi://127.0.0.1:{port}/{san_peer.IQN}/{lun}?header-digest=no" for lun in (0, 1))
        subprocess.run([programs(env), "--format", volume, "0", "thick", str(LUN_MIB * MIB), "disk"], check=True)
        sides = {"ours": Side(initiator, [programs(env), volume, "disk"]), "raw LUN": Side(initiator, [programs(env), raw])}
        for side in sides.values():  # no side meets holes or free extents
            side.once("write", MIB, 8, LUN_MIB, MIB)
        return [row(name, measure(env, sides, *VOLUME[name]), "raw LUN") for name in names]
