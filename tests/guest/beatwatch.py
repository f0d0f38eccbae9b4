#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches heartbeats of one VM on several nodes: the witness of blackouts and of "never runs twice".

    beatwatch.py NODE=SOCKET... [--json FILE]

Listens on a UNIX socket for each node; every hvcore process that connects there is one run of the VM. hvcore stamps each beat with CLOCK_MONOTONIC
when the guest makes it, so all nodes of one machine share the clock and it does not matter when we read. Prints a JSON line when a run begins
and ends. On SIGTERM or SIGINT (also with --json) the verdict:

    runs         [{node, first_ns, last_ns, beats, boots, broken}] in order of their first beat; broken counts beats that are out of sequence
    moves        [{from, to, gap_ms, same_boot}] between successive runs: last beat there to first beat here; same_boot: the sequence goes on
    dual_active  beats that one run made while another was alive: anything but 0 means that the VM ran twice

Exit code 1 if dual_active is not 0.
"""
import argparse
import json
import os
import selectors
import signal
import socket
import sys

START = 0x40


class Run:
    """The beats of one hvcore process."""

    def __init__(self, node):
        self.node, self.beats, self.rest = node, [], b""

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            words = line.split(b" ")
            if len(words) == 3 and words[1] == b"b":
                self.beats.append((int(words[0]), int(words[2], 16)))


def facts(run):
    """What the verdict says of one run; None if it never beat."""
    if not run.beats:
        return None
    broken = sum(1 for (_, a), (_, b) in zip(run.beats, run.beats[1:])
                 if b != START and b != (0x80 if a == START else 0x80 | (a + 1) & 0x3F))
    return {"node": run.node, "first_ns": run.beats[0][0], "last_ns": run.beats[-1][0], "beats": len(run.beats),
            "boots": sum(1 for _, value in run.beats if value == START), "broken": broken}


def verdict(runs):
    """Pure: the document of all runs."""
    runs = sorted((run for run in runs if run.beats), key=lambda run: run.beats[0][0])
    moves = []
    for before, after in zip(runs, runs[1:]):
        (last_ns, last), (first_ns, first) = before.beats[-1], after.beats[0]
        moves.append({"from": before.node, "to": after.node, "gap_ms": (first_ns - last_ns) / 1e6,
                      "same_boot": first == 0x80 | (last + 1) & 0x3F and last != START})
    dual = sum(1 for a in runs for b in runs if a is not b for at, _ in a.beats if b.beats[0][0] <= at <= b.beats[-1][0])
    return {"runs": [facts(run) for run in runs], "moves": moves, "dual_active": dual}


class Watch:
    """The sockets. turn() takes what there is."""

    def __init__(self, places, say=lambda event: None):
        self.selector, self.runs, self.paths, self.say = selectors.DefaultSelector(), [], [], say
        for node, path in places:
            if os.path.exists(path):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
            os.chmod(path, 0o666)  # hvcore runs as a user of its own
            listener.listen(16)
            self.paths.append(path)
            self.selector.register(listener, selectors.EVENT_READ, (self.accept, node))

    def accept(self, listener, node):
        connection, _ = listener.accept()
        run = Run(node)
        self.runs.append(run)
        self.selector.register(connection, selectors.EVENT_READ, (self.read, run))

    def read(self, connection, run):
        fresh = not run.beats
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        run.feed(data)
        if fresh and run.beats:
            self.say({"event": "first", "node": run.node, "ns": run.beats[0][0]})
        if not data:
            self.selector.unregister(connection)
            connection.close()
            if run.beats:
                self.say({"event": "last", "node": run.node, "ns": run.beats[-1][0]})

    def turn(self, timeout):
        for key, _ in self.selector.select(timeout):
            what, arg = key.data
            what(key.fileobj, arg)

    def close(self):
        for path in self.paths:
            if os.path.exists(path):
                os.unlink(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", metavar="NODE=SOCKET")
    parser.add_argument("--json", metavar="FILE", help="write the verdict there as well")
    args = parser.parse_args()
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    watch = Watch([place.split("=", 1) for place in args.places], lambda event: print(json.dumps(event), flush=True))
    try:
        while not ended:
            watch.turn(0.2)
        watch.turn(0)
    finally:
        watch.close()
    document = verdict(watch.runs)
    print(json.dumps(document), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(document, f, indent=1)
    sys.exit(1 if document["dual_active"] else 0)


if __name__ == "__main__":
    main()
