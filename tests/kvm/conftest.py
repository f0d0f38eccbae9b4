# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the VM tests: each test runs on every engine that this machine has, in a network namespace of its own."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import agentkit  # noqa: E402
import corekit  # noqa: E402

NO_NETWORK = corekit.own_network()


def pytest_collection_modifyitems(items):
    reason = corekit.why_not()
    for item in items:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(params=["kvm", "soft"])
def engine(request):
    if request.param == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm here")
    return request.param


@pytest.fixture
def tap():
    if NO_NETWORK:
        pytest.skip(NO_NETWORK)
    device = corekit.Tap("tap0", "10.77.9.1/24")
    yield device
    device.close()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.img"
    with open(path, "wb") as f:
        f.truncate(32 << 20)
    return str(path)


@pytest.fixture
def agents():
    """Makes standalone agents; all of them are gone after the test."""
    made = []

    def make(**how):
        made.append(agentkit.Agent(**how))
        return made[-1]
    yield make
    for agent in reversed(made):
        agent.close()
