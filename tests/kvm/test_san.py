# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs on a SAN: two paths, whole LUNs as disks, stalls that are said, targets that are refused."""
import json
import os
import subprocess
import time

import pytest

import corekit
import sankit
from corekit import Vm
from test_move import Fleet

T_MS = 500


@pytest.fixture
def san(tmp_path):
    from conftest import NO_NETWORK
    if NO_NETWORK:
        pytest.skip(NO_NETWORK)
    for path in (sankit.LABSAN, sankit.HVCLUSTERD, sankit.HVCTL):
        if not os.path.isfile(path):
            pytest.skip(f"{path} is not built")
    target = sankit.San(str(tmp_path), ("thin,size=256M", "thin,size=32M"))
    yield target
    target.close()


@pytest.fixture
def agent(tmp_path, san):  # pylint: disable=unused-argument
    one = sankit.Agent(str(tmp_path), T_MS)
    yield one
    one.close()


@pytest.fixture
def volume(san, agent):
    """LUN 0 as a volume with one disk "web" of 32 MiB: (URL of the volume, URL of the disk)."""
    agent.hvctl("volume", "create", "v0", san.url(0))
    agent.hvctl("disk", "create", "v0/web", "--size", "32M")
    return san.url(0), san.url(0, "web")


@pytest.fixture
def fleet(tmp_path):
    made = []

    def make(engine, **more):
        made.append(Fleet(str(tmp_path), engine, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()


def status(vm):
    return json.loads(vm.request("status")["doc"])


def wait_for(what, condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "not in time: " + what
        time.sleep(0.02)


def acks(f):
    return [n for beats in f.history + [f.here.beats] for n in beats.acked()]


def wait_acks(f, more=20):
    n = len(acks(f))
    wait_for("the guest writes on", lambda: len(acks(f)) >= n + more)


def config(lease, *disks, **more):
    return {"lease": lease, "disks": [{"url": d} for d in disks], "io_timeout_ms": T_MS, **more}


def test_one_of_two_paths_dies_in_mid_io(fleet, engine, san, volume):
    """Disk and ownership block on a LUN with two portals; each path dies in turn under a guest that writes: no error in the guest, no
    lease lost, and the status names the path in use."""
    f = fleet(engine, config=config(*volume), cmdline="mode=writer,beat records=200 batch=4")
    f.here.wait_serial("guest: ready")
    wait_acks(f)
    for round_, down in enumerate(sankit.PORTALS * 2):
        other = sankit.PORTALS[1 - sankit.PORTALS.index(down)]
        assert status(f.here)["disks"][0]["path"] == f"{down}:{sankit.PORT}"
        san.path_down(down)
        wait_for("the other path is used", lambda: status(f.here)["disks"][0]["path"] == f"{other}:{sankit.PORT}"
                 and status(f.here)["disks"][0]["state"] == "ready")
        wait_acks(f)
        s = status(f.here)
        assert s["state"] == "running" and s["lease"]["state"] in ("HELD", "WRITE") and s["epoch"] == 1
        assert s["disks"][0]["errors"] == 0
        san.path_up(down)
        assert "lease-expired" not in f.here.stderr(), f.here.stderr()
        print(f"round {round_}: {down} died, {s['disks'][0]['reconnects']} reconnects of this disk")
    f.check()
    got = acks(f)
    assert got == sorted(set(got))


def test_whole_lun_moves_and_stays_one_vms(fleet, engine, san, volume):
    """A LUN that is a disk as a whole: live and quick moves go through, records survive them; another VM is refused at each moment."""
    f = fleet(engine, config=config(volume[0], san.url(1)), cmdline="mode=writer,beat records=200 batch=4")
    f.here.wait_serial("guest: ready")
    wait_acks(f)
    for mode in ("live", "quick", "live"):
        with pytest.raises(RuntimeError, match="in use: host slot"):
            Vm(engine=engine, cmdline="mode=beat", node="other", vm=config(volume[0], san.url(1)))
        wait_acks(f, 5)
        f.move(mode, max_blackout_ms=5000)
        wait_acks(f, 5)
        assert [r["initiator"].rsplit(":")[-1] for r in san.registrations(1)] == [f.node(f.hops)]  # two hosts are two initiators
    f.check()
    got = acks(f)
    assert len(got) > 40 and got == sorted(set(got)), "a record was acknowledged twice or out of order"


def test_whole_file_is_one_vms(fleet, engine, disk):
    """The same with a file: by locks; both ends of a move are one user."""
    f = fleet(engine, disk=disk, cmdline="mode=writer,beat records=200 batch=4")
    f.here.wait_serial("guest: ready")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="in use by another VM"):
            Vm(engine=engine, cmdline="mode=beat", disks=[disk])
        wait_acks(f, 5)
        f.move("live", max_blackout_ms=5000)
    f.check()


def test_refused_io_stalls_and_says_so(fleet, engine, san, volume):
    """A target that refuses for a while: the guest waits, and `status` (hvctl show) says why."""
    f = fleet(engine, config=config(volume[0], san.url(1)), cmdline="mode=writer,beat records=200 batch=4")
    f.here.wait_serial("guest: ready")
    wait_acks(f)
    san.ctl("error what=02/04/01 class=write lun=1")
    wait_for("the stall is said", lambda: "refused" in status(f.here)["storage"])
    assert "NOT READY" in status(f.here)["disks"][0]["why"]
    n = len(acks(f))
    time.sleep(2 * T_MS / 1000)
    assert len(acks(f)) <= n + 4  # what was on its way
    san.ctl("clear")
    wait_acks(f)
    wait_for("nothing is wrong any more", lambda: status(f.here)["storage"] == "" and status(f.here)["disks"][0]["why"] == "")
    f.check()


def test_refused_io_fails_after_the_operators_limit(engine, san, volume):
    with Vm(engine=engine, cmdline="mode=writer,beat records=200 batch=4", node="n0",
            vm=config(volume[0], san.url(1), io_fail_after_ms=1000)) as vm:
        vm.wait_serial("guest: ready")
        san.ctl("error what=02/04/01 class=write lun=1")
        wait_for("the guest is told", lambda: status(vm)["disks"][0]["errors"] > 0)
        san.ctl("clear")


def test_targets_that_leak_are_refused(san, agent, volume):
    """volume create, volume check, host check and the start of a VM, each with a planted leak."""
    assert agent.hvctl("volume", "check", "v0")["self_test"]["ok"]
    vm = ("create", "w", "--memory", "64M", "--kernel", corekit.BARE, "--cmdline", "mode=beat", "--disk", "v0/web", "--lease", "v0")
    agent.hvctl(*vm)
    for leak, words in (("write16", "WRITE"), ("caw", "COMPARE AND WRITE"), ("unmap", "unmap=no"), ("write-same16", "unmap=no")):
        san.ctl("leaks " + leak)
        with pytest.raises(RuntimeError, match=words):
            agent.hvctl("volume", "create", "v1", san.url(1))
        check = agent.hvctl("volume", "check", "v0")
        assert not check["self_test"]["ok"] and words in check["self_test"]["refused"]
        assert any(words in c for c in check["complaints"])
        row = [c for c in agent.hvctl("host", "check")["checks"] if c["check"] == "volume"]
        assert len(row) == 1 and not row[0]["ok"] and words in row[0]["text"]
        with pytest.raises(RuntimeError, match=words):
            agent.hvctl("start", "w")
    san.ctl("leaks none")
    agent.hvctl("start", "w")
    # a VM uses the volume: the self-test does not disturb it, and leaves no key
    keys = san.keys(0)
    assert agent.hvctl("volume", "check", "v0")["self_test"]["ok"]
    end = time.monotonic() + 20
    while san.keys(0) != keys and time.monotonic() < end:  # the tool's own key goes with its session, behind the answer
        time.sleep(0.05)
    assert san.keys(0) == keys
    with pytest.raises(RuntimeError, match="in use: host slot"):
        agent.hvctl("volume", "forget", "v0")
        agent.hvctl("volume", "create", "v2", san.url(0))
    agent.hvctl("stop", "w", "--force")


def test_volume_create_keeps_off_a_lun_in_use(san, agent, volume):
    """A host's key is registered there, of one that died even: the operator must say that he knows."""
    with Vm(engine="soft", cmdline="mode=beat", node="gone", vm=config(*volume)):
        pass
    assert len(san.keys(0)) == 1
    agent.hvctl("volume", "forget", "v0")
    with pytest.raises(RuntimeError, match="in use: host slot"):
        agent.hvctl("volume", "create", "v1", san.url(0))
    agent.hvctl("volume", "create", "v1", san.url(0), "--force")
    assert agent.hvctl("volume", "check", "v1")["self_test"]["ok"]


def test_what_ends_a_vm_is_shown(san, agent, volume):  # pylint: disable=unused-argument
    """hvwatchdogd away, there, away: host check and the VM itself say it, and the VM runs on."""
    program = os.path.join(corekit.BUILD, "hvwatchdogd")
    if not os.path.isfile(program):
        pytest.skip("hvwatchdogd is not built")
    agent.hvctl("create", "w", "--memory", "64M", "--kernel", corekit.BARE, "--cmdline", "mode=beat", "--disk", "v0/web", "--lease", "v0")
    agent.hvctl("start", "w")

    def level():
        return agent.hvctl("show", "w")["core"]["watchdog"]["level"]

    def check():
        return [c for c in agent.hvctl("host", "check")["checks"] if c["check"] == "watchdog"][0]

    for _ in range(2):
        assert level() == "none" and not check()["ok"] and "hvwatchdogd" in check()["text"]
        assert any(r["reason"] == "watchdog" for r in agent.hvctl("why", "w")["reasons"])
        with subprocess.Popen([program, "--socket", os.path.join(agent.dir, "run/watchdog.sock")], stderr=subprocess.DEVNULL) as daemon:
            try:
                wait_for("the VM is watched", lambda: level() == "soft")
                wait_for("the host is fine", lambda: check()["ok"])
                assert not any(r["reason"] == "watchdog" for r in agent.hvctl("why", "w")["reasons"])
            finally:
                daemon.kill()
        wait_for("the VM is not watched", lambda: level() == "none")
        wait_for("the host is not fine", lambda: not check()["ok"])
    agent.hvctl("stop", "w", "--force")


def test_one_lun_by_two_portals(san, agent):
    """A LUN that the cluster lists is refused under another name and portal: by its volume's UUID, or by its serial number."""
    one, two = (f"iscsi://{portal}:{sankit.PORT}/{sankit.IQN}/0" for portal in sankit.PORTALS)
    agent.hvctl("volume", "create", "v0", one)
    for force in ((), ("--force",)):
        with pytest.raises(RuntimeError, match="is volume v0 of this cluster"):
            agent.hvctl("volume", "create", "v1", two, *force)
    with open(san.dir + "/lun0", "r+b") as f:
        f.write(bytes(16 << 20))
    with pytest.raises(RuntimeError, match="one serial number"):
        agent.hvctl("volume", "create", "v1", two)
    agent.hvctl("volume", "create", "v1", two, "--force")
    with pytest.raises(RuntimeError, match="another volume|is meant"):
        agent.hvctl("volume", "show", "v0")


def test_force_keeps_off_a_running_vm(san, agent, volume, engine):
    """A host's key may be a dead one's: --force goes over it, but never over a VM that runs."""
    agent.hvctl("volume", "forget", "v0")
    with Vm(engine=engine, cmdline="mode=beat", node="alive", vm=config(*volume)) as vm:
        vm.wait_serial("guest: ready")
        with pytest.raises(RuntimeError, match="runs on node alive"):
            agent.hvctl("volume", "create", "v1", san.url(0), "--force")
    assert "volume 'v0' (1 disk" in agent.hvctl("volume", "create", "v1", san.url(0), "--force")["destroyed"]
