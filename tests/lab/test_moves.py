# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrations in the real cluster: that they work, and that whatever breaks during one, the VM runs on exactly
one side afterwards, nothing acknowledged is lost and nothing is left behind."""

import json
import os
import subprocess
import time

import pytest
import labkit
import movekit
from labkit import wait_for
from movekit import Move

@pytest.fixture(scope="module")
def volume(module_lab):
    movekit.make_volume(module_lab)
    return module_lab


def engine():
    return "kvm" if os.path.exists("/dev/kvm") else "soft"


@pytest.fixture(scope="module")
def shared(volume):
    """One VM for all tests that leave it running; the record client is on it all the time."""
    vm = Move(volume, "mover", "10.77.3.110", engine())
    try:
        vm.start()
        vm.begin_records()
        yield vm
        records = vm.end_records()
        print("records:", {k: records[k] for k in ("acked", "lost", "bad", "boots", "reconnects", "max_gap_ms")})
        assert records["verified"] and records["lost"] == 0 and records["bad"] == 0, records
        vm.judge()
        assert movekit.san_findings(volume) == []
    finally:
        vm.close()


@pytest.fixture
def vm(lab, shared):
    shared.settled()
    yield shared
    shared.judge()


def other(vm, node, n=0):
    return [x for x in vm.lab.names() if x != node][n]


def report(what, results):
    outs = [r["blackout_ms"] for r in results]
    print("%s: %d moves, blackout median %.1f ms, largest %.1f ms; total median %.0f ms" % (
        what, len(results), movekit.quantile(outs, 0.5), max(outs), movekit.quantile([r["total_ms"] for r in results], 0.5)))


def ping_pong(vm, moves, quick_every):
    """Returns the results of the live and of the quick moves."""
    live, quick = [], []
    node = vm.settled()
    begin = len(vm.beats.verdict()["runs"])
    for i in range(moves):
        to = other(vm, node, i % 2)
        how = "--quick" if i % quick_every == quick_every - 1 else "--live"
        r = vm.migrate(to, how, ask=vm.lab.names()[i % 3])
        assert (r["from"], r["to"], r["mode"]) == (node, to, how[2:]), r
        assert r["bytes"] > 0 and set(r["phases"]) >= {"pause", "drain", "ram", "state", "commit", "resume"}, r
        (quick if how == "--quick" else live).append(r)
        node = to
    assert vm.settled() == node
    verdict = vm.judge()
    hops = verdict["moves"][begin - 1:] if begin else verdict["moves"]
    assert len(hops) == moves and all(hop["same_boot"] for hop in hops), hops
    return live, quick, [hop["gap_ms"] for hop in hops]


def test_fifty_moves_of_the_bare_guest(lab, volume):
    vm = Move(lab, "bare50", "10.77.3.111", engine())
    try:
        vm.start()
        vm.begin_records()
        time.sleep(0.5)
        live, quick, gaps = ping_pong(vm, 50, 5)
        records = vm.end_records()
        report("live", live)
        report("quick", quick)
        print("as the guest's beats tell: median %.1f ms, largest %.1f ms" % (movekit.quantile(gaps, 0.5), max(gaps)))
        assert records["tcp_kept"] and records["boots"] == 1, records
        assert records["verified"] and records["lost"] == 0 and records["bad"] == 0, records
        assert records["acked"] > 50, records
        assert movekit.san_findings(lab) == []
    finally:
        vm.close()


def test_linux_on_the_soft_engine(lab, volume):
    share = lab.dir + "/share/guest"
    made = subprocess.run([os.path.join(labkit.SRC, "scripts/guest-image"), "--json", "--programs",
                           lab.build + "/tests/guest", "--out", share], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=600)
    if made.returncode:
        pytest.skip("no Linux guest: " + made.stderr.strip())
    with open(share + "/cmdline") as f:
        linux = {"kernel": share + "/vmlinuz", "initrd": share + "/initramfs.cpio", "cmdline": f.read().strip()}
    vm = Move(lab, "linux", "10.77.3.112", "soft", linux=linux, memory="256M")
    try:
        vm.start(timeout=600)
        vm.begin_records()
        time.sleep(2)
        live, quick, gaps = ping_pong(vm, 50, 5)
        records = vm.end_records()
        report("Linux live", live)
        report("Linux quick", quick)
        print("as the guest's beats tell: median %.1f ms, largest %.1f ms" % (movekit.quantile(gaps, 0.5), max(gaps)))
        assert records["tcp_kept"] and records["verified"] and records["lost"] == 0, records
    finally:
        vm.close()


# --- kill -9 of either hvcore at each phase ------------------------------------------------------------------


BEFORE_COMMIT = movekit.SOURCE_POINTS[:movekit.SOURCE_POINTS.index("mig.src.verified")]


@pytest.mark.parametrize("point", movekit.SOURCE_POINTS)
def test_source_hvcore_is_killed(vm, point):
    node, boots = vm.settled(), vm.boots()
    vm.fault(node, point + "=kill")
    said = vm.migrate(other(vm, node), "--live", check=False)
    there = vm.settled()
    again = vm.boots() - boots
    print("%s: %s, then on %s, %d restarts" % (point, said.get("error") or "moved", there, again))
    if point in BEFORE_COMMIT:
        assert again == 1  # the guest's memory died with its process
    else:  # committed; or verified, and the destination goes on with the memory that it has
        assert again == 0 and there == other(vm, node)


@pytest.mark.parametrize("point", movekit.TARGET_POINTS)
def test_destination_hvcore_is_killed(vm, point):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, "mig.src.connect")
    move = vm.migrate_begin(to, "--live")
    vm.fault_landing(to, point + "=kill")
    vm.release(node)
    out, errs = move.communicate(timeout=300)
    there = vm.settled()
    again = vm.boots() - boots
    print("%s: %s, then on %s, %d restarts" % (point, (out or errs).strip()[:100], there, again))
    if point == "mig.dst.took":
        assert again == 1  # it was the owner already
    elif point == "mig.dst.verified":
        assert again <= 1  # "verified" is said: the source may have committed before it could know
    else:
        assert again == 0


# --- operators -------------------------------------------------------------------------------------------------


def test_cancel(vm):
    node, boots = vm.settled(), vm.boots()
    vm.hold(node, "mig.src.round.first")
    move = vm.migrate_begin(other(vm, node))
    wait_for("it copies", lambda: '"COPYING"' in vm.hvctl("--json", "show", vm.name).stdout)
    vm.wait_held(node, "mig.src.round.first")
    vm.hvctl("migrate", "--cancel", vm.name)
    out, errs = move.communicate(timeout=300)
    assert move.returncode != 0 and "MIG_CANCELLED" in out + errs
    assert vm.settled() == node and vm.boots() == boots
    said = vm.hvctl("migrate", "--cancel", vm.name, check=False)
    assert said.returncode != 0 and "not being moved" in said.stderr
    # Nothing is in the way of the next one, once the worker that was held has ended.
    vm.release(node)
    wait_for("it can be moved", lambda: vm.hvctl("migrate", vm.name, other(vm, node), check=False).returncode == 0)


def test_operator_who_goes_away_does_not_stop_it(vm):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, "mig.src.round.first")
    move = vm.migrate_begin(to)
    wait_for("it copies", lambda: '"COPYING"' in vm.hvctl("--json", "show", vm.name).stdout)
    for pid in vm.lab.pids("node1", "hvctl"):
        vm.lab.run("node1", "kill", "-INT", str(pid))
    move.communicate(timeout=300)
    vm.release(node)
    wait_for("it has moved", lambda: vm.crm() == ("started", to))
    assert vm.settled() == to and vm.boots() == boots


def test_bad_moves_are_refused_and_disturb_nothing(vm):
    node, boots = vm.settled(), vm.boots()
    for to, code in (("node9", "NO_NODE"), (node, "MIG_SAME_NODE")):
        said = vm.hvctl("migrate", vm.name, to, check=False)
        assert said.returncode != 0 and code in said.stderr, said.stderr
    said = vm.hvctl("migrate", "nobody", "node2", check=False)
    assert said.returncode != 0 and "NO_VM" in said.stderr
    assert vm.settled() == node and vm.boots() == boots


def test_drain_moves_it_live_and_undrain_takes_it_back(vm):
    node, boots = vm.settled(), vm.boots()
    vm.hvctl("node", "drain", node, node=other(vm, node))
    there = vm.settled()
    assert there != node and vm.boots() == boots
    said = vm.hvctl("migrate", vm.name, node, check=False)
    assert said.returncode != 0 and "drained" in said.stderr
    vm.hvctl("node", "undrain", node)
    wait_for("it takes VMs again", lambda: vm.hvctl("migrate", vm.name, node, check=False).returncode == 0)
    assert vm.settled() == node and vm.boots() == boots


# --- the agents ------------------------------------------------------------------------------------------------


def kill_agent(vm, node):
    """Until the next one answers."""
    old = vm.lab.pids(node, "hvclusterd")
    for pid in old:
        vm.lab.run(node, "kill", "-9", str(pid))
    wait_for("another agent", lambda: set(vm.lab.pids(node, "hvclusterd")) - set(old) and
             vm.hvctl("list", node=node, check=False).returncode == 0)


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("who", ["operator", "pacemaker"])
def test_agent_is_killed_during_a_move(vm, side, who):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, "mig.src.round.first")
    if who == "operator":
        move = vm.migrate_begin(to, ask=to)
    else:
        vm.lab.run(to, "crm_attribute", "--node", node, "--name", "standby", "--update", "on")
        move = None
    wait_for("it copies", lambda: '"COPYING"' in vm.hvctl("--json", "show", vm.name, node=node, check=False).stdout)
    kill_agent(vm, node if side == "source" else to)
    vm.release(node)
    if move:
        move.communicate(timeout=300)
    if who == "pacemaker":
        wait_for("it has moved", lambda: vm.crm()[0] == "started" and vm.crm()[1] != node)
    there = vm.settled()
    assert vm.boots() == boots
    if who == "pacemaker":
        assert there != node
        vm.hvctl("node", "undrain", node)
    wait_for("it can be moved", lambda: vm.hvctl("migrate", vm.name, other(vm, there), check=False).returncode == 0)


# --- nodes and networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["mig.src.round.first", "mig.src.round.last"])
def test_source_node_loses_power_during_a_move(vm, point):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, point)
    move = vm.migrate_begin(to, ask=to)
    vm.wait_held(node, point)
    vm.lab.kill(node)
    move.communicate(timeout=300)
    vm.settled(not_on=(node,))
    assert vm.boots() == boots + 1
    vm.lab.restore()
    assert vm.hvcores()[node] == 0 and vm.agent(node, "monitor") == 7  # it comes back clean


@pytest.mark.parametrize("point", ["mig.src.round.first", "mig.src.round.last"])
def test_destination_node_loses_power_during_a_move(vm, point):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, point)
    move = vm.migrate_begin(to, ask=node)
    vm.wait_held(node, point)
    vm.lab.kill(to)
    vm.release(node)
    move.communicate(timeout=300)
    there = vm.settled(not_on=(to,))
    again = vm.boots() - boots
    print("%s: on %s, %d restarts" % (point, there, again))
    if point == "mig.src.round.first":  # pacemaker had not heard of it yet
        assert there == node and again == 0
    else:
        assert again <= 1
    vm.lab.restore()  # it may be fenced only now
    assert vm.hvcores()[to] == 0


def test_destination_loses_the_san_during_a_move(vm):
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    vm.hold(node, "mig.src.round.first")
    move = vm.migrate_begin(to, ask=node)
    vm.wait_held(node, "mig.src.round.first")
    vm.lab.cut(to, "san")
    vm.release(node)
    out, errs = move.communicate(timeout=300)
    print((out or errs).strip()[:200])
    vm.lab.heal(to, "san")
    there = vm.settled()
    assert vm.boots() - boots <= 1
    print("then on %s, %d restarts" % (there, vm.boots() - boots))


def test_source_node_loses_power_before_the_commit(vm):
    """The destination has verified all of the memory, and nobody else has it any more: with the proof that the source was
    fenced it goes on, and the guest does not notice more than a pause."""
    node, boots = vm.settled(), vm.boots()
    to = other(vm, node)
    before = verified(vm, to)
    vm.hold(node, "mig.src.verified")
    move = vm.migrate_begin(to, ask=to)
    wait_for("the destination has verified", lambda: verified(vm, to) > before)
    vm.lab.kill(node)
    move.communicate(timeout=300)
    there = vm.settled(not_on=(node,))
    print("on %s, %d restarts" % (there, vm.boots() - boots))
    assert there == to and vm.boots() == boots
    assert "inherited" in vm.hvctl("events", node=to).stdout
    vm.lab.restore()
    assert vm.hvcores()[node] == 0 and vm.agent(node, "monitor") == 7


def verified(vm, node):
    """How often a landing of it there has verified everything, as its own log says."""
    return vm.log(node).count("--> VERIFIED")
