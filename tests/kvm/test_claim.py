# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM whose ownership block lies on volume main uses a disk of volume data: no verb takes that disk away under it, in whatever process it
runs, and after its end, orderly or not, everybody gets on."""
import json
import os
import re
import signal

import pytest

import sankit
from agentkit import wait_for
from test_move import Fleet

GUEST = "mode=beat,step,writer rate=200 pages=256"
DISK = "data/d"


@pytest.fixture
def agent(agents):
    one = agents()
    one.volume("main", 64 << 20)
    one.volume("data", 64 << 20)
    one.ask("disk", "create", DISK, "--size", "16M")
    return one


def attach(agents, agent, *volumes):
    """Another agent (after a restart, or of another cluster) on the same volumes."""
    other = agents(directory=agent.dir)
    for name in volumes:
        other.ask("volume", "attach", name, "file:" + os.path.join(agent.dir, name + ".vol"))
    return other


def start(agent, name="vm", *how):
    agent.ask("start", name, *how)
    have = len(agent.beats.seen)
    wait_for("it beats: " + agent.said(), lambda: len(agent.beats.seen) > have + 20)


def second(agent):
    """Somebody defines another VM with that disk behind our back."""
    folder = os.path.join(agent.here, "state/vms")
    with open(os.path.join(folder, "vm"), encoding="ascii") as f:
        text = f.read()
    with open(os.path.join(folder, "two"), "w", encoding="ascii") as f:
        f.write(re.sub("uuid=........", "uuid=01234567", text))


def all_refused(agent, error):
    for verb in (("disk", "delete", DISK), ("disk", "rename", DISK, "e"), ("disk", "release", DISK), ("volume", "check", "data", "--repair")):
        said = agent.refused(*verb)
        assert said["error"] == error and "disk d of volume data is" in said["text"], (verb, said)
    assert in_use(agent)


def in_use(agent):
    return agent.ask("disk", "inspect", DISK)["disk"]["in_use"]


def test_no_verb_takes_a_disk_from_a_running_vm(agent):
    agent.create("vm", DISK, GUEST, lease="main")
    second(agent)
    start(agent)
    assert agent.ask("disk", "inspect", DISK)["disk"]["node"] == "test"
    all_refused(agent, "DISK_BUSY")
    assert agent.refused("disk", "release", DISK, "--sure")["error"] == "DISK_BUSY"
    assert agent.refused("start", "two")["error"] == "DISK_BUSY"
    assert agent.ask("volume", "check", "data")["complaints"] == []
    agent.ask("disk", "resize", DISK, "--size", "20M")
    before = len(agent.beats.seen)
    wait_for("it runs on", lambda: len(agent.beats.seen) > before + 20)
    agent.ask("stop", "vm", "--force")
    assert not in_use(agent)
    start(agent, "two")
    assert agent.refused("start", "vm")["error"] == "DISK_BUSY"
    agent.ask("stop", "two", "--force")
    assert agent.ask("volume", "check", "data", "--repair")["complaints"] == []
    agent.ask("disk", "rename", DISK, "e")
    agent.ask("disk", "delete", "data/e")


def test_readers(agent):
    """Two VMs read one disk: it is nobody's to write, and stays until both have ended."""
    for name in ("vm", "other"):
        agent.create(name, DISK + ",readonly", "mode=beat rate=200", lease="main")
        start(agent, name)
    assert agent.ask("disk", "inspect", DISK)["disk"]["readers"] == 2
    all_refused(agent, "DISK_BUSY")
    os.kill(agent.pid("other"), signal.SIGKILL)
    wait_for("it is released", lambda: agent.ask("disk", "inspect", DISK)["disk"]["readers"] == 1)
    all_refused(agent, "DISK_BUSY")
    agent.ask("stop", "vm", "--force")
    assert not in_use(agent)
    agent.ask("disk", "delete", DISK)


def test_a_killed_process_leaves_no_claim(agent):
    """Its agent collects it, releases its ownership, and with that its claims."""
    agent.create("vm", DISK, GUEST, lease="main")
    start(agent)
    os.kill(agent.pid("vm"), signal.SIGKILL)
    wait_for("it is released", lambda: not in_use(agent))
    agent.ask("disk", "delete", DISK)


def test_a_lost_node_leaves_its_claim(agents, agent):
    """Whoever comes next sees the claim; the VM takes it again with a proof, nobody else does."""
    agent.create("vm", DISK, GUEST, lease="main")
    start(agent)
    agent.daemon.kill()
    pids = agent.children()
    agent.daemon.wait()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    other = attach(agents, agent, "main", "data")
    all_refused(other, "DISK_BUSY")
    blind = attach(agents, agent, "data")
    all_refused(blind, "DISK_CLAIMED")
    assert "no other volume of this cluster" in blind.refused("disk", "delete", DISK)["text"]
    assert "--sure" not in blind.refused("disk", "delete", DISK)["text"]
    blind.ask("disk", "release", DISK, "--sure")
    assert not in_use(blind)


