# SPDX-License-Identifier: GPL-2.0-or-later
"""E1: the soft engine beside QEMU's TCG: a stock Debian kernel from the start of the process to the first heartbeat of its user space, and the processor
time used until then; the same with a cold page cache, and with the kernel's default command line (which runs its crypto self-tests). Ours is an
interpreter and TCG a translator, so this says plainly what a translator gains (or does not, in a boot). E4: processor time of an idle guest."""
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
NAMES = ["E1_boot_soft", "E1_boot_soft_cpu", "E1_boot_cold", "E1_boot_default", "E4_idle"]
DEFAULT_CMDLINE = "console=ttyS0 reboot=t panic=-1"
IDLE_SECONDS = 3


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


def start_ours(env, observer, number, img, cmdline):
    start = env.core_start(f"linux{number}", os.path.join(env.dir, f"c{number}"), "beat", cmdline, MEMORY_MIB)
    start["vm"].update(engine="soft", kernel=img["files"]["vmlinuz"]["path"], initrd=img["files"]["initramfs.cpio"]["path"], disks=[])
    seen = len(observer.events)
    pid, _ = env.start(observer, start)
    begun = next(e[1] for e in observer.events[seen:] if e[0] == "spawn")
    return seen, begun, pid


def start_peer(env, observer, img, cmdline):
    argv = [qemu_peer.QEMU, "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "microvm,acpi=on,isa-serial=on", "-cpu", "qemu64", "-kernel", img["files"]["vmlinuz"]["path"],
            "-initrd", img["files"]["initramfs.cpio"]["path"], "-append", cmdline + " tsc_early_khz=2500000", "-serial", "null",
            "-chardev", f"socket,id=e,path={env.dir}/beat", "-device", "isa-debugcon,chardev=e,iobase=0xe9"]
    seen = len(observer.events)
    begun, pid = observer.spawn(argv)
    return seen, begun, pid


def forget(*paths):
    """Out of the page cache, as far as nobody has them mapped."""
    for path in paths:
        with open(path, "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def idle_percent(pid):
    before = cpu_ms(pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_ms(pid) - before) / IDLE_SECONDS / 10


class Boots:
    """Pairs of boots of one kind: milliseconds to the first heartbeat, and what `then` finds afterwards."""

    def __init__(self, env, img, cmdline, cold=False, then=cpu_ms):
        self.env, self.img, self.cmdline, self.cold, self.then = env, img, cmdline, cold, then
        self.ours, self.peer = [], []

    def one(self, observer, start, program):
        if self.cold:
            forget(self.img["files"]["vmlinuz"]["path"], self.img["files"]["initramfs.cpio"]["path"], program)
        seen, begun, pid = start()
        try:
            at = observer.wait_byte(0, lambda value: value == 0x80, seen, 120)
            return (at - begun) / 1e6, self.then(pid)
        except TimeoutError:
            return None, None
        finally:
            stop(observer, pid)
            time.sleep(0.05)

    def run(self, observer, at_most=None):
        env = self.env
        for number, side in env.alternate(at_most):
            if side == "ours":
                one = self.one(observer, lambda: start_ours(env, observer, number, self.img, self.cmdline), env.hvcore)
                if one[0] is None:
                    raise RuntimeError("the soft engine did not boot in time")
                self.ours.append(one)
            elif qemu_peer.QEMU:
                self.peer.append(self.one(observer, lambda: start_peer(env, observer, self.img, self.cmdline), qemu_peer.QEMU))

    def row(self, name, unit, which):
        return stats.make_row(name, unit, [o[which] for o in self.ours], [p[which] for p in self.peer], timeout=120000)


def run(env, names):
    img, rows = image(env), []
    beat = img["cmdline"] + " beat=100"
    with Observer(env.observer, [os.path.join(env.dir, "beat")], env.log) as observer:
        if "E1_boot_soft" in names or "E1_boot_soft_cpu" in names:
            warm = Boots(env, img, beat)
            warm.run(observer)
            rows += [warm.row(name, "ms", which) for which, name in enumerate(["E1_boot_soft", "E1_boot_soft_cpu"]) if name in names]
        if "E1_boot_cold" in names:
            cold = Boots(env, img, beat, cold=True)
            cold.run(observer, 5)
            rows.append(cold.row("E1_boot_cold", "ms", 0))
        if "E1_boot_default" in names:
            default = Boots(env, img, DEFAULT_CMDLINE + " beat=100")
            default.run(observer, 3)
            rows.append(default.row("E1_boot_default", "ms", 0))
        if "E4_idle" in names:
            idle = Boots(env, img, img["cmdline"] + " beat=1", then=idle_percent)
            idle.run(observer, 3)
            rows.append(idle.row("E4_idle", "% CPU", 1))
    return rows
