"""What the tests of all scenarios look through: requests from outside, as a visitor sends them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed import hosts


@pytest.fixture
def portal(host: Any) -> hosts.Host:
    """The testbed host behind testinfra's: ``portal.http(path)`` asks it over the wire."""
    variables = host.ansible.get_variables()
    return hosts.find(variables["inventory_hostname"].split(".")[0], variables["testbed_network"])
