# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the lab tests. Logs of a failed module are kept under $HVLAB_LOGS when that is set."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import labkit  # noqa: E402


def pytest_collection_modifyitems(items):
    reason = labkit.why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


class Shared:
    """The one lab of three nodes that the test files of this run use after each other. A file in which a test failed, or that
    leaves something which a reset does not remove, takes it down with it: the next one gets a new one."""

    def __init__(self):
        self.lab = None

    def take(self):
        if not self.lab:
            self.lab = labkit.Lab().up()
            self.lab.new = self.lab.configuration()
        return self.lab

    def give_back(self, name, failed):
        logs = os.environ.get("HVLAB_LOGS")
        if failed:
            self.lab.logs = os.path.join(logs, name) if logs else None
            self.end(keep_logs=True)
            return
        left = self.lab.reset()
        if left:
            self.end()
        assert left == []

    def end(self, keep_logs=False):
        lab, self.lab = self.lab, None
        if lab:
            lab.down(keep_logs)
            assert lab.leftovers() == []


@pytest.fixture(scope="session")
def shared_lab():
    shared = Shared()
    try:
        yield shared
    finally:
        shared.end()


@pytest.fixture(scope="module")
def module_lab(request, shared_lab):
    failed = request.session.testsfailed
    yield shared_lab.take()
    shared_lab.give_back(request.module.__name__, request.session.testsfailed > failed)


@pytest.fixture
def lab(module_lab):
    """Three nodes in good order; whatever a test breaks is mended before the next one."""
    module_lab.restore()
    return module_lab
