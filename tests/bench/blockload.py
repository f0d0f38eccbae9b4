# SPDX-License-Identifier: GPL-2.0-or-later
"""The block benches' load on its different sides, and rows of what was measured. Used by bench_block.py and bench_volume.py; the load itself is in
blockload.h."""
import json
import os
import re
import shutil
import statistics
import subprocess

import stats

KIB, MIB = 1 << 10, 1 << 20
LUN_MIB = 256
STEP = 40583 * 4 * KIB  # odd, so all blocks of a LUN with 2^n of them are visited; 0.62 of 65536
RUNS = {"4k_qd1": (4 * KIB, 1, 3000, STEP), "4k_qd16": (4 * KIB, 16, 10000, STEP), "4k_qd32": (4 * KIB, 32, 10000, STEP),
        "1m_seq": (MIB, 8, 200, MIB)}
LOADS = [(op, run) for run in RUNS for op in ("read", "write")]
QEMU_IMG = shutil.which("qemu-img")


def programs(env):
    """Path of blockload; the bare loop is beside it."""
    path = os.path.join(env.build, "tests/bench/blockload")
    env.need(path, path + "_iscsi")
    return path


def cpu_words():
    """(words before the target, words before an initiator)."""
    last = max(os.sched_getaffinity(0))
    target, initiator = (os.environ.get("BENCH_BLOCK_CPUS") or f"{last},{last}").split(",")
    fifo = ["chrt", "-f", "10"] if subprocess.run(["chrt", "-f", "10", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0 else []
    return [*fifo, "taskset", "-c", target], [*fifo, "taskset", "-c", initiator]


class Side:
    """One program that can do a load. once() gives (seconds, CPU seconds)."""

    def __init__(self, prefix, command):
        self.prefix, self.command = prefix, command

    def once(self, op, size, depth, count, step):
        out = subprocess.run([*self.prefix, *self.command, "--op", op, "--size", str(size), "--depth", str(depth), "--count", str(count),
                              "--step", str(step)], check=True, capture_output=True, text=True).stdout
        result = json.loads(out)
        return result["seconds"], result["cpu_seconds"]


class QemuImg(Side):
    def __init__(self, prefix, url, *words):
        super().__init__(prefix, ["qemu-img", "bench", "-f", "raw", "-t", "none", *words])
        self.url = url
        self.start_cpu = 0.0
        self.start_cpu = statistics.median(self.once("read", 4 * KIB, 1, 1, 4 * KIB)[1] for _ in range(3))

    def once(self, op, size, depth, count, step):
        write = ["-w"] if op == "write" else []
        with subprocess.Popen([*self.prefix, *self.command, *write, "-c", str(count), "-d", str(depth), "-s", str(size), "-S", str(step), self.url],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
            out = p.stdout.read()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        took = re.search(r"completed in ([0-9.]+) seconds", out)
        if p.returncode or not took:
            raise RuntimeError(f"qemu-img bench: {out}")
        return float(took[1]), max(usage.ru_utime + usage.ru_stime - self.start_cpu, 0)


def measure(env, sides, op, run):
    """{side: [(us per request, CPU us per request)]}: every round has each side once, every second one backwards."""
    size, depth, count, step = RUNS[run]
    out = {name: [] for name in sides}
    for number in range(env.pairs):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            seconds, cpu = sides[name].once(op, size, depth, count, step)
            out[name].append((seconds / count * 1e6, cpu / count * 1e6))
    return out


def ratio_words(ours, other, what):
    ratio, low, high = stats.ratio_interval(list(zip(ours, other)))
    return f"{ratio:.2f} ({low:.2f} .. {high:.2f}) times {what}"


def row(name, measured, peer, limit=None, words=""):
    wall = {side: [us for us, _ in values] for side, values in measured.items()}
    cpu = ", ".join(f"{side} {statistics.median(us for _, us in values):.1f}" for side, values in measured.items())
    notes = [words] if words else []
    if limit:
        notes.append(ratio_words(wall["ours"], wall[limit], limit))
    return stats.make_row(name, "us/io", wall["ours"], wall.get(peer), limit=statistics.median(wall[limit]) if limit else None,
                          note="; ".join([*notes, f"CPU us per request: {cpu}"]))
