# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed itself: power, fencing, membership, cables, freezing, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import time

import labkit
import pytest
from labkit import wait_for


def fenced_by_cluster(lab, node, since):
    return any(e["what"] == "off" and e["who"] == "fence_hvlab" and e["node"] == node and e["t_ns"] > since
               for e in lab.events())


def test_up_forms_one_cluster(lab):
    s = lab.status()
    assert s["dc"] in lab.names()
    for n in s["nodes"]:
        assert n["power"] == "on" and n["quorate"] and n["online"] and n["members"] == lab.names()
        assert n["sees_online"] == lab.names()
    assert s["san"]["ready"]


def test_nodes_are_apart(lab):
    boots = {lab.out(n, "cat", "/proc/sys/kernel/random/boot_id") for n in lab.names()}
    assert len(boots) == 3
    assert [lab.out(n, "hostname").strip() for n in lab.names()] == lab.names()
    lab.run("node1", "sh", "-c", "echo mine > /etc/hvcluster/x; echo mine > /run/x; echo mine > /tmp/hvlab-x")
    assert lab.run("node2", "sh", "-c", "ls /etc/hvcluster/x /run/x /tmp/hvlab-x", check=False).returncode != 0
    assert not os.path.exists("/etc/hvcluster/x") and not os.path.exists("/tmp/hvlab-x")
    assert lab.run("node1", "touch", "/usr/sbin/hvlab-x", check=False).returncode != 0
    if os.path.exists("/proc/sysrq-trigger"):  # never written to: a hole in the mask would reset the host
        assert lab.out("node1", "stat", "-c", "%t,%T", "/proc/sysrq-trigger").strip() == "1,3"


def test_exit_codes_and_messages(lab):
    assert lab.run("node1", "sh", "-c", "exit 7", check=False).returncode == 7
    r = lab.lab("kill", "node9", check=False)
    assert r.returncode == 1 and "no machine 'node9'" in r.stderr
    r = lab.lab("up", check=False)
    assert r.returncode == 1 and "already up" in r.stderr and "lab down" in r.stderr


def test_san_answers_every_node(lab):
    s = lab.status()["san"]
    for n in lab.names():
        assert s["iqn"] in lab.out(n, "iscsi-ls", "-s", "iscsi://" + s["portal"])


def test_power_cut_is_fenced_and_node_rejoins(lab):
    boot_id = lab.out("node3", "cat", "/proc/sys/kernel/random/boot_id")
    since = time.monotonic_ns()
    lab.kill("node3")
    assert lab.power("node3") == "off"
    wait_for("node3 is fenced", lambda: fenced_by_cluster(lab, "node3", since))
    wait_for("node3 left", lambda: lab.node("node1")["members"] == ["node1", "node2"])
    history = wait_for("the fencing is in the history", lambda: lab.out(
        "node1", "stonith_admin", "--history", "node3", "--output-as=xml").count('status="success"'))
    assert history >= 1
    lab.boot("node3")
    lab.wait()
    assert lab.out("node3", "cat", "/proc/sys/kernel/random/boot_id") != boot_id
    lab.run("node3", "test", "-e", "/var/log/corosync.log")


def test_off_is_only_ok_when_really_off(lab):
    """A dead BMC must not report success, and a person can confirm instead."""
    since = time.monotonic_ns()
    lab.lab("bmc", "node3", "dead")
    try:
        lab.cut("node3", "cluster")
        wait_for("fencing was tried", lambda: fenced_by_cluster(lab, "node3", since))
        time.sleep(1)
        assert lab.power("node3") == "on"
        assert "node3" in lab.node("node1")["sees_unclean"]
    finally:
        lab.lab("bmc", "node3", "ok")
    wait_for("node3 is off at last", lambda: lab.power("node3") == "off")


