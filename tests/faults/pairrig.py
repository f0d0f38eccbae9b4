# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hosts without a cluster: a SAN, hvcore processes that play them, and what their agents would do.

One Rig is one SAN (labsan, volatile cache) in a network namespace of this process, and one VM. The VM writes numbered records, checks its
own memory and beats. Whoever uses a Rig moves the VM, breaks things, and then has it settled: settle() does what the agents of the two
nodes do (fetch the exit of a process, offer the memory to the destination, look for a proof, start anew) and what pacemaker would decide.

Everything that it makes lies in one folder and dies with this process.
"""
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "kvm"))
import corekit  # noqa: E402
import hvwire  # noqa: E402
import sankit  # noqa: E402

SETTLE_S = 120
NOT_TOLD = "00000000-0000-0000-0000-000000000000"  # instance: the pid has to fit then
CMDLINE = "mode=step,writer,beat pages=512 records=100 batch=2 again=1 rate=250"


class Lost(Exception):
    """The VM does not come back."""


class GivenAway(Exception):
    """Somebody was let have what the VM uses."""


def codes():
    """{name: number} of common/cm_err.h's list."""
    with open(os.path.join(ROOT, "common", "cm_err.h"), encoding="utf-8") as f:
        return {name: -int(number) for number, name in re.findall(r"XX\((\d+), (\w+),", f.read())}


