#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a raw disk written by the bare guest's record store (guest_store.c) and says what is on it.

    record_disk.py IMAGE [--acked SEQ]

Prints JSON: records, first, last, missing (holes between them), repeated, boots (writers in their order), torn (whether the last sector is a
record that is not whole). With --acked every number from 1 to SEQ must be there: exit code 1 if one is missing.
"""
import argparse
import json
import struct
import sys
import zlib

SECTOR = 512
HEAD = struct.Struct("<8sQQQIIQ")
MAGIC = b"HVREC001"


def parse(sector, position):
    """(seq, boot id, payload) of a whole record of that position; None for anything else."""
    if len(sector) < SECTOR:
        return None
    magic, seq, own, boot, length, crc, _ = HEAD.unpack_from(sector)
    if magic != MAGIC or own != position or length > SECTOR - HEAD.size:
        return None
    if zlib.crc32(sector[:36] + b"\0\0\0\0" + sector[40:]) != crc:
        return None
    return seq, boot, sector[HEAD.size:HEAD.size + length]


def read(path):
    seqs, boots = [], []
    with open(path, "rb") as f:
        while True:
            sector = f.read(SECTOR)
            record = parse(sector, len(seqs))
            if record is None:
                break
            seqs.append(record[0])
            if not boots or boots[-1] != record[1]:
                boots.append(record[1])
    have = set(seqs)
    return {"records": len(seqs), "first": min(have, default=0), "last": max(have, default=0),
            "missing": max(have) - min(have) + 1 - len(have) if have else 0, "repeated": len(seqs) - len(have),
            "boots": [f"{b:016x}" for b in boots], "torn": sector[:8] == MAGIC}, have


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--acked", type=int, default=0)
    args = parser.parse_args()
    facts, have = read(args.image)
    facts["lost"] = sum(1 for seq in range(1, args.acked + 1) if seq not in have)
    print(json.dumps(facts))
    sys.exit(1 if facts["lost"] else 0)


if __name__ == "__main__":
    main()
