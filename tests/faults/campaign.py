# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs batches of pair.py side by side, adds them up, and can go on where it was interrupted."""
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import pairplan  # noqa: E402
from pairplan import KINDS  # noqa: E402

BATCH_S = 1800


def again(seed, batch):
    return "tests/faults/pair.py --seed %d --batch %d" % (seed, batch)


class Batches:
    """opts: seed, engine, jobs, keep (folder or None). build: folder with the programs."""

    def __init__(self, opts, build, say=print):
        self.opts, self.build, self.say, self.processes = opts, build, say, set()

    def one(self, number):
        """The summary of one batch, {"skipped": reason}, or {"broken": text}."""
        words = [sys.executable, "-B", os.path.join(HERE, "pair.py"), "--seed", str(self.opts.seed), "--batch", str(number),
                 "--engine", self.opts.engine]
        if self.opts.keep:
            words += ["--keep", os.path.join(self.opts.keep, "batch%d" % number)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                   env=dict(os.environ, HV_BUILD=self.build))
        self.processes.add(process)
        try:
            out = process.communicate(timeout=BATCH_S)[0]
        except subprocess.TimeoutExpired:
            out = "no end within %d s" % BATCH_S
        finally:
            self.kill(process)
        lines = out.strip().splitlines()
        try:
            last = json.loads(lines[-1])
        except (ValueError, IndexError):
            return {"batch": number, "broken": out[-2000:]}
        return last if "batch" in last or "skipped" in last else {"batch": number, "broken": out[-2000:]}

    def kill(self, process):
        """It and what it left."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        self.processes.discard(process)

    def run(self, numbers, stop=lambda result: False):
        """Yields the summaries as they come; no new one begins once stop(summary) says so. Ends what runs when it is left."""
        numbers, running = iter(numbers), {}
        pool = concurrent.futures.ThreadPoolExecutor(self.opts.jobs)
        stopped = False
        try:
            while True:
                while not stopped and len(running) < self.opts.jobs and (n := next(numbers, None)) is not None:
                    running[pool.submit(self.one, n)] = n
                if not running:
                    return
                for done in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)[0]:
                    del running[done]
                    result = done.result()
                    stopped = stopped or stop(result)
                    yield result
        finally:
            for process in list(self.processes):
                self.kill(process)
            pool.shutdown()


def totals(results):
    """Sums of batches, as the campaign reports them."""
    good = [r for r in results if "findings" in r]
    out = {"injections": sum(r["injections"] for r in good), "acked": sum(r["acked"] for r in good), "batches": len(good),
           "broken": sum("broken" in r for r in results)}
    out.update({kind: sum(len(r["findings"].get(kind, [])) for r in good) for kind in KINDS})
    return out


def is_bad(result):
    return "broken" in result or bool(result.get("findings"))


def read_state(path, seed):
    """Batches that an earlier run of the same seed has done: {number: summary}."""
    if not path or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        done = [json.loads(line) for line in f if line.endswith("\n")]
    return {r["batch"]: r for r in done if r.get("seed") == seed}


def run(opts, build, say=print):
    """opts also: pairs (how many injections), resume (file or None). Returns the report."""
    count = -(-opts.pairs // pairplan.BATCH)
    done = read_state(opts.resume, opts.seed)
    results = [done[n] for n in range(count) if n in done]
    if results:
        say("%d batches were done before" % len(results))
    begin = time.monotonic()
    for r in Batches(opts, build, say).run(n for n in range(count) if n not in done):
        if "skipped" in r:
            return r
        results.append(r)
        if opts.resume and "broken" not in r:
            with open(opts.resume, "a", encoding="utf-8") as f:
                f.write(json.dumps(r) + "\n")
        t = totals(results)
        say("%5d injections, %d records, %6.0f s%s" % (t["injections"], t["acked"], time.monotonic() - begin,
                                                     "" if not is_bad(r) else "  FOUND: %s (again: %s)" % (
                                                         json.dumps(r.get("findings") or r["broken"]), again(opts.seed, r["batch"]))), flush=True)
    return dict(totals(results), seed=opts.seed, findings=[r for r in results if is_bad(r)])
