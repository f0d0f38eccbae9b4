# SPDX-License-Identifier: GPL-2.0-or-later
"""Which program runs a VM: hvcore itself where KVM does it, hvcore-soft in its place where the guest is interpreted (docs/adr/0005)."""
import json
import os
import shutil
import subprocess

import corekit
from corekit import hvwire


def program(vm):
    return os.path.basename(os.readlink(f"/proc/{vm.process.pid}/exe"))


def status(vm):
    return json.loads(vm.request("status")["doc"])


def test_by_name(engine):
    with corekit.Vm(engine=engine) as vm:
        assert program(vm) == {"kvm": "hvcore", "soft": "hvcore-soft"}[engine]
        st = status(vm)
        assert (st["engine"], st["engine_why"], st["pid"]) == (engine, "", vm.process.pid)
        vm.wait_serial("guest: ready")


def test_auto():
    """kvm where stock guests run on it, else soft; and both say why."""
    with corekit.Vm(engine="auto") as vm:
        st = status(vm)
        assert program(vm) == {"kvm": "hvcore", "soft": "hvcore-soft"}[st["engine"]]
        assert ("KVM works" in st["engine_why"]) == (st["engine"] == "kvm")
        assert st["engine_why"]
        vm.wait_serial("guest: ready")


def test_all_of_the_start_message_is_handed_on(tmp_path):
    """More than one read long, with options and a socket that was bound before."""
    cmdline = "seconds=1 pad=" + "x" * 3900
    with corekit.Vm(engine="soft", cmdline=cmdline, options=[{"key": "insns_per_us", "value": "100"}, {"key": "log-level", "value": "debug"}]) as vm:
        assert program(vm) == "hvcore-soft"
        assert vm.wait_end() == 0
        assert "guest: power off" in vm.serial()


def alone(tmp_path, engine):
    """The reply of an hvcore that has no hvcore-soft beside it."""
    path = str(tmp_path / "hvcore")
    shutil.copy(corekit.HVCORE, path)
    message = {"vm": {"name": "alone", "engine": engine, "memory_bytes": 64 << 20, "cpus": 1, "kernel": corekit.BARE, "machine": "hv-1"},
               "node": "test", "control_fd": -1}
    process, reply = hvwire.start_hvcore(path, message, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        if reply["code"]:
            assert process.wait(30) == 1
        return reply
    finally:
        process.kill()
        process.wait()


def test_without_the_other_program(tmp_path):
    reply = alone(tmp_path, "soft")
    assert reply["code"] == -2101 and "hvcore-soft" in reply["error"]


def test_words_that_are_no_engine(tmp_path):
    reply = alone(tmp_path, "fast")
    assert reply["code"] and "auto, kvm or soft" in reply["error"]
