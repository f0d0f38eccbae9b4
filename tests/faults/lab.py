# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign in a real cluster: breaks migrations at random phases in random ways, and judges every time.

Each injection starts a live or quick move of a VM and lets one thing go wrong at one phase: kill -9 of the source's or the
destination's hvcore, a fault point that fails or delays, SIGSTOP longer than the lease, kill -9 of either agent, a power cut of either node,
the SAN or the migration network of either node cut, the cluster network cut. Then everything is mended, and this must hold: the VM runs on exactly one
node, heartbeats of two processes never overlapped, the guest found no stale page, no acknowledged record is lost, the SAN's
write log has no write of anybody who was shut out. Power cuts of the node that runs the VM without any move are losses of a node.
The same seed makes the same choices (not the same timing).
"""

import os
import random
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
import labkit  # noqa: E402
import movekit  # noqa: E402

# {fault: (does it need a phase, weight)}
FAULTS = {"kill-source": 5, "kill-target": 5, "error-source": 3, "error-target": 3, "stop-source": 1, "stop-target": 1,
          "kill-source-agent": 2, "kill-target-agent": 2, "power-source": 2, "power-target": 2, "cut-migration": 2,
          "cut-san-target": 1, "cut-san-source": 1, "cut-cluster-source": 1, "loss": 4, "none": 2}
LAB = 25  # injections in one lab
SECOND = "san1"
CUT_S = 15
STOP_S = 20  # longer than the lease, so that the process wakes up as a zombie


def plan(rng):
    """Pure: one injection."""
    fault = rng.choices(list(FAULTS), list(FAULTS.values()))[0]
    target = fault.endswith("-target") and fault.split("-")[0] in ("kill", "error", "stop") and "agent" not in fault
    return {"mode": rng.choice(["live", "live", "quick"]), "fault": fault,
            "point": rng.choice(movekit.TARGET_POINTS if target else movekit.SOURCE_POINTS), "hop": rng.randrange(2)}


def point_of(kind, mode):
    """Quick moves have no rounds: what would happen in a round happens in the last pass."""
    return "mig.src.round.last" if mode == "quick" and kind in ("mig.src.round.first", "mig.src.round.later") else kind


class Injector:
    def __init__(self, vm):
        self.vm, self.lab = vm, vm.lab

    def processes(self, node, name, signal):
        self.lab.run(node, "sh", "-c", 'for p in /proc/[0-9]*; do case $(readlink $p/exe) in */"$0"*) kill -$1 ${p#/proc/};; esac; done',
                     name, signal, check=False)

    def one(self, p):
        """Runs one injection; returns what happened. Raises AssertionError if the VM does not settle."""
        vm, lab = self.vm, self.lab
        node, boots = vm.settled(), vm.boots()
        if p["fault"] == "loss":
            lab.kill(node)
            there = vm.settled(not_on=(node,), timeout=150)
            lab.restore()
            return {"from": node, "to": "", "on": there, "restarts": vm.boots() - boots, "said": []}
        to = [n for n in lab.names() if n != node][p["hop"]]
        third = next(n for n in lab.names() if n not in (node, to))
        kind, side = (p["fault"] + "-").split("-", 1)
        side = side.rstrip("-")
        point = point_of(p["point"], p["mode"])
        stopped = None
        if kind in ("kill", "error") and side in ("source", "target"):
            spec = point + ("=kill" if kind == "kill" else "=error:5@1")
            if side == "source":
                vm.fault(node, spec)
            else:
                vm.fault(node, "mig.src.connect=delay:700@1")
            move = vm.migrate_begin(to, "--" + p["mode"], ask=third)
            if side == "target":
                vm.fault_landing(to, spec)
        else:
            vm.fault(node, ("mig.src.round.last" if p["mode"] == "quick" or p["hop"] else "mig.src.round.first") + "=delay:1500@1")
            move = vm.migrate_begin(to, "--" + p["mode"], ask=third)
            if kind != "none":
                time.sleep(0.8)
                stopped = self.disturb(kind, side, node, to)
            if kind == "cut":  # mended while the move still goes on or just after
                time.sleep(CUT_S)
                lab.restore()
        try:
            said = move.communicate(timeout=150)
        except Exception:
            move.kill()
            said = move.communicate()
        if stopped:
            time.sleep(max(0, stopped[1] + STOP_S - time.monotonic()))
            self.processes(stopped[0], "hvcore", "CONT")
        lab.restore()
        there = vm.settled(timeout=150)
        return {"from": node, "to": to, "on": there, "restarts": vm.boots() - boots,
                "said": (said[0] or said[1]).strip().splitlines()[:1]}

    def disturb(self, kind, side, node, to):
        lab, where = self.lab, to if side.startswith("target") or side.endswith("target") else node
        if kind == "stop":
            self.processes(where, "hvcore", "STOP")
            return where, time.monotonic()
        if kind == "kill":
            self.processes(where, "hvclusterd", "KILL")
        elif kind == "power":
            lab.kill(where)
        elif side == "migration":
            lab.cut(to, "migration")
        elif side.startswith("san"):
            lab.cut(where, "san")
        else:
            lab.cut(where, "cluster")
        return None


def audit(vm):
    """(dual-active beats, complaints) so far."""
    verdict = vm.beats.verdict()
    found = vm.complaints() + movekit.san_findings(vm.lab)
    found += ["broken beats on " + run["node"] for run in verdict["runs"] if run["broken"]]
    return verdict["dual_active"], found


def second_disk(lab):
    """Options of a VM with a disk on another volume, whose LUN is the lab's second one."""
    said = lab.run("node1", "hvctl", "volume", "create", SECOND, lab.url.rsplit("/", 1)[0] + "/1", check=False)
    assert said.returncode == 0 or "exist" in said.stderr, said.stderr
    lab.run("node1", "hvctl", "disk", "create", SECOND + "/victim2", "--size", "16M")
    return ("--disk", SECOND + "/victim2")


