# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest agent through hvclusterd: Debian's qemu-guest-agent in a Linux guest of the cluster answers to hvctl on any
node, and stays connected when the VM moves."""

import json
import os
import re
import subprocess
import sys

import labkit
import movekit
import pytest
from labkit import wait_for

sys.path.insert(0, os.path.join(labkit.SRC, "tests", "guest"))
import agentguest  # noqa: E402


@pytest.fixture(scope="module")
def guest(module_lab):
    share = module_lab.dir + "/share/agent"
    made = subprocess.run([agentguest.MAKER, "--json", "--programs", module_lab.build + "/tests/guest", "--out",
                           share], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True, timeout=600,
                          check=False)
    if made.returncode:
        pytest.skip("no Linux guest: " + made.stderr.strip())
    try:
        extra = agentguest.overlay(share)
    except agentguest.CannotMake as e:
        pytest.skip(str(e))
    with open(share + "/initramfs.cpio", "ab") as f:
        f.write(extra)
    with open(share + "/cmdline") as f:
        return {"kernel": share + "/vmlinuz", "initrd": share + "/initramfs.cpio", "cmdline": f.read().strip()}


@pytest.fixture(scope="module")
def vm(module_lab, guest):
    movekit.make_volume(module_lab)
    v = movekit.Move(module_lab, "agent", "10.77.3.130", "soft", linux=guest, memory="256M")
    try:
        v.start(timeout=600)
        yield v
        v.judge()
    finally:
        v.close()


def agent(vm, node="node1"):
    """What `hvctl show` says of it."""
    return json.loads(vm.hvctl("--json", "show", vm.name, node=node).stdout)["core"]["agent"]


def ask(vm, what, node="node1", check=True):
    r = vm.hvctl("--json", "agent", what, vm.name, node=node, check=check)
    return json.loads(r.stdout) if check else r


def connected(vm):
    wait_for("the agent is connected", lambda: agent(vm)["connected"], timeout=300)
    return agent(vm)


def other(vm, node):
    return next(n for n in vm.lab.names() if n != node)


def test_every_node_can_ask(vm):
    first = connected(vm)
    assert re.fullmatch(r"[0-9]+\.[0-9.]+", first["version"]) and first["frozen"] is False
    assert "version" in vm.hvctl("show", vm.name).stdout  # for people too
    for node in vm.lab.names():
        assert ask(vm, "ping", node)["answer_us"] > 0
        assert ask(vm, "time", node)["guest_ns"] > 0


@pytest.mark.parametrize("how", ["--live", "--quick"])
def test_it_stays_connected_through_a_move(vm, how):
    before, boots, node = connected(vm), vm.boots(), vm.settled()
    vm.migrate(other(vm, node), how)
    after = connected(vm)
    assert vm.settled() != node and vm.boots() == boots
    assert after["version"] == before["version"] and ask(vm, "ping")["answer_us"] > 0


def test_file_systems_stay_frozen_through_a_move(vm):
    """Whoever froze them thaws them: a move is no reason to break the promise, and the agent says how it stands."""
    connected(vm)
    node = vm.settled()
    assert ask(vm, "freeze") == {"frozen": 1} and agent(vm)["frozen"] is True
    vm.migrate(other(vm, node), "--live")
    assert connected(vm)["frozen"] is True
    assert ask(vm, "thaw") == {"thawed": 1} and agent(vm)["frozen"] is False


def test_stop_uses_it(vm):
    connected(vm)
    vm.hvctl("stop", vm.name)
    vm.wait_stopped()
    text = "".join(open(path, errors="replace").read() for path in consoles(vm))
    assert "guest: shutdown" in text, text[-500:]
    vm.hvctl("start", vm.name)
    connected(vm)
    vm.hvctl("agent", "shutdown", vm.name)  # the guest goes; pacemaker starts it again, as it is wanted
    boots = vm.boots()
    wait_for("another boot", lambda: vm.boots() > boots, timeout=300)


def consoles(vm):
    paths = ["%s/nodes/%s/varlib/hvcluster/log/%s.console" % (vm.lab.dir, n, vm.name) for n in vm.lab.names()]
    return [p for p in paths if os.path.exists(p)]
