# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of scripts/check-* have in common: a tree of their own in a temporary directory, and the script's verdict on it."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def load(name):
    """scripts/NAME as a module: a new process for each planted error would take most of the time."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(ROOT, "scripts", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Planted(unittest.TestCase):
    SCRIPT = ""

    @classmethod
    def setUpClass(cls):
        cls.module = load(cls.SCRIPT)

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def add(self, name, text):
        """Appends to a file of the tree, or makes it."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "a", encoding="utf-8") as f:
            f.write(text)

    def said(self, *args):
        """(exit code, output) of the script on the tree."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = self.module.main(["--root", self.dir, *args])
        return code, out.getvalue()
