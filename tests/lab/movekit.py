# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that is moved about, and its witnesses: heartbeats (runs once, how long silent), the record client
(nothing acknowledged is lost), the SAN's write log, the guest's own page check. Used by test_moves.py and
scripts/faults."""

import json
import os
import subprocess
import sys
import time

import labkit
import vmkit
from labkit import wait_for

sys.path.insert(0, os.path.join(labkit.SRC, "tests", "san"))
import labsan_oracle  # noqa: E402

VOLUME = "san0"
# The phases of a hand-over (docs/FAULT-POINTS.md), in their order: where either end can be made to die, hang or fail.
SOURCE_POINTS = ["mig.src.connect", "mig.src.connected", "mig.src.hello", "mig.src.welcome", "mig.src.round.first", "mig.src.round.later",
                 "mig.src.pause", "mig.src.flushed", "mig.src.round.last", "mig.src.state", "mig.src.verified", "mig.src.committed",
                 "mig.src.told"]
TARGET_POINTS = ["mig.dst.hello", "mig.dst.welcome", "mig.land.memory", "mig.dst.landed", "mig.dst.loaded", "mig.dst.verified",
                 "mig.dst.took"]


def make_volume(lab):
    said = lab.run("node1", "hvctl", "volume", "create", VOLUME, lab.url, check=False)
    assert said.returncode == 0 or "exist" in said.stderr, said.stderr


class Move(vmkit.Vm):
    """A running VM with all witnesses on it."""

    def __init__(self, lab, name, address, engine, linux=None, memory="64M", options=()):
        self.lab, self.name, self.address = lab, name, address
        self.build = lab.build
        self.kernel = os.path.join(self.build, "tests/guest/bare.elf")
        cmdline = "mode=beat,step,net rate=200 pages=1024 steps=2000 ip=%s" % address
        extra = []
        if linux:
            self.kernel = linux["kernel"]
            extra = ["--initrd", linux["initrd"]]
            cmdline = "%s ip=%s/24 beat=100" % (linux["cmdline"], address)
        self.hvctl("disk", "create", "%s/%s" % (VOLUME, name), "--size", "64M")
        self.hvctl("create", name, "--memory", memory, "--kernel", self.kernel, "--disk", "%s/%s" % (VOLUME, name),
                   "--net", "bridge=hvbr0", "--engine", engine, "--cmdline", cmdline, *extra, *options)
        self.beats, self.client = vmkit.Beats(lab), None

    # --- witnesses ---
    def start(self, timeout=300):
        self.hvctl("start", self.name)
        node = self.wait_started()
        wait_for("it beats", lambda: self.beats.count(node) > 20, timeout)
        return node

    def crm(self, node="node1"):
        vm = self.lab.picture(node)["vms"].get(self.name, {"role": "none", "node": ""})
        return vm["role"], vm["node"]

    def begin_records(self):
        """The client runs outside of all nodes."""
        self.pid_file = "%s/%s.recordc.pid" % (self.lab.dir, self.name)
        self.client = self.lab.popen("lab", "sh", "-c", 'echo $$ >"$0"; exec "$@"', self.pid_file,
                                     os.path.join(self.build, "tests/guest/recordc"), "-r", "50", "-d", "60", self.address,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)

    def end_records(self):
        """The client's verdict."""
        client, self.client = self.client, None
        self.lab.run("lab", "sh", "-c", 'kill -TERM "$(cat "$0")"', self.pid_file)
        out = client.communicate(timeout=300)[0]
        assert out.strip(), "the record client said nothing"
        return json.loads(out.strip().splitlines()[-1])

    def boots(self):
        return sum(r["boots"] for r in self.beats.verdict()["runs"])

    def runs(self):
        return len(self.beats.verdict()["runs"])

    def fresh_beats(self, n=10, timeout=180):
        """The node where it beats now."""
        at = {node: self.beats.count(node) for node in self.lab.names()}

        def grown():
            return next((node for node in self.lab.names() if self.beats.count(node) > at[node] + n), None)
        return wait_for("%s beats" % self.name, grown, timeout)

    def complaints(self):
        """What the guest itself found wrong, on any node's copy of its console."""
        found = []
        for node in self.lab.names():
            path = "%s/nodes/%s/varlib/hvcluster/log/%s.console" % (self.lab.dir, node, self.name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    found += [line.strip() for line in f if "guest: FAILED" in line or "guest: TRAP" in line]
        return found

    def hvcores(self):
        """{node: number of hvcore processes} of nodes that are on."""
        return {name: len(self.lab.pids(name, "hvcore")) for name in self.answering()}

    def answering(self):
        """The nodes that are on and not frozen."""
        return [m["name"] for m in self.lab.machines().values() if m["name"] != "san" and m["power"] == "on" and not m["frozen"]]

    def settled(self, not_on=(), timeout=300):
        """Waits until pacemaker has it on the one node where it beats and nowhere is a second process of it; says where."""
        def look():
            ask = next(name for name in self.answering() if name not in not_on)
            role, node = self.crm(ask)
            if role != "started" or not node or node in not_on:
                return None
            have = self.hvcores()
            if have.get(node) != 1 or sum(have.values()) != 1:
                return None
            # What was seen may be over by now: a node that thawed, say, makes pacemaker restart it.
            return node if self.fresh_beats() == node and self.crm(ask) == ("started", node) else None
        return wait_for("%s runs on one node and is nowhere else" % self.name, look, timeout, step=0.3)

    def judge(self):
        """Everything that must hold at any time; returns the verdict of the heartbeats."""
        verdict = self.beats.verdict()
        assert verdict["dual_active"] == 0, verdict
        assert all(run["broken"] == 0 for run in verdict["runs"]), verdict
        assert self.complaints() == []
        return verdict

    # --- moves ---
    def migrate(self, to, *how, ask="node1", check=True, timeout=300):
        r = self.hvctl("--json", "migrate", self.name, to, *how, node=ask, check=False, timeout=timeout)
        if check and r.returncode != 0:
            raise labkit.CommandFailed("migrate %s %s -> %d\n%s%s" % (to, how, r.returncode, r.stdout, r.stderr))
        return json.loads(r.stdout) if r.stdout.strip() else {"error": r.stderr}

    def migrate_begin(self, to, *how, ask="node1"):
        return self.lab.popen(ask, "hvctl", "--json", "migrate", self.name, to, *how, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)

    def fault(self, node, spec, timeout=180):
        """Arms fault points of the VM's process on that node, as soon as there is one."""
        wait_for("%s: fault %s" % (node, spec), lambda: self.hvctl("debug", "fault", self.name, spec, node=node,
                                                                  check=False).returncode == 0, timeout, step=0.05)

    def hold(self, node, point):
        """Its process on node will stay at that fault point until release(); the limit ends it if nobody comes."""
        self.at_hold = self.hits(node, point)
        self.fault(node, "%s=delay:300000@1" % point)

    def wait_held(self, node, point):
        wait_for("it is held at " + point, lambda: self.hits(node, point) > self.at_hold, step=0.05)

    def release(self, node):
        """To points that are armed anew the delays of the old ones end."""
        self.fault(node, "")

    def fault_landing(self, node, spec, timeout=180):
        """Arms them in the hvcore that lands on node; the source must be held meanwhile."""
        path = "/run/hvcluster/vm/%s.sock" % self.name
        wait_for("an hvcore lands on " + node, lambda: self.lab.run(node, "test", "-S", path, check=False).returncode == 0,
                 timeout, step=0.05)
        self.fault(node, spec, timeout)

    def close(self):
        if self.client:
            self.lab.run("lab", "sh", "-c", 'kill -KILL "$(cat "$0")"', self.pid_file, check=False)
            self.client.communicate(timeout=120)
        self.lab.restore()
        self.remove()
        self.beats.close()


def san_findings(lab):
    """What the SAN's write log accuses: writes of somebody who had been shut out."""
    return labsan_oracle.check_fence(labsan_oracle.load(lab.dir + "/san/writes.jsonl"))


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]
