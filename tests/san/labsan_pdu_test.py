#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""labsan_pdu_test.py - labsan at the level of iSCSI PDUs, which no initiator library lets a test reach.

labsan_pdu_test.py            runs the tests
labsan_pdu_test.py --fuzz N [--seed S]   sends N damaged PDUs; labsan must live and answer after them

LABSAN names the program (default ./tests/san/labsan). Only 127.0.0.1 is used.
"""
import argparse
import atexit
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from labsan_pdukit import Closed, IQN, NO_TAG, Session, Target, cdb16  # noqa: E402


class PduTest(unittest.TestCase):
    args = ()

    def setUp(self):
        self.target = Target(*self.args)
        self.sessions = []

    def tearDown(self):
        for s in self.sessions:
            s.close()
        self.assertEqual(self.target.stop(), 0)

    def session(self, *args, **kw):
        s = Session(self.target, *args, **kw)
        self.sessions.append(s)
        return s


class Login(PduTest):
    def status(self, keys=None, **kw):
        return self.session(login=False).login(keys or {}, **kw)

    def test_refusals(self):
        self.assertEqual(self.status(drop=("InitiatorName",))[0], 0x0207)
        self.assertEqual(self.status(drop=("TargetName",))[0], 0x0207)
        self.assertEqual(self.status({"TargetName": "iqn.x:other"})[0], 0x0203)
        self.assertEqual(self.status({"SessionType": "Odd"})[0], 0x0209)
        self.assertEqual(self.status({"InitiatorName": 'iqn"x'})[0], 0x0200)
        self.assertEqual(self.status({"MaxBurstLength": "12"})[0], 0x0200)
        self.assertEqual(self.status(tsih=7)[0], 0x020A)

    def test_text_in_two_pdus(self):
        self.assertEqual(self.status(split=True)[0], 0)

    def test_negotiation(self):
        _, a = self.status({"MaxBurstLength": "16777215", "FirstBurstLength": "4096",
                            "MaxConnections": "8", "ErrorRecoveryLevel": "2",
                            "HeaderDigest": "None,CRC32C", "DataDigest": "CRC32C,None",
                            "DataPDUInOrder": "No", "X-org.example": "1"})
        self.assertEqual(a["MaxBurstLength"], "1048576")
        self.assertEqual(a["FirstBurstLength"], "4096")
        self.assertEqual(a["MaxConnections"], "1")
        self.assertEqual(a["ErrorRecoveryLevel"], "0")
        self.assertEqual(a["HeaderDigest"], "None")
        self.assertEqual(a["DataDigest"], "CRC32C")
        self.assertEqual(a["DataPDUInOrder"], "Yes")
        self.assertEqual(a["InitialR2T"], "No")
        self.assertEqual(a["X-org.example"], "NotUnderstood")
        self.assertEqual(a["TargetPortalGroupTag"], "1")

    def test_second_login_ends_the_first(self):
        a = self.session()
        self.session()
        with self.assertRaises(Closed):
            a.nop()
            a.recv()


class Digests(PduTest):
    keys = {"HeaderDigest": "CRC32C", "DataDigest": "CRC32C"}

    def test_both(self):
        s = self.session(keys=self.keys)
        self.assertTrue(s.hdigest and s.ddigest)
        self.assertEqual(s.write(1, b"d" * 1024), 0)
        self.assertEqual(s.read(1, 2), b"d" * 1024)

    def test_damage_closes(self):
        for bad in ({"bad_header": True}, {"bad_data": True}):
            s = self.session(keys=self.keys)
            with self.assertRaises(Closed):
                s.send(s.scsi_bhs(cdb16(0x8A, 1, 1), 512, 0xA0), b"x" * 512, **bad)
                s.recv()
        self.assertEqual(self.session().read(1), bytes(512))


class Order(PduTest):
    def test_gap_holds_commands(self):
        s = self.session()
        n = s.cmdsn
        s.send(s.scsi_bhs(cdb16(0x8A, 9, 1), 512, 0xA0, cmdsn=n + 2), b"2" * 512)
        s.nop(cmdsn=n + 1)
        self.assertEqual(s.recv()["op"], 0x20)
        s.nop()
        pong = s.recv()
        self.assertEqual((pong["op"], pong["exp"]), (0x20, n))
        s.send(s.scsi_bhs(cdb16(0x8A, 9, 1), 512, 0xA0, cmdsn=n), b"0" * 512)
        first, second = s.recv(), s.recv()
        self.assertLess(second["itt"], first["itt"])
        self.assertEqual(second["exp"], n + 3)
        s.cmdsn = n + 3
        self.assertEqual(s.read(9), b"2" * 512)

    def test_outside_the_window(self):
        s = self.session()
        s.send(s.scsi_bhs(cdb16(0x8A, 9, 1), 512, 0xA0, cmdsn=s.cmdsn + 1000), b"x" * 512)
        s.send(s.scsi_bhs(cdb16(0x8A, 9, 1), 512, 0xA0, cmdsn=s.cmdsn - 1), b"x" * 512)
        self.assertEqual(s.read(9), bytes(512))

    def test_statsn_counts(self):
        s = self.session()
        before = s.command(bytes(6))[0]["statsn"]
        s.read(0)
        self.assertEqual(s.command(bytes(6))[0]["statsn"], before + 2)


class Data(PduTest):
    def test_unsolicited_data(self):
        s = self.session(keys={"FirstBurstLength": "8192"})
        bhs = s.scsi_bhs(cdb16(0x8A, 4, 16), 8192, 0x20)
        s.send(bhs, b"a" * 1024)
        s.data_out(s.itt, NO_TAG, 1024, b"b" * 4096, 0, False)
        s.data_out(s.itt, NO_TAG, 5120, b"c" * 3072, 1, True)
        self.assertEqual(s.recv()["status"], 0)
        self.assertEqual(s.read(4, 16), b"a" * 1024 + b"b" * 4096 + b"c" * 3072)

    def test_r2ts(self):
        s = self.session(keys={"MaxBurstLength": "8192", "MaxOutstandingR2T": "3", "InitialR2T": "Yes",
                               "ImmediateData": "No"})
        want = bytes(i & 0xFF for i in range(40960))
        s.send(s.scsi_bhs(cdb16(0x8A, 0, 80), len(want), 0xA0))
        asked = 0
        while True:
            pdu = s.recv()
            if pdu["op"] != 0x31:
                break
            self.assertEqual((pdu["offset"], pdu["datasn"]), (asked, asked // 8192))
            self.assertEqual(pdu["length"], 8192)
            asked += 8192
            for i, off in enumerate(range(pdu["offset"], asked, 4096)):
                s.data_out(pdu["itt"], pdu["ttt"], off, want[off:off + 4096], i, off + 4096 == asked)
        self.assertEqual((pdu["status"], asked), (0, len(want)))
        self.assertEqual(s.read(0, 80), want)

    def test_data_in_is_cut(self):
        s = self.session(keys={"MaxRecvDataSegmentLength": "512", "MaxBurstLength": "1024"})
        s.send(s.scsi_bhs(cdb16(0x88, 0, 8), 4096, 0xC0))
        pdus = [s.recv() for _ in range(8)]
        self.assertEqual([p["datasn"] for p in pdus], list(range(8)))
        self.assertEqual([p["flags"] >> 7 for p in pdus], [0, 1] * 4)
        self.assertEqual([p["flags"] & 1 for p in pdus], [0] * 7 + [1])

    def test_lies_about_length(self):
        s = self.session()
        bhs = s.scsi_bhs(cdb16(0x8A, 0, 1), 512, 0xA0)
        with self.assertRaises(Closed):
            s.send(bhs, b"x" * 1024)
            s.recv()
        s = self.session()
        with self.assertRaises(Closed):
            bhs = bytearray(48)
            bhs[5:8] = b"\xff\xff\xff"
            s.sock.sendall(bhs)
            s.recv()

    def test_wrong_offsets(self):
        for offset, sn, length in ((512, 0, 512), (0, 1, 1024), (0, 0, 512), (0xFFFFFE00, 0, 512)):
            s = self.session(keys={"ImmediateData": "No", "InitialR2T": "Yes"})
            s.send(s.scsi_bhs(cdb16(0x8A, 0, 2), 1024, 0xA0))
            r2t = s.recv()
            s.data_out(r2t["itt"], r2t["ttt"], offset, b"x" * length, sn, True)
            pdu = s.recv()
            self.assertEqual((pdu["op"], pdu["status"]), (0x21, 2))
            self.assertEqual(s.read(0, 2), bytes(1024))
            s.close()

    def test_wrong_unsolicited_data(self):
        for offset, sn in ((0, 0), (1024, 0), (512, 1)):
            s = self.session(keys={"FirstBurstLength": "4096"})
            s.send(s.scsi_bhs(cdb16(0x8A, 0, 4), 2048, 0x20), b"a" * 512)
            s.data_out(s.itt, NO_TAG, offset, b"b" * 1024, sn, True)
            self.assertEqual(s.recv()["status"], 2)
            self.assertEqual(s.read(0, 4), bytes(2048))
            s.close()

    def test_unknown_r2t(self):
        s = self.session(keys={"ImmediateData": "No", "InitialR2T": "Yes"})
        s.send(s.scsi_bhs(cdb16(0x8A, 0, 1), 512, 0xA0))
        r2t = s.recv()
        s.data_out(r2t["itt"], 77, 0, b"x" * 512, 0, True)
        self.assertEqual(s.recv()["status"], 2)
        s.data_out(4711, 0, 0, b"x" * 512, 0, True)
        self.assertEqual(s.read(0), bytes(512))


class Aborts(PduTest):
    keys = {"ImmediateData": "No", "InitialR2T": "Yes"}

    def test_abort_of_a_command_that_waits_for_data(self):
        s = self.session(keys=self.keys)
        s.send(s.scsi_bhs(cdb16(0x8A, 0, 1), 512, 0xA0))
        r2t = s.recv()
        s.tmf(1, ref=r2t["itt"])
        reply = s.recv()
        self.assertEqual((reply["op"], reply["response"]), (0x22, 0))
        s.data_out(r2t["itt"], r2t["ttt"], 0, b"x" * 512, 0, True)
        self.assertEqual(s.read(0), bytes(512))
        s.tmf(1, ref=r2t["itt"])
        self.assertEqual(s.recv()["response"], 1)

    def test_frozen_host_cannot_hold_a_fence_up(self):
        a = self.session(1, keys=self.keys)
        b = self.session(2)
        # a's parameter list goes by R2T as well
        a.send(a.scsi_bhs(bytes([0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0]), 24, 0xA0))
        r2t = a.recv()
        a.data_out(r2t["itt"], r2t["ttt"], 0, struct.pack(">QQ", 0, 0xA) + bytes(8), 0, True)
        self.assertEqual(a.recv()["status"], 0)
        self.assertEqual(b.pr_out(6, 0, 0, 0xB), 0)
        self.assertEqual(b.pr_out(1, 7, 0xB, 0), 0)
        a.send(a.scsi_bhs(cdb16(0x8A, 0, 1), 512, 0xA0))
        r2t = a.recv()
        self.assertEqual(b.pr_out(5, 7, 0xB, 0xA), 0)  # answers although a never sends its data
        self.assertEqual(b.write(0, b"B" * 512), 0)
        a.data_out(r2t["itt"], r2t["ttt"], 0, b"A" * 512, 0, True)
        a.nop()
        self.assertEqual(a.recv()["op"], 0x20)
        self.assertEqual(b.read(0), b"B" * 512)

    def test_target_resets(self):
        a, b = self.session(1), self.session(2)
        a.tmf(6)
        self.assertEqual(a.recv()["response"], 0)
        self.assertEqual(b.command(bytes(6))[0]["data"][14:16], b"\x29\x03")
        a.tmf(7)
        self.assertEqual(a.recv()["response"], 0)
        with self.assertRaises(Closed):
            b.nop()
            b.recv()


class Model(PduTest):
    """Random commands and power cuts against a plain picture of what must be there."""

    args = ("--cache", "volatile")
    BLOCKS = 400

    def put(self, lba, data, durable):
        self.seen[lba * 512:lba * 512 + len(data)] = data
        if durable:
            self.kept[lba * 512:lba * 512 + len(data)] = data

    def one(self, s, rnd):
        lba = rnd.randrange(self.BLOCKS)
        n = rnd.randrange(1, min(64, self.BLOCKS - lba) + 1)
        flag = 8 * rnd.randrange(2)
        fill = bytes([rnd.randrange(256)])
        kind = rnd.randrange(9)
        if kind < 3:  # WRITE(16), perhaps with FUA
            data = b"".join(bytes([rnd.randrange(256)]) * 512 for _ in range(n))
            cdb = struct.pack(">BBQIBB", 0x8A, flag, lba, n, 0, 0)
            self.assertEqual(s.command(cdb, data)[0]["status"], 0)
            self.put(lba, data, flag)
        elif kind == 3:  # WRITE AND VERIFY
            cdb = struct.pack(">BBIBHB", 0x2E, 0, lba, 0, n, 0)
            self.assertEqual(s.command(cdb, fill * 512 * n)[0]["status"], 0)
            self.put(lba, fill * 512 * n, True)
        elif kind == 4:  # WRITE SAME, with UNMAP and zeroes it goes past the cache
            block = bytes(512) if flag else fill * 512
            cdb = struct.pack(">BBQIBB", 0x93, flag, lba, n, 0, 0)
            self.assertEqual(s.command(cdb, block)[0]["status"], 0)
            self.put(lba, block * n, flag)
        elif kind == 5:  # UNMAP
            param = struct.pack(">HHIQII", 22, 16, 0, lba, n, 0)
            cdb = struct.pack(">BBIBHB", 0x42, 0, 0, 0, 24, 0)
            self.assertEqual(s.command(cdb, param)[0]["status"], 0)
            self.put(lba, bytes(512 * n), True)
        elif kind == 6:  # COMPARE AND WRITE, right or wrong
            old = bytes(self.seen[lba * 512:lba * 512 + 512])
            right = rnd.randrange(2)
            if not right:
                old = bytes([old[0] ^ 1]) + old[1:]
            cdb = struct.pack(">BBQ3xBBB", 0x89, flag, lba, 1, 0, 0)
            status = s.command(cdb, old + fill * 512)[0]["status"]
            self.assertEqual(status, 0 if right else 2)
            if right:
                self.put(lba, fill * 512, flag)
        elif kind == 7:  # SYNCHRONIZE CACHE of a range
            self.assertEqual(s.command(cdb16(0x91, lba, n))[0]["status"], 0)
            part = slice(lba * 512, (lba + n) * 512)
            self.kept[part] = self.seen[part]
        else:
            self.assertEqual(s.read(lba, n), bytes(self.seen[lba * 512:(lba + n) * 512]))

    def test_random_commands_and_power_cuts(self):
        rnd = random.Random(20260101)
        self.seen = bytearray(512 * self.BLOCKS)
        self.kept = bytearray(512 * self.BLOCKS)
        for _ in range(6):
            s = self.session()
            self.assertEqual(s.read(0, self.BLOCKS), bytes(self.kept))
            for _ in range(400):
                self.one(s, rnd)
            self.assertEqual(s.read(0, self.BLOCKS), bytes(self.seen))
            self.assertTrue(self.target.ctl("power-cut")["ok"])
            self.assertTrue(self.target.ctl("power-on")["ok"])
            self.seen = bytearray(self.kept)
        s = self.session()
        self.assertEqual(s.read(0, self.BLOCKS), bytes(self.kept))


def seeds(s):
    """Valid PDUs of every kind, as bytes."""
    out = []
    real, s.sock = s.sock, type("Sink", (), {"sendall": lambda self, d: out.append(d)})()
    for cdb, n in ((bytes(6), 0), (b"\x12\0\0\0\x60\0", 96), (cdb16(0x88, 0, 4), 2048),
                   (bytes([0x5E, 0, 0, 0, 0, 0, 0, 1, 0, 0]), 256), (cdb16(0x9E, 0, 64), 64),
                   (bytes([0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]), 2304)):
        s.send(s.scsi_bhs(cdb, n, 0xC0))
    for cdb, data in ((cdb16(0x8A, 8, 2), b"w" * 1024), (cdb16(0x93, 8, 8), b"s" * 512),
                      (struct.pack(">BBQIBB", 0x89, 0, 3, 1, 0, 0)[:13] + b"\1\0\0", bytes(1024)),
                      (b"\x42\0\0\0\0\0\0\0\x18\0", b"\0\x16\0\x10" + bytes(20)),
                      (b"\x5f\6\0\0\0\0\0\0\x18\0", bytes(15) + b"\1" + bytes(8)),
                      (b"\x5f\5\7\0\0\0\0\0\x18\0", bytes(15) + b"\1" + bytes(8))):
        s.send(s.scsi_bhs(cdb, len(data), 0xA0), data)
        s.send(s.scsi_bhs(cdb, len(data), 0xA0))
        s.data_out(s.itt, 0, 0, data, 0, True)
    s.nop(b"ping")
    s.tmf(1, 1)
    s.tmf(5)
    text = bytearray(48)
    text[0], text[1] = 0x44, 0x80
    s.send(text, b"SendTargets=All\0")
    text[0] = 0x43
    text[1] = 0x87
    s.send(text, b"InitiatorName=iqn.x:y\0TargetName=" + IQN.encode() + b"\0HeaderDigest=None\0")
    text[0] = 0x46
    s.send(text)
    s.sock = real
    return out


TROUBLE = ("delay ms=5 count=3", "delay ms=40 class=write,caw count=2", "delay ms=20 class=pr count=1",
           "error what=drop-before count=1", "error what=drop-after count=1", "error what=lose count=1",
           "error what=busy class=read count=2", "error what=3/11/0 count=1", "clear", "drop all", "hang all",
           "unhang all", "stall 0", "unstall all", "release", "attention all 2a/1", "reinstate sloppy",
           "reinstate strict", "power-cut keep=50 seed=5", "power-on", "cache writethrough", "cache volatile",
           "sessions", "luns", "rules", "lacks caw", "lacks none")


def damage(rnd, session, corpus):
    """One PDU of the corpus, perhaps with the right CmdSN, perhaps with some bytes changed."""
    pdu = bytearray(rnd.choice(corpus))
    if rnd.random() < 0.8:
        pdu[24:28] = struct.pack(">I", session.cmdsn)
        session.cmdsn += not pdu[0] & 0x40
    for _ in range(rnd.choice((0, 0, 1, 1, 2, 4))):
        where = rnd.randrange(len(pdu)) if rnd.random() < 0.3 else rnd.randrange(48)
        pdu[where] = rnd.choice((0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)))
    if rnd.random() < 0.7:  # keep the framing, so that the damage gets further in
        pdu[4] = 0
        pdu[5:8] = struct.pack(">I", len(pdu) - 48)[1:]
    if rnd.random() < 0.01:
        del pdu[rnd.randrange(len(pdu)):]
    return pdu


def fuzz_turn(rnd, target, sessions):
    """A few PDUs on one of three sessions; returns how many."""
    slot = rnd.randrange(3)
    s = sessions.get(slot)
    if s is None:
        s = Session(target, slot + 1, login=False)
        s.sock.settimeout(0.2)  # labsan may be hung, on purpose
        sessions[slot] = s
        if rnd.random() < 0.9:
            s.login({})
    corpus = seeds(s)
    n = rnd.randrange(1, 12)
    s.sock.sendall(b"".join(damage(rnd, s, corpus) for _ in range(n)))
    s.sock.setblocking(False)
    try:
        while s.sock.recv(1 << 16):
            pass
        raise Closed()
    except BlockingIOError:
        s.sock.settimeout(0.2)
    if rnd.random() < 0.05:
        raise Closed()
    return n


def fuzz(count, seed):
    rnd = random.Random(seed)
    state = tempfile.mkdtemp(prefix="labsan-pdu.")
    atexit.register(shutil.rmtree, state, ignore_errors=True)
    target = Target("--cache", "volatile", "--state", state, "--write-log", state + "/log")
    sessions, sent = {}, 0
    print("seed", seed)
    while sent < count and target.proc.poll() is None:
        try:
            sent += fuzz_turn(rnd, target, sessions)
        except (Closed, OSError):
            sent += 1
            for slot in [k for k in sessions if rnd.random() < 0.5]:
                sessions.pop(slot).close()
        if rnd.random() < 0.03:
            target.ctl(rnd.choice(TROUBLE))
        if rnd.random() < 0.02:
            for line in ("clear", "unhang all", "unstall all", "release", "power-on"):
                target.ctl(line)
    for s in sessions.values():
        s.close()
    if target.proc.poll() is not None:
        print("labsan died, seed", seed, "after", sent, "PDUs")
        return 1
    for line in ("clear", "unhang all", "unstall all", "release", "power-on", "lacks none"):
        target.ctl(line)
    check = Session(target, 9)
    check.tmf(5)
    alive = target.ctl("luns")["ok"] and check.recv()["op"] == 0x22
    check.close()
    code = target.stop()
    shutil.rmtree(state, ignore_errors=True)
    print(sent, "PDUs, alive:", alive, "exit code:", code)
    return 0 if alive and code == 0 else 1


def on_term(_signum, _frame):
    sys.exit(143)  # runs the clean-up of the tests


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_term)
    parser = argparse.ArgumentParser()
    parser.add_argument("--fuzz", type=int)
    parser.add_argument("--seed", type=int, default=1)
    opts, rest = parser.parse_known_args()
    if opts.fuzz:
        sys.exit(fuzz(opts.fuzz, opts.seed))
    unittest.main(argv=[sys.argv[0]] + rest)
