# SPDX-License-Identifier: GPL-2.0-or-later
"""B9: start and footprint. The same guest (bare.elf, one beat byte as its first instruction), one disk, 128 MiB; ours is hvcore started by its start
message, the peer is QEMU's microvm. From just before the fork to the guest's first byte at the observer; private memory is Pss_Anon plus nothing of the
guest's RAM, which is shared memory on both sides."""
import os
import signal
import time

import hvwire
import qemu_peer
import stats
from observer import Observer

MEMORY_MIB = 128
CMDLINE = "mode=beat rate=100"
NAMES = ["B9_start_first_instruction", "B9_start_api", "B9_private_memory"]


def private_mib(pid):
    """Anonymous memory of a process: its own, without the guest's RAM (shared) and without files."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        fields = dict(line.split(":") for line in f.readlines()[1:])
    return int(fields["Pss_Anon"].split()[0]) / 1024


def stop(observer, pid):
    seen = len(observer.events)
    os.kill(pid, signal.SIGKILL)
    observer.wait(lambda e: e[0] == "exit" and e[2][0] == str(pid), seen)


def one_ours(env, observer, number):
    control = os.path.join(env.dir, f"control{number}")
    seen = len(observer.events)
    pid, _ = env.start(observer, env.core_start(f"bench{number}", control, "beat", CMDLINE, MEMORY_MIB))
    begun = next(e[1] for e in observer.events[seen:] if e[0] == "spawn")
    first = observer.wait_byte(0, lambda value: value == 0x40, seen)
    api = observer.wait(lambda e: e[0] == "reply", seen)[1]
    time.sleep(0.1)
    memory = private_mib(pid)
    stop(observer, pid)
    return (first - begun) / 1e6, (api - begun) / 1e6, memory


def one_peer(env, observer, number):
    qmp_path = os.path.join(env.dir, f"qmp{number}")
    argv = qemu_peer.command(env.elf, CMDLINE, os.path.join(env.dir, "beat"), qmp_path, MEMORY_MIB, extra=(
        "-drive", f"if=none,id=d,file={env.disk},format=raw", "-device", "virtio-blk-device,drive=d"))
    seen = len(observer.events)
    begun, pid = observer.spawn(argv)
    qmp = qemu_peer.Qmp(qmp_path)
    first = observer.wait_byte(0, lambda value: value == 0x40, seen)
    time.sleep(0.1)
    memory = private_mib(pid)
    qmp.sock.close()
    stop(observer, pid)
    return (first - begun) / 1e6, (qmp.ready_ns - begun) / 1e6, memory


def run(env, names):
    ours, peer = [], []
    with Observer(env.observer, [os.path.join(env.dir, "beat")], env.log) as observer:
        for number, side in env.alternate():
            if side == "ours":
                ours.append(one_ours(env, observer, number))
            elif qemu_peer.QEMU:
                peer.append(one_peer(env, observer, number))
    units = ("ms", "ms", "MiB")
    return [stats.make_row(name, unit, [o[i] for o in ours], [p[i] for p in peer], limit=limit)
            for i, (name, unit, limit) in enumerate(zip(NAMES, units, (0.4, 0.4, None))) if name in names]
