# SPDX-License-Identifier: GPL-2.0-or-later
"""hvclusterd alone on this host (--standalone), with hvctl: a whole agent for tests, and everything it leaves is gone after close()."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import corekit

HVCLUSTERD = os.path.join(corekit.BUILD, "hvclusterd")
HVCTL = os.path.join(corekit.BUILD, "hvctl")


def wait_for(what, check, timeout=60):
    end = time.monotonic() + timeout
    while not (value := check()):
        assert time.monotonic() < end, "still not true: " + what
        time.sleep(0.05)
    return value


class Agent:
    """One standalone agent. Volumes are files in self.dir, so another agent can attach them."""

    def __init__(self, directory=None, env=None):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="hvagent.")
        self.here = tempfile.mkdtemp(prefix="a.", dir=self.dir)
        self.run = os.path.join(self.here, "run")
        conf = os.path.join(self.here, "conf")
        hvcore = os.path.join(self.here, "hvcore")
        self.fault = os.path.join(self.here, "fault")
        with open(hvcore, "w", encoding="ascii") as f:  # the next start's fault points
            f.write(f"#!/bin/sh\nread -r HV_FAULT 2>/dev/null <{self.fault} && export HV_FAULT && rm {self.fault}\nexec {corekit.HVCORE}\n")
        os.chmod(hvcore, 0o755)
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"run_dir = {self.run}\nstate_dir = {self.here}/state\nhvcore = {hvcore}\nnode = test\ngroup =\n")
        os.mkdir(self.run)
        self.beats = corekit.Beats(os.path.join(self.run, "heartbeat.sock"))
        self.log = os.path.join(self.here, "log")
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen([HVCLUSTERD, "--config", conf, "--standalone"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, **(env or {})})
        wait_for("the agent answers", lambda: self.hvctl("list", check=False).returncode == 0)

    def hvctl(self, *args, check=True, timeout=120):
        done = subprocess.run([HVCTL, "--json", "--socket", os.path.join(self.run, "hvclusterd.sock"), *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
        assert not check or done.returncode == 0, (args, done.stdout.decode(), done.stderr.decode(), self.said())
        return done

    def ask(self, *args):
        text = self.hvctl(*args).stdout
        return json.loads(text) if text else {}

    def refused(self, *args):
        """The error's document of a verb that must fail."""
        done = self.hvctl(*args, check=False)
        assert done.returncode != 0, args
        return json.loads(done.stdout or done.stderr)

    def state(self, name):
        return {vm["name"]: vm["state"] for vm in self.ask("list")["vms"]}[name]

    def pid(self, name):
        return self.ask("show", name)["core"]["pid"]

    def fault_at_start(self, spec):
        """Fault points of the next hvcore that is started."""
        with open(self.fault, "w", encoding="ascii") as f:
            f.write(spec + "\n")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        return text[-6000:]

    def volume(self, name="main", size=512 << 20):
        path = os.path.join(self.dir, name + ".vol")
        with open(path, "wb") as f:
            f.truncate(size)
        self.ask("volume", "create", name, "file:" + path)
        return "file:" + path

    def create(self, name, disk, cmdline, engine="soft", **options):
        extra = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), str(value))]
        return self.ask("create", name, "--memory", "64M", "--kernel", corekit.BARE, "--disk", disk, "--engine", engine, "--cmdline", cmdline,
                        *extra)

    def children(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                    state, parent = f.read().rpartition(")")[2].split()[:2]
                if int(parent) == self.daemon.pid and state != "Z":
                    found.append(int(pid))
            except (OSError, ValueError):
                continue
        return found

    def vms(self):
        """pids of the hvcore processes of this agent."""
        return self.children() if self.daemon.poll() is None else []

    def orphans(self):
        """pids of its hvcore processes, whoever is their parent now: they hold logs in its folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe").split(" ")[0].startswith(corekit.HVCORE) and any(
                        os.readlink(f"/proc/{pid}/fd/{fd}").startswith(self.here) for fd in os.listdir(f"/proc/{pid}/fd")):
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def close(self):
        pids = []
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGSTOP)  # it starts no more
            pids = self.children()
            self.daemon.kill()
        self.daemon.wait()
        pids += self.orphans()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for("its VMs are gone", lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids))
        self.beats.close()
        if self.own:
            shutil.rmtree(self.dir)
