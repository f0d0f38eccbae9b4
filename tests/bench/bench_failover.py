# SPDX-License-Identifier: GPL-2.0-or-later
"""B12 failover: three real corosync + pacemaker nodes (scripts/lab), the power of the node with the guest is cut, until the first byte of the guest
on another node. The peer is a plain QEMU under the same pacemaker with the resource agent QemuGuest; the same guest, a disk in a file that all nodes
see, the same token, the same fence agent, the guest never on the DC. Both sides in turn in one lab."""
import os
import selectors
import socket
import sys
import threading
import time

import hvwire
import qemu_peer
import stats

sys.path.append(os.path.join(hvwire.ROOT, "tests", "lab"))
import labkit  # noqa: E402
import vmkit  # noqa: E402

NAMES = ["B12_failover_token1000", "B12_failover_token300"]
PAIRS = 4  # each pair is two power cuts with all that belongs to them
TIMEOUT_S = 60
CMDLINE = "mode=beat rate=200"


class Ears:
    """When which node's guest was heard: raw bytes from QEMU and lines from hvcore alike are a sign of life."""

    def __init__(self, lab):
        self.selector, self.heard, self.ended = selectors.DefaultSelector(), [], False
        for node in lab.names():
            path = f"{lab.dir}/beat/{node}.sock"
            if os.path.exists(path):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            os.chmod(path, 0o666)
            listener.listen(8)
            self.selector.register(listener, selectors.EVENT_READ, (node, True))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.1):
                self.turn(key.fileobj, *key.data)

    def turn(self, sock, node, listening):
        if listening:
            self.selector.register(sock.accept()[0], selectors.EVENT_READ, (node, False))
            return
        try:
            data = sock.recv(4096)
        except ConnectionError:
            data = b""
        if data:
            self.heard.append((node, time.monotonic_ns()))
        else:
            self.selector.unregister(sock)
            sock.close()

    def first(self, since_ns, not_on=None):
        """(node, ns) of the first sign of life after since_ns elsewhere than on not_on."""
        return labkit.wait_for("the guest is heard", lambda: next(
            ((node, at) for node, at in list(self.heard) if at > since_ns and node != not_on), None), TIMEOUT_S, 0.02)

    def close(self):
        self.ended = True
        self.thread.join()


class Ours:
    def __init__(self, lab, number):
        self.lab, self.name = lab, f"ours{number}"
        self.vm = vmkit.Vm(lab, self.name, store="file", mode="beat", engine="kvm")

    def start(self):
        self.vm.hvctl("start", self.name)

    def remove(self):
        self.vm.remove()


class Peer:
    """The agent's resource, written into the CIB as an administrator would."""

    def __init__(self, lab, number):
        self.lab, self.name = lab, f"peer{number}"
        disk = f"{lab.dir}/share/{self.name}.img"
        with open(disk, "wb") as f:
            f.truncate(64 << 20)
        build = lab.status()["build"]
        attributes = {"kernel": os.path.join(build, "tests/guest/bare.elf"), "cmdline": CMDLINE, "disk": disk}
        self.xml = (f'<primitive id="{self.name}" class="ocf" provider="hvbench" type="QemuGuest">'
                    f'<instance_attributes id="{self.name}-ia">' + "".join(
                        f'<nvpair id="{self.name}-{k}" name="{k}" value="{v}"/>' for k, v in attributes.items())
                    + f'</instance_attributes><meta_attributes id="{self.name}-ma">'
                    f'<nvpair id="{self.name}-st" name="resource-stickiness" value="1000"/></meta_attributes><operations>'
                    f'<op id="{self.name}-mon" name="monitor" interval="10s" timeout="10s"/></operations></primitive>')

    def start(self):
        self.lab.run("node1", "cibadmin", "-C", "-o", "resources", "-X", self.xml)

    def remove(self):
        self.lab.run("node1", "crm_resource", "-r", self.name, "--meta", "--set-parameter", "target-role", "--parameter-value",
                     "Stopped")
        self.lab.run("node1", "crm_resource", "--wait", timeout=60)
        self.lab.run("node1", "cibadmin", "-D", "-o", "resources", "-X", f'<primitive id="{self.name}"/>')


def one(lab, ears, side, number):
    """Milliseconds from the power cut to the first byte elsewhere."""
    guest = (Ours if side == "ours" else Peer)(lab, number)
    dc = lab.status()["dc"]
    begun = time.monotonic_ns()
    guest.start()
    node, _ = ears.first(begun)
    lab.run("node1", "crm_resource", "--wait", timeout=60)
    if node == dc:  # moved aside, so that both sides lose a node that is not the DC; its stickiness keeps it there
        moved = time.monotonic_ns()
        lab.run("node1", "crm_resource", "--ban", "-r", guest.name, "--node", dc)
        node, _ = ears.first(moved, not_on=dc)
        lab.run("node1", "crm_resource", "--wait", timeout=60)
        lab.run("node1", "crm_resource", "--clear", "-r", guest.name)
    time.sleep(1)  # whatever pacemaker still notes about the start
    cut = time.monotonic_ns()
    lab.kill(node)
    there, at = ears.first(cut + 1, not_on=node)
    assert there != node
    lab.boot(node)
    lab.wait()
    guest.remove()
    return (at - cut) / 1e6


def row(env, name):
    token = int(name.rsplit("token", 1)[1])
    os.environ["HV_BUILD"] = env.build
    samples = {"ours": [], "peer": []}
    with labkit.Lab(nodes=3, token=token) as lab:
        ears = Ears(lab)
        try:
            for number, side in env.alternate(PAIRS):
                if side == "ours" or qemu_peer.QEMU:
                    samples[side].append(one(lab, ears, side, number))
        finally:
            ears.close()
    return stats.make_row(name, "ms", samples["ours"], samples["peer"],
                          note=" ".join(f"{side}: {', '.join('%.0f' % v for v in values)}" for side, values in samples.items()))


def run(env, names):
    if labkit.why_not():
        raise env.cannot(labkit.why_not())
    return [row(env, name) for name in names]
