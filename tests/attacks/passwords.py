"""Attacks on the password rules: log in as a user of the testbed and choose a weak password, as people do."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from tests.attacks.visitors import Visitor

# An account that every portal of the testbed has.
_USER, _PASSWORD = "student02", "student-Password-1!"
# Too short, of one kind only, and what Chamilo's built-in rule is content with.
_WEAK = ("a", "password", "abcdefghijklmnop", "ab1-2")


def _change(visitor: Visitor, current: str, new: str) -> bool:
    answer = visitor.ask("/account/change-password", {"current_password": current, "new_password": new})
    if answer.status not in (200, 400):
        raise OSError(f"changing the password of {_USER} gave {answer.status}")
    return answer.status == 200


@attack("passwords_length")
def choose_a_weak_one(target: Target) -> Finding:
    visitor = Visitor(target)
    visitor.login(_USER, _PASSWORD)
    for weak in _WEAK:
        if _change(visitor, _PASSWORD, weak):
            # What rules there are let the old password back in.
            if not _change(visitor, weak, _PASSWORD):
                raise OSError(f"the password of {_USER} could not be set back: it is {weak!r} now")
            return failed(f"{_USER} may choose the password {weak!r}.")
    return passed(f"{len(_WEAK)} weak passwords were refused: {', '.join(_WEAK)}.")
