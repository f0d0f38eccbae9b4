# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python end of observer.c: starts it, gives it commands, waits for what it sees."""
import os
import select
import subprocess
import time


class Observer:
    """with Observer(program, [socket paths], log) as o: ...   What the programs say goes to the file `log`."""

    def __init__(self, program, sockets, log):
        with open(log, "ab") as f:
            self.process = subprocess.Popen([program, *sockets], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=f, bufsize=0)
        self.rest = b""
        self.events = []  # (kind, ns, [words])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.command("quit")
        except OSError:
            pass
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def command(self, *words):
        self.process.stdin.write(("\t".join(words) + "\n").encode())

    def spawn(self, argv, frame_file=None):
        """Returns (ns just before the fork, pid)."""
        seen = len(self.events)
        self.command("spawn", frame_file or "-", *argv)
        _, at, words = self.wait(lambda e: e[0] == "spawn", seen)
        return at, int(words[0])

    def mark(self, text):
        seen = len(self.events)
        self.command("mark", text)
        return self.wait(lambda e: e[0] == "mark", seen)[1]

    def pump(self, seconds):
        """Takes what there is, waiting at most so long for something. False: nothing came."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            raise RuntimeError("the observer has ended")
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            kind, at, *words = line.decode().split(" ")
            self.events.append((kind, int(at), words))
        return True

    def wait(self, test, since=0, timeout=20):
        """The first event from index `since` on that passes the test."""
        end = time.monotonic() + timeout
        while True:
            for event in self.events[since:]:
                if test(event):
                    return event
            since = len(self.events)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("nothing of the kind was seen")
            self.pump(left)

    def bytes_of(self, source, since=0):
        """[(ns of arrival, value)] of the debug port bytes seen so far: raw from QEMU, as lines "NS b HH" from hvcore."""
        values, line = [], b""
        for kind, at, words in self.events[since:]:
            if kind == "open" and int(words[0]) == source:
                line = b""
            if kind != "bytes" or int(words[0]) != source:
                continue
            for byte in bytes.fromhex(words[1]):
                if byte == 0x40 or byte >= 0x80:
                    values.append((at, byte))
                elif byte != 0x0A:
                    line += bytes([byte])
                else:
                    parts = line.split(b" ")
                    if len(parts) == 3 and parts[1] == b"b":
                        values.append((at, int(parts[2], 16)))
                    line = b""
        return values

    def wait_byte(self, source, test=lambda value: True, since=0, timeout=20):
        """Time of the first byte of a source that passes the test."""
        end = time.monotonic() + timeout
        while True:
            for at, value in self.bytes_of(source, since):
                if test(value):
                    return at
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no such byte was seen")
            self.pump(left)
