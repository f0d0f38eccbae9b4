# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs VMs for the tests: hvcore alone, started by its start message, without any daemon.

Everything that a VM leaves (sockets, files, the process) is gone after Vm.close(), also when a test failed. Networks are taps in the
network namespace of the test process (conftest.py makes one), never of the host.
"""
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import hvwire  # noqa: E402

BUILD = os.environ.get("HV_BUILD", os.path.join(ROOT, "build"))
HVCORE = os.path.join(BUILD, "programs/hvcore")
BARE = os.path.join(BUILD, "tests/guest/bare.elf")
RECORDC = os.path.join(BUILD, "tests/guest/recordc")
BEAT_START = 0x40
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000


def why_not():
    for path in (HVCORE, BARE, RECORDC):
        if not os.path.isfile(path):
            return f"{path} is not built"
    return None


FIRST_NETWORK = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def first_network():
    """For preexec_fn of a program that must reach the network of who started the tests."""
    if ctypes.CDLL(None, use_errno=True).setns(FIRST_NETWORK, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def own_network():
    """Puts this process into a new network namespace; says why not, or None."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return "no right to make a network namespace: " + os.strerror(ctypes.get_errno())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return None


class Tap:
    """A tap device with an address on the host's side; goes away with its descriptor."""

    def __init__(self, name, address):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)

    def close(self):
        os.close(self.fd)


class Bridge:
    """A bridge in our namespace with an address; taps given to it are its ports. Learns and forgets addresses as any switch.
    Its own address is fixed: else it would change with its ports, and guests would send to one that is gone."""

    def __init__(self, name, address):
        self.name = name
        subprocess.run(["ip", "link", "add", name, "address", "02:00:00:00:b4:01", "type", "bridge", "stp_state", "0"], check=True)
        subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)

    def tap(self, name):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        subprocess.run(["ip", "link", "set", name, "master", self.name, "up"], check=True)
        port = Tap.__new__(Tap)
        port.fd = fd
        return port

    def close(self):
        subprocess.run(["ip", "link", "del", self.name], check=True)


class Beats(threading.Thread):
    """Listens where hvcore sends the debug port: keeps (ns, byte) of every beat and (ns, text) of every line of text."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(4)
        self.seen, self.lines = [], []
        self.open = False  # somebody is connected: more may come
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open = True
            with connection, connection.makefile("rb") as stream:
                for line in stream:
                    self.take(line.decode().rstrip("\n").split(" ", 2))
            self.open = False

    def take(self, words):
        if len(words) == 3 and words[1] == "b":
            self.seen.append((int(words[0]), int(words[2], 16)))
        elif len(words) == 3 and words[1] == "l":
            self.lines.append((int(words[0]), words[2]))

    def values(self):
        return bytes(byte for _, byte in self.seen)

    def acked(self):
        """The numbers of the writer's "A SEQ" lines."""
        return [int(text[2:]) for _, text in self.lines if text.startswith("A ")]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def beats_are_whole(values):
    """No beat is missing or doubled: after each 0x40 the numbers count up from 0x80 modulo 64."""
    expected = 0
    for byte in values:
        if byte == BEAT_START:
            expected = 0
            continue
        if byte != 0x80 | expected & 0x3F:
            return False
        expected += 1
    return True


class NotStarted(RuntimeError):
    """hvcore answered that it does not start; reply is its answer."""

    def __init__(self, reply):
        super().__init__(f"hvcore: {reply['error']} ({reply['code']})")
        self.reply = reply


class Vm:
    """One hvcore. close() or a with statement ends it, and the end of the thread that started it if die_with_us (not said: if that is
    the main one), however that comes."""

    def __init__(self, kernel=BARE, cmdline="", memory_mib=64, cpus=1, engine="kvm", initrd="", disks=(), tap=None,
                 mac="52:54:00:68:76:01", vm=None, die_with_us=None, spawned=None, **start):
        self.dir = tempfile.mkdtemp(prefix="hvvm.")
        self.log_path = os.path.join(self.dir, "serial")
        self.control = os.path.join(self.dir, "control")
        self.beats = Beats(os.path.join(self.dir, "beat"))
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            self.boot_id = f.read().strip()
        message = {
            "vm": {"name": "test", "uuid": str(uuid.uuid4()), "memory_bytes": memory_mib << 20, "cpus": cpus, "engine": engine,
                   "kernel": kernel, "initrd": initrd, "cmdline": cmdline, "machine": "hv-1",
                   "disks": [{"url": "file:" + d} for d in disks], **(vm or {})},
            "node": "test", "boot_id": self.boot_id, "control_socket": self.control, "control_fd": -1,
            "heartbeat_socket": os.path.join(self.dir, "beat"), "console_log": self.log_path, **start}
        keep = ()
        if tap:
            message["vm"]["nets"] = [{"mac": mac, "tap_fd": tap.fd}]
            keep = (tap.fd,)
        self.config = message["vm"]
        self.errors = open(os.path.join(self.dir, "stderr"), "w+b")
        if die_with_us is None:
            die_with_us = threading.current_thread() is threading.main_thread()
        self.process = None
        try:
            self.process, self.reply = hvwire.start_hvcore(HVCORE, message, keep, die_with_us, spawned, stderr=self.errors,
                                                            stdin=subprocess.DEVNULL)
        except BaseException:
            self.close()
            raise
        if self.reply["code"]:
            try:
                self.process.wait(20)  # it takes its keys from the SAN first
            except subprocess.TimeoutExpired:
                pass
            self.close()
            raise NotStarted(self.reply)

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        if kind:
            sys.stderr.write(self.serial() + "\n" + self.stderr() + "\n")
        self.close()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.errors.close()
        self.beats.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def serial(self):
        try:
            with open(self.log_path, "rb") as f:
                return f.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def channel(self):
        return hvwire.Channel.connect(self.control)

    def request(self, verb, args=None, **more):
        channel = self.channel()
        try:
            return channel.request(verb, args, **more)
        finally:
            channel.close()

    def wait_serial(self, text, timeout=60):
        """Waits until the guest said that on its serial port; fails at once if the guest found a fault."""
        end = time.monotonic() + timeout
        while text not in (said := self.serial()):
            assert "FAILED" not in said and "TRAP" not in said, said
            assert self.process.poll() is None, f"hvcore ended ({self.process.returncode}): {self.stderr()}"
            assert time.monotonic() < end, f"the guest did not say {text!r}: {said} {self.stderr()}"
            time.sleep(0.02)
        return said

    def wait_end(self, timeout=60):
        """Waits for the end of hvcore; returns its exit code."""
        return self.process.wait(timeout)
