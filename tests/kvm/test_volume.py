# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster volume on a file under a standalone agent: the verbs of volumes and disks as an operator gives them, and a disk that grows while a
guest runs with it."""
import ctypes
import json
import os
import re
import signal
import subprocess
import time

import pytest

import corekit
from test_linux import image  # noqa: F401  pylint: disable=unused-import

AGENT = os.path.join(corekit.BUILD, "hvclusterd")
HVCTL = os.path.join(corekit.BUILD, "hvctl")


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Host:
    """One standalone agent in a folder of its own."""

    def __init__(self, folder):
        self.dir = folder
        conf = os.path.join(folder, "conf")
        self.socket = os.path.join(folder, "run/hvclusterd.sock")
        os.mkdir(os.path.join(folder, "run"))
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"node = one\nrun_dir = {folder}/run\nstate_dir = {folder}/state\nhvcore = {corekit.HVCORE}\nuser = root\ngroup = root\n")
        self.log = open(os.path.join(folder, "log"), "w+b")
        # in a PID namespace: its VMs end with it, however this test ends
        self.agent = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", AGENT, "--config", conf, "--standalone"], stdout=self.log, stderr=self.log,
                                      preexec_fn=die_with_parent)
        end = time.monotonic() + 20
        while not os.path.exists(self.socket):
            assert self.agent.poll() is None and time.monotonic() < end, self.words()
            time.sleep(0.05)

    def words(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def hvctl(self, *args, code=0):
        done = subprocess.run([HVCTL, "--socket", self.socket, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert (done.returncode == 0) == (code == 0), (args, done, self.words())
        return done.stdout.decode() if code == 0 else done.stderr.decode()

    def json(self, *args):
        return json.loads(self.hvctl("--json", *args))

    def console(self, vm):
        with open(f"{self.dir}/state/log/{vm}.console", "rb") as f:
            return f.read().decode(errors="replace")

    def wait_console(self, vm, words, timeout=240):
        end = time.monotonic() + timeout
        while not re.search(words, self.console(vm)):
            assert time.monotonic() < end, self.console(vm) + self.words()
            time.sleep(0.1)

    def close(self):
        self.agent.kill()
        self.agent.wait()
        self.log.close()


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root")
    h = Host(str(tmp_path))
    yield h
    h.close()


def make_volume(host, mib=128):
    with open(host.dir + "/lun", "wb") as f:
        f.truncate(mib << 20)
    host.hvctl("volume", "create", "main", f"file:{host.dir}/lun", "--extent", "1M")


def test_create_keeps_off_data(host):
    """What is there is named and refused; --force says what it destroys; a LUN that is listed is refused always."""
    url = f"file:{host.dir}/lun"
    make_volume(host)
    host.hvctl("disk", "create", "main/a", "--size", "4M")
    os.symlink(host.dir + "/lun", host.dir + "/other")
    for again in (url, f"file:{host.dir}/other"):
        for force in ((), ("--force",)):
            assert "VOL_LISTED" in (said := host.hvctl("volume", "create", "new", again, *force, code=1)) and "is volume main" in said
    host.hvctl("volume", "forget", "main")
    said = host.hvctl("volume", "create", "new", url, code=1)
    assert "VOL_DATA" in said and "volume 'main' (1 disk, 0 saved states, 0 VM definitions)" in said and "volume attach" in said
    host.hvctl("volume", "attach", "main", url)
    assert [d["name"] for d in host.json("volume", "show", "main")["disks"]] == ["a"]
    host.hvctl("volume", "forget", "main")
    assert "volume 'main' (1 disk" in host.json("volume", "create", "new", url, "--force")["destroyed"]
    assert host.json("volume", "show", "new")["disks"] == []
    host.hvctl("volume", "forget", "new")
    os.truncate(host.dir + "/lun", 0)
    os.truncate(host.dir + "/lun", 64 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", host.dir + "/lun"], check=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    assert "ext4" in host.hvctl("volume", "create", "new", url, code=1)
    with open(host.dir + "/lun", "rb") as f:
        f.seek(1024 + 56)
        assert f.read(2) == b"\x53\xef"  # nothing was written


def test_another_volume_lies_there(host):
    """The list knows which volume it means: another one of the same name is not taken for it."""
    make_volume(host)
    host.hvctl("disk", "create", "main/a", "--size", "4M")
    assert "volume=" in host.json("volume", "list")["volumes"][0]["url"]
    os.rename(host.dir + "/lun", host.dir + "/first")
    host.hvctl("volume", "forget", "main")
    make_volume(host)
    os.rename(host.dir + "/first", host.dir + "/lun")
    for verb in (("volume", "show", "main"), ("volume", "check", "main", "--repair"), ("disk", "delete", "main/a"), ("volume", "vms", "main")):
        said = host.hvctl(*verb, code=1)
        assert "VOL_OTHER" in said and "hvctl volume attach" in said
    host.hvctl("volume", "forget", "main")
    host.hvctl("volume", "attach", "main", f"file:{host.dir}/lun")
    assert [d["name"] for d in host.json("volume", "show", "main")["disks"]] == ["a"]


def test_verbs(host):
    make_volume(host)
    host.hvctl("disk", "create", "main/a", "--size", "4M")
    host.hvctl("disk", "create", "main/b", "--size", "4M", "--thick")
    assert "DISK_EXISTS" in host.hvctl("disk", "create", "main/a", "--size", "4M", code=1)
    assert host.json("disk", "rename", "main/a", "c")["disk"]["name"] == "c"
    assert "DISK_EXISTS" in host.hvctl("disk", "rename", "main/c", "b", code=1)
    assert "is no disk name" in host.hvctl("disk", "rename", "main/c", "../c", code=1)
    grown = host.json("disk", "resize", "main/c", "--size", "8M")
    assert grown["disk"]["size_bytes"] == 8 << 20 and grown["vms"] == []
    text = host.hvctl("volume", "dump", "main")
    assert "super block copy 0: main" in text and "disk c " in text and "disk b " in text
    assert re.findall(r"    (\d) at extent", host.hvctl("volume", "dump", "main", "map:b")) == ["0", "1", "2", "3"]
    assert "table and map:DISK" in host.hvctl("volume", "dump", "main", "nonsense", code=1)
    # the file grows, and the volume with it, up to its limit
    before = host.json("volume", "show", "main")["size_bytes"]
    os.truncate(host.dir + "/lun", 256 << 20)
    assert host.json("volume", "grow", "main")["size_bytes"] == before + (128 << 20)
    os.truncate(host.dir + "/lun", 2048 << 20)
    host.hvctl("volume", "grow", "main")
    assert "was made to grow to" in host.hvctl("volume", "grow", "main", code=1)
    report = host.json("volume", "check", "main")
    assert report["complaints"] == [] and report["leaked_extents"] == 0


def test_guest_sees_growth(host, image):  # noqa: F811
    make_volume(host)
    host.hvctl("disk", "create", "main/d", "--size", "16M")
    host.hvctl("create", "vm", "--memory", "256M", "--engine", "auto", "--kernel", image["files"]["vmlinuz"]["path"], "--initrd",
               image["files"]["initramfs.cpio"]["path"], "--cmdline", image["cmdline"].replace("quiet", "loglevel=7"), "--disk", "main/d")
    host.hvctl("start", "vm")
    host.wait_console("vm", r"\[vda\] 32768 512-byte")
    host.wait_console("vm", "guest: ready")
    assert host.json("disk", "resize", "main/d", "--size", "48M")["vms"] == [{"vm": "vm", "node": "one", "told": True}]
    host.wait_console("vm", r"\[vda\] new size: 98304 512-byte", 60)
    assert host.json("volume", "check", "main")["complaints"] == []
