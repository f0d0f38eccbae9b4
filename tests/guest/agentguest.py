# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest with Debian's own qemu-guest-agent: what to add to the initramfs that scripts/guest-image makes."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MAKER = os.path.join(ROOT, "scripts/guest-image")

# Runs the agent as its service would: without udev, the port's name is found in sysfs.
START = b"""#!/bin/busybox sh
bb=/bin/busybox
for port in /sys/class/virtio-ports/*; do
	[ "$($bb cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] || continue
	$bb mkdir -p /dev/virtio-ports
	$bb ln -s "/dev/${port##*/}" /dev/virtio-ports/org.qemu.guest_agent.0
done
echo "agent: port $($bb ls /dev/virtio-ports)"
while [ ! -e /tmp/off ]; do
	/usr/sbin/qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /tmp
	echo "agent: ended with $?"
	$bb sleep 1
done
"""
SHUTDOWN = b"#!/bin/busybox sh\necho \"guest: shutdown $*\" >/dev/console\n/sbin/power-off &\n"


class CannotMake(Exception):
    """The reason why there is no such guest here."""


def guest_image_module():
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("guest_image", MAKER)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("guest_image", loader))
    loader.exec_module(module)
    return module


def overlay(folder, preexec_fn=None):
    """A cpio to append to the initramfs: the agent of its package, and the libraries that it names as this host has them.
    preexec_fn: for the download of the package."""
    maker = guest_image_module()
    done = subprocess.run([MAKER, "--fetch", "qemu-guest-agent"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=preexec_fn, check=False)
    if done.returncode:
        raise CannotMake("no qemu-guest-agent package: " + done.stderr.decode().strip())
    package = maker.Package(done.stdout.decode().strip())
    program = os.path.join(folder, "qemu-ga")
    with open(program, "wb") as f:
        f.write(package.read("usr/sbin/qemu-ga"))
    os.chmod(program, 0o755)
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    missing = re.findall(r"(\S+) => not found", listed)
    if missing:
        raise CannotMake("this host lacks libraries of qemu-guest-agent: " + " ".join(missing))
    cpio = maker.Cpio()
    cpio.file("/usr/sbin/qemu-ga", maker.read_file(program), 0o755)
    for lib in sorted(set(re.findall(r"(/\S+) \(0x", listed))):
        cpio.file(lib, maker.read_file(lib), 0o755)
    cpio.file("/etc/guest-start", START, 0o755)
    cpio.file("/sbin/shutdown", SHUTDOWN, 0o755)
    return cpio.finish()
