#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""labsan_oracle_test.py - is the oracle itself true? Good logs pass, and each planted fault is found.

LABSAN names the program (default ./tests/san/labsan). Only 127.0.0.1 is used.
"""
import os
import random
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import labsan_oracle as oracle  # noqa: E402
from labsan_pdukit import Session, Target, cdb16  # noqa: E402

A, B, C = ("%016x" % n for n in (0xA, 0xB, 0xC))


def write(seq, key, lba=0, blocks=1, **more):
    return dict({"seq": seq, "op": "write16", "nexus": 1, "key": key, "lun": 0, "lba": lba, "blocks": blocks,
                 "bytes": 512 * blocks, "crc": "0", "status": 0, "durable": True}, **more)


def pr(seq, op, key, sark, **more):
    return dict({"seq": seq, "op": op, "nexus": 2, "key": key, "lun": 0, "lba": 0, "blocks": 0, "rk": key,
                 "sark": sark, "status": 0}, **more)


def reset(seq, lun):
    return {"seq": seq, "event": "reset", "text": "lun=%d nexus=2" % lun}


class Fence(unittest.TestCase):
    def found(self, *log):
        return len(oracle.check_fence(list(log)))

    def test_right(self):
        self.assertEqual(self.found(write(1, A), pr(2, "pr-preempt-abort", B, A), write(3, B)), 0)
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A), write(2, A, status=24)), 0)
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A, status=24), write(2, A)), 0)
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A), write(2, A, lun=1)), 0)
        # before the reset is answered a late write may land: the fence is not complete
        self.assertEqual(self.found(pr(1, "pr-preempt", B, A), write(2, A), reset(3, 0)), 0)
        # the key was registered again, on purpose
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A), pr(2, "pr-register-ignore", A, A),
                                    write(3, A)), 0)

    def test_late_write(self):
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A), write(2, A)), 1)
        self.assertEqual(self.found(pr(1, "pr-preempt-abort", B, A), write(2, A, op="unmap", ranges=[[0, 1]])), 1)
        self.assertEqual(self.found(pr(1, "pr-preempt", B, A), reset(2, 0), write(3, A)), 1)
        self.assertEqual(self.found(pr(1, "pr-preempt", B, A), reset(2, -1), write(3, A)), 1)


class Writers(unittest.TestCase):
    def found(self, *log):
        return len(oracle.check_writers(list(log), 0, 10, 10))

    def test_right(self):
        self.assertEqual(self.found(write(1, A, 10), write(2, A, 11), write(3, B, 10), write(4, B, 19)), 0)
        self.assertEqual(self.found(write(1, A, 10), write(2, B, 10), write(3, A, 20), write(4, A, 9)), 0)
        self.assertEqual(self.found(write(1, A, 10), write(2, B, 10), write(3, A, 10, status=24)), 0)

    def test_two_at_once(self):
        self.assertEqual(self.found(write(1, A, 10), write(2, B, 12), write(3, A, 14)), 1)
        self.assertEqual(self.found(write(1, A, 10), write(2, B, 12), write(3, C, 14), write(4, A, 5, 6)), 1)


class Disk(unittest.TestCase):
    def check(self, log, data):
        with tempfile.NamedTemporaryFile() as f:
            f.write(data)
            f.flush()
            return oracle.check_disk(log, 0, f.name, 512)

    def data(self, seq, fill, lba=0, blocks=1, **more):
        return write(seq, A, lba, blocks, crc=oracle.crc32c(fill * 512 * blocks), **more)

    def test_last_write_counts(self):
        log = [self.data(1, b"x"), self.data(2, b"y")]
        self.assertEqual(self.check(log, b"y" * 512), ([], 1))
        self.assertEqual(len(self.check(log, b"x" * 512)[0]), 1)

    def test_lost_flush_is_found(self):
        sync = {"seq": 2, "op": "sync16", "lun": 0, "lba": 0, "blocks": 0, "status": 0}
        cut = {"seq": 3, "event": "power-cut", "text": ""}
        log = [self.data(1, b"x", durable=False), sync, cut]
        self.assertEqual(self.check(log, b"x" * 512), ([], 1))
        self.assertEqual(len(self.check(log, bytes(512))[0]), 1)
        # without the flush both are right
        log = [self.data(1, b"x", durable=False), cut]
        self.assertEqual(self.check(log, bytes(512)), ([], 0))

    def test_unmap_and_write_same(self):
        same = self.data(1, b"s", 0, 1)
        same.update(op="write-same16", blocks=4)
        log = [same, write(2, A, op="unmap", ranges=[[4, 2]])]
        good = b"s" * 2048 + bytes(1024)
        self.assertEqual(self.check(log, good), ([], 2))
        self.assertEqual(len(self.check(log, b"s" * 2047 + b"t" + bytes(1024))[0]), 1)
        self.assertEqual(len(self.check(log, b"s" * 3072)[0]), 1)


class Live(unittest.TestCase):
    """A real log of a real run: no findings; a damaged disk, or a log with one lie in it: found."""

    def run_one(self, cut):
        with tempfile.TemporaryDirectory(prefix="labsan-oracle.") as where:
            log, disk = where + "/log", where + "/disk"
            target = Target("--cache", "volatile", "--write-log", log, "--lun", disk + ",thin,size=4M")
            rnd = random.Random(7)
            s = Session(target)
            for i in range(300):
                if cut and i == 200:
                    target.ctl("power-cut keep=40 seed=3")
                    target.ctl("power-on")
                    s.close()
                    s = Session(target)
                self.act(s, rnd)
            s.close()
            self.assertEqual(target.stop(), 0)
            lines = oracle.load(log)
            found, checked = oracle.check_disk(lines, 1, disk, 512)
            self.assertEqual((found, oracle.check_fence(lines)), ([], []))
            self.assertGreater(checked, 20)
            last = [e for e in lines if oracle.is_write(e) and e["lun"] == 1 and e["op"] == "write16"][-1]
            with open(disk, "r+b") as f:
                f.seek(512 * last["lba"])
                byte = f.read(1)[0]
                f.seek(512 * last["lba"])
                f.write(bytes([byte ^ 1]))
            self.assertEqual(len(oracle.check_disk(lines, 1, disk, 512)[0]), 1)

    def act(self, s, rnd):
        lba, n, kind = rnd.randrange(4000), rnd.randrange(1, 17), rnd.randrange(8)
        if kind == 7:
            bhs = s.scsi_bhs(cdb16(0x91, 0, 0), 0, 0x80)
            data = b""
        else:
            op = 0x93 if kind == 6 else 0x8A
            cdb = struct.pack(">BBQIBB", op, 8 * (kind == 5), lba, n, 0, 0)
            data = bytes([rnd.randrange(256)]) * 512 * (1 if op == 0x93 else n)
            bhs = s.scsi_bhs(cdb, len(data), 0xA0)
        for _ in range(4):
            bhs[8:10] = b"\0\1"  # LUN 1
            s.send(bhs, data)
            pdu = s.recv()
            if pdu["status"] == 0:
                return
            self.assertEqual(pdu["data"][4] & 15, 6)  # a unit attention: again
            bhs[24:28] = struct.pack(">I", s.cmdsn)
            s.cmdsn += 1
        self.fail("no end of unit attentions")

    def test_quiet_run(self):
        self.run_one(False)

    def test_power_cut(self):
        self.run_one(True)


if __name__ == "__main__":
    unittest.main()