def one_lab(opts, lab, rng, count, say):
    """Injections in one lab; {"rows", "dual_active", "findings", "acked", "lost", "bad", "stuck"}."""
    movekit.make_volume(lab)
    two = rng.random() < 0.5
    vm = movekit.Move(lab, "victim", "10.77.3.120", opts.engine, options=second_disk(lab) if two else ())
    rows, stuck = [], 0
    result = {"rows": rows, "nodes": len(lab.names()), "volumes": 1 + two}
    try:
        vm.start()
        vm.begin_records()
        time.sleep(1)
        for _ in range(count):
            p = plan(rng)
            begin = time.monotonic()
            try:
                row = Injector(vm).one(p)
            except AssertionError as e:
                stuck += 1
                row = {"stuck": str(e)[:300]}
            row = dict(p, seconds=round(time.monotonic() - begin, 1), **row)
            rows.append(row)
            say("lab %3d %-18s %-18s %-5s %5.1f s  %s" % (
                len(rows), p["fault"], p["point"], p["mode"], row["seconds"], "STUCK " + row["stuck"] if "stuck" in row else
                "%s -> %s, now on %s, %d restarts" % (row["from"], row["to"], row["on"], row["restarts"])), flush=True)
            if "stuck" in row:
                break
        records = vm.end_records()
        result["dual_active"], result["findings"] = audit(vm)
        result["acked"], result["lost"], result["bad"] = records["acked"], records["lost"], records["bad"]
    finally:
        vm.close()
    return dict(result, stuck=stuck)


def is_bad(r):
    return bool(r["dual_active"] or r["lost"] or r["bad"] or r["findings"] or r["stuck"])


def totals(results):
    """In the words of campaign.py."""
    rows = [row for r in results for row in r["rows"]]
    return {"injections": len(rows), "node_losses": sum(row["fault"] in ("loss", "power-source") for row in rows),
            "clean_moves": sum(row["fault"] == "none" for row in rows), "acked": sum(r["acked"] for r in results),
            "dual_active": sum(r["dual_active"] for r in results), "lost_writes": sum(r["lost"] for r in results),
            "corrupted": sum(len([t for t in r["findings"] if "guest" in t or "broken" in t]) for r in results) + sum(r["bad"] for r in results),
            "late_writes": sum(len([t for t in r["findings"] if t.startswith("fence")]) for r in results),
            "lost_vms": sum(r["stuck"] for r in results), "leaked": sum(r.get("leaked", 0) for r in results)}


def run(opts, say=print):
    """opts: lab (how many injections), seed, engine, keep. Returns the report, or {"skipped": reason}."""
    reason = labkit.why_not()
    if reason:
        return {"skipped": reason}
    rng, results, left = random.Random(opts.seed), [], opts.lab
    while left > 0:
        count = min(left, LAB)
        left -= count
        lab, bad = labkit.Lab(nodes=5 if len(results) % 4 == 3 else 3, logs=opts.keep), True
        try:
            r = one_lab(opts, lab.up(), rng, count, say)
            bad = is_bad(r)
        finally:
            lab.down(keep_logs=bad)
        r["leaked"] = len(lab.leftovers())
        results.append(r)
        for text in r["findings"]:
            say(text)
        if bad:
            break
    return dict(totals(results), seed=opts.seed, labs=results)
