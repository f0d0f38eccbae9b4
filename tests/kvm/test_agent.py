# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own qemu-guest-agent in the stock Linux guest: answers over the second port of the virtio console."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

import corekit
from corekit import Vm

sys.path.insert(0, os.path.join(corekit.ROOT, "tests/guest"))
import agentguest  # noqa: E402


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    done = subprocess.run([os.path.join(corekit.ROOT, "scripts/guest-image"), "--json", "--programs",
                           os.path.join(corekit.BUILD, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        pytest.skip("no guest image: " + done.stderr.decode().strip())
    image = json.loads(done.stdout)
    folder = str(tmp_path_factory.mktemp("agent"))
    try:
        extra = agentguest.overlay(folder, corekit.first_network)
    except agentguest.CannotMake as e:
        pytest.skip(str(e))
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
