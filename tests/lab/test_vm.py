# SPDX-License-Identifier: GPL-2.0-or-later
"""Real VMs under pacemaker: start, stop, failures, and that a VM never runs twice. The witness of every
test is the guest's own heartbeat."""

import itertools
import json
import time

import pytest
import vmkit
from labkit import wait_for

OK, GENERIC, NOT_RUNNING = 0, 1, 7


names = itertools.count(1)


@pytest.fixture
def vm(lab):
    v = vmkit.Vm(lab, "web%d" % next(names))
    v.beats = vmkit.Beats(lab)
    try:
        yield v
        verdict = v.beats.verdict()
        assert verdict["dual_active"] == 0, verdict
        assert all(run["broken"] == 0 for run in verdict["runs"]), verdict
        assert "FAILED" not in v.console() and "TRAP" not in v.console(), v.console()
    finally:
        lab.restore()
        v.remove()
        v.beats.close()


def others(lab, node):
    return [n for n in lab.names() if n != node]


def hvclusterd_pid(lab, node):
    return str(lab.pids(node, "hvclusterd")[0])


def start(vm):
    vm.hvctl("start", vm.name)
    node = vm.wait_started()
    wait_for("it beats", lambda: vm.beats.count(node) > 20)
    return node


def fresh_beats(vm, node, n=20):
    have = vm.beats.count(node)
    wait_for("it beats on " + node, lambda: vm.beats.count(node) > have + n)


def test_start_stop_start(lab, vm):
    node = start(vm)
    assert vm.agent(node, "monitor") == OK
    for other in others(lab, node):
        assert vm.agent(other, "monitor") == NOT_RUNNING
    assert vm.agent(node, "start") == OK  # it runs already: nothing to do
    vm.hvctl("stop", vm.name)
    vm.wait_stopped()
    assert [vm.agent(n, "monitor") for n in lab.names()] == [NOT_RUNNING] * 3
    assert [vm.agent(n, "stop") for n in lab.names()] == [OK] * 3
    assert [vm.pid(n) for n in lab.names()] == [None] * 3
    start(vm)
    assert len(vm.beats.verdict()["runs"]) == 2


def test_second_start_is_refused_by_the_ownership_block(lab, vm):
    """Somebody starts the agent by hand on another node: the block says no, and the VM does not notice."""
    node = start(vm)
    other = others(lab, node)[0]
    params = dict(line.split("=", 1) for line in lab.out(
        "node1", "sh", "-c", "crm_resource --resource %s --query-xml-raw | "
        "sed -n 's/.*<nvpair .*name=\"\\([a-z_]*\\)\" value=\"\\([^\"]*\\)\".*/\\1=\\2/p'" % vm.name).splitlines())
    params["CRM_meta_timeout"] = "8000"
    assert vm.agent(other, "start", **params) == GENERIC
    assert vm.agent(other, "monitor") in (GENERIC, NOT_RUNNING)
    assert vm.agent(other, "stop") == OK  # as pacemaker does after a failed start
    assert vm.agent(other, "monitor") == NOT_RUNNING
    fresh_beats(vm, node)


def test_debug_from_another_node(lab, vm):
    """The agent of any node hands dump, counters and trace to the VM that runs elsewhere; it beats on."""
    node = start(vm)
    other = others(lab, node)[0]
    doc = json.loads(vm.hvctl("--json", "debug", "dump", vm.name, node=other).stdout)
    assert doc["state"] == "RUNNING" and doc["vcpus"][0]["general"]["rip"]
    counted = json.loads(vm.hvctl("--json", "debug", "counters", vm.name, "--interval", "200", node=other).stdout)
    assert counted["sum"]["recent"]["wall_ms"] > 0
    if doc["engine"] == "soft":
        assert json.loads(vm.hvctl("--json", "debug", "trace", vm.name, "--ms", "100", node=other).stdout)["vcpus"][0]["total"] > 0
    fresh_beats(vm, node)