def test_split_minority_loses_quorum(lab):
    since = time.monotonic_ns()
    lab.lab("bmc", "node1", "dead")  # so that the minority stays to be looked at
    try:
        lab.cut("node1", "cluster")
        wait_for("node1 is alone without quorum", lambda: lab.node("node1")["members"] == ["node1"]
                 and not lab.node("node1")["quorate"])
        n2 = lab.node("node2")
        assert n2["quorate"] and n2["members"] == ["node2", "node3"]
        wait_for("the majority fences it", lambda: fenced_by_cluster(lab, "node1", since))
        assert not any(e["what"] == "off" and e["node"] in ("node2", "node3") and e["t_ns"] > since
                       and e["who"] == "fence_hvlab" for e in lab.events())
    finally:
        lab.lab("bmc", "node1", "ok")
    wait_for("node1 is off", lambda: lab.power("node1") == "off")


def test_frozen_node_is_fenced(lab):
    since = time.monotonic_ns()
    lab.freeze("node2")
    assert lab.node("node2")["frozen"]
    wait_for("node2 is fenced", lambda: fenced_by_cluster(lab, "node2", since)
             and lab.power("node2") == "off")


def test_thawed_in_time_goes_on(lab):
    lab.freeze("node2")
    lab.thaw("node2")
    lab.wait()
    assert lab.out("node2", "echo", "here").strip() == "here"


def test_each_network_can_be_cut(lab):
    def ping(node, address, wait="10"):
        return lab.run(node, "ping", "-c1", "-W" + wait, address, check=False).returncode == 0

    for network, address in (("san", "10.77.2.250"), ("migration", "10.77.3.254")):
        assert ping("node2", address)
        lab.cut("node2", network)
        assert lab.node("node2")["cut"] == [network]
        assert not ping("node2", address, "1")
        assert ping("node1", address)
        lab.heal("node2", network)
        wait_for(network + " is back", lambda: ping("node2", address))
    assert lab.node("node2")["members"] == lab.names()


def test_san_power(lab):
    lab.kill("san")
    assert not lab.status()["san"]["ready"]
    assert lab.run("node1", "ping", "-c1", "-W1", "10.77.2.250", check=False).returncode != 0
    lab.boot("san")
    s = lab.status()["san"]
    assert s["ready"]
    wait_for("the target answers", lambda: s["iqn"] in lab.run(
        "node1", "timeout", "20", "iscsi-ls", "iscsi://" + s["portal"], check=False).stdout)


def test_power_button_is_a_clean_stop(lab):
    since = time.monotonic_ns()
    lab.shutdown("node3")
    wait_for("node3 left", lambda: lab.node("node1")["members"] == ["node1", "node2"])
    time.sleep(1)
    assert not fenced_by_cluster(lab, "node3", since)


def test_killed_daemon_is_noticed(lab):
    since = time.monotonic_ns()
    lab.run("node2", "sh", "-c", "kill -9 $(cat /run/corosync.pid)")
    wait_for("node2 is fenced", lambda: fenced_by_cluster(lab, "node2", since))


def test_vm_bridge_reaches_other_nodes_and_the_client(lab):
    """A tap's worth of traffic: a veth in place of a guest's tap, moved from node1 to node2."""
    for node in ("node1", "node2"):
        lab.run(node, "sh", "-c", "ip link add g0 type veth peer name g1 && ip link set g0 master hvbr0 up && "
                                  "ip link set g1 address 02:00:00:00:00:77 up && "
                                  "ip address add 10.77.3.100/24 dev g1 && ip route del 10.77.3.0/24 dev g1")
        try:
            lab.run(node, "ping", "-c1", "-W10", "-I", "g1", "10.77.3.254")
            lab.run(node, "ping", "-c1", "-W10", "-I", "g1", "10.77.3.3")
        finally:
            lab.run(node, "ip", "link", "del", "g0")


def test_down_leaves_nothing():
    lab = labkit.Lab(nodes=2)
    mounts = open("/proc/self/mountinfo").read()
    with lab:
        assert lab.status()["dc"]
        assert lab.leftovers() != []
    assert lab.leftovers() == []
    assert open("/proc/self/mountinfo").read() == mounts


