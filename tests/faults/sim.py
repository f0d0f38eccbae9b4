# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign in the simulator: tests/sim/cluster/sim_cluster, many seeds, several processes side by side."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

BATCH = 500  # seeds of one process


def batch(program, seed, count):
    """{"seeds", "findings", "writes", "boots", "moves"} of one process."""
    text = subprocess.run([program, "--seed", str(seed), "--count", str(count)], capture_output=True, text=True, check=False)
    end = re.search(r"^(\d+) seeds, \d+ findings, (\d+) writes, (\d+) boots, (\d+) moves$", text.stdout, re.M)
    if not end:
        return {"seeds": 0, "writes": 0, "boots": 0, "moves": 0, "findings": [
            {"seed": seed, "what": "sim_cluster ended with %d within %d seeds: %s" % (text.returncode, count, text.stderr[-2000:])}]}
    found = [{"seed": int(m[1]), "what": m[2]} for m in re.finditer(r"^seed (\d+): (.*)$", text.stdout, re.M)]
    return {"seeds": int(end[1]), "findings": found, "writes": int(end[2]), "boots": int(end[3]), "moves": int(end[4])}


def run(opts, say=print):
    """opts: sim (how many seeds), seed (the first), jobs, build. Returns the report, or {"skipped": reason}. Ctrl-C: what there is until then."""
    program = os.path.join(opts.build, "tests", "sim", "cluster", "sim_cluster")
    if not os.access(program, os.X_OK):
        return {"skipped": "%s is not there: run make tests/sim/cluster/sim_cluster in %s" % (program, opts.build)}
    total = {"seeds": 0, "findings": [], "writes": 0, "boots": 0, "moves": 0}
    pool = ThreadPoolExecutor(opts.jobs)
    tasks = [pool.submit(batch, program, s, min(BATCH, opts.seed + opts.sim - s)) for s in range(opts.seed, opts.seed + opts.sim, BATCH)]
    try:
        for task in tasks:
            for key, value in task.result().items():
                total[key] += value
            for f in task.result()["findings"]:
                say("seed %d: %s (again: %s --seed %d --verbose)" % (f["seed"], f["what"], program, f["seed"]), flush=True)
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
    say("%d seeds, %d findings, %d writes, %d boots, %d moves" % (
        total["seeds"], len(total["findings"]), total["writes"], total["boots"], total["moves"]))
    return total
