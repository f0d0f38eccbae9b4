# SPDX-License-Identifier: GPL-2.0-or-later
"""The control plane in Python, for benches and tests: messages of proto/ctl.proto as dicts, frames, a client, and starting hvcore.

The message definitions are read from ctl.proto itself, so there is nothing here to keep in step with it. Only what that file uses is
supported: scalars, strings, bytes, sub-messages and repeated fields of proto3.
"""
import ctypes
import os
import re
import signal
import socket
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPES = {"Hello": 1, "Request": 2, "Reply": 3, "Event": 4, "Data": 5, "CoreStart": 6}
NAMES = {number: name for name, number in TYPES.items()}


ENUMS = {}  # {enum: {value's name: number}}


def load_schema(path=os.path.join(ROOT, "proto", "ctl.proto")):
    """{message: {field: (number, type, repeated)}}"""
    schema = {}
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"//[^\n]*", "", f.read())
    for name, body in re.findall(r"enum (\w+) \{([^}]*)\}", text):
        ENUMS[name] = {word: int(number) for word, number in re.findall(r"(\w+) = (\d+);", body)}
    for name, body in re.findall(r"message (\w+) \{([^}]*)\}", text):
        schema[name] = {field: (int(number), kind, bool(repeated))
                        for repeated, kind, field, number in re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", body)}
    return schema


SCHEMA = load_schema()


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_one(number, kind, value):
    if kind in SCHEMA or kind in ("string", "bytes"):
        data = encode(kind, value) if kind in SCHEMA else value.encode() if isinstance(value, str) else bytes(value)
        return varint(number << 3 | 2) + varint(len(data)) + data
    if kind.startswith("sint"):
        value = value << 1 if value >= 0 else (-value << 1) - 1
    if kind in ENUMS and isinstance(value, str):
        value = ENUMS[kind][value]
    return varint(number << 3) + varint(int(value))


def encode(message, values):
    out = b""
    for field, value in values.items():
        number, kind, repeated = SCHEMA[message][field]
        for one in value if repeated else [value]:
            out += encode_one(number, kind, one)
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def decode(message, data):
    by_number = {number: (field, kind, repeated) for field, (number, kind, repeated) in SCHEMA[message].items()}
    values = {field: [] if repeated else {} if kind in SCHEMA else "" if kind == "string" else b"" if kind == "bytes" else 0
              for field, (_, kind, repeated) in SCHEMA[message].items()}
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            size, at = read_varint(data, at)
            raw, at = data[at:at + size], at + size
        elif key & 7 == 0:
            raw, at = read_varint(data, at)
        else:
            raise ValueError(f"wire type {key & 7}")
        if key >> 3 not in by_number:
            continue
        field, kind, repeated = by_number[key >> 3]
        if kind in SCHEMA:
            value = decode(kind, raw)
        elif kind == "string":
            value = raw.decode()
        elif kind == "bool":
            value = bool(raw)
        elif kind.startswith("sint"):
            value = raw >> 1 if not raw & 1 else -(raw + 1 >> 1)
        elif kind == "int32":
            value = raw - (1 << 64) if raw >> 63 else raw
        else:
            value = raw
        if repeated:
            values[field].append(value)
        else:
            values[field] = value
    return values


def frame(message, values):
    data = encode(message, values)
    return struct.pack("<IHH", len(data), TYPES[message], 0) + data


class Channel:
    """A connected UNIX socket that carries frames."""

    def __init__(self, sock, hello=True):
        self.sock = sock
        self.next_id = 1
        if hello:
            self.send("Hello", {"min_version": 1, "max_version": 1, "program": "bench", "release": "0"})
            self.receive("Hello")

    @classmethod
    def connect(cls, path, timeout=10):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(path)
        return cls(sock)

    def close(self):
        self.sock.close()

    def send(self, message, values):
        self.sock.sendall(frame(message, values))

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise ConnectionError("the peer closed the channel")
            data += more
        return data

    def receive(self, expect=None):
        size, kind, _ = struct.unpack("<IHH", self.read(8))
        data = self.read(size)
        name = NAMES.get(kind)
        if name is None or (expect and name != expect):
            raise ConnectionError(f"unexpected frame {name or kind}")
        return decode(name, data)

    def request(self, verb, args=None, on_progress=None, **more):
        """Sends a request, returns its last reply; raises RuntimeError with what the server says."""
        number, self.next_id = self.next_id, self.next_id + 1
        pairs = [{"key": key, "value": str(value)} for key, value in (args or {}).items()]
        self.send("Request", {"id": number, "verb": verb, "args": pairs, **more})
        while True:
            reply = self.receive("Reply")
            if reply["id"] != number:
                continue
            if reply["more"]:
                if on_progress:
                    on_progress(reply)
                continue
            if reply["code"]:
                raise RuntimeError(f"{verb}: {reply['error']} ({reply['code']})")
            return reply


def start_hvcore(program, start, keep=(), die_with_us=False, spawned=None, **popen):
    """Starts hvcore with a CORE_START message; returns (process, reply). keep: descriptors that it inherits. The caller ends the process;
    die_with_us: so does the kernel, when the thread that calls this has ended. spawned(process) is called before it answers."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.sendall(frame("CoreStart", start))

    def child():
        """Descriptor 3 is the start socket; what is in `keep` stays where it is (a descriptor 3 of ours must not be in it)."""
        os.dup2(theirs.fileno(), 3)
        if die_with_us:
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    libc = ctypes.CDLL(None)
    assert 3 not in keep
    process = subprocess.Popen([program], pass_fds=(3, *keep), preexec_fn=child, **popen)
    theirs.close()
    if spawned:
        spawned(process)
    ours.settimeout(30)
    channel = Channel(ours, hello=False)
    try:
        reply = channel.receive("Reply")
    except (OSError, ConnectionError):
        process.kill()
        process.wait()
        raise
    finally:
        channel.close()
    return process, reply
