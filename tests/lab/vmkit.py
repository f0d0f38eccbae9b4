# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM in the lab for tests: the bare-metal guest with its heartbeat watched from outside, so that a test
can say where the VM ran, when, and that it never ran twice."""

import json
import os
import sys
import threading
import time

import labkit
from labkit import wait_for

sys.path.insert(0, os.path.join(labkit.SRC, "tests", "guest"))
import beatwatch  # noqa: E402


class Beats:
    """The witness: collects heartbeats of one VM from all nodes in a thread."""

    def __init__(self, lab):
        self.watch = beatwatch.Watch([(n, "%s/beat/%s.sock" % (lab.dir, n)) for n in lab.names()])
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            self.watch.turn(0.05)

    def close(self):
        self.ended = True
        self.thread.join()
        self.watch.turn(0)
        self.watch.close()

    def count(self, node=None):
        return sum(len(r.beats) for r in list(self.watch.runs) if node in (None, r.node))

    def verdict(self):
        return beatwatch.verdict(list(self.watch.runs))


class Vm:
    """One VM, defined with hvctl. store: "file" (disk and ownership block are files all nodes see) or a
    volume of the cluster."""

    def __init__(self, lab, name="web1", store="main", mode="beat,writer", extra="", memory="64M", engine="auto", options=()):
        self.lab, self.name, self.store = lab, name, store
        build = lab.build
        self.kernel = os.path.join(build, "tests/guest/bare.elf")
        share = lab.dir + "/share"
        if store == "file":
            self.disk = "file:%s/%s.img" % (share, name)
            with open("%s/%s.img" % (share, name), "wb") as f:
                f.truncate(64 << 20)
            self.lease = "file:%s/%s.lease" % (share, name)
            if os.path.exists(self.lease[5:]):
                os.unlink(self.lease[5:])
        else:
            self.disk, self.lease = "%s/%s" % (store, name), None
            if store not in self.hvctl("volume", "list").stdout.split():
                self.hvctl("volume", "create", store, lab.url)
            self.hvctl("disk", "create", self.disk, "--size", "64M")
        args = ["create", name, "--memory", memory, "--kernel", self.kernel, "--disk", self.disk, "--engine", engine,
                "--cmdline", "mode=%s rate=200 %s" % (mode, extra)]
        if self.lease:
            args += ["--lease", self.lease]
        self.hvctl(*args, *options)

    def hvctl(self, *args, node="node1", check=True, timeout=300):
        return self.lab.run(node, "hvctl", *args, check=check, timeout=timeout)

    def show(self, node="node1"):
        return json.loads(self.hvctl("--json", "list", node=node).stdout)

    def crm(self, node="node1"):
        """(state, node) as pacemaker says."""
        vm = self.lab.picture(node)["vms"].get(self.name, {"role": "none", "node": ""})
        return vm["role"], vm["node"]

    def wait_started(self, ask="node1", not_on=(), timeout=180):
        def there():
            role, node = self.crm(ask)
            return node if role == "started" and node and node not in not_on else None
        return wait_for("%s is started" % self.name, there, timeout)

    def wait_stopped(self, ask="node1", timeout=180):
        wait_for("%s is stopped" % self.name, lambda: self.crm(ask) == ("stopped", ""), timeout)

    def move(self, node, *how, check=True):
        """hvctl migrate; returns its document (or the CompletedProcess when it may fail)."""
        r = self.hvctl("--json", "migrate", self.name, node, *how, check=check)
        return json.loads(r.stdout) if check else r

    def console(self):
        """What the guest said on its serial line, on all nodes."""
        text = ""
        for n in self.lab.names():
            path = "%s/nodes/%s/varlib/hvcluster/log/%s.console" % (self.lab.dir, n, self.name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def log(self, node):
        """What its processes there have said."""
        path = "%s/nodes/%s/varlib/hvcluster/log/%s.log" % (self.lab.dir, node, self.name)
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as f:
            return f.read()

    def hits(self, node, point):
        """How often its processes there have come to an armed fault point, as their log says."""
        return self.log(node).count("fault point %s is hit" % point)

    def agent(self, node, action, **params):
        """Runs the resource agent by hand; returns its exit code."""
        env = ["OCF_ROOT=/usr/lib/ocf", "OCF_RESOURCE_INSTANCE=" + self.name, "OCF_RESKEY_CRM_meta_timeout=30000"]
        env += ["OCF_RESKEY_%s=%s" % p for p in params.items()]
        return self.lab.run(node, "env", *env, "/usr/lib/ocf/resource.d/hvcluster/VirtualMachine", action,
                            check=False).returncode

    def pid(self, node):
        """Of its hvcore on that node, None if there is none."""
        found = self.lab.pids(node, "hvcore")
        return found[0] if found else None

    def remove(self):
        """Gone from the cluster, whatever state it is in; what stands in the way is said."""
        said = self.hvctl("stop", "--force", self.name, check=False)
        try:
            self.wait_stopped()
        except AssertionError:
            print("not stopped:", said.stdout, said.stderr)
        for _ in range(60):  # the agent's picture of pacemaker may be a moment old
            said = self.hvctl("delete", "--force", self.name, check=False)
            if said.returncode == 0:
                return
            time.sleep(0.5)
        print("not deleted:", said.stdout, said.stderr)
