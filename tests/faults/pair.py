# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign on two hosts without a cluster: batches of injections, each batch on a SAN of its own and in a process of its own.

    pair.py --batch N --seed S [--engine E] [--t MS]    one batch; a JSON object for each injection, then one of the batch

A batch is the same for the same seed and number (not its timing), so any finding can be repeated by its line."""
import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import pairjudge  # noqa: E402
import pairplan  # noqa: E402
import pairrig  # noqa: E402
from pairrig import GivenAway, Lost  # noqa: E402


HOLD_MS = 300
INITIATOR = "iqn.2026-01.invalid.hvcluster:n"


class Injector:
    def __init__(self, rig, rng):
        self.rig, self.rng, self.later = rig, rng, None

    def one(self, p):
        rig, before = self.rig, self.rig.here
        if p["what"] == "loss":
            self.loss(p)
        else:
            self.move(p)
        if not p["fault"].startswith("san-delay-kill"):
            rig.san.ctl("clear")
            rig.san.ctl("release")
        for one in (rig.here, rig.there):
            if one and not one.is_stopped() and one.alive():
                one.fault("")
        rig.settle(self.rng, p["watch"])
        if self.later:
            self.later.join()
            self.later = None
        rig.here.fault("")
        self.check_kept(p, before)

    # --- a VM that runs, and what happens to it ---
    def loss(self, p):
        rig, vm, fault = self.rig, self.rig.here, p["fault"]
        time.sleep(p["wait_ms"] / 1000)
        if fault.startswith("san-delay"):
            rig.san.ctl("delay ms=3600000 class=write,sync count=2")
            time.sleep(0.05)
        elif fault.startswith("san-lost"):
            rig.san.ctl("error what=drop-after class=caw count=1")
            time.sleep(0.3)
        if fault == "lease-kill":
            vm.fault("%s=kill@%d" % (p["point"], p["nth"]))
            rig.gone(vm, 10)
        elif fault == "stop":
            vm.stop()
        elif fault == "power-cut":
            self.power_cut()
        elif fault == "san-drop":
            rig.san.ctl("drop all")
        elif fault == "rival":
            self.rival(vm)
        elif fault == "disk-verbs":
            rig.disk_verbs()
        if "kill" in fault and vm.alive():
            vm.kill()
        if fault.endswith("twice"):
            took = rig.kill_starter(self.rng.randrange(2), self.rng.random() * 0.3)
            if took:
                rig.here = took
        if fault.startswith("san-delay"):
            # The new owner's barrier has to wait for what is stuck in the array: it lands while he starts, or soon after.
            rig.san.ctl("clear")
            self.later = threading.Timer(self.rng.choice([0.5, 1.5]), rig.san.ctl, ["release"])
            self.later.start()

    def rival(self, vm):
        """The owner hears nothing of the SAN for a while, and pacemaker wants the VM elsewhere."""
        rig = self.rig
        nexus = self.nexus(INITIATOR + str(vm.index))
        rig.san.ctl("hang " + nexus)
        took = rig.rival()
        rig.san.ctl("unhang " + nexus)
        if took and not rig.gone(rig.lost, 30):
            raise AssertionError("a process that lost the VM does not end: " + rig.lost.stderr()[-600:])

    def power_cut(self):
        self.rig.san.ctl("power-cut keep=%d seed=%d" % (self.rng.choice([0, 0, 50]), self.rng.randrange(1000)))
        self.rig.san.ctl("power-on")

    def check_kept(self, p, moved):
        """Nothing happened to that move: the guest must not have booted anew."""
        if p["what"] == "move" and p["fault"] == "none" and moved is not self.rig.here and \
                pairrig.corekit.BEAT_START in self.rig.here.beats.values():
            raise AssertionError("a move without any fault, and the VM began anew: " + str(self.rig.said))

    # --- a move, and what happens to one of its ends ---
    def move(self, p):
        rig, fault = self.rig, p["fault"]
        thread = rig.move_begin(p["mode"], fault.startswith("net-"))
        victim = rig.here if p["side"] == "source" else rig.there
        if pairplan.fault_is_of_process(fault):
            victim.fault(p["point"] + {"kill": "=kill@1", "error": "=error:5@1", "stop": "=stop@1"}[fault])
            thread.start()
        elif fault == "none":
            thread.start()
        elif fault == "stuck":  # the pause comes while the array has a write
            rig.san.ctl("delay ms=900 class=write count=1")
            end = time.monotonic() + 2
            while not any(lun["tasks"] for lun in rig.san.ctl("luns")["luns"]) and time.monotonic() < end:
                time.sleep(0.002)
            thread.start()
        elif fault == "back-kill":
            victim.fault(p["point"] + "=error:5@1")
            thread.start()
            thread.join(30)
            time.sleep(self.rng.random() * 0.4)
            victim.kill()
        else:
            # Its loop may be what sleeps there, so nobody can wake it up: long enough for what happens meanwhile.
            rig.here.fault("%s=delay:%d@1" % (p["point"], HOLD_MS))
            thread.start()
            if rig.wait_hit(rig.here, p["point"]):
                self.disturb(p, victim)
        if "second" in p:
            self.second(p["second"], thread)
        thread.join(timeout=30)
        for one in (rig.here, rig.there):
            one.is_stopped()
        if rig.relay:
            rig.relay.close()

    def disturb(self, p, victim):
        rig, fault = self.rig, p["fault"]
        name = INITIATOR + str(victim.index)
        if fault == "cancel":
            try:
                rig.here.ask("migrate-cancel", 5)
            except RuntimeError:
                pass
        elif fault == "net-cut":
            rig.relay.cut()
        elif fault in ("net-silent", "net-spoil"):
            rig.relay.mode = fault[4:]
        elif fault == "san-drop":
            rig.san.ctl("drop " + self.nexus(name))
        elif fault == "san-hang":
            nexus = self.nexus(name)
            rig.san.ctl("hang " + nexus)
            time.sleep(self.rng.choice([1, 6]) * rig.t_ms / 1000)
            rig.san.ctl("unhang " + nexus)
        elif fault == "san-delay":
            rig.san.ctl("delay ms=%d class=%s count=8" % (self.rng.choice([50, 300, 700]),
                                                           self.rng.choice(["write", "write", "write,sync", "caw", "pr"])))
        elif fault == "san-refuse":
            rig.san.ctl("error what=%s class=%s count=2" % (self.rng.choice(["busy", "02/04/01", "0b/00/00", "full"]),
                                                            self.rng.choice(["write,sync", "caw", "pr"])))
        elif fault == "power-cut":
            self.power_cut()

    def nexus(self, initiator):
        """The initiator's name if it has a session, else everybody's."""
        return initiator if any(s["initiator"] == initiator for s in self.rig.san.ctl("sessions")["sessions"]) else "all"

    def second(self, what, thread):
        """A second fault while the first one is being dealt with."""
        rig = self.rig
        thread.join(timeout=self.rng.random() * 0.4)
        if what == "san-drop":
            rig.san.ctl("drop all")
        elif what == "power-cut":
            self.power_cut()
        else:
            one = rig.here if what == "kill-source" else rig.there
            if one.alive():
                one.kill()


def end(rig, layout, found):
    """The VM ends in order, starts once more, says what is on its disk, ends; then nothing of it may be left."""
    vm = rig.here
    vm.ask("stop", 60, args={"force": 1})
    if not rig.gone(vm, 30):
        found.add("leaked", "the VM's process did not end when it was told to")
        return
    last = rig.process(0)
    rig.wait_beat(last)
    last.wait_serial(" boot=", 30)
    said = last.serial()
    last.ask("stop", 60, args={"force": 1})
    rig.gone(last, 30)
    lives = [p for p in rig.all if p is not last]
    pairjudge.beats(rig.all, found)
    pairjudge.memory(rig.all, found)
    pairjudge.records(lives, said, found)
    pairjudge.leaks(rig, found)
    pairjudge.san(os.path.join(rig.san.dir, "writes.jsonl"), [(2, 0), (3, 0)] if layout == "lun" else [(1, rig.data_at(1))], found)


def run(opts, say=print):
    """One batch; returns its summary."""
    rng, how, plans = pairplan.batch(opts.seed, opts.batch)
    found, done = pairjudge.Findings(), 0
    path = tempfile.mkdtemp(prefix="hvpair.")
    rig = None
    try:
        rig = pairrig.Rig(path, opts.engine, how["layout"], opts.t, how["watchdogs"])
        rig.first()
        injector = Injector(rig, rng)
        for n, p in enumerate(plans):
            begin = time.monotonic()
            try:
                injector.one(p)
            except GivenAway as e:
                found.add("given_away", "%s: %s" % (json.dumps(p), e))
            except (Lost, AssertionError) as e:
                found.add("lost_vms", "%s: %s" % (json.dumps(p), e))
            done += 1
            pairjudge.beats(rig.all, found)
            say(json.dumps(dict(p, n=n, **how, seconds=round(time.monotonic() - begin, 2), said=rig.said if p["mode"] else "",
                                on="n%d" % rig.here.index, findings=found)), flush=True)
            if found:
                break
        if not found:
            end(rig, how["layout"], found)
        acks = len(pairjudge.acked(rig.all))
    finally:
        if rig:
            if found and opts.keep:
                keep(rig, opts.keep)
            rig.close()
        shutil.rmtree(path, ignore_errors=True)
    return {"batch": opts.batch, "seed": opts.seed, **how, "injections": done, "acked": acks, "findings": found}


def keep(rig, folder):
    """What is needed to see why: logs of the processes and of the SAN."""
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(rig.san.dir, "writes.jsonl"), folder)
    for k, p in enumerate(rig.all):
        with open(os.path.join(folder, "%03d-n%d-%d.log" % (k, p.index, p.process.pid)), "w", encoding="utf-8") as f:
            f.write(p.stderr() + "\n--- serial ---\n" + p.serial())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--engine", default="soft")
    parser.add_argument("--t", type=int, default=500, metavar="MS", help="io_timeout of the VM")
    parser.add_argument("--keep", metavar="DIR", help="logs go there if something was found")
    opts = parser.parse_args()
    reason = pairrig.corekit.why_not() or pairrig.corekit.own_network()
    if reason:
        print(json.dumps({"skipped": reason}))
        return 77
    result = run(opts)
    print(json.dumps(result), flush=True)
    return 1 if result["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