def test_killed_hvcore_is_started_again(lab, vm):
    node = start(vm)
    lab.run(node, "kill", "-9", str(vm.pid(node)))
    wait_for("a second run", lambda: len(vm.beats.verdict()["runs"]) == 2)
    node = vm.wait_started()
    fresh_beats(vm, node)


def test_hung_hvcore_is_replaced(lab, vm):
    node = start(vm)
    lab.run(node, "kill", "-STOP", str(vm.pid(node)))
    wait_for("a second run", lambda: len(vm.beats.verdict()["runs"]) == 2)
    fresh_beats(vm, vm.wait_started())


def test_killed_hvclusterd_disturbs_no_vm(lab, vm):
    node = start(vm)
    pid = vm.pid(node)
    daemon = hvclusterd_pid(lab, node)
    lab.run(node, "kill", "-9", daemon)
    assert vm.agent(node, "monitor") == OK
    wait_for("hvclusterd is back and knows the VM", lambda: '"running"' in vm.hvctl(
        "--json", "show", vm.name, node=node, check=False).stdout)
    assert hvclusterd_pid(lab, node) != daemon
    fresh_beats(vm, node)
    assert vm.pid(node) == pid and len(vm.beats.verdict()["runs"]) == 1


def test_monitor_and_stop_work_while_hvclusterd_hangs(lab, vm):
    node = start(vm)
    daemon = hvclusterd_pid(lab, node)
    lab.run(node, "kill", "-STOP", daemon)
    try:
        assert vm.agent(node, "monitor") == OK
        assert vm.agent(node, "stop") == OK
        assert vm.agent(node, "monitor") == NOT_RUNNING
    finally:
        lab.run(node, "kill", "-CONT", daemon)


def test_power_cut_moves_the_vm(lab, vm):
    node = start(vm)
    cut_ns = time.monotonic_ns()
    lab.kill(node)
    ask = others(lab, node)[0]
    there = vm.wait_started(ask=ask, not_on=(node,))
    wait_for("it beats there", lambda: vm.beats.count(there) > 20)
    run = vm.beats.verdict()["runs"][-1]
    assert run["node"] == there
    print("power cut to first beat elsewhere: %.0f ms" % ((run["first_ns"] - cut_ns) / 1e6))
    events = [e for e in lab.events() if e["t_ns"] > cut_ns and e["what"] == "off" and e["who"] == "fence_hvlab"]
    assert events and events[0]["t_ns"] < run["first_ns"]  # never before the fencing
    lab.boot(node)
    lab.wait()
    assert vm.crm()[1] == there  # it stays where it is
    assert vm.agent(node, "monitor") == NOT_RUNNING


def test_frozen_node_loses_the_vm(lab, vm):
    node = start(vm)
    lab.freeze(node)
    there = vm.wait_started(ask=others(lab, node)[0], not_on=(node,))
    wait_for("it beats there", lambda: vm.beats.count(there) > 20)


def test_split_moves_the_vm_to_the_majority(lab, vm):
    node = start(vm)
    lab.cut(node, "cluster")
    there = vm.wait_started(ask=others(lab, node)[0], not_on=(node,))
    wait_for("it beats there", lambda: vm.beats.count(there) > 20)
    assert lab.power(node) == "off"


def test_killed_corosync_fences_and_moves(lab, vm):
    node = start(vm)
    lab.run(node, "sh", "-c", "kill -9 $(cat /run/corosync.pid)")
    there = vm.wait_started(ask=others(lab, node)[0], not_on=(node,))
    wait_for("it beats there", lambda: vm.beats.count(there) > 20)


@pytest.mark.parametrize("how", ["--live", "--quick"])
def test_move(lab, vm, how):
    node = start(vm)
    there = others(lab, node)[0]
    document = vm.move(there, how)
    print(how, document)
    assert vm.wait_started(not_on=(node,)) == there
    fresh_beats(vm, there)
    assert vm.agent(node, "monitor") == NOT_RUNNING and vm.agent(there, "monitor") == OK
    verdict = vm.beats.verdict()
    assert [m["same_boot"] for m in verdict["moves"]] == [True], verdict
    assert vm.pid(node) is None
    time.sleep(1)  # nothing that pacemaker does afterwards may disturb it
    assert len(vm.beats.verdict()["runs"]) == 2 and vm.crm() == ("started", there)
    pic = lab.picture()
    assert pic["prefs"] == [] and pic["vms"][vm.name]["failure"] == "", pic


