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


@pytest.fixture(scope="module")
def module_lab(request):
    logs = os.environ.get("HVLAB_LOGS")
    lab = labkit.Lab(logs=os.path.join(logs, request.module.__name__) if logs else None)
    failed = request.session.testsfailed
    try:
        yield lab.up()
    finally:
        lab.down(keep_logs=request.session.testsfailed > failed)
    assert lab.leftovers() == []


@pytest.fixture
def lab(module_lab):
    """Three nodes in good order; whatever a test breaks is mended before the next one."""
    module_lab.restore()
    return module_lab
