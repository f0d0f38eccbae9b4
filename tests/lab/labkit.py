# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/lab for tests: a Lab object that always tears down, also when the test process is killed
(the machine room holds a leash: a pipe whose other end only this process has).

What tests do again and again while they wait (commands on nodes, status) calls scripts/lab's own functions in
this process; an interpreter for each would be most of what a test costs. All else runs the script."""

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import time

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


def wait_for(what, check, timeout=30, step=0.1):
    """Polls check() until it is true and returns its value; the time limit only ends a hung test."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("still not true after %d s: %s" % (timeout, what))
        time.sleep(step)


class Lab:
    def __init__(self, nodes=3, token=1000, san=None, logs=None):
        self.nodes, self.token, self.san, self.logs = nodes, token, san, logs
        self.dir = "/var/tmp/hvlab-test-%d-%d" % (os.getpid(), int(time.monotonic() * 1000) % 1000000)
        self.leash = None
        self.inodes = set()
        self.ended = None
        self.ended_at = float("inf")

    # --- life ---
    def up(self):
        reader, self.leash = os.pipe()
        argv = ["up", "--nodes", str(self.nodes), "--token", str(self.token), "--leash", str(reader)]
        if self.san:
            argv += ["--san", self.san]
        try:
            self.lab(*argv, timeout=120, pass_fds=(reader,))
        finally:
            os.close(reader)
        self.inodes = self.namespaces()
        return self

    def down(self, keep_logs=False):
        self.ended_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        if keep_logs and self.logs and os.path.isdir(self.dir):
            self.save_logs()
        try:
            if os.path.isdir(self.dir):
                try:  # machines were switched off and on since: the kernel gives numbers of namespaces again
                    self.inodes = self.namespaces()
                except (CommandFailed, OSError):
                    pass
                self.ended = time.clock_gettime(time.CLOCK_BOOTTIME)
                self.lab("down", timeout=60)
        finally:
            if self.leash is not None:
                os.close(self.leash)
                self.leash = None

    def save_logs(self):
        os.makedirs(self.logs, exist_ok=True)
        for node in os.listdir(self.dir + "/nodes"):
            shutil.copytree("%s/nodes/%s/log" % (self.dir, node), "%s/%s" % (self.logs, node), dirs_exist_ok=True)
            vms = "%s/nodes/%s/varlib/hvcluster/log" % (self.dir, node)  # what hvcore and the guests' consoles said
            if os.path.isdir(vms):
                shutil.copytree(vms, "%s/%s/vms" % (self.logs, node), dirs_exist_ok=True)
        for name in ("events.log", "bmcd.log"):
            shutil.copy(self.dir + "/" + name, self.logs)

    def __enter__(self):
        return self.up()

    def __exit__(self, kind, value, trace):
        self.down(keep_logs=kind is not None)

    # --- commands ---
    def lab(self, verb, *args, timeout=60, check=True, pass_fds=(), input=None):
        argv = [SCRIPT, verb, "--dir", self.dir] + list(args)
        r = subprocess.run(argv, stdin=subprocess.DEVNULL if input is None else None, input=input,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, pass_fds=pass_fds,
                           universal_newlines=True)
        if check and r.returncode != 0:
            raise CommandFailed("%s -> %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
        return r

    def run(self, node, *command, check=True, timeout=60, input=None):
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
            hvlab.wait_online(self.dir, list(nodes) or self.names(), timeout, san_too=False)
        except hvlab.LabError as e:
            raise CommandFailed(str(e)) from e

    # --- what is ---
    def status(self):
        return hvlab.status(self.dir)

    def machines(self):
        """{name: what the machine room knows of it}, the SAN too. Asks no node."""
        return hvlab.machines(self.dir)

    def node(self, name):
        return next(n for n in self.status()["nodes"] if n["name"] == name)

    def events(self):
        with open(self.dir + "/events.log") as f:
            return [json.loads(line) for line in f]

    def names(self):
        return ["node%d" % i for i in range(1, self.nodes + 1)]

    def restore(self):
        """Everything healed, thawed, on, and one cluster again."""
        s = self.status()
        if s["san"]["power"] != "on":
            self.boot("san")
        for m in s["nodes"] + [dict(s["san"], name="san", frozen=False)]:
            if m["frozen"]:
                self.thaw(m["name"])
            if m["cut"]:
                self.heal(m["name"])
        end = time.monotonic() + 90
        while True:  # a node that was cut off may be fenced only now, or once more
            for m in self.status()["nodes"]:
                if m["power"] != "on":
                    self.boot(m["name"])
            try:
                return self.wait(timeout=5)
            except CommandFailed:
                if time.monotonic() > end:
                    raise

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
            for kind in ("net", "mnt", "pid", "ipc", "uts"):
                try:
                    ns = os.readlink("/proc/%s/ns/%s" % (pid, kind))
                except OSError:
                    continue
                if ns in self.inodes:
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