def test_ping_pong(lab, vm):
    node, moves = start(vm), 20
    for i in range(moves):
        there = others(lab, node)[i % 2]
        vm.move(there, "--quick" if i % 3 == 2 else "--live")
        node = there
    fresh_beats(vm, node)
    verdict = vm.beats.verdict()
    assert [m["same_boot"] for m in verdict["moves"]] == [True] * moves, verdict
    print("gaps in ms:", ["%.1f" % m["gap_ms"] for m in verdict["moves"]])


def test_standby_moves_the_vm_away(lab, vm):
    node = start(vm)
    lab.run("node1", "crm_attribute", "--node", node, "--name", "standby", "--update", "on")
    try:
        there = vm.wait_started(not_on=(node,))
        fresh_beats(vm, there)
        assert [m["same_boot"] for m in vm.beats.verdict()["moves"]] == [True], vm.beats.verdict()
    finally:
        lab.run("node1", "crm_attribute", "--node", node, "--name", "standby", "--update", "off")


def test_power_button_moves_the_vm_away(lab, vm):
    node = start(vm)
    lab.shutdown(node)
    there = vm.wait_started(ask=others(lab, node)[0], not_on=(node,))
    fresh_beats(vm, there)
    assert [m["same_boot"] for m in vm.beats.verdict()["moves"]] == [True], vm.beats.verdict()


def test_move_to_where_it_cannot_go(lab, vm):
    node = start(vm)
    for target, word in ((node, "MIG_SAME_NODE"), ("node9", "NO_NODE")):
        r = vm.move(target, "--live", check=False)
        assert r.returncode != 0 and word in r.stdout + r.stderr, r
    gone = others(lab, node)[0]
    lab.shutdown(gone)
    r = vm.move(gone, "--live", check=False) if gone != "node1" else vm.hvctl(
        "--json", "migrate", vm.name, gone, "--live", node=node, check=False)
    assert r.returncode != 0 and "NODE_OFFLINE" in r.stdout + r.stderr, r
    fresh_beats(vm, node)
    assert len(vm.beats.verdict()["runs"]) == 1


def test_target_loses_power_before_the_move(lab, vm):
    """The cluster does not know yet that the target is dead: the move fails, the VM does not notice."""
    node = start(vm)
    there = others(lab, node)[0]
    lab.kill(there)
    r = vm.hvctl("--json", "migrate", vm.name, there, "--live", node=node, check=False)
    assert r.returncode != 0
    fresh_beats(vm, node)
    assert len(vm.beats.verdict()["runs"]) == 1


def test_status_says_what_pacemaker_says(lab, vm):
    node = start(vm)
    listed = json.loads(vm.hvctl("--json", "list").stdout)
    vms = listed["vms"] if isinstance(listed, dict) else listed
    assert [(v["name"], v["node"], v["state"]) for v in vms] == [(vm.name, node, "running")]


def test_disk_grows_where_the_vm_runs(lab, vm):
    """Asked on a node that does not run it; the guest goes on, and its next move takes the new size along."""
    node = start(vm)
    other = others(lab, node)[0]
    grown = json.loads(vm.hvctl("--json", "disk", "resize", vm.disk, "--size", "96M", node=other).stdout)
    assert grown["disk"]["size_bytes"] == 96 << 20
    assert grown["vms"] == [{"vm": vm.name, "node": node, "told": True}]
    fresh_beats(vm, node)
    report = json.loads(vm.hvctl("--json", "volume", "check", vm.store, node=other).stdout)
    assert report["doubly_used_extents"] == report["bad_structures"] == report["leaked_extents"] == 0
