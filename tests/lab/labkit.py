# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/lab for tests: a Lab object that always tears down, also when the test process is killed
(the machine room holds a leash: a pipe whose other end only this process has).

What tests do again and again while they wait (commands on nodes, status) calls scripts/lab's own functions in
this process; an interpreter for each would be most of what a test costs. All else runs the script."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import time
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.realpath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
SCRIPT = os.path.join(SRC, "scripts", "lab")


def load_script():
    """scripts/lab as a module."""
    loader = importlib.machinery.SourceFileLoader("hvlab", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("hvlab", loader))
    loader.exec_module(module)
    return module


hvlab = load_script()


def why_not():
    """The reason why no lab can run here, or None."""
    if os.geteuid() != 0:
        return "the lab needs root"
    for path in ("/usr/sbin/corosync", "/usr/sbin/pacemakerd", "/usr/sbin/crm_mon", "/sbin/ip"):
        if not os.path.exists(path):
            return path + " is not installed (run scripts/bootstrap)"
    return None


class CommandFailed(AssertionError):
    pass


def wait_for(what, check, timeout=180, step=0.1):
    """Polls check() until it is true and returns its value; the time limit only ends a hung test."""
    end = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("still not true after %d s: %s" % (timeout, what))
        time.sleep(max(step, 2 * (time.monotonic() - began)))  # who asks leaves the machine most of the time


