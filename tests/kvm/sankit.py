# SPDX-License-Identifier: GPL-2.0-or-later
"""A SAN for the VM tests: labsan on two addresses of the test's own network namespace, and a standalone agent that makes volumes on it.

Everything dies with the test process and lies in one folder of it."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import time

from corekit import BUILD, ROOT

LABSAN = os.path.join(BUILD, "tests/san/labsan")
HVCLUSTERD = os.path.join(BUILD, "hvclusterd")
HVCTL = os.path.join(BUILD, "hvctl")
IQN = "iqn.2026-01.test:san"
PORTALS = ("10.78.0.1", "10.78.0.2")
PORT = 3260


def dies_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class San:
    """labsan with LUNs of the given words ("64M", "thin,size=..."), reachable over both PORTALS."""

    def __init__(self, path, luns=("thin,size=256M",), **options):
        self.dir = os.path.join(path, "san")
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        self.ctl_path = os.path.join(self.dir, "ctl")
        for portal in PORTALS:
            self.path_up(portal)
        words = [LABSAN, "--iqn", IQN, "--control", self.ctl_path, "--state", os.path.join(self.dir, "state"),
                 "--write-log", os.path.join(self.dir, "writes.jsonl")]
        for portal in PORTALS:
            words += ["--portal", f"{portal}:{PORT}"]
        for i, lun in enumerate(luns):
            words += ["--lun", f"{self.dir}/lun{i},{lun}"]
        for key, value in options.items():
            words += ["--" + key, value]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=dies_with_us)
        assert self.process.stdout.readline().startswith(b"ready")

    @staticmethod
    def path_up(portal):
        subprocess.run(["ip", "addr", "add", portal + "/32", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)

    @staticmethod
    def path_down(portal):
        """As a pulled cable: nothing is said to either side."""
        subprocess.run(["ip", "addr", "del", portal + "/32", "dev", "lo"], check=True)

    def url(self, lun, disk=""):
        return f"iscsi://{PORTALS[0]}:{PORT},{PORTALS[1]}:{PORT}/{IQN}/{lun}" + ("#" + disk if disk else "")

    def ctl(self, words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(self.ctl_path)
            s.sendall(words.encode() + b"\n")
            answer = json.loads(s.makefile().readline())
        assert answer["ok"], (words, answer)
        return answer

    def registrations(self, lun):
        return self.ctl("luns")["luns"][lun]["pr"]["registrations"]

    def keys(self, lun):
        return [r["key"] for r in self.registrations(lun)]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Agent:
    """hvclusterd --standalone. One that is started again in the same folder knows the volumes of the one before."""

    def __init__(self, path, io_timeout_ms=500):
        self.dir = os.path.join(path, "agent")
        os.makedirs(os.path.join(self.dir, "run"), exist_ok=True)
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        conf = os.path.join(self.dir, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"node = n0\nrun_dir = {self.dir}/run\nstate_dir = {self.dir}/state\nstandalone = yes\n"
                    f"hvcore = {BUILD}/programs/hvcore\nio_timeout_ms = {io_timeout_ms}\nreserve_mb = 1\n")
        self.socket = os.path.join(self.dir, "run/hvclusterd.sock")
        self.process = subprocess.Popen([HVCLUSTERD, "--config", conf, "--standalone", "--log-file", os.path.join(self.dir, "log")],
                                        preexec_fn=dies_with_us, cwd=ROOT)
        end = time.monotonic() + 20
        while not os.path.exists(self.socket):
            assert self.process.poll() is None and time.monotonic() < end, "hvclusterd did not come up"
            time.sleep(0.01)

    def hvctl(self, *words):
        """The answer's document; RuntimeError with the error's words."""
        done = subprocess.run([HVCTL, "--json", "--socket", self.socket, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        if done.returncode:
            raise RuntimeError((done.stderr + done.stdout).strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def close(self):
        self.process.terminate()
        self.process.wait()
