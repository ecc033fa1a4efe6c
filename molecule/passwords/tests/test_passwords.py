"""What a user may choose after the role passwords alone."""

from __future__ import annotations

import pytest

from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://passwords"]


def change(portal: Host, new: str) -> int:
    student = Browser(f"http://{portal.domain}", portal.address)
    assert student.login("student01", PASSWORDS["student01"]).status == 200
    old = PASSWORDS["student01"]
    answer = student.post_json("/account/change-password", current_password=old, new_password=new)
    if answer.status == 200:
        assert student.post_json("/account/change-password", current_password=new, new_password=old).status == 200
    return answer.status


@pytest.mark.parametrize("weak", ["a", "Short-Pw-12", "only-lower-case-12", "NoDigitsAtAll-", "NoSignsAtAll1234"])
def test_a_weak_password_is_refused(portal: Host, weak: str) -> None:
    assert change(portal, weak) == 400


def test_a_good_password_is_taken(portal: Host) -> None:
    assert change(portal, "Long-enough-12!") == 200
