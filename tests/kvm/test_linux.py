# SPDX-License-Identifier: GPL-2.0-or-later
"""The stock Debian kernel in hvcore: boots, keeps records on ext4, shuts down at the power button. On the kvm engine where the host can run stock
kernels, otherwise on the soft engine (engine=auto decides)."""
import json
import os
import subprocess

import pytest

import corekit
from corekit import Vm

GUEST = "10.77.9.50"


@pytest.fixture(scope="module")
def image():
    done = subprocess.run([os.path.join(corekit.ROOT, "scripts/guest-image"), "--json", "--programs",
                           os.path.join(corekit.BUILD, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        pytest.skip("no guest image: " + done.stderr.decode().strip())
    return json.loads(done.stdout)


def linux(image, tap, disk, **more):
    return Vm(kernel=image["files"]["vmlinuz"]["path"], initrd=image["files"]["initramfs.cpio"]["path"],
              cmdline=f"{image['cmdline']} ip={GUEST} beat=100", memory_mib=256, engine="auto", tap=tap, disks=[disk], **more)


def records(seconds):
    done = subprocess.run([corekit.RECORDC, "-r", "20", "-s", str(seconds), GUEST], stdout=subprocess.PIPE, check=False)
    return done.returncode, json.loads(done.stdout)


def test_boot_records_and_power_button(image, tap, disk):
    with vm_after_kill(image, tap, disk) as vm:
        said = vm.wait_serial("guest: ready", 180)
        assert "recordd: ready records=" in said and "records=0 " not in said.split("recordd: ready ")[1]
        code, report = records(3)
        assert code == 0 and report["lost"] == 0 and report["acked"] > 10 and report["tcp_kept"]
        assert vm.beats.values()[:1] == bytes([corekit.BEAT_START]) and corekit.beats_are_whole(vm.beats.values())
        vm.request("power-button")
        vm.wait_serial("guest: power off")
        assert vm.wait_end(60) == 0


def vm_after_kill(image, tap, disk):
    """A VM whose disk another one had, which wrote records and was killed without warning: ext4 replays its journal."""
    with linux(image, tap, disk) as first:
        first.wait_serial("guest: ready", 180)
        code, report = records(3)
        assert code == 0 and report["lost"] == 0 and report["acked"] > 10
        first.process.kill()
        first.wait_end()
    return linux(image, tap, disk)


def test_watched_while_it_boots(image, tap, disk):
    """A stock kernel on the soft engine, under samples, traces and dumps in turn: it comes up, and its records are whole."""
    with Vm(kernel=image["files"]["vmlinuz"]["path"], initrd=image["files"]["initramfs.cpio"]["path"], engine="soft", cpus=2,
            cmdline=f"{image['cmdline']} ip={GUEST} beat=100", memory_mib=256, tap=tap, disks=[disk]) as vm:
        watched = 0
        while "guest: ready" not in vm.serial():
            assert vm.process.poll() is None, vm.stderr()
            vm.request("counters", {"interval_ms": "150"})
            vm.request("trace", {"window_ms": "50"})
            vm.request("dump")
            watched += 1
        assert watched > 0
        code, report = records(2)
        assert code == 0 and report["lost"] == 0 and report["acked"] > 10
        counts = json.loads(vm.request("counters")["doc"])["sum"]["boot"]["counts"]
        assert counts["sample"]["read_hits"] > 0 and counts["exceptions"]["PF"] > 0 and counts["interrupts"]
        assert counts["blocks"]["invalidated"] > 0  # the kernel patches itself
        assert corekit.beats_are_whole(vm.beats.values())
        vm.request("power-button")
        vm.wait_serial("guest: power off")
        assert vm.wait_end(60) == 0
