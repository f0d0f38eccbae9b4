# SPDX-License-Identifier: GPL-2.0-or-later
"""A labsan of its own, and an initiator that can do wrong on purpose: for tests at the level of iSCSI PDUs.

LABSAN names the program (default ./tests/san/labsan). Only 127.0.0.1 is used.
"""
import atexit
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile

IQN = "iqn.2026-01.org.hvcluster:pdu"
NO_TAG = 0xFFFFFFFF
TABLE = []
for _i in range(256):
    _c = _i
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    TABLE.append(_c)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Target:
    """A labsan of its own, in a directory of its own."""

    def __init__(self, *args):
        self.dir = tempfile.mkdtemp(prefix="labsan-pdu.")
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        self.ctl_path = os.path.join(self.dir, "ctl")
        prog = os.environ.get("LABSAN", "./tests/san/labsan")
        self.proc = subprocess.Popen(
            [prog, "--portal", "127.0.0.1:0", "--iqn", IQN, "--exit-with-parent", "--control", self.ctl_path,
             "--lun", self.dir + "/d0,thin,size=16M", *args],
            stdout=subprocess.PIPE, text=True)
        words = self.proc.stdout.readline().split()
        if not words or words[0] != "ready":
            self.stop()
            raise RuntimeError("labsan did not get ready")
        self.port = int(words[1].rsplit(":", 1)[1])

    def ctl(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(self.ctl_path)
            s.sendall(line.encode() + b"\n")
            return json.loads(s.makefile().readline())

    def stop(self):
        self.proc.terminate()
        code = self.proc.wait(30)
        self.proc.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code


class Closed(Exception):
    """labsan closed the connection."""


class Session:
    """An initiator that can do wrong on purpose."""

    def __init__(self, target, isid=1, keys=None, login=True):
        self.sock = socket.create_connection(("127.0.0.1", target.port), 30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cmdsn = 1
        self.itt = 0
        self.isid = bytes([0x40, 0, 0, 0, 0, isid])
        self.hdigest = self.ddigest = False
        self.answer = {}
        if login:
            status, text = self.login(keys or {})
            if status:
                raise RuntimeError("login status %#x" % status)
            self.answer = text
            self.hdigest = text.get("HeaderDigest") == "CRC32C"
            self.ddigest = text.get("DataDigest") == "CRC32C"
            for _ in range(4):
                if self.command(bytes(6))[0]["status"] == 0:
                    break

    def close(self):
        self.sock.close()

    # --- bytes

    def send(self, bhs, data=b"", bad_header=False, bad_data=False):
        bhs = bytearray(bhs)
        bhs[5:8] = struct.pack(">I", len(data))[1:]
        out = bytes(bhs)
        if self.hdigest:
            out += struct.pack("<I", crc32c(out) ^ bad_header)
        if data:
            padded = data + bytes(-len(data) % 4)
            out += padded
            if self.ddigest:
                out += struct.pack("<I", crc32c(padded) ^ bad_data)
        try:
            self.sock.sendall(out)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed() from None

    def exactly(self, n):
        buf = b""
        while len(buf) < n:
            try:
                got = self.sock.recv(n - len(buf))
            except ConnectionResetError:
                got = b""
            if not got:
                raise Closed()
            buf += got
        return buf

    def recv(self):
        bhs = self.exactly(48)
        if self.hdigest:
            assert struct.unpack("<I", self.exactly(4))[0] == crc32c(bhs), "header digest"
        n = int.from_bytes(bhs[5:8], "big")
        data = self.exactly((n + 3) & ~3)
        if self.ddigest and n:
            assert struct.unpack("<I", self.exactly(4))[0] == crc32c(data), "data digest"
        return {"op": bhs[0] & 0x3F, "flags": bhs[1], "status": bhs[3], "response": bhs[2],
                "itt": int.from_bytes(bhs[16:20], "big"), "ttt": int.from_bytes(bhs[20:24], "big"),
                "statsn": int.from_bytes(bhs[24:28], "big"), "exp": int.from_bytes(bhs[28:32], "big"),
                "max": int.from_bytes(bhs[32:36], "big"), "datasn": int.from_bytes(bhs[36:40], "big"),
                "offset": int.from_bytes(bhs[40:44], "big"), "length": int.from_bytes(bhs[44:48], "big"),
                "bhs": bhs, "data": data[:n]}

    # --- PDUs

    def login_pdu(self, flags, text, tsih=0):
        bhs = bytearray(48)
        bhs[0], bhs[1] = 0x43, flags
        bhs[8:14] = self.isid
        bhs[14:16] = struct.pack(">H", tsih)
        bhs[24:28] = struct.pack(">I", self.cmdsn)
        self.send(bhs, text)
        return self.recv()

    def login(self, keys, tsih=0, split=False, drop=()):
        text = {"InitiatorName": "iqn.2026-01.test:pdu", "TargetName": IQN, "SessionType": "Normal",
                "InitialR2T": "No", "ImmediateData": "Yes", "MaxRecvDataSegmentLength": "262144"}
        text.update(keys)
        raw = b"".join(b"%s=%s\0" % (k.encode(), v.encode())
                       for k, v in text.items() if k not in drop)
        if split:
            first = self.login_pdu(0x44, raw[:20])
            assert first["flags"] & 0xC0 == 0, first
            raw = raw[20:]
        reply = self.login_pdu(0x87, raw, tsih)
        answer = dict(p.split("=", 1) for p in reply["data"].decode().split("\0") if p)
        return int.from_bytes(reply["bhs"][36:38], "big"), answer

    def scsi_bhs(self, cdb, edtl, flags, cmdsn=None, immediate=False):
        self.itt += 1
        bhs = bytearray(48)
        bhs[0] = 0x41 if immediate else 0x01
        bhs[1] = flags
        bhs[16:24] = struct.pack(">II", self.itt, edtl)
        if cmdsn is None:
            cmdsn = self.cmdsn
            if not immediate:
                self.cmdsn += 1
        bhs[24:28] = struct.pack(">I", cmdsn)
        bhs[32:32 + len(cdb)] = cdb
        return bhs

    def command(self, cdb, data=None, length=0):
        """A whole command with immediate data; returns the last PDU and the data that came."""
        flags = 0x80 | (0x20 if data else 0x40 if length else 0)
        self.send(self.scsi_bhs(cdb, len(data) if data else length, flags), data or b"")
        got = b""
        while True:
            pdu = self.recv()
            if pdu["op"] == 0x25:
                assert pdu["offset"] == len(got)
                got += pdu["data"]
                if pdu["flags"] & 1:
                    return pdu, got
            elif pdu["op"] == 0x21:
                return pdu, got

    def data_out(self, itt, ttt, offset, data, datasn, final):
        bhs = bytearray(48)
        bhs[0], bhs[1] = 0x05, 0x80 if final else 0
        bhs[16:24] = struct.pack(">II", itt, ttt)
        bhs[36:44] = struct.pack(">II", datasn, offset)
        self.send(bhs, data)

    def tmf(self, function, ref=NO_TAG):
        self.itt += 1
        bhs = bytearray(48)
        bhs[0], bhs[1] = 0x42, 0x80 | function
        bhs[16:24] = struct.pack(">II", self.itt, ref)
        bhs[24:28] = struct.pack(">I", self.cmdsn)
        self.send(bhs)

    def nop(self, data=b"", cmdsn=None):
        self.itt += 1
        bhs = bytearray(48)
        bhs[0], bhs[1] = 0x40 if cmdsn is None else 0x00, 0x80
        bhs[16:24] = struct.pack(">II", self.itt, NO_TAG)
        bhs[24:28] = struct.pack(">I", self.cmdsn if cmdsn is None else cmdsn)
        self.send(bhs, data)

    def read(self, lba, blocks=1):
        pdu, data = self.command(cdb16(0x88, lba, blocks), length=512 * blocks)
        assert pdu["status"] == 0, pdu
        return data

    def write(self, lba, data):
        return self.command(cdb16(0x8A, lba, len(data) // 512), data)[0]["status"]

    def pr_out(self, action, kind, key, sark):
        param = struct.pack(">QQ", key, sark) + bytes(8)
        cdb = bytes([0x5F, action, kind, 0, 0]) + struct.pack(">IB", 24, 0)
        return self.command(cdb, param)[0]["status"]


def cdb16(op, lba, blocks):
    return struct.pack(">BBQIBB", op, 0, lba, blocks, 0, 0)