def is_stopped(process):
    if process.poll() is not None:
        return False
    with open("/proc/%d/stat" % process.pid, encoding="ascii", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


class Relay(threading.Thread):
    """The migration network between two processes: one TCP connection, which can be cut, silenced or spoilt."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.to = self.listener.getsockname()[1], port
        self.mode, self.ends = "pass", []
        self.start()

    def run(self):
        try:
            one, _ = self.listener.accept()
            other = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            return
        self.ends = [one, other]
        threading.Thread(target=self.copy, args=(other, one), daemon=True).start()
        self.copy(one, other)

    def copy(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                while self.mode == "silent":
                    time.sleep(0.01)
                if self.mode == "spoil":
                    self.mode, data = "pass", data[:-1] + bytes([data[-1] ^ 0x10])
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """As a reset: nothing more goes either way."""
        self.mode = "pass"
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.cut()


class Process(corekit.Vm):
    """One hvcore, on one of the two nodes."""

    def __init__(self, node, **more):
        self.index, self.stopped, self.thawed, self.exit = node, False, False, None
        super().__init__(node="n%d" % node, host_slot=node + 1, **more)

    def alive(self):
        if self.exit is None:
            self.exit = self.process.poll()
        return self.exit is None

    def ask(self, verb, timeout=10, **more):
        """The reply, or None if it does not answer (it hangs, or just died). RuntimeError with its words."""
        try:
            channel = hvwire.Channel.connect(self.control, timeout)
        except OSError:
            return None
        try:
            return channel.request(verb, more.pop("args", None), **more)
        except (OSError, ConnectionError):
            return None
        finally:
            channel.close()

    def state(self):
        """"running", ...; "" if it does not say."""
        if self.stopped or not self.alive():
            return ""
        reply = self.ask("status", 3)
        return json.loads(reply["doc"])["state"] if reply else ""

    def fault(self, spec):
        try:
            self.ask("fault", 5, args={"spec": spec})
        except RuntimeError as e:
            raise AssertionError("%s: %s" % (spec, e)) from e

    def hits(self, point):
        return self.stderr().count("fault point %s is hit" % point)

    def is_stopped(self):
        """Has it, or have we, stopped it by SIGSTOP?"""
        self.stopped = self.stopped or is_stopped(self.process)
        return self.stopped and self.alive()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def go_on(self):
        self.stopped, self.thawed = False, True
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.exit = self.process.wait()


class Rig:
    """layout: "lun" (two LUNs that are disks as a whole, the block on a volume) or "volumes" (a disk on each of two volumes).
    watchdogs: each node has a hvwatchdogd, which kills a process that is frozen for longer than its lease."""

    def __init__(self, path, engine, layout, t_ms, watchdogs=True):
        self.path, self.engine, self.layout, self.t_ms = path, engine, layout, t_ms
        self.watchdogs = [self.watchdog(n) for n in range(2)] if watchdogs else []
        self.codes = codes()
        self.san = sankit.San(path, ("thin,size=64M", "thin,size=64M", "thin,size=32M", "thin,size=32M"), cache="volatile")
        self.uuid = str(uuid.uuid4())
        self.pool = concurrent.futures.ThreadPoolExecutor(2)  # a process dies with the thread that started it
        self.all, self.spawned, self.here, self.there, self.lost, self.move_thread, self.epoch = [], [], None, None, None, None, 0
        agent = sankit.Agent(path, t_ms)
        try:
            agent.hvctl("volume", "create", "v0", self.san.url(0))
            disks = [self.san.url(2), self.san.url(3)]
            if layout == "volumes":
                agent.hvctl("volume", "create", "v1", self.san.url(1))
                agent.hvctl("disk", "create", "v1/a", "--size", "24M")
                agent.hvctl("disk", "create", "v0/b", "--size", "8M")
                disks = [self.san.url(1, "a"), self.san.url(0, "b")]
        finally:
            agent.close()
        self.config = {"uuid": self.uuid, "lease": self.san.url(0), "io_timeout_ms": t_ms, "disks": [{"url": d} for d in disks]}

    # --- processes ---
    def watchdog(self, node):
        path = os.path.join(self.path, "wd%d" % node)
        daemon = subprocess.Popen([os.path.join(corekit.BUILD, "hvwatchdogd"), "--socket", path], preexec_fn=sankit.dies_with_us,
                                  stderr=subprocess.DEVNULL)
        while not os.path.exists(path):
            assert daemon.poll() is None, "hvwatchdogd did not come up"
            time.sleep(0.01)
        return daemon

    def process(self, node, **more):
        more["spawned"] = lambda process: self.spawned.append((node, process))
        if self.watchdogs:
            more["options"] = [{"key": "watchdog", "value": os.path.join(self.path, "wd%d" % node)}, {"key": "watchdog-required", "value": "1"}]
        one = Process(node, engine=self.engine, memory_mib=32, cmdline=CMDLINE, vm=self.config, die_with_us=True, **more)
        self.all.append(one)
        return one

    def first(self):
        self.here = self.process(0)
        self.wait_beat(self.here)

    def wait_beat(self, vm, timeout=60):
        end = time.monotonic() + timeout
        while not vm.beats.seen:
            if not vm.alive() or time.monotonic() > end:
                raise Lost("%s does not beat (exit %s): %s" % (vm.index, vm.exit, vm.stderr()[-600:]))
            time.sleep(0.005)

    # --- moves ---
    def move_begin(self, mode, relayed=False):
        """Starts the destination and the move; its answer comes into self.said."""
        source = self.here
        status = json.loads(source.ask("status")["doc"])
        self.epoch = status["epoch"]
        ticket = {"vm_uuid": self.uuid, "source": "n%d" % source.index, "destination": "n%d" % (1 - source.index),
                  "epoch": status["epoch"], "id": os.urandom(16), "psk": os.urandom(32)}
        self.there = self.process(1 - source.index, incoming=True, incoming_address="127.0.0.1", ticket=ticket)
        port = json.loads(self.there.reply["doc"])["port"]
        self.relay = Relay(port) if relayed else None
        self.said = None

        def run():
            args = {"address": "127.0.0.1", "port": self.relay.port if self.relay else port, "max_blackout_ms": 60000}
            try:
                answer = source.ask("migrate", 60, args=args, ticket=ticket, mode="MODE_" + mode.upper())
                self.said = "moved" if answer else "no answer"
            except RuntimeError as e:
                self.said = str(e)
        self.move_thread = threading.Thread(target=run, daemon=True)
        return self.move_thread

    def wait_hit(self, vm, point, timeout=20):
        """Waits until it stands at that fault point; False if the move ended before."""
        end = time.monotonic() + timeout
        while not vm.hits(point):
            if not self.move_thread.is_alive() or not vm.alive() or time.monotonic() > end:
                return vm.hits(point) > 0
            time.sleep(0.005)
        return True

    # --- what the agents do ---
    def evidence(self, owner, watch):
        """What the agent of the new owner's node has to say of the last one, or None: it runs or nobody can tell yet."""
        for node, process in self.spawned:
            if process.pid == owner["owner_pid"] and "n%d" % node == owner["owner_node"]:
                if self.watchdogs and (watch or is_stopped(process)):
                    return {"kind": 4, "evidence": "watch %s" % owner["owner_node"]}
                if process.poll() is None:
                    return None
                return {"kind": 3, "evidence": "reaped %s %s %s %d" % (owner["owner_node"], owner["owner_boot_id"],
                                                                      NOT_TOLD, owner["owner_pid"])}
        return None

    def proof(self, owner, found):
        return {"vm_uuid": self.uuid, "node": owner["owner_node"], "boot_id": owner["owner_boot_id"], "epoch": owner["epoch"],
                "detail": found["evidence"].split()[0], **found}

    def cold_start(self, node, watch=False):
        """One try, as one agent; the process, or None."""
        try:
            return self.process(node)
        except (OSError, ConnectionError):
            return None  # it was killed before it answered
        except corekit.NotStarted as e:
            if e.reply["code"] != self.codes["LEASE_NO_PROOF"] or not e.reply["doc"]:
                return None
            owner = json.loads(e.reply["doc"])
        found = self.evidence(owner, watch)
        if not found:
            return None
        try:
            return self.process(node, proof=self.proof(owner, found))
        except (OSError, ConnectionError, corekit.NotStarted):
            return None

    def kill_starter(self, node, after_s):
        """A start on that node, whose process is killed while it (most likely) shuts the last owner out."""
        spawned = len(self.spawned)
        start = self.pool.submit(self.cold_start, node)
        end = time.monotonic() + 10
        while len(self.spawned) < spawned + 2 and not start.done() and time.monotonic() < end:
            time.sleep(0.01)  # the first one only hears whose the block is
        time.sleep(after_s)
        if not start.done():
            self.spawned[-1][1].kill()
        return start.result(60)

    def disk_verbs(self):
        """What an operator may try with a disk of the VM that runs, on the volume that does not have its ownership block."""
        if self.layout != "volumes":
            return
        agent = sankit.Agent(self.path, self.t_ms)
        try:
            for verb in (("disk", "delete", "v1/a"), ("disk", "rename", "v1/a", "z")):
                try:
                    agent.hvctl(*verb)
                except RuntimeError:
                    continue
                raise GivenAway(" ".join(verb))
        finally:
            agent.close()

    def rival(self):
        """A start on the other node although nobody is dead: its own look at the lease decides. True: it got the VM, and whoever had
        it must end."""
        new = self.cold_start(1 - self.here.index, True)
        if new:
            self.lost, self.here, self.there = self.here, new, None
        return new is not None

    def offer(self, vm):
        """The source's process died: may what landed here have the VM? As clu_heir_offer.c."""
        source = self.here
        text = "reaped n%d %s %s %d" % (source.index, source.boot_id, NOT_TOLD, source.process.pid)
        proof = {"kind": 3, "vm_uuid": self.uuid, "node": "n%d" % source.index, "boot_id": source.boot_id, "epoch": self.epoch,
                 "evidence": text, "detail": "reaped"}
        try:
            return vm.ask("take-over", 20, proof=proof) is not None
        except RuntimeError:
            return False

    def settle(self, rng, watch=False):
        """Until one process runs the VM, it beats, and no other is left. Raises Lost."""
        end, offered = time.monotonic() + SETTLE_S, False
        while time.monotonic() < end:
            source, dest = self.here, self.there
            for p in (source, dest):
                if p:
                    p.is_stopped()
            moving = self.move_thread and self.move_thread.is_alive()
            at = {p: p.state() for p in (source, dest) if p}
            runs = [p for p in at if at[p] == "running"]
            if dest in runs:
                if self.gone(source, 20):
                    return self.settled(dest)
            elif source in runs and not moving:
                if dest and not self.gone(dest, 3):
                    dest.kill()  # its agent forgets a landing whose move has failed
                return self.settled(source)
            elif dest and dest.alive() and not source.alive() and source.exit and not offered and not dest.stopped:
                offered = True
                if at[dest] == "incoming" and not self.offer(dest) and at[dest] == dest.state():
                    dest.kill()
            elif not (source and source.alive() and not source.stopped) and not (dest and dest.alive() and not dest.stopped):
                if self.restart(rng, watch):
                    return self.here
            elif dest and dest.alive() and at[dest] == "incoming" and source.stopped:
                dest.kill()  # pacemaker has lost the source's node: nobody can tell how it ended, so no heir
            time.sleep(0.02)
        raise Lost("not settled after %d s: %s" % (SETTLE_S, [(p.index, p.alive(), p.state(), p.stderr()[-300:])
                                                             for p in (self.here, self.there) if p]))

    def gone(self, p, seconds):
        """Waits for its end; one that is stopped is woken up first, as a node that thaws."""
        if p.stopped:
            p.go_on()
        end = time.monotonic() + seconds
        while p.alive() and time.monotonic() < end:
            time.sleep(0.01)
        return not p.alive()

    def settled(self, vm):
        for p in (self.here, self.there):
            if p and p is not vm and p.alive():
                p.kill()
        self.here, self.there = vm, None
        self.wait_beat(vm)
        return vm

    def restart(self, rng, watch):
        """Both are gone or frozen: a start on either node, or on both at once. Woken up afterwards, a frozen one must end."""
        if not self.watchdogs:  # nobody can tell what a frozen process will do: its node is switched off
            for _, process in self.spawned:
                if is_stopped(process):
                    process.kill()
                    process.wait()
        nodes = [rng.randrange(2)]
        if rng.random() < 0.25:
            nodes = [0, 1]
        made = [p for p in self.pool.map(lambda n: self.cold_start(n, watch), nodes) if p]
        if not made:
            return False
        assert len(made) == 1, "two starts at once, and both were let"
        for p in (self.here, self.there):
            if p and p.alive() and not self.gone(p, 30):
                raise AssertionError("a process that lost the VM does not end: " + p.stderr()[-600:])
        self.here, self.there = made[0], None
        self.wait_beat(self.here)
        return True

    def data_at(self, lun):
        """The first block of a volume's data (docs/DISK.md, super block)."""
        with open(os.path.join(self.san.dir, "lun%d" % lun), "rb") as f:
            f.seek(168)
            return int.from_bytes(f.read(8), "little") // 512

    # --- the end ---
    def close(self):
        for p in self.all:
            p.close()
        self.pool.shutdown()
        for daemon in self.watchdogs:
            daemon.kill()
            daemon.wait()
        self.san.close()
