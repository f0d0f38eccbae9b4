# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_hvsan as pacemaker's second fencing level, behind a BMC that is dead: whatever state the lost node is in, its
VM runs again elsewhere as soon as it is proven not to run there, and never before."""

import time

import movekit
import pytest
import vmkit
from labkit import wait_for

IO_MS = 500  # of the VMs: short, for a short test
DEAD_MS = 6 * IO_MS + IO_MS // 2  # STOR_DEAD of sharedstorage/dev/stor_timing.h

DEVICE = """<primitive id="fence-hvsan" class="stonith" type="fence_hvsan">
<instance_attributes id="fence-hvsan-attrs">
<nvpair id="fence-hvsan-url" name="url" value="%s"/>
<nvpair id="fence-hvsan-hosts" name="pcmk_host_list" value="%s"/>
<nvpair id="fence-hvsan-off" name="pcmk_off_timeout" value="60s"/></instance_attributes>
<operations><op id="fence-hvsan-monitor" name="monitor" interval="60s" timeout="20s"/></operations></primitive>"""


def topology(nodes):
    level = '<fencing-level id="%s-%d" target="%s" index="%d" devices="%s"/>'
    return "<fencing-topology>%s</fencing-topology>" % "".join(
        level % (n, i, n, i, device) for n in nodes for i, device in ((1, "fence-hvlab"), (2, "fence-hvsan")))


@pytest.fixture(scope="module")
def two_levels(module_lab):
    """What docs/man/fence_hvsan.8 tells an administrator to configure."""
    lab = module_lab
    movekit.make_volume(lab)
    lab.run("node1", "cibadmin", "--create", "--scope", "resources", "--xml-text",
            DEVICE % (lab.url, " ".join(lab.names())))
    lab.run("node1", "cibadmin", "--create", "--scope", "configuration", "--xml-text", topology(lab.names()))
    for name, value in (("stonith-max-attempts", "1000"), ("stonith-timeout", "60s")):
        lab.run("node1", "crm_attribute", "--type", "crm_config", "--name", name, "--update", value)
    return lab


def policy(lab, what, ask="node1"):
    """What a partition without quorum does with its VMs."""
    lab.run(ask, "crm_attribute", "--type", "crm_config", "--name", "no-quorum-policy", "--update", what)


@pytest.fixture
def vm(lab, two_levels):
    """On the volume that fence_hvsan knows; the record client is on it all the time."""
    v = movekit.Move(lab, "fenced%d" % time.monotonic_ns(), "10.77.3.120", "auto", options=("--io-timeout", str(IO_MS)))
    try:
        v.node = v.start()
        v.others = [n for n in lab.names() if n != v.node]
        v.begin_records()
        wait_for("records", lambda: v.beats.count(v.node) > 100)
        yield v
        records = v.end_records()
        print("records:", {k: records[k] for k in ("acked", "lost", "bad", "boots", "reconnects", "max_gap_ms")})
        assert records["verified"] and records["lost"] == 0 and records["bad"] == 0, records
        v.judge()
        assert movekit.san_findings(lab) == []
    finally:
        for n in lab.names():
            lab.bmc(n, "ok")
        lab.restore()
        policy(lab, "stop")
        v.close()


OK, FAILED = 2, 3  # enum clu_pcmk_fence_state


def fencings(vm, state):
    """How many of the VM's first node with this end a survivor's pacemaker remembers."""
    return sum(1 for target, _, how in vm.lab.picture(vm.others[0])["fences"] if target == vm.node and how == state)


def runs_elsewhere(vm, began_ns):
    there = vm.wait_started(ask=vm.others[0], not_on=(vm.node,), timeout=300)
    wait_for("it beats there", lambda: vm.beats.count(there) > 10)
    run = vm.beats.verdict()["runs"][-1]
    assert run["node"] == there
    took_ms = (run["first_ns"] - began_ns) / 1e6
    print("to the first beat elsewhere: %.0f ms, of which %d are the wait for the lease" % (took_ms, DEAD_MS))
    return there


def comes_back(vm, there, restarts=0):
    """The node joins again and is a host as any other: the VM moves there with new keys, without a restart."""
    boots = vm.boots()
    for n in vm.lab.names():
        vm.lab.bmc(n, "ok")
    vm.lab.restore()
    now = vm.settled()
    assert now == there or restarts
    if now != vm.node:
        vm.migrate(vm.node, "--live", ask=now)
    assert vm.settled() == vm.node and vm.boots() <= boots + restarts


def test_power_cut_with_a_dead_bmc(vm):
    done = fencings(vm, OK)
    vm.lab.bmc(vm.node, "dead")
    began = time.monotonic_ns()
    vm.lab.kill(vm.node)
    there = runs_elsewhere(vm, began)
    assert fencings(vm, OK) == done + 1
    # The block was free: nobody's word had to be believed.
    assert "taken over" not in vm.hvctl("events", node=there).stdout
    comes_back(vm, there)


def test_node_is_cut_off_and_alive(vm):
    """As long as the VM renews its lease it stays where it is; when its node loses the SAN too, it moves."""
    policy(vm.lab, "freeze")  # else the cut-off node would stop it by itself
    failed = fencings(vm, FAILED)
    vm.lab.bmc(vm.node, "dead")
    vm.lab.cut(vm.node, "cluster")
    wait_for("two fencings have failed", lambda: fencings(vm, FAILED) >= failed + 2)
    assert vm.fresh_beats() == vm.node and len(vm.beats.verdict()["runs"]) == 1
    assert vm.crm(vm.others[0]) == ("started", vm.node)
    began = time.monotonic_ns()
    vm.lab.cut(vm.node, "san")
    there = runs_elsewhere(vm, began)
    vm.lab.heal(vm.node, "san")  # it finds out that it was shut out, and ends
    wait_for("the old process is gone", lambda: vm.pid(vm.node) is None)
    vm.lab.kill(vm.node)  # as fence_hvsan(8) tells the administrator: it must not join with what it believes
    comes_back(vm, there)


def test_frozen_node_with_a_dead_bmc(vm):
    vm.lab.bmc(vm.node, "dead")
    began = time.monotonic_ns()
    vm.lab.freeze(vm.node)
    there = runs_elsewhere(vm, began)
    vm.lab.thaw(vm.node)
    wait_for("the old process is gone", lambda: vm.pid(vm.node) is None)
    # Beats that were made before and were on their way out when it froze may come now; each says when it was made.
    assert vm.beats.verdict()["dual_active"] == 0
    # It joins without a reboot, and believes that it has the VM: pacemaker restarts a resource that is "too active". On a
    # busy machine our word of the old process' death gets there in the middle of that, and it does so once more.
    comes_back(vm, there, restarts=2)


def test_a_fencing_by_the_san_is_no_power_off(lab, two_levels):
    """fence_hvsan knows nothing of a VM whose ownership block is not on its volume: its success proves nothing about it,
    and the VM's node is on."""
    vm = vmkit.Vm(lab, "elsewhere", store="file", mode="beat", options=("--io-timeout", str(IO_MS)))
    beats = vmkit.Beats(lab)
    try:
        policy(lab, "freeze")
        vm.hvctl("start", vm.name)
        node = vm.wait_started()
        wait_for("it beats", lambda: beats.count(node) > 20)
        others = [n for n in lab.names() if n != node]
        lab.bmc(node, "dead")
        lab.cut(node, "cluster")

        def wanted():
            """Pacemaker believes that the node is gone, and wants the VM on this one."""
            return next((n for n in others if vm.pid(n)), None)
        wait_for("a start elsewhere", wanted)
        before = beats.count(node)
        time.sleep(2 * DEAD_MS / 1000)  # time enough for a takeover that does not look
        assert beats.count(node) > before + 100 and len(beats.verdict()["runs"]) == 1
        lab.kill(node)
        there = vm.wait_started(ask=others[0], not_on=(node,))
        wait_for("it beats there", lambda: beats.count(there) > 20)
        assert beats.verdict()["dual_active"] == 0
        assert "taken over from %s (expired-and-shut-out)" % node in vm.hvctl("events", node=there).stdout
    finally:
        for n in lab.names():
            lab.bmc(n, "ok")
        lab.restore()
        policy(lab, "stop")
        vm.remove()
        beats.close()
