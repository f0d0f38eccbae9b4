# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong, when: the matrix of phases x faults for two hosts without a cluster, drawn by a seed. Pure."""
import random

# What may be found, in the order of the campaign's table.
KINDS = ("dual_active", "lost_writes", "corrupted", "late_writes", "given_away", "lost_vms", "leaked")
SOURCE = ["mig.src.connect", "mig.src.connected", "mig.src.hello", "mig.src.welcome", "mig.src.round.first", "mig.src.round.later",
          "mig.src.pause", "mig.src.flushed", "mig.src.round.last", "mig.src.state", "mig.src.verified", "mig.src.committed", "mig.src.told"]
RUNNING = ["mig.src.hello", "mig.src.welcome", "mig.src.round.first", "mig.src.round.later"]
TARGET = ["mig.dst.hello", "mig.dst.welcome", "mig.land.memory", "mig.dst.landed", "mig.dst.loaded", "mig.dst.verified", "mig.dst.took"]
LEASE = ["lease_write", "lease_written"]
BATCH = 20  # injections on one SAN

# {fault: weight}. Of a move: what happens to one end at a phase. Of a loss: what the running VM's process meets.
MOVE = {"none": 4, "kill": 8, "error": 6, "stop": 1, "cancel": 3, "net-cut": 3, "net-silent": 1, "net-spoil": 2,
        "san-hang": 2, "san-drop": 4, "san-delay": 6, "san-refuse": 2, "power-cut": 2,
        "back-kill": 2, "stuck": 3}
LOSS = {"kill": 5, "stop": 1, "san-delay-kill": 8, "san-delay-kill-twice": 6, "san-lost-answer-kill": 3, "power-cut": 4, "san-drop": 2,
        "lease-kill": 3, "rival": 2, "disk-verbs": 1}
SECOND = ["kill-source", "kill-target", "san-drop", "power-cut"]


def one(rng):
    """One injection as plain data."""
    if rng.random() < 0.3:
        return {"what": "loss", "fault": rng.choices(list(LOSS), list(LOSS.values()))[0], "mode": "", "side": "source",
                "point": rng.choice(LEASE), "nth": rng.randrange(1, 3), "wait_ms": rng.randrange(0, 200), "watch": rng.random() < 0.15}
    fault = rng.choices(list(MOVE), list(MOVE.values()))[0]
    mode = rng.choice(["live", "live", "quick"])
    side = rng.choice(["source", "target"])
    point = rng.choice(SOURCE if side == "source" or not fault_is_of_process(fault) else TARGET)
    if fault == "san-delay" and rng.random() < 0.7:
        point = rng.choice(RUNNING)  # a write that is stuck when the vCPUs stop
    if fault == "back-kill":  # it goes on after "verified", and dies soon: what landed must not have the VM
        side, point = "source", "mig.src.verified"
    if mode == "quick" and point in ("mig.src.round.first", "mig.src.round.later"):
        point = "mig.src.round.last"  # a quick move has no rounds
    plan = {"what": "move", "fault": fault, "mode": mode, "side": side, "point": point, "watch": rng.random() < 0.1,
            "wait_ms": rng.randrange(0, 60)}
    if fault in ("kill", "error", "san-drop", "net-cut") and rng.random() < 0.25:
        plan["second"] = rng.choice(SECOND)
    return plan


def fault_is_of_process(fault):
    return fault in ("kill", "error", "stop")


def batch(seed, number):
    """(generator, {options of the rig}, injections) of one batch: the same for the same numbers."""
    rng = random.Random(seed * 1000003 + number)
    rig = {"layout": "volumes" if number % 2 else "lun", "watchdogs": number % 8 < 6}
    return rng, rig, [one(rng) for _ in range(BATCH)]
