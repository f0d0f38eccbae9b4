# SPDX-License-Identifier: GPL-2.0-or-later
"""iSCSI targets for the benches: stock tgt, the independent one for whatever is compared, and labsan where the target must be able to fence.
Both serve files of one directory on 127.0.0.1 and die with this process."""
import contextlib
import os
import shutil
import socket
import subprocess
import time

IQN = "iqn.2026-01.test:bench"
# What a site would set, too: tgt's own defaults (8 KiB segments, R2T for everything) make every initiator slow alike.
TGT_PARAMETERS = {"MaxRecvDataSegmentLength": 262144, "MaxXmitDataSegmentLength": 262144, "FirstBurstLength": 262144,
                  "MaxBurstLength": 1048576, "InitialR2T": "No", "MaxOutstandingR2T": 8}


def random_file(path, size_bytes):
    """A file without holes whose bytes do not compress."""
    block = os.urandom(1 << 20)
    with open(path, "wb") as f:
        for _ in range(size_bytes >> 20):
            f.write(block)


def wait_for(condition, what):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise RuntimeError(f"{what} did not start")


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def tgt(env, luns, prefix=()):
    """Serves the files luns as LUN 1, 2, ...; yields the port. prefix: words before the command (taskset, chrt)."""
    if not shutil.which("tgtd") or not shutil.which("tgtadm"):
        raise env.cannot("the tgt package is not installed")
    port = env.port()
    control = str(port % 32000 + 100)
    environment = dict(os.environ, TGT_IPC_SOCKET=os.path.join(env.dir, "tgt.sock"))

    def admin(*words):
        return subprocess.run(["tgtadm", "-C", control, "--lld", "iscsi", *words], env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    with open(env.log, "ab") as log:
        daemon = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *prefix, "tgtd", "-f", "-C", control, "-t", "4",
                                   "--iscsi", f"portal=127.0.0.1:{port}"], env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: admin("--mode", "sys", "--op", "show"), "tgtd")
        ok = admin("--mode", "target", "--op", "new", "--tid", "1", "--targetname", IQN)
        for name, value in TGT_PARAMETERS.items():
            ok &= admin("--mode", "target", "--op", "update", "--tid", "1", "--name", name, "--value", str(value))
        for number, path in enumerate(luns, 1):
            ok &= admin("--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", str(number), "--backing-store", path,
                        "--bstype", "rdwr")
        if not ok or not admin("--mode", "target", "--op", "bind", "--tid", "1", "--initiator-address", "ALL"):
            raise RuntimeError("tgtadm refused the target of the bench")
        yield port
    finally:
        daemon.kill()  # tgtd does not end on SIGTERM while it has targets
        daemon.wait()


@contextlib.contextmanager
def labsan(env, luns, prefix=()):
    """luns: labsan's words for each, from LUN 0 on; yields the port."""
    program = os.path.join(env.build, "tests/san/labsan")
    env.need(program)
    port, directory = env.port(), env.memory_dir()
    words = [word for lun in luns for word in ("--lun", os.path.join(directory, lun))]
    with open(env.log, "ab") as log:
        daemon = subprocess.Popen([*prefix, program, "--exit-with-parent", "--portal", f"127.0.0.1:{port}", "--iqn", IQN,
                                   "--state", os.path.join(directory, "state"), *words], stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port), "labsan")
        yield port
    finally:
        daemon.kill()
        daemon.wait()
