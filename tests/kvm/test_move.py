# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves of running VMs between hvcore processes on this machine: pages, records on the disk, TCP connections, heartbeats. A bridge
stands for the network between two hosts, a file for the ownership block on the SAN."""
import json
import os
import subprocess
import time
import uuid

import pytest

import corekit
from test_linux import image  # noqa: F401 (a fixture)
from corekit import Vm

GUEST = "10.77.9.50"


class Fleet:
    """One VM that moves from process to process."""

    def __init__(self, path, engine, bridge=None, disk=None, config=None, **vm):
        self.block = os.path.join(path, "block")
        with open(self.block, "wb") as f:
            f.truncate(4096)
        self.bridge, self.engine, self.vm, self.hops, self.history = bridge, engine, vm, 0, []
        self.disks = [disk] if disk else []
        self.config = {"uuid": str(uuid.uuid4()), "lease": "file:" + self.block, "io_timeout_ms": 2000, **(config or {})}
        self.taps = {}
        self.here = self.start()

    def node(self, hop):
        return f"n{hop % 2}"

    def start(self, **start):
        tap = None
        if self.bridge:
            name = f"tap{self.hops}"
            tap = self.taps[self.hops] = self.bridge.tap(name)
        return Vm(engine=self.engine, tap=tap, disks=self.disks, vm=self.config, node=self.node(self.hops), **self.vm, **start)

    def move(self, mode="live", **args):
        """Moves on; returns the result that the source gave."""
        status = json.loads(self.here.request("status")["doc"])
        ticket = {"vm_uuid": self.config["uuid"], "source": self.node(self.hops), "destination": self.node(self.hops + 1),
                  "epoch": status["epoch"], "id": os.urandom(16), "psk": os.urandom(32)}
        source = self.here
        self.hops += 1
        there = self.start(incoming=True, incoming_address="127.0.0.1", ticket=ticket)
        port = json.loads(there.reply["doc"])["port"]
        try:
            reply = source.request("migrate", {"address": "127.0.0.1", "port": port, **args}, ticket=ticket,
                                   mode=mode if isinstance(mode, int) else f"MODE_{mode.upper()}")
        except BaseException:
            there.close()
            self.hops -= 1
            raise
        self.here = there
        assert source.wait_end(20) == 0
        self.history.append(source.beats)
        beats = source.beats.seen[-1:], self.wait_beat(there)
        self.serial = getattr(self, "serial", "") + source.serial()
        source.close()
        if self.bridge:
            self.taps.pop(self.hops - 1).close()
        result = json.loads(reply["doc"])
        result["seen_ms"] = (beats[1] - beats[0][0][0]) / 1e6 if beats[0] else None
        return result

    def wait_beat(self, vm):
        end = time.monotonic() + 60
        while not vm.beats.seen:
            assert time.monotonic() < end, "no beat after the move: " + vm.stderr()
            time.sleep(0.005)
        return vm.beats.seen[0][0]

    def all_beats(self):
        return b"".join(beats.values() for beats in self.history + [self.here.beats])

    def check(self):
        """Nothing that the guest checks by itself was wrong; no beat is missing, doubled or out of order; never two at once."""
        said = getattr(self, "serial", "") + self.here.serial()
        assert "FAILED" not in said and "TRAP" not in said, said
        assert corekit.beats_are_whole(self.all_beats())
        last = 0
        for beats in self.history + [self.here.beats]:
            assert beats.seen[0][0] > last, "two processes ran the guest at the same time"
            last = beats.seen[-1][0]

    def close(self):
        self.here.close()
        for tap in self.taps.values():
            tap.close()


@pytest.fixture
def fleet(tmp_path):
    made = []

    def make(engine, **more):
        made.append(Fleet(str(tmp_path), engine, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def bridge():
    from conftest import NO_NETWORK
    if NO_NETWORK:
        pytest.skip(NO_NETWORK)
    device = corekit.Bridge("br0", "10.77.9.1/24")
    yield device
    device.close()


@pytest.mark.parametrize("mode", ["live", "quick"])
def test_ping_pong_with_page_check(fleet, engine, mode):
    f = fleet(engine, cmdline="mode=step,beat pages=2048 rate=200")
    f.here.wait_serial("guest: ready")
    times = []
    for _ in range(int(os.environ.get("HV_MOVES", "25"))):
        time.sleep(0.05)
        result = f.move(mode, verify=1, max_blackout_ms=5000)
        times.append(result["blackout_ms"])
    time.sleep(0.3)
    f.check()
    print(f"{mode} on {engine}: blackout median {sorted(times)[len(times) // 2]:.1f} ms, worst {max(times):.1f} ms")


def test_disk_records_over_moves(fleet, engine, disk):
    f = fleet(engine, disk=disk, cmdline="mode=writer,beat records=200 batch=4")
    f.here.wait_serial("guest: ready")
    for mode in ("live", "quick") * 4:
        time.sleep(0.2)
        f.move(mode, max_blackout_ms=5000)
    time.sleep(0.3)
    f.check()
    acked = [n for beats in f.history + [f.here.beats] for n in beats.acked()]
    assert len(acked) > 50 and acked == sorted(set(acked)), "a record was acknowledged twice or out of order"


def test_connection_survives_moves(fleet, engine, bridge, disk):
    f = fleet(engine, bridge=bridge, disk=disk, cmdline=f"mode=net,beat ip={GUEST}")
    f.here.wait_serial("net up")
    with subprocess.Popen([corekit.RECORDC, "-r", "100", "-s", "6", GUEST], stdout=subprocess.PIPE) as client:
        for mode in ("live", "live", "quick", "live"):
            time.sleep(1)
            f.move(mode, max_blackout_ms=5000)
        report = json.loads(client.stdout.read())
    assert report["lost"] == 0 and report["tcp_kept"] and report["boots"] == 1, report
    f.check()


def test_cancelled_and_refused_moves_leave_it_running(fleet, engine):
    f = fleet(engine, cmdline="mode=step,beat pages=2048 rate=200")
    f.here.wait_serial("guest: ready")
    with pytest.raises(RuntimeError, match="blackout"):
        f.move("live", max_blackout_ms=1)
    with pytest.raises(RuntimeError, match="mode"):
        f.move(9)  # of a newer version
    n = len(f.here.beats.seen)
    time.sleep(0.5)
    assert len(f.here.beats.seen) > n
    f.move("live", max_blackout_ms=5000)
    f.check()


def test_save_and_restore(fleet, engine, tmp_path):
    f = fleet(engine, cmdline="mode=step,beat pages=2048 rate=200")
    f.here.wait_serial("guest: ready")
    picture = str(tmp_path / "image")
    f.here.request("save", {"image": picture})
    assert f.here.wait_end(20) == 0
    f.history.append(f.here.beats)
    f.serial = f.here.serial()
    f.here.close()
    f.hops += 1
    f.here = f.start(restore_image=picture)
    f.wait_beat(f.here)
    time.sleep(0.3)
    f.check()


def test_linux_moves_with_its_connections(fleet, bridge, disk, image):  # noqa: F811
    f = fleet("auto", bridge=bridge, disk=disk, kernel=image["files"]["vmlinuz"]["path"],
              initrd=image["files"]["initramfs.cpio"]["path"], cmdline=f"{image['cmdline']} ip={GUEST} beat=100", memory_mib=256)
    f.here.wait_serial("guest: ready", 180)
    with subprocess.Popen([corekit.RECORDC, "-r", "20", "-s", "25", GUEST], stdout=subprocess.PIPE) as client:
        for mode in ("live", "quick", "live"):
            time.sleep(3)
            result = f.move(mode, max_blackout_ms=5000)
            print(f"Linux, {mode}: blackout {result['blackout_ms']:.1f} ms (seen {result['seen_ms']:.1f}), {result['phases']}")
        report = json.loads(client.stdout.read())
    assert report["lost"] == 0 and report["tcp_kept"] and report["boots"] == 1, report
    f.check()
