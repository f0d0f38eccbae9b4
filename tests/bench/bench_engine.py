# SPDX-License-Identifier: GPL-2.0-or-later
"""E1: the soft engine beside QEMU's TCG: a stock Debian kernel from the start of the process to the first heartbeat of its user space, and the processor
time used until then. Ours is an interpreter and TCG a translator, so this says plainly what a translator gains (or does not, in a boot)."""
import json
import os
import subprocess
import time

import hvwire
import qemu_peer
import stats
from bench_start import stop
from observer import Observer

MEMORY_MIB = 256
NEEDS_KVM = False
NAMES = ["E1_boot_soft", "E1_boot_soft_cpu"]


def image(env):
    done = subprocess.run([os.path.join(hvwire.ROOT, "scripts/guest-image"), "--json", "--programs",
                           os.path.join(env.build, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise env.cannot("no guest image: " + done.stderr.decode().strip())
    return json.loads(done.stdout)


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def first_beat(observer, seen, begun, pid):
    at = observer.wait_byte(0, lambda value: value == 0x80, seen, 120)
    return (at - begun) / 1e6, cpu_ms(pid)


def one_ours(env, observer, number, img):
    start = env.core_start(f"linux{number}", os.path.join(env.dir, f"c{number}"), "beat", img["cmdline"] + " beat=100", MEMORY_MIB)
    start["vm"].update(engine="soft", kernel=img["files"]["vmlinuz"]["path"], initrd=img["files"]["initramfs.cpio"]["path"], disks=[])
    seen = len(observer.events)
    pid, _ = env.start(observer, start)
    begun = next(e[1] for e in observer.events[seen:] if e[0] == "spawn")
    figures = first_beat(observer, seen, begun, pid)
    stop(observer, pid)
    return figures


def one_peer(env, observer, img):
    argv = [qemu_peer.QEMU, "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "microvm,acpi=on,isa-serial=on", "-cpu", "qemu64", "-kernel", img["files"]["vmlinuz"]["path"],
            "-initrd", img["files"]["initramfs.cpio"]["path"], "-append",
            img["cmdline"] + " beat=100 tsc_early_khz=2500000", "-serial", "null",
            "-chardev", f"socket,id=e,path={env.dir}/beat", "-device", "isa-debugcon,chardev=e,iobase=0xe9"]
    seen = len(observer.events)
    begun, pid = observer.spawn(argv)
    try:
        return first_beat(observer, seen, begun, pid)
    except TimeoutError:
        return None, None
    finally:
        stop(observer, pid)
        time.sleep(0.05)


def run(env, names):
    img = image(env)
    ours, peer = [], []
    with Observer(env.observer, [os.path.join(env.dir, "beat")], env.log) as observer:
        for number, side in env.alternate():
            if side == "ours":
                ours.append(one_ours(env, observer, number, img))
            elif qemu_peer.QEMU:
                peer.append(one_peer(env, observer, img))
    return [stats.make_row(name, "ms", [o[i] for o in ours], [p[i] for p in peer], timeout=120000)
            for i, name in enumerate(NAMES) if name in names]
