# SPDX-License-Identifier: GPL-2.0-or-later
"""hvcore as a process: its verbs, its ownership block on a file, hvwatchdogd, moves between two processes. Runs on the soft engine, so anywhere."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid

import pytest
import corekit
from corekit import hvwire

WATCHDOGD = os.path.join(corekit.BUILD, "hvwatchdogd")


class Host:
    """Starts hvcore processes of one VM, each under a node name of its own, on one lease file and one disk."""

    def __init__(self, cmdline="mode=beat,writer", **config):
        self.dir = tempfile.mkdtemp(prefix="hvcore.")
        self.lease = os.path.join(self.dir, "lease")
        disk = os.path.join(self.dir, "disk")
        with open(disk, "wb") as f:
            f.truncate(64 << 20)
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            self.boot_id = f.read().strip()
        self.config = {"name": "core", "uuid": str(uuid.uuid4()), "memory_bytes": 64 << 20, "cpus": 1, "engine": "soft", "kernel": corekit.BARE,
                       "cmdline": cmdline, "machine": "hv-1", "lease": "file:" + self.lease, "disks": [{"url": "file:" + disk}], **config}
        self.processes = []

    def start(self, node, **more):
        message = {"vm": self.config, "node": node, "boot_id": self.boot_id, "control_fd": -1,
                   "control_socket": os.path.join(self.dir, node), **more}
        with open(os.path.join(self.dir, node + ".log"), "wb") as log:
            process, reply = hvwire.start_hvcore(corekit.HVCORE, message, stderr=log, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process, reply

    def ask(self, node, verb, args=None, **more):
        channel = hvwire.Channel.connect(os.path.join(self.dir, node))
        try:
            reply = channel.request(verb, args, **more)
            return json.loads(reply["doc"]) if reply["doc"] else {}
        finally:
            channel.close()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.dir)


@pytest.fixture
def make_host():
    why = corekit.why_not()
    if why:
        pytest.skip(why)
    hosts = []

    def make(**config):
        hosts.append(Host(**config))
        return hosts[-1]
    yield make
    for host in hosts:
        host.close()


def refused(host, node, verb, args=None):
    with pytest.raises(RuntimeError):
        host.ask(node, verb, args)
    return True


def test_verbs(make_host):
    host = make_host()
    process, reply = host.start("a")
    assert reply["code"] == 0
    status = host.ask("a", "status")
    assert (status["state"], status["engine"], status["pid"], status["epoch"]) == ("running", "soft", process.pid, 1)
    assert host.ask("a", "pause") == {"state": "paused"}
    assert refused(host, "a", "pause")
    assert host.ask("a", "dump")["vcpus"][0]["general"]["rip"].startswith("0x")
    assert host.ask("a", "resume") == {"state": "running"}
    assert refused(host, "a", "nonsense")
    assert refused(host, "a", "stop", {"timeout_ms": "soon"})
    assert refused(host, "a", "log-level", {"level": "loud"})
    host.ask("a", "reset")
    assert host.ask("a", "status")["state"] == "running"
    assert host.ask("a", "stop", {"timeout_ms": "20000"})["state"] == "stopped"
    assert process.wait(20) == 0
    # The block was given back: the next start needs no proof.
    assert host.start("b")[1]["code"] == 0


def test_an_owner_that_did_not_release_is_named(make_host):
    host = make_host()
    process, _ = host.start("a")
    process.kill()
    process.wait()
    second, reply = host.start("b")
    assert reply["code"] == -2404 and second.wait(20) == 1
    assert (json.loads(reply["doc"])["owner_node"], json.loads(reply["doc"])["epoch"]) == ("a", 1)


def test_a_lost_block_stops_the_vm(make_host):
    host = make_host(io_timeout_ms=300)
    process, _ = host.start("a")
    with open(host.lease, "r+b") as f:
        f.write(bytes(4096))
    assert process.wait(20) == 2


class Watchdogd:
    """hvwatchdogd of a host, which may die and come back."""

    def __init__(self, host):
        if not os.path.isfile(WATCHDOGD):
            pytest.skip("hvwatchdogd is not built")
        self.path = os.path.join(host.dir, "watchdog")
        self.options = [{"key": "watchdog", "value": self.path}]
        self.host = host

    def start(self, *words):
        self.daemon = subprocess.Popen([WATCHDOGD, "--socket", self.path, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.host.processes.append(self.daemon)
        return self.daemon

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()


def until(value, look):
    end = time.monotonic() + 60
    while look() != value:
        assert time.monotonic() < end, look()
        time.sleep(0.02)


def test_a_frozen_owner_is_killed_by_hvwatchdogd(make_host):
    host = make_host(io_timeout_ms=300)
    watchdog = Watchdogd(host)
    watchdog.start()
    process, _ = host.start("a", options=watchdog.options)
    until("soft", lambda: host.ask("a", "status")["watchdog"]["level"])
    # It dies and is not back when the VM is frozen: the next one keeps its word.
    watchdog.kill()
    process.send_signal(signal.SIGSTOP)
    watchdog.start()
    assert process.wait(60) == -signal.SIGKILL


def level_in_block(host):
    with open(host.lease, "rb") as f:
        return f.read(512)[80 + 102]


def test_the_block_says_what_ends_its_owner(make_host):
    host = make_host(io_timeout_ms=1000)
    watchdog = Watchdogd(host)
    process, reply = host.start("a", options=watchdog.options)
    assert reply["code"] == 0
    status = host.ask("a", "status")["watchdog"]
    assert status["level"] == "none" and "hvwatchdogd" in status["why"]
    until(0, lambda: level_in_block(host))
    for _ in range(2):
        watchdog.start()
        until(1, lambda: level_in_block(host))
        watchdog.daemon.send_signal(signal.SIGSTOP)  # it listens, and answers nobody
        until(0, lambda: level_in_block(host))
        watchdog.daemon.send_signal(signal.SIGCONT)
        until(1, lambda: level_in_block(host))
        watchdog.kill()
        until(0, lambda: level_in_block(host))
    # A hardware watchdog counts if it is fast enough: 6 io_timeouts with the grace time of 2 s.
    fake = os.path.join(host.dir, "fake")
    for seconds, level in ((4, 2), (5, 1)):
        with open(fake, "wb"):
            pass
        watchdog.start("--test-device", fake, "--timeout", str(seconds))
        until(level, lambda: level_in_block(host))
        watchdog.kill()
        until(0, lambda: level_in_block(host))
        assert os.path.getsize(fake) and b"V" not in open(fake, "rb").read()  # fed, and not disarmed
    watchdog.start()
    until("soft", lambda: host.ask("a", "status")["watchdog"]["level"])
    # An orderly end says so, and nobody is killed or watched any more.
    assert host.ask("a", "stop", {"timeout_ms": "20000"})["state"] == "stopped"
    assert process.wait(20) == 0
    assert level_in_block(host) == 0
    watchdog.daemon.terminate()
    watchdog.daemon.wait()
    assert not os.path.exists(watchdog.path + ".table")


def test_required_and_not_there(make_host):
    host = make_host(io_timeout_ms=1000)
    watchdog = Watchdogd(host)
    required = watchdog.options + [{"key": "watchdog-required", "value": "1"}]
    process, reply = host.start("a", options=required)
    assert reply["code"] == -2609 and process.wait(20) == 1
    assert "hvwatchdogd" in reply["error"] and not os.path.exists(host.lease)
    # One that is being restarted gets its time.
    threading.Timer(1, watchdog.start).start()
    assert host.start("a", options=required)[1]["code"] == 0
    until(1, lambda: level_in_block(host))


@pytest.mark.parametrize("mode", ["live", "quick"])
def test_move(make_host, mode):
    host = make_host(cmdline="mode=beat,dirty,writer set=8M dirty=1000")
    source, _ = host.start("a")
    for there, here in (("b", "a"), ("c", "b")):
        ticket = {"vm_uuid": host.config["uuid"], "source": here, "destination": there, "epoch": host.ask(here, "status")["epoch"],
                  "id": os.urandom(16), "psk": os.urandom(32), "expires_wall_ns": time.time_ns() + 10**11}
        target, reply = host.start(there, incoming=True, incoming_address="127.0.0.1", ticket=ticket)
        assert reply["code"] == 0 and host.ask(there, "status")["state"] == "incoming"
        port = json.loads(reply["doc"])["port"]
        result = host.ask(here, "migrate", {"address": "127.0.0.1", "port": str(port)}, ticket=ticket, mode=f"MODE_{mode.upper()}")
        assert result["blackout_ms"] > 0
        assert source.wait(20) == 0
        assert host.ask(there, "status")["epoch"] == ticket["epoch"] + 1
        source = target
    assert host.ask("c", "stop", {"timeout_ms": "20000"})["state"] == "stopped"
    assert source.wait(20) == 0
