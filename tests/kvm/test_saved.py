# SPDX-License-Identifier: GPL-2.0-or-later
"""Saved states on a volume (docs/SAVED-STATE.md): what a VM was doing goes on after a restore, at most once, whatever is killed in between.
The bare guest is the witness: it checks its own pages and clocks, counts its beats, and says when it boots."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import corekit
from agentkit import wait_for

GUEST = "mode=beat,step,writer,clock clockfail=1 rate=200 pages=1024"
BOOT = bytes([corekit.BEAT_START])

# Where a save may be interrupted: before the seal is durable the VM must boot again, from there on it must go on.
BEFORE_SEAL = ["image.make", "image.made", "mig.image.flushed", "mig.image.save", "mig.store.write", "mig.store.sync", "image.seal"]
AFTER_SEAL = ["image.sealed", "image.saved"]
# Where a restore may be: up to the consumption the image is good for another try.
BEFORE_CONSUME = ["image.look", "core.claim", "core-build", "mig.image.restore", "mig.store.read", "mig.land.memory", "image.consume"]
AFTER_CONSUME = ["stor.image.gone", "image.consumed"]


@pytest.fixture
def agent(agents):
    one = agents()
    one.volume()
    one.ask("disk", "create", "main/d", "--size", "64M")
    return one


def beats_on(agent, n=30):
    have = len(agent.beats.seen)
    wait_for("it beats: " + agent.said(), lambda: len(agent.beats.seen) > have + n)


def start(agent, name="vm", *how):
    agent.ask("start", name, *how)
    beats_on(agent)


def free_bytes(agent):
    return agent.ask("volume", "show", "main")["free_bytes"]


def boots(agent):
    """How often the guest booted; it never noticed anything, and between two boots its beats count without a gap."""
    values = agent.beats.values()
    assert corekit.beats_are_whole(values)
    return values.count(BOOT)


def no_process(agent):
    wait_for("the process is gone", lambda: not agent.vms())


def volume_is_whole(agent):
    report = agent.ask("volume", "check", "main")
    assert (report["leaked_extents"], report["bad_structures"]) == (0, 0), report


def test_save_and_start(agent, engine):
    agent.create("vm", "main/d", GUEST, engine)
    start(agent)
    before = free_bytes(agent)
    assert agent.ask("save", "vm")["state"] == "saved"
    assert agent.vms() == [] and agent.state("vm") == "saved"
    assert agent.ask("show", "vm")["saved"]["node"] == "test"
    assert free_bytes(agent) < before
    beats = len(agent.beats.seen)
    time.sleep(0.3)
    assert len(agent.beats.seen) == beats
    for _ in range(3):  # again and again
        start(agent)
        assert agent.state("vm") == "running" and "saved" not in agent.ask("show", "vm")
        assert free_bytes(agent) == before
        agent.ask("save", "vm")
    agent.ask("restore", "vm")
    beats_on(agent)
    assert boots(agent) == 1
    assert "runs already" in agent.refused("restore", "vm")["text"]
    assert "runs already" in agent.refused("start", "vm", "--fresh")["text"]
    agent.ask("stop", "vm")
    assert agent.state("vm") == "stopped"
    assert "no saved state" in agent.refused("restore", "vm")["text"]
    assert "does not run" in agent.refused("save", "vm")["text"]
    volume_is_whole(agent)


def test_fresh_discards(agent):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    before = free_bytes(agent)
    agent.ask("save", "vm")
    start(agent, "vm", "--fresh")
    assert boots(agent) == 2 and free_bytes(agent) == before


@pytest.mark.parametrize("first, second", [("soft", "kvm"), ("kvm", "soft")])
def test_the_other_engine(agents, agent, first, second):
    """A VM that was saved under one engine goes on under the other, where that has the CPU the guest saw; where not, it says so and
    the image is kept."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm here")
    agent.create("vm", "main/d", GUEST, first)
    start(agent)
    agent.ask("save", "vm")
    other = agents(directory=agent.dir)
    other.ask("volume", "attach", "main", "file:" + os.path.join(agent.dir, "main.vol"))
    other.ask("register", "main/vm")
    path = os.path.join(other.here, "state/vms/vm")
    with open(path, encoding="ascii") as f:
        text = f.read().replace("engine=" + first, "engine=" + second)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    done = other.hvctl("start", "vm", check=False)
    if done.returncode == 0:
        beats_on(other)
        assert BOOT not in other.beats.values()
        return
    assert b"INCOMPATIBLE" in done.stdout and b"the saved state cannot go on here" in done.stdout
    no_process(other)
    assert agent.ask("volume", "vms", "main")["vms"][0]["state"] == "saved"
    start(agent)
    assert boots(agent) == 1


