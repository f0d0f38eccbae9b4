# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare-metal guest in hvcore, on every engine: it checks memory, clocks and processors itself; we check what it says, its disk and its network."""
import json
import re
import socket
import subprocess
import sys
import time

import corekit
from corekit import Vm

sys.path.insert(0, corekit.ROOT + "/tests/guest")
import record_disk  # noqa: E402

HOST, GUEST = "10.77.9.1", "10.77.9.50"


def ends_well(vm):
    said = vm.wait_serial("guest: power off")
    assert vm.wait_end() == 0
    return said


def test_beat(engine):
    with Vm(cmdline="mode=beat rate=100 seconds=2", engine=engine) as vm:
        ends_well(vm)
        values = vm.beats.values()
        assert values[0] == corekit.BEAT_START
        assert len(values) > 20
        assert corekit.beats_are_whole(values)


def test_page_stepper(engine):
    with Vm(cmdline="mode=step,beat pages=2048 seconds=2", engine=engine) as vm:
        assert re.search(r"step pass=\d+ checks=\d+", ends_well(vm))


def test_dirtier(engine):
    with Vm(cmdline="mode=dirty set=8M dirty=5000 seconds=3", engine=engine) as vm:
        assert re.search(r"dirty pages/s=[1-9]", ends_well(vm))


def test_clocks_on_two_processors(engine):
    with Vm(cmdline="mode=clock cpus=2 clockfail=1 seconds=3", cpus=2, engine=engine) as vm:
        assert re.search(r"clock cpus=2 bursts=[1-9]\d* tsc_back=0 clock_back=0 cross_back=0", ends_well(vm))


def test_disk_writer(engine, disk):
    with Vm(cmdline="mode=writer records=200 seconds=2", engine=engine, disks=[disk]) as vm:
        ends_well(vm)
        acked = vm.beats.acked()
    facts, have = record_disk.read(disk)
    assert acked and facts["missing"] == 0 and not facts["torn"]
    assert set(range(1, acked[-1] + 1)) <= have


def test_disk_survives_kill(engine, disk):
    """Every record that was acknowledged before the process was killed is there after it, and the next guest goes on behind it."""
    with Vm(cmdline="mode=writer records=500", engine=engine, disks=[disk]) as vm:
        end = time.monotonic() + 30
        while len(vm.beats.acked()) < 50 and time.monotonic() < end:
            time.sleep(0.01)
        vm.process.kill()
        vm.wait_end()
        time.sleep(0.1)
        acked = vm.beats.acked()
    facts, have = record_disk.read(disk)
    assert len(acked) >= 50 and set(range(1, acked[-1] + 1)) <= have
    with Vm(cmdline="mode=writer records=100 seconds=1", engine=engine, disks=[disk]) as vm:
        assert f"store records={facts['records']}" in ends_well(vm)
    assert len(record_disk.read(disk)[0]["boots"]) == 2


def test_network(engine, tap, disk):
    with Vm(cmdline=f"mode=net,beat ip={GUEST}", engine=engine, tap=tap, disks=[disk]) as vm:
        vm.wait_serial("net up")
        subprocess.run(["ping", "-q", "-c", "5", "-i", "0.2", "-W", "2", GUEST], check=True, stdout=subprocess.DEVNULL)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.sendto(b"over there?", (GUEST, 7))
            assert udp.recv(100) == b"over there?"
        data = bytes(range(256)) * 400
        with socket.create_connection((GUEST, 7), 10) as tcp:
            tcp.sendall(data)
            tcp.shutdown(socket.SHUT_WR)
            got = b""
            while more := tcp.recv(65536):
                got += more
        assert got == data


def run_recordc(seconds, *args):
    done = subprocess.run([corekit.RECORDC, "-r", "100", "-s", str(seconds), *args, GUEST], stdout=subprocess.PIPE, check=False)
    return done.returncode, json.loads(done.stdout)


def test_records(engine, tap, disk):
    with Vm(cmdline=f"mode=net,beat ip={GUEST}", engine=engine, tap=tap, disks=[disk]) as vm:
        vm.wait_serial("net up")
        code, report = run_recordc(2)
        assert code == 0 and report["lost"] == 0 and report["acked"] > 50 and report["tcp_kept"]


def test_pause_keeps_the_connection(engine, tap, disk):
    with Vm(cmdline=f"mode=net,beat ip={GUEST}", engine=engine, tap=tap, disks=[disk]) as vm:
        vm.wait_serial("net up")
        with subprocess.Popen([corekit.RECORDC, "-r", "100", "-s", "3", GUEST], stdout=subprocess.PIPE) as client:
            time.sleep(1)
            vm.request("pause")
            silent_from = len(vm.beats.seen)
            time.sleep(0.5)
            assert len(vm.beats.seen) - silent_from <= 2
            vm.request("resume")
            report = json.loads(client.stdout.read())
        assert report["lost"] == 0 and report["tcp_kept"] and report["boots"] == 1
        assert corekit.beats_are_whole(vm.beats.values())


def test_power_button(engine):
    with Vm(cmdline="mode=beat rate=50", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        vm.request("power-button")
        ends_well(vm)


def test_reset(engine):
    with Vm(cmdline="mode=beat rate=50", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        vm.request("reset")
        end = time.monotonic() + 30
        while vm.beats.values().count(bytes([corekit.BEAT_START])) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert vm.beats.values().count(bytes([corekit.BEAT_START])) == 2
