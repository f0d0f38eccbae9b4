# SPDX-License-Identifier: GPL-2.0-or-later
"""B10: what ownership costs on the SAN. Shutting a VM (one registered session) or a host (the sessions of 8 VMs of one slot) out, READ KEYS as proof
included; the storage part of a hand-over (flush, COMPARE AND WRITE, the destination's read and first renewal); extents that 1 node
and 4 nodes at once take on one volume (first writes of 4 KiB, each into an extent of its own).

QEMU has none of this, so there is no peer. The target is labsan on 127.0.0.1, whose medium is a file in memory: the figures are round trips
and our own work, not disks. A fence against a target with commands of the victim in flight takes as long as those do."""
import json
import os
import statistics
import subprocess

import san_peer
import stats

MIB = 1 << 20
EXTENT = 4 * MIB
ROUNDS = 10  # fences or hand-overs per pair of --pairs
EXTENTS = 400  # by each node
NAMES = ["B10_fence_vm", "B10_fence_host_8_vms", "B10_hand_over_storage", "B10_allocate_1_node", "B10_allocate_4_nodes"]
NEEDS_KVM = False
NO_PEER = "no peer: QEMU does not do this"


def steps(env, *words):
    out = subprocess.run([os.path.join(env.build, "tests/bench/sansteps"), *words], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def step_row(name, values):
    return stats.make_row(name, "us", values, note=f"p50 {statistics.median(values):.0f}, p99 {stats.percentile(values, 99):.0f} us of "
                          f"{len(values)} rounds; {NO_PEER}")


def allocation_rate(env, url, nodes):
    """Extents per second, of all nodes together, from the first one's begin to the last one's end, on a fresh volume."""
    blockload = os.path.join(env.build, "tests/bench/blockload")
    disks = [f"disk{n}" for n in range(nodes)]
    subprocess.run([blockload, "--format", url, str(EXTENT), "thin", str(EXTENTS * EXTENT), *disks], check=True)
    started = [subprocess.Popen([blockload, url, disk, "--op", "write", "--count", str(EXTENTS), "--step", str(EXTENT)],
                                stdout=subprocess.PIPE, text=True) for disk in disks]
    results = [json.loads(p.communicate()[0]) for p in started]
    return nodes * EXTENTS / (max(r["ended"] for r in results) - min(r["begun"] for r in results))


def run(env, names):
    env.need(*(os.path.join(env.build, "tests/bench", name) for name in ("sansteps", "blockload")))
    rows = []
    with san_peer.labsan(env, ["locks,thin,size=64M", "volume,thin,size=16G"]) as port:
        url = f"iscsi://127.0.0.1:{port}/{san_peer.IQN}/"
        rounds = str(ROUNDS * env.pairs)
        if "B10_fence_vm" in names:
            rows.append(step_row("B10_fence_vm", steps(env, "fence", url + "0", rounds, "1")))
        if "B10_fence_host_8_vms" in names:
            rows.append(step_row("B10_fence_host_8_vms", steps(env, "fence", url + "0", rounds, "8")))
        if "B10_hand_over_storage" in names:
            rows.append(step_row("B10_hand_over_storage", steps(env, "hand-over", url + "0", rounds)))
        for name, nodes in (("B10_allocate_1_node", 1), ("B10_allocate_4_nodes", 4)):
            if name in names:
                rates = [allocation_rate(env, url + "1", nodes) for _ in range(env.pairs)]
                rows.append(stats.make_row(name, "ext/s", rates, note=NO_PEER))
    return rows
