# SPDX-License-Identifier: GPL-2.0-or-later
"""B1 quick migration, B2 live over TLS, B5 idle blackout: one guest moves once between two processes on loopback, both sides in turn.

Blackout is what the observer sees: the last beat of the source to the first beat of the destination. Memory is filled with bytes that do not
compress before the move; the destination's memory is touched before on both sides. The peer is QEMU with the better of one channel and multifd
where it has the choice (TLS: one channel, QEMU 7.2 knows multifd with TLS but gains nothing on few cores: both are measured)."""
import os
import secrets
import signal
import time
import uuid

import hvwire
import qemu_peer
import stats
from observer import Observer

FILL_MIB = int(os.environ.get("BENCH_FILL_MIB", "1024"))
BEATS = 1000
MAX_BLACKOUT_MS = 30
TIMEOUT_S = 60
SILENCE_S = 10
# The ownership block is written twice within our blackout; the peer writes nothing. It lies in memory, as behind a SAN's write cache; with
# BENCH_LEASE_ON_DISK=1 in a file of the disk that holds $TMPDIR, whose fdatasync then counts.
LEASE_ON_DISK = os.environ.get("BENCH_LEASE_ON_DISK") == "1"
NAMES = ["B1_quick_blackout_tls", "B2_live_idle_tls", "B5_idle_blackout"]


class Move:
    """What one move gave: blackout and total in ms, or finished = False."""

    def __init__(self, blackout_ms=None, total_ms=None):
        self.blackout_ms, self.total_ms = blackout_ms, total_ms


def is_beat(value):
    return value & 0xC0 == 0x80


def beats_in_order(observer, since):
    """(last beat of the source, first beat of the destination) in ns; the observer must have seen both ends."""
    first = min(at for at, value in observer.bytes_of(1, since) if is_beat(value))
    last = max(at for at, value in observer.bytes_of(0) if is_beat(value) and at < first)
    return last, first


def finish(observer, since, begun, ended):
    observer.wait_byte(1, is_beat, since, SILENCE_S)
    time.sleep(0.02)
    observer.pump(0)
    last, first = beats_in_order(observer, since)
    return Move((first - last) / 1e6, (ended - begun) / 1e6)


def kill(observer, pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for pid in pids:
        observer.wait(lambda e, p=str(pid): e[0] == "exit" and e[2][0] == p)


def wait_beating(observer, since):
    """The guest has filled its memory and beats."""
    observer.wait_byte(0, is_beat, since, TIMEOUT_S)
    time.sleep(0.1)


def cmdline(fill_mib):
    return f"mode=beat rate={BEATS}" + (f" fill={fill_mib}M" if fill_mib else "")


def peer_move(env, observer, number, fill_mib, live, tls, multifd):
    paths = [os.path.join(env.dir, f"{name}{number}") for name in ("qa", "qb")]
    pids, qmps = [], []
    since = len(observer.events)
    try:
        for incoming, beat, path in ((False, "a", paths[0]), (True, "b", paths[1])):
            argv = qemu_peer.command(env.elf, cmdline(fill_mib), os.path.join(env.dir, beat), path, fill_mib + 128,
                                     incoming=incoming, tls_dir=env.dir if tls else None)
            pids.append(observer.spawn(argv)[1])
            qmps.append(qemu_peer.Qmp(path))
            qemu_peer.tune(qmps[-1], MAX_BLACKOUT_MS, multifd, "t0" if tls else None)
            if not incoming:
                wait_beating(observer, since)
        moved = len(observer.events)
        begun = time.monotonic_ns()
        if qemu_peer.migrate(qmps[0], qmps[1], env.port(), TIMEOUT_S, live) is None:
            return Move()
        ended = time.monotonic_ns()
        if not live:
            qmps[1].call("cont")
        return finish(observer, moved, begun, ended)
    except TimeoutError:
        return Move()  # QMP or the guest fell silent: the peer did not finish
    finally:
        for qmp in qmps:
            qmp.sock.close()
        kill(observer, pids)


def our_move(env, observer, number, fill_mib, live):
    """Source and destination hvcore share an ownership block in a file; the destination waits for its single-use ticket."""
    controls = [os.path.join(env.dir, f"{name}{number}") for name in ("ca", "cb")]
    ticket = {"vm_uuid": str(uuid.uuid4()), "source": "bench-a", "destination": "bench-b", "epoch": 1,
              "expires_wall_ns": time.time_ns() + 600 * 10 ** 9, "id": secrets.token_bytes(16), "psk": secrets.token_bytes(32)}
    lease = os.path.join(env.dir if LEASE_ON_DISK else env.memory_dir(), f"lease{number}")
    with open(lease, "wb") as f:
        f.truncate(4096)
    pids, replies = [], []
    since = len(observer.events)
    try:
        for incoming, node, beat, control in ((False, "bench-a", "a", controls[0]), (True, "bench-b", "b", controls[1])):
            more = {"node": node, "host_slot": 1 + incoming}
            if incoming:
                more.update(incoming=True, incoming_address="127.0.0.1", ticket=ticket)
            start = env.core_start("bench", control, beat, cmdline(fill_mib), fill_mib + 128, **more)
            start["vm"].update(uuid=ticket["vm_uuid"], lease="file:" + lease, disks=[])
            pid, reply = env.start(observer, start)
            pids.append(pid)
            replies.append(reply)
            if not incoming:
                ticket["epoch"] = reply.get("epoch", 1)
                wait_beating(observer, since)
        channel = hvwire.Channel.connect(controls[0], TIMEOUT_S)
        moved = len(observer.events)
        begun = time.monotonic_ns()
        channel.request("migrate", {"address": "127.0.0.1", "port": replies[1]["port"],
                                    "max_blackout_ms": MAX_BLACKOUT_MS}, ticket=ticket, mode="MODE_LIVE" if live else "MODE_QUICK")
        ended = time.monotonic_ns()
        channel.close()
        return finish(observer, moved, begun, ended)
    finally:
        kill(observer, pids)


def rates(moves, fill_mib):
    return [fill_mib / 1024 / (m.total_ms / 1000) if m.total_ms else None for m in moves]


def rows_of(env, observer, name):
    quick = name.startswith("B1")
    if qemu_peer.QEMU:
        qemu_peer.make_certificates(env.dir)
    fill = 0 if name.startswith("B5") else FILL_MIB
    tls = not name.startswith("B5")
    ours, peers = [], {1: [], 2: []} if not quick else {1: []}
    for number, side in env.alternate():
        if side == "ours":
            ours.append(our_move(env, observer, number, fill, not quick))
        elif qemu_peer.QEMU:
            for channels, moves in peers.items():
                moves.append(peer_move(env, observer, number * 10 + channels, fill, not quick, tls, channels))
    if name.startswith("B2"):
        best = max(peers.values(), key=lambda moves: sum(r or 0 for r in rates(moves, fill)))
        return stats.make_row(name, "GiB/s", rates(ours, fill), rates(best, fill), more_is_better=True,
                              timeout=fill / 1024 / TIMEOUT_S)
    best = min(peers.values(), key=lambda moves: sum(m.blackout_ms or TIMEOUT_S * 1000 for m in moves))
    return stats.make_row(name, "ms", [m.blackout_ms for m in ours], [m.blackout_ms for m in best],
                          timeout=TIMEOUT_S * 1000, note="ownership block in a file " + ("on disk" if LEASE_ON_DISK else "in memory"))


def run(env, names):
    with Observer(env.observer, [os.path.join(env.dir, "a"), os.path.join(env.dir, "b")], env.log) as observer:
        return [rows_of(env, observer, name) for name in names]
