# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own qemu-guest-agent in the stock Linux guest: answers over the second port of the virtio console."""
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import time

import pytest

import corekit
from corekit import Vm

# Runs the agent as its service would: without udev, the port's name is found in sysfs.
START = b"""#!/bin/busybox sh
bb=/bin/busybox
for port in /sys/class/virtio-ports/*; do
	[ "$($bb cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] || continue
	$bb mkdir -p /dev/virtio-ports
	$bb ln -s "/dev/${port##*/}" /dev/virtio-ports/org.qemu.guest_agent.0
done
echo "agent: port $($bb ls /dev/virtio-ports)"
while [ ! -e /tmp/off ]; do
	/usr/sbin/qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /tmp
	echo "agent: ended with $?"
	$bb sleep 1
done
"""
SHUTDOWN = b"#!/bin/busybox sh\necho \"guest: shutdown $*\" >/dev/console\n/sbin/power-off &\n"


def guest_image_module():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("guest_image", os.path.join(corekit.ROOT, "scripts/guest-image"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("guest_image", loader))
    loader.exec_module(module)
    return module


def overlay(maker, folder):
    """A cpio with the agent of its package, and the libraries that it names as this host has them."""
    done = subprocess.run([os.path.join(corekit.ROOT, "scripts/guest-image"), "--fetch", "qemu-guest-agent"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=corekit.first_network, check=False)
    if done.returncode:
        pytest.skip("no qemu-guest-agent package: " + done.stderr.decode().strip())
    package = maker.Package(done.stdout.decode().strip())
    program = os.path.join(folder, "qemu-ga")
    with open(program, "wb") as f:
        f.write(package.read("usr/sbin/qemu-ga"))
    os.chmod(program, 0o755)
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    missing = re.findall(r"(\S+) => not found", listed)
    if missing:
        pytest.skip("this host lacks libraries of qemu-guest-agent: " + " ".join(missing))
    cpio = maker.Cpio()
    cpio.file("/usr/sbin/qemu-ga", maker.read_file(program), 0o755)
    for lib in sorted(set(re.findall(r"(/\S+) \(0x", listed))):
        cpio.file(lib, maker.read_file(lib), 0o755)
    cpio.file("/etc/guest-start", START, 0o755)
    cpio.file("/sbin/shutdown", SHUTDOWN, 0o755)
    return cpio.finish()


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    done = subprocess.run([os.path.join(corekit.ROOT, "scripts/guest-image"), "--json", "--programs",
                           os.path.join(corekit.BUILD, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        pytest.skip("no guest image: " + done.stderr.decode().strip())
    image = json.loads(done.stdout)
    folder = str(tmp_path_factory.mktemp("agent"))
    extra = overlay(guest_image_module(), folder)
    with open(image["files"]["initramfs.cpio"]["path"], "rb") as f:
        base = f.read()
    path = os.path.join(folder, "initramfs.cpio")
    with open(path, "wb") as f:
        f.write(base + extra)
    return {"kernel": image["files"]["vmlinuz"]["path"], "initrd": path, "cmdline": image["cmdline"]}


def linux(guest, disk):
    return Vm(memory_mib=256, engine="auto", disks=[disk], **guest)


def ask(vm, verb):
    return json.loads(vm.request(verb)["doc"])


def agent_of(vm):
    return ask(vm, "status")["agent"]


def wait_agent(vm, timeout=60):
    end = time.monotonic() + timeout
    while not (agent := agent_of(vm))["connected"]:
        assert time.monotonic() < end, f"no agent: {agent} {vm.serial()}"
        time.sleep(0.1)
    return agent


def test_ping_time_freeze_thaw_shutdown(guest, disk):
    with linux(guest, disk) as vm:
        vm.wait_serial("guest: ready", 180)
        agent = wait_agent(vm)
        assert re.fullmatch(r"[0-9]+\.[0-9.]+", agent["version"]) and agent["frozen"] is False and "last_seen_ms" in agent
        assert ask(vm, "qga-ping")["answer_us"] > 0
        clocks = ask(vm, "qga-time")
        assert clocks["guest_ns"] > 0 and clocks["host_ns"] > 0
        assert ask(vm, "qga-time")["guest_ns"] > clocks["guest_ns"]
        assert ask(vm, "qga-freeze") == {"frozen": 1} and agent_of(vm)["frozen"] is True
        with pytest.raises(RuntimeError):  # the agent itself refuses most commands while it is frozen
            vm.request("qga-shutdown")
        assert ask(vm, "qga-thaw") == {"thawed": 1} and agent_of(vm)["frozen"] is False
        assert ask(vm, "qga-shutdown") is not None
        vm.wait_serial("guest: shutdown")
        assert vm.wait_end(60) == 0


def test_stop_asks_the_agent(guest, disk):
    with linux(guest, disk) as vm:
        vm.wait_serial("guest: ready", 180)
        wait_agent(vm)
        vm.request("pause")
        with pytest.raises(RuntimeError):
            vm.request("qga-ping")
        vm.request("resume")
        assert ask(vm, "qga-ping")["answer_us"] > 0
        assert ask(vm, "stop")["state"] == "stopped"
        assert "guest: shutdown" in vm.serial()
        assert vm.wait_end(60) == 0