@pytest.mark.parametrize("point", BEFORE_SEAL)
def test_a_save_that_fails_leaves_the_vm_running(agent, point):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    before = free_bytes(agent)
    agent.ask("debug", "fault", "vm", point + "=error:5@1")
    assert "not saved" in agent.refused("save", "vm")["text"]
    beats_on(agent)
    assert agent.state("vm") == "running" and free_bytes(agent) == before
    agent.ask("save", "vm")  # and now it can be
    start(agent)
    assert boots(agent) == 1
    volume_is_whole(agent)


def test_a_seal_that_may_have_happened_is_undone_first(agent):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    before = free_bytes(agent)
    agent.ask("debug", "fault", "vm", "image.sealed=error:5@1,image.undo=error:5@1")
    assert "not saved" in agent.refused("save", "vm")["text"]
    beats_on(agent)
    assert free_bytes(agent) == before
    os.kill(agent.pid("vm"), signal.SIGKILL)  # it ran on: nothing old may come back
    no_process(agent)
    wait_for("it starts", lambda: agent.hvctl("start", "vm", check=False).returncode == 0)
    beats_on(agent)
    assert boots(agent) == 2


@pytest.mark.parametrize("point", BEFORE_SEAL + AFTER_SEAL)
def test_a_save_that_is_killed(agent, point):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    before = free_bytes(agent)
    agent.ask("debug", "fault", "vm", point + "=kill")
    agent.refused("save", "vm")
    no_process(agent)
    wait_for("it starts", lambda: agent.hvctl("start", "vm", check=False).returncode == 0)
    beats_on(agent)
    assert boots(agent) == (1 if point in AFTER_SEAL else 2)
    assert free_bytes(agent) == before
    volume_is_whole(agent)


@pytest.mark.parametrize("how", ["kill", "error:5"])
@pytest.mark.parametrize("point", BEFORE_CONSUME + AFTER_CONSUME)
def test_a_restore_that_fails(agent, point, how):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    agent.ask("save", "vm")
    agent.fault_at_start(f"{point}={how}@1")
    done = agent.hvctl("start", "vm", check=False)
    if how == "error:5" and point == "stor.image.gone":
        assert done.returncode == 0  # consumed for sure: it looked again
    else:
        assert done.returncode != 0
        no_process(agent)
        wait_for("it starts", lambda: agent.hvctl("start", "vm", check=False).returncode == 0)
    beats_on(agent)
    gone = point in AFTER_CONSUME and not (how == "error:5" and point == "stor.image.gone")
    assert boots(agent) == (2 if gone else 1)


def test_cancelled_by_a_stop(agent):
    """A stop during a save waits for it: what the guest was doing is kept."""
    agent.create("vm", "main/d", GUEST)
    start(agent)
    agent.ask("debug", "fault", "vm", "mig.store.sync=delay:1000")
    save = threading.Thread(target=lambda: agent.hvctl("save", "vm", check=False))
    save.start()
    wait_for("it saves", lambda: agent.state("vm") == "saving")
    agent.ask("stop", "vm")
    save.join()
    assert agent.state("vm") == "saved"
    start(agent)
    assert boots(agent) == 1
    agent.ask("debug", "fault", "vm", "mig.store.sync=delay:1000")
    save = threading.Thread(target=lambda: agent.hvctl("save", "vm", check=False))
    save.start()
    wait_for("it saves", lambda: agent.state("vm") == "saving")
    agent.ask("stop", "vm", "--force")
    save.join()
    assert agent.state("vm") == "stopped"
    volume_is_whole(agent)


def test_the_guests_clock(agent, engine):
    """The guest powers off after 8 of its seconds. It was saved for as long: so that is when it goes on."""
    agent.create("vm", "main/d", "mode=beat,clock clockfail=1 rate=100 seconds=8", engine)
    start(agent)
    agent.ask("save", "vm")
    beats = len(agent.beats.seen)
    time.sleep(8)
    agent.hvctl("start", "vm", check=False)
    no_process(agent)
    assert len(agent.beats.seen) - beats < 400  # of the 700 that it would else have to go
    assert boots(agent) == 1


def test_disks_that_another_vm_used(agent):
    agent.create("vm", "main/d", GUEST)
    assert "disk of VM vm" in agent.refused("create", "two", "--kernel", corekit.BARE, "--disk", "main/d")["text"]
    start(agent)
    agent.ask("save", "vm")
    # Somebody defines another VM behind our back and runs it on the disk of the saved one.
    definition = os.path.join(agent.here, "state/vms")
    with open(os.path.join(definition, "vm"), encoding="ascii") as f:
        text = f.read()
    with open(os.path.join(definition, "two"), "w", encoding="ascii") as f:
        f.write(re.sub("uuid=........", "uuid=01234567", text))
    start(agent, "two")
    agent.ask("stop", "two", "--force")
    said = agent.refused("start", "vm")["text"]
    no_process(agent)
    assert "another VM has used disk d" in said and "--fresh" in said
    assert agent.state("vm") == "saved"
    start(agent, "vm", "--fresh")


