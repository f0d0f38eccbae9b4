# SPDX-License-Identifier: GPL-2.0-or-later
"""E5: work inside a stock Linux guest on the soft engine beside QEMU's TCG (and Bochs, where it can): gzip, sha256 and small processes, by the
guest's clock, without the boot. E6: instructions a second of the soft engine in them, and in a boot. TCG translates, the soft engine
interprets: the ratios of E5 are what a translator gains."""
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import hvwire
import qemu_peer
import stats

NEEDS_KVM = False
WORKS = ["gzip", "sha256", "forks"]
NAMES = [f"E5_guest_{w}" for w in WORKS] + [f"E6_mips_{w}" for w in ["boot", *WORKS]]
MEMORY_MIB = 256
START = b"""#!/bin/busybox sh
bb=/bin/busybox
work=none
for word in $($bb cat /proc/cmdline); do
	case $word in work=*) work=${word#work=} ;; esac
done
read -r from rest </proc/uptime
case $work in
gzip) $bb gzip -c /bin/busybox >/dev/null ;;
sha256) for i in 1 2 3 4; do $bb sha256sum /bin/busybox; done >/dev/null ;;
forks) i=0; while [ $i -lt 5000 ]; do $bb true; i=$((i + 1)); done ;;
esac
read -r to rest </proc/uptime
echo "work: $work $from $to."
/sbin/power-off
"""
LINE = re.compile(r"work: (\w+) ([\d.]+) ([\d.]+)\.\s")
SPEED = re.compile(r"soft_boot: ([\d.]+) s, (\d+) M instructions")


def guest_image_module():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("guest_image", os.path.join(hvwire.ROOT, "scripts/guest-image"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("guest_image", loader))
    loader.exec_module(module)
    return module


def image(env):
    done = subprocess.run([os.path.join(hvwire.ROOT, "scripts/guest-image"), "--json", "--programs",
                           os.path.join(env.build, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise env.cannot("no guest image: " + done.stderr.decode().strip())
    img = json.loads(done.stdout)
    extra = guest_image_module().Cpio()
    extra.file("/etc/guest-start", START, 0o755)
    initrd = os.path.join(env.dir, "initrd")
    with open(img["files"]["initramfs.cpio"]["path"], "rb") as base, open(initrd, "wb") as f:
        f.write(base.read() + extra.finish())
    return {"kernel": img["files"]["vmlinuz"]["path"], "initrd": initrd, "cmdline": img["cmdline"]}


def until_line(process):
    """What the guest said of its work: milliseconds."""
    said = ""
    while not (found := LINE.search(said)):
        data = os.read(process.stdout.fileno(), 4096)
        if not data:
            raise RuntimeError("the guest did not come to an end: " + said[-500:])
        said += data.decode(errors="replace")
    return (float(found[3]) - float(found[2])) * 1000


def one_ours(env, img, work):
    """(milliseconds of the work, seconds of the run, million instructions of the run)"""
    argv = [os.path.join(env.build, "tests/soft/soft_boot"), "-m", str(MEMORY_MIB), img["kernel"], img["initrd"], f"{img['cmdline']} work={work}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        try:
            ms = until_line(p)
            speed = SPEED.search(p.communicate(timeout=60)[1].decode())
        finally:
            p.kill()
    return ms, float(speed[1]), int(speed[2])


def one_peer(img, work):
    argv = [qemu_peer.QEMU, "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "microvm,acpi=on,isa-serial=on", "-cpu", "qemu64", "-kernel", img["kernel"], "-initrd", img["initrd"],
            "-append", f"{img['cmdline']} work={work} tsc_early_khz=2500000", "-serial", "stdio"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as p:
        try:
            return until_line(p)
        finally:
            p.kill()


def bochs_note():
    if not shutil.which("bochs"):
        return "Bochs is not installed"
    return "Bochs is here, but boots through a BIOS from disks only, not a kernel by itself: not measured"


def run(env, names):
    env.need(os.path.join(env.build, "tests/soft/soft_boot"))
    img, rows = image(env), []
    works = [w for w in WORKS if f"E5_guest_{w}" in names or f"E6_mips_{w}" in names]
    ours, peer = {w: [] for w in ["none", *works]}, {w: [] for w in works}
    for _ in range(min(env.pairs, 5)):
        ours["none"].append(one_ours(env, img, "none"))
        for work in works:
            ours[work].append(one_ours(env, img, work))
            if qemu_peer.QEMU:
                peer[work].append(one_peer(img, work))
    for work in works:
        if f"E5_guest_{work}" in names:
            rows.append(stats.make_row(f"E5_guest_{work}", "ms", [o[0] for o in ours[work]], peer[work], note=bochs_note()))
    if "E6_mips_boot" in names:
        rows.append(stats.make_row("E6_mips_boot", "MIPS", [n / s for _, s, n in ours["none"]], more_is_better=True,
                                   note="from the first instruction to power off, sleeps included"))
    for work in works:
        if f"E6_mips_{work}" in names:
            rows.append(stats.make_row(f"E6_mips_{work}", "MIPS", [(n - none[2]) / (ms / 1000) for (ms, _, n), none in zip(ours[work], ours["none"])],
                                       more_is_better=True))
    return rows
