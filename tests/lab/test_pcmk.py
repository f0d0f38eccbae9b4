# SPDX-License-Identifier: GPL-2.0-or-later
"""The adapters to corosync and pacemaker and the resource agent, on a real cluster."""

import json
import os
import subprocess
import threading
import time

import pytest
from labkit import wait_for

UUID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"


def probe_path(lab):
    return os.path.join(lab.build, "tests/lab/cluprobe")


@pytest.fixture
def pc(lab):
    return Pcmk(lab)


class Pcmk:
    def __init__(self, lab):
        self.lab, self.path = lab, probe_path(lab)

    def do(self, *args, node="node1"):
        r = self.lab.run(node, self.path, *args, check=False, timeout=300)
        return json.loads(r.stdout)

    def ok(self, *args, **kw):
        answer = self.do(*args, **kw)
        assert answer["code"] == "OK", answer

    def picture(self, node="node1"):
        return self.do("picture", node=node)


class Watch:
    """A cluprobe that watches corosync on a node; its events arrive in a list."""

    def __init__(self, lab, node):
        self.events = []
        self.p = lab.popen(node, probe_path(lab), "watch", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           universal_newlines=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.p.stdout:
            self.events.append(json.loads(line))

    def say(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def wait(self, what, check, timeout=180):
        return wait_for(what, lambda: next((e for e in list(self.events) if check(e)), None), timeout, 0.02)

    def last(self, event):
        return next((e for e in reversed(list(self.events)) if e["event"] == event), None)

    def close(self):
        self.p.stdin.close()  # the probe ends with its stdin
        try:
            self.p.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.thread.join(timeout=60)


@pytest.fixture
def watches(lab):
    all_watches = {}
    yield lambda node: all_watches.setdefault(node, Watch(lab, node))
    for w in all_watches.values():
        w.close()


# --- corosync ---------------------------------------------------------------------------------------
def test_group_quorum_and_nodes(lab, watches):
    ws = [watches(n) for n in lab.names()]
    for i, w in enumerate(ws, 1):
        up = w.wait("up", lambda e: e["event"] == "up")
        assert up["local"] == i
        assert [(n["id"], n["name"], n["address"]) for n in up["nodes"]] == \
            [(k, "node%d" % k, "10.77.1.%d" % k) for k in (1, 2, 3)]
        w.wait("all in the group", lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2, 3])
        w.wait("quorum", lambda e: e["event"] == "quorum" and e["quorate"] and sorted(e["nodes"]) == [1, 2, 3])


def test_messages_in_one_order(lab, watches):
    ws = [watches(n) for n in lab.names()]
    for w in ws:
        w.wait("all in the group", lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2, 3])
    for k in range(10):
        for i, w in enumerate(ws):
            w.say("m%d-%d" % (i, k))
            time.sleep(0.002)
    for w in ws:
        wait_for("all messages", lambda: sum(e["event"] == "message" for e in list(w.events)) == 30)
    orders = [[(e["from"], e["text"]) for e in w.events if e["event"] == "message"] for w in ws]
    assert orders[0] == orders[1] == orders[2]


def test_burst_is_queued_and_complete(lab, watches):
    w1, w2 = watches("node1"), watches("node2")
    w1.wait("both in the group", lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2])
    w1.say("BURST 100 20000")
    assert w1.wait("sent", lambda e: e["event"] == "sent")["code"] == "OK"
    wait_for("all arrived", lambda: sum(e["event"] == "message" and e["len"] == 20000
                                        for e in list(w2.events)) == 100)


def test_leave_reasons(lab, watches):
    w1, w2 = watches("node1"), watches("node2")
    w1.wait("both in the group", lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2])
    w3 = Watch(lab, "node3")
    try:
        w1.wait("three", lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2, 3])
        lab.kill("node3")
        w1.wait("node3 is gone because its node is down",
                lambda e: e["event"] == "members" and sorted(e["now"]) == [1, 2] and [3, 3] in e["changes"])
    finally:
        w3.close()
    for pid in lab.pids("node2", "cluprobe"):
        lab.run("node2", "kill", "-9", str(pid))
    w1.wait("node2's agent died", lambda e: e["event"] == "members" and [2, 4] in e["changes"])


def test_split_tells_the_minority(lab, watches):
    w1, w2 = watches("node1"), watches("node2")
    for w in (w1, w2):
        w.wait("quorum", lambda e: e["event"] == "quorum" and e["quorate"])
    lab.lab("bmc", "node1", "dead")
    try:
        lab.cut("node1", "cluster")
        w1.wait("no quorum", lambda e: e["event"] == "quorum" and not e["quorate"] and e["nodes"] == [1])
        w2.wait("still quorum", lambda e: e["event"] == "quorum" and e["quorate"] and sorted(e["nodes"]) == [2, 3])
    finally:
        lab.lab("bmc", "node1", "ok")
    wait_for("node1 is fenced", lambda: lab.power("node1") == "off")