class Lab:
    def __init__(self, nodes=3, token=1000, san=None, logs=None):
        self.nodes, self.token, self.san, self.logs = nodes, token, san, logs
        self.dir = "/var/tmp/hvlab-test-%d-%d" % (os.getpid(), int(time.monotonic() * 1000) % 1000000)
        self.leash = None
        self.inodes = set()
        self.members = None  # what ran in it when it was told to end
        self.ended = None
        self.ended_at = float("inf")
        self.mended = None  # happened() when all was last seen well
        self.new = None  # the cluster's configuration as it began

    # --- life ---
    def up(self):
        reader, self.leash = os.pipe()
        argv = ["up", "--nodes", str(self.nodes), "--token", str(self.token), "--leash", str(reader)]
        if self.san:
            argv += ["--san", self.san]
        if self.logs:
            argv += ["--logs", self.logs]
        try:
            self.lab(*argv, timeout=400, pass_fds=(reader,))
        finally:
            os.close(reader)
        self.inodes = self.namespaces()
        self.build = hvlab.facts(self.dir)["build"]
        self.url = hvlab.san_url(hvlab.facts(self.dir))  # of the LUN
        return self

    def down(self, keep_logs=False):
        self.ended_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        if keep_logs and self.logs and os.path.isdir(self.dir):
            print(hvlab.keep_logs(self.dir, self.logs))
        try:
            if os.path.isdir(self.dir):
                try:  # machines were switched off and on since: the kernel gives numbers of namespaces again
                    self.inodes = self.namespaces()
                    self.members = self.inside()
                except (CommandFailed, OSError, hvlab.LabError):
                    pass
                self.ended = time.clock_gettime(time.CLOCK_BOOTTIME)
                self.lab("down", timeout=200)
        finally:
            if self.leash is not None:
                os.close(self.leash)
                self.leash = None

    def __enter__(self):
        return self.up()

    def __exit__(self, kind, value, trace):
        self.down(keep_logs=kind is not None)

    # --- commands ---
    def lab(self, verb, *args, timeout=200, check=True, pass_fds=(), input=None):
        argv = [SCRIPT, verb, "--dir", self.dir] + list(args)
        r = subprocess.run(argv, stdin=subprocess.DEVNULL if input is None else None, input=input,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, pass_fds=pass_fds,
                           universal_newlines=True)
        if check and r.returncode != 0:
            raise CommandFailed("%s -> %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
        return r

    def run(self, node, *command, check=True, timeout=200, input=None):
        """Runs a command on a node ("lab" and "san" are places too), as `lab exec` does; returns the CompletedProcess."""
        try:
            hvlab.need_running(self.dir)
            argv = hvlab.exec_argv(self.dir, node, list(command))
        except hvlab.LabError as e:
            r = subprocess.CompletedProcess(command, 1, "", "lab: %s\n" % e)
        else:
            r = subprocess.run(argv, stdin=subprocess.DEVNULL if input is None else None, input=input,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, universal_newlines=True)
        if check and r.returncode != 0:
            raise CommandFailed("%s: %s -> %d\n%s%s" % (node, " ".join(command), r.returncode, r.stdout, r.stderr))
        return r

    def out(self, node, *command, **kw):
        return self.run(node, *command, **kw).stdout

    def popen(self, node, *command, **kw):
        """Starts a command on a node; it ends with the lab at the latest."""
        return subprocess.Popen(hvlab.exec_argv(self.dir, node, list(command)), **kw)

    def pids(self, node, program):
        """Of the processes on that node whose program's name begins so."""
        said = self.run(node, "find", "/proc", "-maxdepth", "2", "-name", "exe", "-lname", "*/%s*" % program, check=False)
        return [int(path.split("/")[2]) for path in said.stdout.split() if path.split("/")[2].isdigit()]

    def kill(self, node):
        self.lab("kill", node)

    def boot(self, node):
        self.lab("boot", node)

    def shutdown(self, node, **kw):
        self.lab("shutdown", node, timeout=150, **kw)

    def cut(self, node, *network):
        self.lab("cut", node, *network)

    def heal(self, node, *network):
        self.lab("heal", node, *network)

    def bmc(self, node, state):
        """state: dead or ok."""
        self.lab("bmc", node, state)

    def freeze(self, node):
        self.lab("freeze", node)

    def thaw(self, node):
        self.lab("thaw", node)

    def wait(self, *nodes, timeout=180):
        try:
            hvlab.wait_formed(self.dir, list(nodes) or self.names(), timeout)
        except hvlab.LabError as e:
            raise CommandFailed(str(e)) from e

    # --- what is ---
    def status(self):
        return hvlab.status(self.dir)

    def machines(self):
        """{name: what the machine room knows of it}, the SAN too. Asks no node."""
        return hvlab.machines(self.dir)

    def node(self, name):
        """The row of one node in status()."""
        return hvlab.status_of(self.dir, name)

    def power(self, name):
        """on or off. Asks no node."""
        return self.machines()[name]["power"]

    def events(self):
        with open(self.dir + "/events.log") as f:
            return [json.loads(line) for line in f]

    def names(self):
        return ["node%d" % i for i in range(1, self.nodes + 1)]

    def restore(self):
        """Everything healed, thawed, on, and one cluster again. That is known where nothing has happened to a machine since
        the last time."""
        if self.happened() == self.mended:
            return
        everything = self.machines()
        if everything["san"]["power"] != "on":
            self.boot("san")
        for m in everything.values():
            if m["frozen"]:
                self.thaw(m["name"])
            if m["cut"]:
                self.heal(m["name"])
        end = time.monotonic() + 300
        while True:  # a node that was cut off may be fenced only now, or once more
            for m in self.machines().values():
                if m["power"] != "on":
                    self.boot(m["name"])
            began = time.monotonic()
            self.mended = self.happened()
            if hvlab.formed(self.dir, self.names()) and self.mended == self.happened():
                return
            self.mended = None
            if began > end:
                self.wait(timeout=0)
            time.sleep(max(0.2, 2 * (time.monotonic() - began)))

    def happened(self):
        """How much the machine room has told: every power cut, boot, cut cable, frozen node and call of a fence agent."""
        return os.path.getsize(self.dir + "/events.log")

    # --- one lab for several test files ---
    def configuration(self):
        """The cluster's configuration as comparable text, without what changes by itself."""
        root = ET.fromstring(self.out("node1", "cibadmin", "--query", "--scope", "configuration"))
        for parent in list(root.iter()):
            for child in list(parent):
                if child.tag == "nvpair" and (child.get("name") == "last-lrm-refresh" or
                                              (child.get("name"), child.get("value")) == ("standby", "off")):
                    parent.remove(child)
        for parent in list(root.iter()):  # a set that has become empty
            for child in list(parent):
                if child.tag in ("instance_attributes", "meta_attributes", "fencing-topology") and not len(child):
                    parent.remove(child)
        return ET.tostring(root, encoding="unicode")

    def picture(self, node="node1"):
        """What an agent sees of pacemaker on that node."""
        return json.loads(self.out(node, os.path.join(self.build, "tests/lab/cluprobe"), "picture"))

    def reset(self):
        """As new for another test file: no VMs and volumes, the configuration it began with, an empty LUN, agents that
        know nothing. Says what is not so in spite of that."""
        self.restore()
        for vm in self.picture()["vms"]:
            self.run("node1", "hvctl", "stop", "--force", vm, check=False, timeout=300)
            self.run("node1", "hvctl", "delete", "--force", vm, check=False, timeout=300)
        for volume in self.volumes():
            self.run("node1", "hvctl", "volume", "forget", volume, check=False, timeout=300)
        if self.configuration() != self.new:
            self.run("node1", "cibadmin", "--replace", "--scope", "configuration", "--xml-text", self.new)
        self.kill("san")
        self.run("node1", "stonith_admin", "--cleanup", "--history", "*", check=False)
        for node in self.names():  # labinit starts them again
            for pid in self.pids(node, "hvclusterd"):
                self.run(node, "kill", "-9", str(pid), check=False)
        hvlab.make_lun(self.dir)
        self.boot("san")
        self.restore()
        found = []

        def clean():
            found[:] = self.dirt()
            return not found
        try:
            wait_for("it is as new", clean, 60)
        except AssertionError:
            pass
        return found

    def volumes(self):
        """Names of the cluster's volumes, as any agent says."""
        said = self.run("node1", "hvctl", "--json", "volume", "list")
        return [v["name"] for v in json.loads(said.stdout)["volumes"]]

    def dirt(self):
        """What another test file would find and should not."""
        found = []
        try:
            if self.configuration() != self.new:
                found.append("configuration: " + self.configuration())
            picture = self.picture()
            found += ["VM " + vm for vm in picture["vms"]] + ["volume " + v for v in self.volumes()]
            found += ["preference %s" % p for p in picture["prefs"]] + ["fencing %s" % f for f in picture["fences"]]
        except (CommandFailed, ValueError) as e:
            found.append(str(e))
        for node in self.names():
            found += ["%s: hvcore %d" % (node, pid) for pid in self.pids(node, "hvcore")]
            if not self.pids(node, "hvclusterd"):  # two: one is about to become a tool
                found.append(node + ": no hvclusterd")
        return found

    def namespaces(self):
        """Namespace inodes of every machine: none of them may exist after down."""
        found = set()
        with open(self.dir + "/lab.pid") as f:
            pids = [f.read().split()[0]]
        for pid in pids:
            for kind in ("net", "mnt", "pid", "ipc", "uts"):
                found.add(os.readlink("/proc/%s/ns/%s" % (pid, kind)))
        for node in self.names() + ["san"]:
            text = self.run(node, "/bin/sh", "-c", "for k in net mnt pid ipc uts; do readlink /proc/1/ns/$k; done",
                            check=False).stdout
            found.update(text.split())
        return found

    def inside(self):
        """pids of all processes that are in one of its namespaces now."""
        return {pid for pid in filter(str.isdigit, os.listdir("/proc")) if self.in_ours(pid)}

    def in_ours(self, pid):
        """One of its namespaces that this process is in."""
        for kind in ("net", "mnt", "pid", "ipc", "uts"):
            try:
                ns = os.readlink("/proc/%s/ns/%s" % (pid, kind))
            except OSError:
                continue
            if ns in self.inodes:
                return ns
        return None

    def is_younger(self, pid):
        """Started after the lab ended: another lab that was given the same namespace numbers."""
        try:
            with open("/proc/%s/stat" % pid) as f:
                ticks = int(f.read().rpartition(")")[2].split()[19])
        except (OSError, ValueError):
            return True  # gone meanwhile
        return self.ended is not None and ticks / os.sysconf("SC_CLK_TCK") > self.ended

    def leftovers(self):
        """Processes, mounts and files of this lab that still exist, as readable lines."""
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if self.is_younger(pid):
                continue
            # The kernel gives a namespace's number to a new one: a process that began after the end is another lab's.
            try:
                with open("/proc/%s/stat" % pid) as f:
                    began = int(f.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue
            if began > self.ended_at:
                continue
            ns = self.in_ours(pid) if self.members is None or pid in self.members else None
            if ns:
                left.append("process %s in %s" % (pid, ns))
            try:
                with open("/proc/%s/cmdline" % pid) as f:
                    if self.dir in f.read():
                        left.append("process %s names %s" % (pid, self.dir))
            except OSError:
                continue
        with open("/proc/self/mountinfo") as f:
            left += ["mount " + line.strip() for line in f if self.dir in line]
        if os.path.exists(self.dir):
            left.append("directory " + self.dir)
        return left
