# SPDX-License-Identifier: GPL-2.0-or-later
"""hvctl debug on VMs that run: dump, counters and trace tell the truth, and the guest does not come to harm, whatever else happens meanwhile."""
import json
import os
import re
import struct
import subprocess
import threading
import time

import pytest
import corekit
from corekit import Vm, hvwire
import test_core
from test_core import make_host  # noqa: F401 (a fixture)

HVCTL = os.path.join(corekit.BUILD, "hvctl")


def image():
    """The addresses [begin, end) of the bare guest's program."""
    with open(corekit.BARE, "rb") as f:
        data = f.read()
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    loads = [struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)]
    return next((p[3], p[3] + p[6]) for p in loads if p[0] == 1)


def symbol(name):
    said = subprocess.run(["nm", corekit.BARE], check=True, capture_output=True, text=True).stdout
    return int(re.search(rf"^([0-9a-f]+) . {name}$", said, re.M).group(1), 16)


def ask(vm, verb, **args):
    return json.loads(vm.request(verb, args)["doc"])


def hvctl(vm, *args):
    done = subprocess.run([HVCTL, "--socket", vm.control, "debug", *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Storm:
    """Dumps as fast as they come, on connections of their own, until the end of the with statement or of the VM."""

    def __init__(self, path, threads=3):
        self.path, self.stop, self.dumps, self.wrong = path, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def run(self):
        try:
            channel = hvwire.Channel.connect(self.path, timeout=60)
            while not self.stop.is_set():
                try:
                    doc = json.loads(channel.request("dump")["doc"])
                    if not all(c["general"]["rip"] for c in doc["vcpus"]):
                        self.wrong.append(doc)
                    self.dumps += 1
                except RuntimeError as e:
                    if "(-2006)" not in str(e):  # VM_STATE: it has ended, or its state did not come yet
                        self.wrong.append(e)
        except OSError:
            pass

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()
        if not kind:
            assert not self.wrong and self.dumps > 0


def test_dump_of_a_vm_that_runs(engine):
    begin, end = image()
    with Vm(cmdline="mode=step,beat", cpus=2, engine=engine) as vm:
        vm.wait_serial("guest: ready")
        doc = ask(vm, "dump")
        first, second = doc["vcpus"]
        assert (doc["vm"], doc["engine"], doc["state"]) == ("test", engine, "RUNNING")
        assert begin <= int(first["general"]["rip"], 16) < end
        assert first["mode"] == "64-bit" and first["run_state"] == "runs"
        assert "LMA" in first["control"]["efer_bits"].split() and "PG" in first["control"]["cr0_bits"].split()
        assert second["run_state"] == "waits for INIT"
        assert [s["size_bytes"] for s in doc["slots"]] == [64 << 20]
        assert {"uart0", "rtc0", "virtio-rng0"} <= {d["name"] for d in doc["devices"]}
        # Later dumps show another moment.
        assert len({ask(vm, "dump")["vcpus"][0]["tsc"] for _ in range(5)}) == 5
        vm.request("pause")
        one, two = (ask(vm, "dump") for _ in range(2))
        assert one["state"] == "PAUSED" and one["held_us"] == 0
        assert one["vcpus"][0]["general"] == two["vcpus"][0]["general"]
        vm.request("resume")
        assert ask(vm, "dump")["state"] == "RUNNING"


def test_text(engine):
    with Vm(cmdline="mode=step,beat", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        code, said, _ = hvctl(vm, "dump", "test")
        assert code == 0 and re.search(r"^  rip [0-9a-f]{16}  rflags ", said, re.M) and "\nuart0\n" in said
        code, said, _ = hvctl(vm, "counters", "test", "--interval", "100")
        assert code == 0 and re.search(r"^  recent \(0\.\d+ s\)$", said, re.M) and re.search(r"^    exits:", said, re.M)
        assert json.loads(hvctl(vm, "dump", "test", "--json")[1])["vm"] == "test"
        code, said, why = hvctl(vm, "trace", "test", "--ms", "20")
        if engine == "soft":
            assert code == 0 and re.search(r"block at [0-9a-f]+, \d+ insns", said)
        else:
            assert code != 0 and "UNSUPPORTED" in why and "counters" in why
        assert hvctl(vm, "counters", "test", "--interval", "1d")[0] == 2
        assert hvctl(vm, "trace", "test", "--count", "0")[0] == (2 if engine == "soft" else 1)


def test_counters_grow(engine):
    with Vm(cmdline="mode=beat,step rate=200", cpus=2, engine=engine) as vm:
        vm.wait_serial("guest: ready")
        first = ask(vm, "counters")
        assert "recent" not in first["sum"]
        beats = len(vm.beats.seen)
        while len(vm.beats.seen) < beats + 20:
            time.sleep(0.01)
        then = ask(vm, "counters")
        recent, boot = then["sum"]["recent"], then["sum"]["boot"]
        assert recent["counts"]["exits"]["pio"] > 0  # each beat is one, but some were on their way to us
        assert boot["counts"]["exits"]["pio"] >= first["sum"]["boot"]["counts"]["exits"]["pio"] + recent["counts"]["exits"]["pio"]
        assert recent["counts"]["time"]["cpu_ns"] > 0 and recent["wall_ms"] <= boot["wall_ms"]
        assert boot["counts"]["exits"]["pio"] == sum(c["boot"]["counts"].get("exits", {}).get("pio", 0) for c in then["vcpus"])
        measured = ask(vm, "counters", interval_ms=200)["sum"]["recent"]
        assert measured["wall_ms"] >= 100  # counted from when the loop took the request
        if engine == "soft":
            assert measured["rates"]["mips_cpu"] > 0 and measured["rates"]["mips_wall"] > 0
            sample = measured["counts"]["sample"]
            for what in ("read", "write", "fetch"):
                assert 0 < sample[what + "_hits"] <= sample[what + ("es" if what == "fetch" else "s")]
            assert 0 <= measured["rates"]["tlb_write_hit_percent"] <= 100
            assert 0 < measured["rates"]["block_hit_percent"] <= 100
            assert measured["counts"]["tlb"]["write_misses"] > 0
        assert corekit.beats_are_whole(vm.beats.values())


def test_samples_end_with_who_asked(engine):
    """Whoever goes away takes the sampling and the recording with him."""
    if engine != "soft":
        pytest.skip("only the soft engine samples")
    with Vm(cmdline="mode=beat,step", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        for verb, key in (("counters", "interval_ms"), ("trace", "window_ms")):
            channel = vm.channel()
            channel.send("Request", {"id": 1, "verb": verb, "args": [{"key": key, "value": "20000"}]})
            if verb == "counters":
                while not ask(vm, "counters")["sum"]["boot"]["counts"].get("sample", {}).get("windows"):
                    time.sleep(0.01)
            else:
                while "under way" not in refused(vm, "trace", off=1):
                    time.sleep(0.01)
            channel.close()
        # Both are off as soon as the end of the connection was seen.
        while "under way" in refused(vm, "trace", off=1):
            time.sleep(0.01)
        windows = [ask(vm, "counters")["sum"]["boot"]["counts"]["sample"]["windows"]]
        beats = len(vm.beats.seen)
        while len(vm.beats.seen) < beats + 100:
            time.sleep(0.01)
        windows.append(ask(vm, "counters")["sum"]["boot"]["counts"]["sample"]["windows"])
        assert windows[0] == windows[1]


def refused(vm, verb, **args):
    try:
        ask(vm, verb, **args)
    except RuntimeError as e:
        return str(e)
    return ""


def recorded(vm, enough):
    """The events of the first vCPU, as soon as they are enough."""
    while not enough(events := ask(vm, "trace", count=4096)["vcpus"][0]["events"]):
        assert vm.process.poll() is None
    return events


def test_trace(engine):
    with Vm(cmdline="mode=step,beat", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        if engine != "soft":
            assert "(-2708)" in refused(vm, "trace")
            return
        assert "--ms" in refused(vm, "trace")
        begin, end = image()
        # Its main loop asks at every turn whether a beat is due.
        turn = hex(symbol("guest_pace_due_ns"))
        assert ask(vm, "trace", on=1)["recording"] is True
        events = recorded(vm, lambda e: sum(x["rip"] == turn for x in e) > 10)
        assert ask(vm, "trace", off=1)["recording"] is False
        for a, b in zip(events, events[1:]):
            assert int(a["at"]) + int(a.get("insns", 0)) == int(b["at"])
        blocks = [int(e["rip"], 16) for e in events if e["kind"] == "block"]
        assert all(begin <= rip < end for rip in blocks)
        assert all(e["gpa"] == e["rip"] for e in events if e["kind"] == "block")  # it maps its program one to one
        # Off: what is recorded stays. A window: is off again when it has passed.
        kept = [ask(vm, "trace")["vcpus"][0] for _ in range(2)]
        assert kept[0] == kept[1] and kept[0]["total"] >= len(events) and len(kept[0]["events"]) == 64
        window = ask(vm, "trace", window_ms=50)
        assert window["recording"] is False and len(window["vcpus"][0]["events"]) <= window["vcpus"][0]["total"]
        assert "only one" in refused(vm, "trace", on=1, off=1)
        assert corekit.beats_are_whole(vm.beats.values())


def test_trace_shows_exceptions_and_interrupts(engine):
    """The sleeping guest: HLT, the timer's interrupt, and its handler behind it."""
    if engine != "soft":
        pytest.skip("only the soft engine traces")
    with Vm(cmdline="mode=beat rate=50", engine=engine) as vm:
        vm.wait_serial("guest: ready")
        ask(vm, "trace", on=1)
        events = recorded(vm, lambda e: any(x["kind"] == "interrupt" for x in e[:-1]))
        at = [i for i, e in enumerate(events[:-1]) if e["kind"] == "interrupt"]
        assert at and all(events[i + 1]["kind"] == "block" for i in at)
        assert {events[i]["vector"] for i in at} <= set(range(32, 256))


def test_a_storm_of_dumps(engine):
    """Two processors that check memory and each other's clocks, and beat, while their registers are read as often as can be."""
    with Vm(cmdline="mode=beat,clock,step rate=50 cpus=2 clockfail=1 seconds=4", cpus=2, engine=engine) as vm:
        vm.wait_serial("guest: ready")
        with Storm(vm.control):
            vm.wait_serial("guest: power off")
            assert vm.wait_end() == 0
        assert re.search(r"clock cpus=2 bursts=[1-9]\d* tsc_back=0 clock_back=0 cross_back=0", vm.serial())
        assert corekit.beats_are_whole(vm.beats.values())


def test_changes_of_state_during_dumps(engine):
    with Vm(cmdline="mode=beat,step", cpus=2, engine=engine) as vm:
        vm.wait_serial("guest: ready")
        with Storm(vm.control):
            for _ in range(10):
                assert ask(vm, "pause") == {"state": "paused"}
                beats = len(vm.beats.seen)
                assert ask(vm, "resume") == {"state": "running"}
                while len(vm.beats.seen) < beats + 3:
                    assert vm.process.poll() is None
                    time.sleep(0.005)
            assert ask(vm, "status")["state"] == "running"
            vm.request("reset")
            while vm.beats.values().count(corekit.BEAT_START) < 2:
                assert vm.process.poll() is None
                time.sleep(0.005)
            assert ask(vm, "stop", timeout_ms=30000)["state"] == "stopped"
            assert vm.wait_end() == 0
        assert corekit.beats_are_whole(vm.beats.values())


@pytest.mark.parametrize("mode", ["live", "quick"])
def test_a_move_during_dumps(make_host, mode):  # noqa: F811
    host = make_host(cmdline="mode=beat,dirty,writer set=8M dirty=1000")
    source, _ = host.start("a")
    ticket = {"vm_uuid": host.config["uuid"], "source": "a", "destination": "b", "epoch": host.ask("a", "status")["epoch"],
              "id": os.urandom(16), "psk": os.urandom(32), "expires_wall_ns": time.time_ns() + 10**11}
    target, reply = host.start("b", incoming=True, incoming_address="127.0.0.1", ticket=ticket)
    for verb in ("dump", "trace", "counters"):
        args = {"on": "1"} if verb == "trace" else {"interval_ms": "10"} if verb == "counters" else None
        assert test_core.refused(host, "b", verb, args)  # its state has not come yet
    with Storm(os.path.join(host.dir, "a"), 2), Storm(os.path.join(host.dir, "b"), 1):
        port = json.loads(reply["doc"])["port"]
        host.ask("a", "migrate", {"address": "127.0.0.1", "port": str(port)}, ticket=ticket, mode=f"MODE_{mode.upper()}")
        assert source.wait(20) == 0
        while not host.ask("b", "dump")["state"] == "RUNNING":
            time.sleep(0.01)
        time.sleep(0.2)
    assert host.ask("b", "status")["epoch"] == ticket["epoch"] + 1
    assert host.ask("b", "stop", {"timeout_ms": "20000"})["state"] == "stopped"
    assert target.wait(20) == 0


def test_the_lease_ends_during_dumps(make_host):  # noqa: F811
    """A block that somebody else took stops the VM, dumps or not."""
    host = make_host(io_timeout_ms=300)
    process, _ = host.start("a")
    with Storm(os.path.join(host.dir, "a")):
        with open(host.lease, "r+b") as f:
            f.write(bytes(4096))
        assert process.wait(30) == 2
