# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock Debian kernels look at the processors they get: several of them under contention, debug registers by ptrace, the kernel's own crypto
self-tests, and both flavours of the kernel."""
import json
import os
import subprocess
import sys

import pytest

import corekit
from corekit import Vm

sys.path.insert(0, os.path.join(corekit.ROOT, "tests/guest"))
from agentguest import guest_image_module  # noqa: E402

START = b"""#!/bin/busybox sh
echo "cpus: $(/bin/busybox nproc)"
/bin/traced
/bin/contend
echo "self-tests: $(/bin/busybox grep -c 'selftest .*: passed' /proc/crypto) passed, $(/bin/busybox grep selftest /proc/crypto | /bin/busybox grep -vc passed) not"
echo "guest: tried"
"""


def make_image(folder, flavour):
    done = subprocess.run([os.path.join(corekit.ROOT, "scripts/guest-image"), "--json", "--flavour", flavour, "--out", os.path.join(folder, flavour),
                           "--programs", os.path.join(corekit.BUILD, "tests/guest")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=corekit.first_network, check=False)
    if done.returncode:
        pytest.skip("no guest image: " + done.stderr.decode().strip())
    image = json.loads(done.stdout)
    maker = guest_image_module()
    extra = maker.Cpio()
    for name in ("contend", "traced"):
        extra.file("/bin/" + name, maker.read_file(os.path.join(corekit.BUILD, "tests/guest", name)), 0o755)
    extra.file("/etc/guest-start", START, 0o755)
    initrd = os.path.join(folder, flavour + ".cpio")
    with open(image["files"]["initramfs.cpio"]["path"], "rb") as base, open(initrd, "wb") as f:
        f.write(base.read() + extra.finish())
    return {"kernel": image["files"]["vmlinuz"]["path"], "initrd": initrd, "cmdline": image["cmdline"]}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Makes an image of a flavour when it is asked for."""
    folder, made = str(tmp_path_factory.mktemp("images")), {}

    def get(flavour):
        if flavour not in made:
            made[flavour] = make_image(folder, flavour)
        return dict(made[flavour])
    return get


def tried(guest, cpus, timeout=300):
    """What a guest with so many processors said; it has found nothing wrong."""
    with Vm(memory_mib=512, engine="auto", cpus=cpus, **guest) as vm:
        said = vm.wait_serial("guest: tried", timeout)
        assert f"cpus: {cpus}" in said and "traced: ok" in said
        assert f"contend: ok cpus={cpus} " in said
        for word in ("BUG:", "Oops", "soft lockup", "rcu: INFO", "unstable"):
            assert word not in said, said
        vm.request("power-button")
        assert vm.wait_end(60) == 0
        return said


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_contention(images, cpus):
    tried(images("cloud-amd64"), cpus)


def test_amd64_flavour(images):
    tried(images("amd64"), 2)


def test_crypto_self_tests(images):
    guest = images("cloud-amd64")
    assert "cryptomgr.notests" in guest["cmdline"]
    guest["cmdline"] = guest["cmdline"].replace("cryptomgr.notests", "")
    said = tried(guest, 1)
    counts = said.split("self-tests: ")[1].split("\n")[0].strip()
    assert counts.endswith(" passed, 0 not") and int(counts.split()[0]) > 10, counts
    assert "alg:" not in said