@pytest.mark.parametrize("how", ["kill", "error:5"])
def test_an_end_that_fails(agents, agent, how):
    """The claim is left behind. Where the block is free, everybody who can look there gets on."""
    agent.create("vm", DISK, GUEST, lease="main")
    second(agent)
    agent.fault_at_start("core.unclaim=" + how + "@1")
    start(agent)
    agent.hvctl("stop", "vm", "--force", check=False)
    wait_for("it is gone", lambda: not agent.vms())
    wait_for("its block is free", lambda: agent.ask("volume", "vms", "main")["vms"][0]["state"] == "stopped")
    assert in_use(agent) == (how != "kill")  # that one was collected by its agent
    if how == "kill":
        return
    all_refused(attach(agents, agent, "data"), "DISK_CLAIMED")
    said = agent.ask("volume", "check", "data")
    assert said["unfinished"] == 1 and "which nobody runs" in said["complaints"][0]
    start(agent, "two")
    agent.ask("stop", "two", "--force")
    start(agent)
    agent.ask("stop", "vm", "--force")
    agent.ask("disk", "delete", DISK)


def test_a_claim_that_is_skipped_is_noticed(agent):
    """The planted fault: what the other tests see is seen because of the claim."""
    agent.create("vm", DISK, GUEST, lease="main")
    agent.fault_at_start("core.claim.elsewhere=error:1")
    start(agent)
    assert not in_use(agent)
    agent.ask("disk", "rename", DISK, "e")


def test_both_ends_of_a_move_share_the_claim(agent, tmp_path, engine):
    """Live and quick, back and forth; a move that fails; the new owner's end."""
    def path(volume):
        return os.path.join(agent.dir, volume + ".vol")

    f = Fleet(str(tmp_path), engine, cmdline=GUEST, disk=path("data") + "#d", config={"lease": "file:" + path("main")})
    try:
        f.here.wait_serial("guest: ready")
        for mode in ("live", "quick", "live"):
            all_refused(agent, "DISK_BUSY")
            f.move(mode)
            here = f.node(f.hops)
            wait_for("the claim names the new node", lambda here=here: agent.ask("disk", "inspect", DISK)["disk"]["node"] == here)
        all_refused(agent, "DISK_BUSY")
        with pytest.raises(RuntimeError, match="blackout"):
            f.move("live", max_blackout_ms=1)
        all_refused(agent, "DISK_BUSY")
        f.check()
        f.here.request("stop", {"force": "1"})
        assert f.here.wait_end(20) == 0
        assert not in_use(agent)
        agent.ask("disk", "delete", DISK)
    finally:
        f.close()


def test_a_move_needs_the_claim(agent, tmp_path, engine):
    """A source that never claimed (the planted fault) is found out by the destination."""
    def path(volume):
        return os.path.join(agent.dir, volume + ".vol")

    os.environ["HV_FAULT"] = "core.claim.elsewhere=error:1"
    try:
        f = Fleet(str(tmp_path), engine, cmdline=GUEST, disk=path("data") + "#d", config={"lease": "file:" + path("main")})
    finally:
        del os.environ["HV_FAULT"]
    try:
        f.here.wait_serial("guest: ready")
        with pytest.raises((RuntimeError, AssertionError), match="not claimed"):
            f.move("live")
    finally:
        f.close()


def test_on_a_san(tmp_path, engine):
    """The same on two LUNs of a target; the source of a move is killed, and the claim outlives it."""
    from conftest import NO_NETWORK
    if NO_NETWORK:
        pytest.skip(NO_NETWORK)
    if not os.path.isfile(sankit.LABSAN):
        pytest.skip("labsan is not built")
    san = sankit.San(str(tmp_path), ("thin,size=64M", "thin,size=64M"))
    agent = sankit.Agent(str(tmp_path), 2000)
    f = None
    try:
        agent.hvctl("volume", "create", "main", san.url(0))
        agent.hvctl("volume", "create", "data", san.url(1))
        agent.hvctl("disk", "create", DISK, "--size", "16M")

        def refused(error):
            for verb in (("disk", "delete", DISK), ("disk", "rename", DISK, "e"), ("disk", "release", DISK)):
                with pytest.raises(RuntimeError, match=error):
                    agent.hvctl(*verb)

        f = Fleet(str(tmp_path), engine, cmdline=GUEST, config={"lease": san.url(0), "disks": [{"url": san.url(1, "d")}]})
        f.here.wait_serial("guest: ready")
        refused("DISK_BUSY")
        f.move("live")
        refused("DISK_BUSY")
        f.here.process.kill()
        f.here.process.wait()
        refused("DISK_BUSY")  # the block has an owner still, nobody has proven that it is dead
        agent.hvctl("volume", "forget", "main")
        refused("DISK_CLAIMED")
        agent.hvctl("volume", "attach", "main", san.url(0))
        refused("DISK_BUSY")
    finally:
        if f:
            f.close()
        agent.close()
        san.close()