def test_corosync_dies_and_comes_back(lab, watches):
    """The adapter says it once and connects again by itself."""
    lab.lab("bmc", "node3", "dead")
    try:
        w = watches("node3")
        w.wait("up", lambda e: e["event"] == "up")
        lab.run("node3", "sh", "-c", "kill -9 $(cat /run/corosync.pid)")
        assert w.wait("down", lambda e: e["event"] == "down")["code"] == "NO_CLUSTER"
        w.say("hello")
        assert w.wait("refused", lambda e: e["event"] == "sent")["code"] == "NO_CLUSTER"
        time.sleep(0.5)
        assert sum(e["event"] == "down" for e in w.events) == 1
        lab.popen("node3", "/usr/sbin/corosync", "-f", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        wait_for("up again", lambda: sum(e["event"] == "up" for e in list(w.events)) == 2)
        wait_for("quorum again", lambda: w.last("quorum") and w.last("quorum")["quorate"])
    finally:
        lab.lab("bmc", "node3", "ok")
        lab.kill("node3")


# --- pacemaker --------------------------------------------------------------------------------------
def test_picture(lab, pc):
    p = pc.picture()
    assert p["quorate"] and p["dc"] in lab.names() and p["devices"] == 1
    assert sorted(p["nodes"]) == lab.names() and all(n["online"] and not n["unclean"] for n in p["nodes"].values())
    assert pc.do("picture", node="lab")["code"] == "NO_CLUSTER"


def test_properties(lab, pc):
    pc.ok("property", "hvcluster-volume-main", "iscsi://10.77.2.250/x?a=1&b=<2>")
    assert pc.picture("node3")["properties"]["hvcluster-volume-main"] == "iscsi://10.77.2.250/x?a=1&b=<2>"
    pc.ok("property", "hvcluster-volume-main", "two")
    assert pc.picture()["properties"]["hvcluster-volume-main"] == "two"
    pc.ok("property", "hvcluster-volume-main")
    assert "hvcluster-volume-main" not in pc.picture()["properties"]
    assert pc.do("property", "stonith-enabled", "false")["code"] == "BAD_VALUE"


def test_errors_are_clear(lab, pc):
    for args, code in ((("started", "nope", "1"), "NO_VM"), (("standby", "node9", "1"), "NO_NODE"),
                       (("confirm", "node9"), "NO_NODE"), (("create", "a b"), "BAD_VALUE"),
                       (("update", "nope", "memory=1G"), "NO_VM"), (("cleanup", "nope"), "NO_VM"),
                       (("prefer", "nope", "node2", "60"), "PACEMAKER")):
        answer = pc.do(*args)
        assert answer["code"] == code and args[1] in answer["text"], (args, answer)


def test_no_quorum_refuses_changes(lab, pc):
    lab.lab("bmc", "node1", "dead")
    try:
        lab.cut("node1", "cluster")
        wait_for("no quorum", lambda: not lab.node("node1")["quorate"])
        wait_for("pacemaker knows", lambda: not pc.picture()["quorate"])
        assert pc.do("property", "hvcluster-x", "1")["code"] == "NO_QUORUM"
        assert pc.do("create", "web1", "uuid=" + UUID)["code"] == "NO_QUORUM"
    finally:
        lab.lab("bmc", "node1", "ok")
    wait_for("node1 is fenced", lambda: lab.power("node1") == "off")


def test_standby(lab, pc):
    pc.ok("standby", "node3", "1")
    assert pc.picture()["nodes"]["node3"]["standby"]
    pc.ok("standby", "node3", "0")
    assert not pc.picture()["nodes"]["node3"]["standby"]


def test_fence_and_history(lab, pc):
    pc.ok("fence", "node3")
    assert lab.power("node3") == "off"
    assert ["node3", "off", 2] in pc.picture()["fences"]


def test_confirm_frees_a_node_whose_bmc_died(lab, pc):
    lab.lab("bmc", "node3", "dead")
    try:
        lab.kill("node3")  # a person pulled the plug
        wait_for("pacemaker cannot fence it", lambda: pc.picture()["nodes"]["node3"]["unclean"])
        pc.ok("confirm", "node3")
        wait_for("it is clean", lambda: not pc.picture()["nodes"]["node3"]["unclean"])
    finally:
        lab.lab("bmc", "node3", "ok")


def test_agent_is_known_to_pacemaker(lab):
    meta = lab.out("node1", "crm_resource", "--show-metadata", "ocf:hvcluster:VirtualMachine")
    for word in ("migrate_from", "validate-all", "uuid", "kernel"):
        assert '"%s"' % word in meta


def test_vm_that_cannot_start_says_why(lab, pc):
    """A kernel that is nowhere: pacemaker tries every node, gives up, and shows our words."""
    pc.ok("create", "bad1", "uuid=" + UUID, "memory=64M", "cpus=1", "kernel=/nonexistent/vmlinuz", "engine=soft")
    try:
        vm = wait_for("it failed", lambda: (lambda v: v if v["failure"] else None)(
            pc.picture()["vms"]["bad1"]), timeout=600)
        assert "VM bad1" in vm["failure"], vm
        assert pc.do("create", "bad1", "uuid=" + UUID)["code"] == "VM_EXISTS"
        pc.ok("prefer", "bad1", "node2", "60")
        assert ["bad1", "node2"] in [p[:2] for p in pc.picture()["prefs"]]
        pc.ok("update", "bad1", "memory=128M", "initrd=/x")
        params = pc.picture()["vms"]["bad1"]["params"]
        assert params["memory"] == "128M" and params["initrd"] == "/x" and params["uuid"] == UUID
        pc.ok("started", "bad1", "0")
        assert pc.picture()["vms"]["bad1"]["want_started"] == 0
        pc.ok("unprefer", "bad1")
        assert pc.picture()["prefs"] == []
        pc.ok("prefer", "bad1", "node2", "60")
        pc.ok("cleanup", "bad1")
    finally:
        pc.ok("delete", "bad1")
    p = pc.picture()
    assert p["prefs"] == [] and ("bad1" not in p["vms"] or p["vms"]["bad1"]["role"] in ("stopped", "unknown"))