def test_two_vms_never_write_one_disk(agent):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    definition = os.path.join(agent.here, "state/vms")
    with open(os.path.join(definition, "vm"), encoding="ascii") as f:
        text = f.read()
    with open(os.path.join(definition, "two"), "w", encoding="ascii") as f:
        f.write(re.sub("uuid=........", "uuid=01234567", text))
    assert agent.refused("start", "two")["error"] == "DISK_BUSY"
    beats_on(agent)
    assert boots(agent) == 1


def test_a_changed_vm_does_not_go_on(agent):
    agent.ask("disk", "create", "main/e", "--size", "64M")
    agent.create("vm", "main/d", GUEST)
    start(agent)
    agent.ask("save", "vm")
    path = os.path.join(agent.here, "state/vms/vm")
    with open(path, encoding="ascii") as f:
        text = f.read()
    for changed, words in ((text.replace("64M", "128M"), "memory"), (text.replace("cpus=1", "cpus=2"), "vCPU"),
                           (text.replace("disk=main/d", "disk=main/d;main/e"), "disk")):
        with open(path, "w", encoding="ascii") as f:
            f.write(changed)
        assert words in agent.refused("start", "vm")["text"]
        no_process(agent)
        assert agent.state("vm") == "saved"
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    start(agent)
    assert boots(agent) == 1


def test_the_volume_tells_its_vms(agents, agent):
    agent.create("vm", "main/d", GUEST, memory="64M")
    agent.ask("disk", "create", "main/e", "--size", "64M")
    agent.create("other", "main/e", GUEST)
    start(agent)
    agent.ask("save", "vm")
    rows = {vm["name"]: vm for vm in agent.ask("volume", "vms", "main")["vms"]}
    assert (rows["vm"]["state"], rows["other"]["state"]) == ("saved", "stopped") and rows["vm"]["saved_bytes"] > 0
    assert "is saved" in agent.refused("delete", "vm")["text"]
    url = "file:" + os.path.join(agent.dir, "main.vol")
    new = agents(directory=agent.dir)  # another cluster, the same SAN
    assert "is called main" in new.refused("volume", "attach", "mine", url)["text"]
    assert "no volume" in new.refused("register", "main/vm")["text"]
    new.ask("volume", "attach", "main", url)
    assert new.ask("register", "main/vm")["name"] == "vm"
    assert new.refused("register", "main/vm")["error"] == "VM_EXISTS"
    assert "no VM" in new.refused("register", "main/nobody")["text"]
    assert new.ask("show", "vm")["config"] == agent.ask("show", "vm")["config"]
    start(new)
    assert BOOT not in new.beats.values()
    new.ask("stop", "vm", "--force")
    new.ask("delete", "vm")
    assert [vm["name"] for vm in new.ask("volume", "vms", "main")["vms"]] == ["other"]
    new.ask("register", "main/other")
    new.ask("delete", "other")
    assert new.ask("volume", "vms", "main")["vms"] == []


def test_a_changed_definition_reaches_the_volume(agents, agent):
    """By its next start at the latest, whoever changed it."""
    agent.create("vm", "main/d", GUEST)
    path = os.path.join(agent.here, "state/vms/vm")
    with open(path, encoding="ascii") as f:
        text = f.read().replace("memory=64M", "memory=96M")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    start(agent)
    new = agents(directory=agent.dir)
    new.ask("volume", "attach", "main", "file:" + os.path.join(agent.dir, "main.vol"))
    new.ask("register", "main/vm")
    assert new.ask("show", "vm")["config"]["memory"] == "96M"


def test_create_needs_the_volume(agent):
    os.unlink(os.path.join(agent.dir, "main.vol"))
    assert "volume main: " in agent.refused("create", "vm", "--kernel", corekit.BARE, "--disk", "main/d")["text"]
    assert agent.ask("list")["vms"] == []


def test_delete_with_force_where_the_volume_is_gone(agent):
    agent.create("vm", "main/d", GUEST)
    os.rename(os.path.join(agent.dir, "main.vol"), os.path.join(agent.dir, "away"))
    assert agent.hvctl("delete", "vm", check=False).returncode != 0
    agent.ask("delete", "vm", "--force")
    assert agent.ask("list")["vms"] == []


def test_delete_with_force_discards(agent):
    agent.create("vm", "main/d", GUEST)
    before = free_bytes(agent)
    start(agent)
    agent.ask("save", "vm")
    agent.ask("delete", "vm", "--force")
    assert agent.ask("volume", "vms", "main")["vms"] == [] and free_bytes(agent) >= before - (64 << 20)
    volume_is_whole(agent)


def test_progress_on_a_terminal(agent):
    agent.create("vm", "main/d", GUEST)
    start(agent)
    agent.ask("debug", "fault", "vm", "mig.store.sync=delay:1500")
    text = subprocess.run(["script", "-qec", f"{corekit.BUILD}/hvctl --socket {agent.run}/hvclusterd.sock save vm", "/dev/null"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
    assert "saving:" in text and "vm is saved" in text
