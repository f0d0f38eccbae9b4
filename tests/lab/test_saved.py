# SPDX-License-Identifier: GPL-2.0-or-later
"""Saved states under pacemaker: a VM that was saved on one node goes on on another one, pacemaker never sees a failure, and a node that loses
power in the middle of a save costs at most what the guest had not saved. Definitions come back from the volume alone."""
import itertools
import json
import threading

import pytest
import vmkit
from labkit import wait_for
from test_vm import NOT_RUNNING, fresh_beats, hvclusterd_pid, others, start

names = itertools.count(1)


@pytest.fixture
def vm(lab):
    v = vmkit.Vm(lab, "saved%d" % next(names), mode="beat,step,writer", extra="pages=1024")
    v.beats = vmkit.Beats(lab)
    try:
        yield v
        verdict = v.beats.verdict()
        assert verdict["dual_active"] == 0, verdict
        assert all(run["broken"] == 0 for run in verdict["runs"]), verdict
        assert "FAILED" not in v.console() and "TRAP" not in v.console(), v.console()
        on = next(name for name in lab.names() if lab.machines()[name]["power"] == "on")  # the test may have cut one off
        report = json.loads(v.hvctl("--json", "volume", "check", "main", node=on).stdout)
        assert report["leaked_extents"] == 0 and report["bad_structures"] == 0, report
    finally:
        lab.restore()
        v.remove()
        v.beats.close()


def state(vm, node="node1"):
    return {row["name"]: row["state"] for row in vm.show(node)["vms"]}[vm.name]


def failure(vm):
    return vm.lab.picture()["vms"][vm.name]["failure"]


def same_boot(vm):
    return [move["same_boot"] for move in vm.beats.verdict()["moves"]]


def save(vm, node="node1"):
    said = json.loads(vm.hvctl("--json", "save", vm.name, node=node).stdout)
    assert said["state"] == "saved", said


def test_goes_on_elsewhere(lab, vm):
    node = start(vm)
    there = others(lab, node)[0]
    save(vm, there)  # the operator may ask any node
    assert vm.crm() == ("stopped", "") and failure(vm) == ""
    assert [vm.agent(n, "monitor") for n in lab.names()] == [NOT_RUNNING] * 3
    assert [vm.pid(n) for n in lab.names()] == [None] * 3
    wait_for("every node says so", lambda: {state(vm, n) for n in lab.names()} == {"saved"})
    lab.run("node1", "hvctl", "node", "drain", node)
    try:
        vm.hvctl("restore", vm.name)
        assert vm.wait_started() != node
        fresh_beats(vm, vm.crm()[1])
    finally:
        lab.run("node1", "hvctl", "node", "undrain", node)
    assert same_boot(vm) == [True] and failure(vm) == ""
    wait_for("nothing says that it is saved", lambda: state(vm) == "running" and "saved" not in json.loads(
        vm.hvctl("--json", "show", vm.name).stdout))


def test_many_times(lab, vm):
    start(vm)
    for n in range(5):
        save(vm, lab.names()[n % 3])
        start(vm)
    assert same_boot(vm) == [True] * 5 and failure(vm) == ""


@pytest.mark.parametrize("point, goes_on", [("mig.store.sync", False), ("image.seal", False), ("image.sealed", True)])
def test_power_cut_during_a_save(lab, vm, point, goes_on):
    """Until the image is sealed the VM boots again; from then on it goes on, wherever pacemaker starts it."""
    node = start(vm)
    ask = others(lab, node)[0]
    vm.hvctl("debug", "fault", vm.name, point + "=delay:300000")
    asked = threading.Thread(target=lambda: vm.hvctl("save", vm.name, node=ask, check=False))
    asked.start()
    wait_for("it saves", lambda: state(vm, node) == "saving")
    wait_for("it is there", lambda: vm.hits(node, point))
    lab.kill(node)
    there = vm.wait_started(ask=ask, not_on=(node,))
    fresh_beats(vm, there)
    asked.join()
    assert same_boot(vm) == [goes_on], vm.beats.verdict()


def test_agent_is_killed_during_a_save(lab, vm):
    node = start(vm)
    vm.hvctl("debug", "fault", vm.name, "mig.store.sync=delay:300000")
    asked = threading.Thread(target=lambda: vm.hvctl("save", vm.name, node=node, check=False))
    asked.start()
    wait_for("it saves", lambda: state(vm, node) == "saving")
    lab.run(node, "kill", "-9", hvclusterd_pid(lab, node))
    wait_for("the next one lets go", lambda: vm.hvctl("debug", "fault", vm.name, "", node=node, check=False).returncode == 0)
    asked.join()
    fresh_beats(vm, node)
    assert same_boot(vm) == [] and vm.crm() == ("started", node) and failure(vm) == ""


def test_registered_from_the_volume(lab, vm):
    """All that the cluster knew of the VM and the volume is lost; the volume knows it still."""
    start(vm)
    save(vm)
    config = json.loads(vm.hvctl("--json", "show", vm.name).stdout)["config"]
    url = lab.url
    lab.run("node1", "crm_resource", "--resource", vm.name, "--resource-type", "primitive", "--delete")
    lab.run("node1", "crm_attribute", "--type", "crm_config", "--name", "hvcluster-saved-" + vm.name, "--delete")
    vm.hvctl("volume", "forget", "main")
    wait_for("it is forgotten", lambda: vm.hvctl("show", vm.name, check=False).returncode == 3)
    wait_for("the volume, too", lambda: "main" not in vm.hvctl("volume", "list").stdout.split())
    vm.hvctl("volume", "attach", "main", url)
    rows = {row["name"]: row for row in json.loads(vm.hvctl("--json", "volume", "vms", "main").stdout)["vms"]}
    assert rows[vm.name]["state"] == "saved" and rows[vm.name]["uuid"] == config["uuid"]
    vm.hvctl("register", "main/" + vm.name)
    assert json.loads(vm.hvctl("--json", "show", vm.name).stdout)["config"] == config
    start(vm)
    assert same_boot(vm) == [True]
