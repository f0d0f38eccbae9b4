# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a source tree, for scripts/check-*."""
import os
import subprocess

# What a build leaves in a tree that git does not know.
BUILT = (".pb-c.c", ".pb-c.h", "config.h", "config.h.in", ".o", ".a", ".log", ".trs", ".pyc")


def files(root, endings=("",)):
    """The files that git knows and new ones; without git (a release) what is there, less what a build makes. Paths from the top, sorted."""
    out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if out.returncode == 0 and out.stdout:
        names = out.stdout.split("\n")
    else:
        names = []
        for d, dirs, found in os.walk(root):
            dirs[:] = [x for x in dirs if not x.startswith((".", "_", "build")) and x != "autom4te.cache" and
                       not os.path.exists(os.path.join(d, x, "config.status"))]
            names += [os.path.relpath(os.path.join(d, f), root) for f in found if not f.endswith(BUILT)]
    return sorted({n for n in names if n.endswith(endings) and os.path.isfile(os.path.join(root, n))} - {""})
