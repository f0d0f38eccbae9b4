# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU as the peer of the benches: the command line, QMP, migration. Tuned fairly: bandwidth lifted, the same RAM backend, no extra devices."""
import json
import os
import shutil
import socket
import subprocess
import time

QEMU = shutil.which("qemu-system-x86_64")


def version():
    if not QEMU:
        return None
    text = os.popen(f"{QEMU} --version").readline()
    return text.split("version ")[1].split()[0] if "version " in text else text.strip()


def make_certificates(directory):
    """A CA and one certificate for both ends, as tls-creds-x509 wants them; QEMU's TLS goes through GnuTLS."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca-cert.pem", "-days", "2", "-subj", "/CN=bench CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    with open(os.path.join(directory, "ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n")
    openssl("req", *key, "-keyout", "server-key.pem", "-out", "end.csr", "-subj", "/CN=127.0.0.1")
    openssl("x509", "-req", "-in", "end.csr", "-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "server-cert.pem")
    for kind in ("cert", "key"):
        shutil.copy(os.path.join(directory, f"server-{kind}.pem"), os.path.join(directory, f"client-{kind}.pem"))


def command(elf, cmdline, beat_socket, qmp_socket, memory_mib, extra=(), incoming=False, tls_dir=None):
    """microvm with virtio-mmio, the same guest, guest RAM shared so that private memory is QEMU's own.

    tls_dir: where make_certificates() was; makes the object t0 for tune(tls="t0").
    """
    prealloc = ",prealloc=on" if incoming else ""
    backend = f"memory-backend-memfd,id=m,size={memory_mib}M,share=on" + prealloc
    machine = "microvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=off"
    if tls_dir:
        extra = (*extra, "-object", f"tls-creds-x509,id=t0,dir={tls_dir},verify-peer=on,endpoint="
                 + ("server" if incoming else "client"))
    return [QEMU, "-accel", "kvm", "-m", str(memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", machine + ",memory-backend=m", "-object", backend,
            "-global", "virtio-mmio.force-legacy=false",
            "-kernel", elf, "-append", cmdline,
            "-chardev", f"socket,id=e,path={beat_socket}", "-device", "isa-debugcon,chardev=e,iobase=0xe9",
            "-qmp", f"unix:{qmp_socket},server=on,wait=off", *(["-incoming", "defer"] if incoming else []), *extra]


class Qmp:
    """A QMP connection. connect() waits until QEMU listens."""

    def __init__(self, path, timeout=10):
        end = time.monotonic() + timeout
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.0005)
        self.file = self.sock.makefile("rw", encoding="utf-8", newline="\n")
        self.read()  # the greeting: the API answers now
        self.ready_ns = time.monotonic_ns()
        self.call("qmp_capabilities")

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("QEMU closed QMP")
        return json.loads(line)

    def call(self, verb, **args):
        self.file.write(json.dumps({"execute": verb, "arguments": args} if args else {"execute": verb}) + "\n")
        self.file.flush()
        while True:
            answer = self.read()
            if "error" in answer:
                raise RuntimeError(f"{verb}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def quit(self):
        try:
            self.call("quit")
        except (OSError, ConnectionError, RuntimeError):
            pass
        self.sock.close()


def tune(qmp, downtime_ms, multifd=1, tls=None):
    qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40, "downtime-limit": downtime_ms,
                                          **({"multifd-channels": multifd} if multifd > 1 else {}),
                                          **({"tls-creds": tls} if tls else {})})
    if multifd > 1:
        qmp.call("migrate-set-capabilities", capabilities=[{"capability": "multifd", "state": True}])


def migrate(source, destination, port, timeout=30, live=True):
    """Runs one migration over loopback; returns QEMU's own record of it, or None if it did not finish in time."""
    destination.call("migrate-incoming", uri=f"tcp:127.0.0.1:{port}")
    if not live:
        source.call("stop")
    source.call("migrate", uri=f"tcp:127.0.0.1:{port}")
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        info = source.call("query-migrate")
        if info.get("status") == "completed":
            return info
        if info.get("status") in ("failed", "cancelled"):
            raise RuntimeError(f"QEMU migration {info['status']}: {info.get('error-desc', '')}")
        time.sleep(0.002)
    source.call("migrate_cancel")
    return None
