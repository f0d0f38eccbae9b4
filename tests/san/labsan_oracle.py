#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""labsan_oracle.py - reads labsan's write log and says where a promise was broken.

labsan_oracle.py LOG [--range LUN:LBA:BLOCKS]... [--disk LUN:FILE[:BLOCKSIZE]]...

 fence   after a key was shut out (PREEMPT AND ABORT answered, or PREEMPT and a later reset answered), no write
         that was accepted under it may land
 writers (--range) the writes of a range come from one key after another; once another key wrote, the first one must
         not write again. Registered keys only: a range is given where there is one writer at a time, as a VM's disk
 disk    (--disk, after labsan ended) what was written last is there. After a power cut a block may hold its last
         durable data or anything volatile that was written over it later
Prints one line per finding; exit 0 = none, 1 = some, 2 = the log cannot be read.
"""
import argparse
import json
import sys

TABLE = []
for _i in range(256):
    _c = _i
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    TABLE.append(_c)

WRITES = ("write6", "write10", "write12", "write16", "write-verify10", "write-verify12", "write-verify16",
          "orwrite", "write-same10", "write-same16", "unmap", "caw")
NO_KEY = "0" * 16


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return "%08x" % (crc ^ 0xFFFFFFFF)


def load(path):
    """All lines; a last one that a SIGKILL cut short is left out, anything else broken is an error."""
    lines = []
    with open(path, encoding="ascii") as f:
        raw = f.read().split("\n")
    for i, text in enumerate(raw):
        if not text:
            continue
        try:
            lines.append(json.loads(text))
        except ValueError:
            if i != len(raw) - 1:
                raise
    return lines


def is_write(e):
    return e.get("op") in WRITES and e["status"] == 0


def extents(e):
    """[(lba, blocks)] that a write changed; None where the log could not name all."""
    if e["op"] == "unmap":
        return e.get("ranges", [])
    return [(e["lba"], e["blocks"])]


def check_fence(log):
    """Needs no arguments: a write under a key that is dead on its LUN."""
    found = []
    dead, dying = {}, {}
    for e in log:
        if e.get("event") == "reset":
            lun = int(e["text"].split()[0].split("=")[1])
            for (where, key), by in list(dying.items()):
                if lun in (-1, where):
                    dead[where, key] = by
                    del dying[where, key]
        elif e.get("event") in ("power-cut", "start"):
            dead, dying = {}, {}  # nothing waits any more, and reservations may be gone
        elif e.get("op", "").startswith("pr-") and e["status"] == 0:
            lun, sark = e["lun"], e.get("sark", NO_KEY)
            if e["op"] == "pr-preempt-abort" and sark != e["rk"]:
                dead[lun, sark] = e["seq"]
            elif e["op"] == "pr-preempt" and sark != e["rk"]:
                dying[lun, sark] = e["seq"]
            elif e["op"] in ("pr-register", "pr-register-ignore"):
                dead.pop((lun, sark), None)
                dying.pop((lun, sark), None)
        elif is_write(e) and (e["lun"], e["key"]) in dead:
            found.append("fence: seq %d: %s of key %s landed on LUN %d although seq %d had shut it out"
                         % (e["seq"], e["op"], e["key"], e["lun"], dead[e["lun"], e["key"]]))
    return found


def overlaps(e, lba, blocks):
    return any(x is None or (x[0] < lba + blocks and lba < x[0] + x[1]) for x in extents(e))


def check_writers(log, lun, lba, blocks):
    found, past, now = [], set(), None
    for e in log:
        if not is_write(e) or e["lun"] != lun or e["key"] == NO_KEY or not overlaps(e, lba, blocks):
            continue
        if e["key"] in past:
            found.append("writers: seq %d: key %s wrote LUN %d blocks %d+%d again after key %s had"
                         % (e["seq"], e["key"], lun, e["lba"], e["blocks"], now))
        elif e["key"] != now:
            if now:
                past.add(now)
            now = e["key"]
    return found


class Block:
    """What one block may hold: the last durable write, and the volatile ones after it."""
    __slots__ = ("sure", "maybe")

    def __init__(self):
        self.sure, self.maybe = None, []


def follow(log, lun):
    """Per block, the writes (indexes into log) that it may show at the end; None = as it was at first."""
    blocks, volatile = {}, set()
    for i, e in enumerate(log):
        if e.get("event") == "power-cut" or (e.get("event") == "start" and i):
            # the cut may have kept any part; a stop without one wrote all of it back
            for n in volatile:
                blocks[n].maybe.append(blocks[n].sure)
                blocks[n].sure = "lost"
            volatile = set()
        elif e.get("event") == "stop":
            volatile = settle(blocks, volatile, volatile)
        elif e.get("lun") != lun:
            continue
        elif e.get("op", "").startswith("sync") and e["status"] == 0:
            first, count = e["lba"], e["blocks"] or 1 << 62
            volatile = settle(blocks, volatile, {n for n in volatile if first <= n < first + count})
        elif is_write(e):
            for x in extents(e):
                if x is None:
                    raise ValueError("seq %d: a cut UNMAP list" % e["seq"])
                for n in range(x[0], x[0] + x[1]):
                    b = blocks.setdefault(n, Block())
                    if e["durable"]:
                        b.sure, b.maybe = i, []
                        volatile.discard(n)
                    else:
                        b.maybe.append(i)
                        volatile.add(n)
    for n in volatile:  # the log ends without a stop: labsan may have been killed
        blocks[n].maybe.append(blocks[n].sure)
        blocks[n].sure = "lost"
    return {n: [b.sure] if b.sure != "lost" else b.maybe for n, b in blocks.items()}


def settle(blocks, volatile, which):
    """A flush: the newest data of these blocks is the durable one."""
    for n in which:
        b = blocks[n]
        b.sure, b.maybe = b.maybe[-1], []
    return volatile - which


def check_disk(log, lun, path, bs):
    """Compares whole writes that no later one touched; a partly overwritten one has no checksum any more."""
    found, checked = [], 0
    blocks = follow(log, lun)
    with open(path, "rb") as disk:
        for i, e in enumerate(log):
            if not is_write(e) or e["lun"] != lun:
                continue
            for lba, count in extents(e):
                if not count or any(blocks[n] != [i] for n in range(lba, lba + count)):
                    continue
                checked += 1
                disk.seek(lba * bs)
                data = disk.read(count * bs)
                if e["op"] == "unmap" or (e["op"].startswith("write-same") and not e["bytes"]):
                    good = not any(data)
                elif e["op"].startswith("write-same"):
                    good = crc32c(data[:bs]) == e["crc"] and data == data[:bs] * count
                else:
                    good = crc32c(data) == e["crc"]
                if not good:
                    found.append("disk: seq %d: %s of LUN %d blocks %d+%d (key %s) is not on the disk"
                                 % (e["seq"], e["op"], lun, lba, count, e["key"]))
    return found, checked


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("--range", action="append", default=[])
    parser.add_argument("--disk", action="append", default=[])
    opts = parser.parse_args()
    try:
        log = load(opts.log)
    except (OSError, ValueError) as error:
        print("%s: %s" % (opts.log, error), file=sys.stderr)
        return 2
    found = check_fence(log)
    for text in opts.range:
        found += check_writers(log, *(int(x) for x in text.split(":")))
    checked = 0
    for text in opts.disk:
        part = text.split(":")
        more, n = check_disk(log, int(part[0]), part[1], int(part[2]) if len(part) > 2 else 512)
        found += more
        checked += n
    for line in found:
        print(line)
    print("%d lines, %d writes compared with the disk, %d findings" % (len(log), checked, len(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