def test_killed_test_leaves_nothing():
    """A test process that dies by SIGKILL takes its lab with it."""
    code = ("import sys; sys.path.insert(0, %r); import labkit; lab = labkit.Lab(nodes=1).up(); "
            "print(lab.dir, *lab.inodes, flush=True); import time; time.sleep(600)" % labkit.HERE)
    p = subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, universal_newlines=True)
    lab = labkit.Lab()
    try:
        words = p.stdout.readline().split()
        lab.dir, lab.inodes = words[0], set(words[1:])
        assert lab.leftovers() != []
    finally:
        p.send_signal(signal.SIGKILL)
        p.wait()
    wait_for("nothing is left", lambda: lab.leftovers() == [])


def test_crashed_room_is_cleaned_by_down():
    """kill -9 of the machine room and of its keeper: down still removes all."""
    lab = labkit.Lab(nodes=1).up()
    with open(lab.dir + "/lab.pid") as f:
        room, keeper = (int(word) for word in f.read().split())
    os.kill(keeper, signal.SIGKILL)
    wait_for("the room went with its keeper", lambda: not os.path.exists("/proc/%d" % room))
    lab.down()
    assert lab.leftovers() == []


def plant(lab, tmp_path, line, *args):
    """`lab up` in which that line of Python has broken something of the lab (d: its directory) before it starts."""
    lab.dir = str(tmp_path / "lab")
    code = ("__file__ = %r\n" % labkit.SCRIPT + open(labkit.SCRIPT).read().replace(
        'if __name__ == "__main__":', "sane = prepare\n\ndef prepare(d, opts, build):\n    sane(d, opts, build)\n    " + line +
        '\n\nif __name__ == "__main__":'))
    return subprocess.run([sys.executable, "-B", "-c", code, "up", "--dir", lab.dir, "--nodes", "3", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600,
                          universal_newlines=True)


@pytest.mark.parametrize("line, args, node, words", [
    ('write(d + "/nodes/node2/etc/corosync/corosync.conf", "totem {")', (), "node2", "corosync has ended: exit"),
    ('write(d + "/nodes/node3/etc/corosync/authkey", b"k" * 256, 0o400)', (), "node3", "it is off, by the cluster: fenced"),
    ('os.chmod(d + "/nodes/node1/varlib/pacemaker/cib", 0o000); os.chown(d + "/nodes/node1/varlib/pacemaker/cib", 1, 1)',
     (), "node1", "pacemakerd has ended: exit 100"),
    ('os.unlink(d + "/san/lun0.img"); os.mkdir(d + "/san/lun0.img")', (), "san", "san has ended: exit")])
def test_a_lab_that_does_not_form_says_why(tmp_path, line, args, node, words):
    """Which machine, what it did, the end of its log; and all the logs are where it says."""
    lab = labkit.Lab()
    r = plant(lab, tmp_path, line, *args)
    assert r.returncode == 1 and lab.leftovers() == [], r
    said = r.stderr.splitlines()
    at = [i for i, text in enumerate(said) if text.startswith("  %s: " % node)]
    assert len(at) == 1 and words in said[at[0]], r.stderr
    log = said[at[0]].partition("the end of ")[2].rstrip(":")
    kept = said[-1].partition("the logs are kept in ")[2]
    assert os.path.basename(kept) == "lab.failed" and os.path.isfile(os.path.join(kept, "events.log"))
    with open(os.path.join(kept, log), errors="replace") as f:
        end = f.read().splitlines()
    assert end and said[at[0] + 1:][:len(end[-4:])] == ["    " + text for text in end[-4:]], r.stderr
    assert all(os.path.isfile("%s/nodes/%s/log/labinit.log" % (kept, n)) for n in ("san", "node1", "node2", "node3"))


def test_without_root_one_clear_line():
    code = "__file__ = '/x/scripts/lab'\n" + open(labkit.SCRIPT).read()  # the tree may not be readable to nobody
    r = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-B", "-c", code, "up"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert r.returncode == 1
    assert "needs root" in r.stderr and "sudo" in r.stderr and len(r.stderr.splitlines()) == 1
