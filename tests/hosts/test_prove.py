"""The attacks of prove and of the tests: they get through on a sloppy host, and are blocked on a hardened one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.hosts.attacks import CONTROLS, attack
from tests.hosts.hardening import QUIET, Playbook, dump
from tests.playbook import PlayError
from tests.testbed import authority
from tests.testbed.hosts import Host

PROVED = [one for one in _controls.load().controls if one.attack.where == "prove"]
ATTACKS = len(PROVED)
# What is not requested at the usual level gets through, and is no failure.
CONSIDERED = {one.id for one in PROVED if one.level == "consider"}


def prove(playbook: Playbook, host: Host, **variables: str) -> str:
    """What the playbook prints, whether it fails or not."""
    options = {"chamilo_prove_address": host.address, "chamilo_prove_ca_file": str(authority.certificate())}
    try:
        output = playbook.run(
            "prove", host, "-v", **{**options, **variables}
        ).output  # -v: what it prints when all is well
    except PlayError as failed:
        output = str(failed)
    return " ".join(output.split())


@pytest.mark.wire
def test_every_attack_gets_through_before(fresh: Host, playbook: Playbook) -> None:
    dump(fresh)
    before = fresh.snapshot()
    output = prove(playbook, fresh)
    assert f"0 of {ATTACKS} attacks were blocked" in output
    found = attack(fresh)
    # Without https Chamilo gives no cookie to keep.
    assert {name for name, each in found.items() if each.status != "fail"} == {"sessions_remember_me"}, found
    assert found["sessions_remember_me"].status == "not_assessed"
    assert not before.changes(fresh.snapshot(), [*QUIET, "/var/www/chamilo/var/*"]), "an attack leaves nothing behind"


@pytest.mark.wire
def test_attacks_on_hardened_sections_are_rejected_after(hardened: Host, playbook: Playbook) -> None:
    output = prove(playbook, hardened)
    through = {name for name, status in re.findall(r"id: (\w+) status: (\w+)", output) if status != "held"}
    assert through == CONSIDERED
    assert f"{ATTACKS - len(through)} of {ATTACKS} attacks rejected" in output
    found = attack(hardened)
    assert {name for name, each in found.items() if each.status != "pass"} == {
        one.id for one in CONTROLS if one.level == "consider"
    }, found


def test_without_the_fixer_they_get_through_again(hardened: Host, playbook: Playbook) -> None:
    hardened.run("chamilo-hardening undo headers --yes")
    output = prove(playbook, hardened)
    assert "headers_frame_options: " in output
    assert "https_redirect: " not in output


def test_a_portal_that_is_not_ones_own_is_not_attacked(make: Callable[..., Host], playbook: Playbook) -> None:
    mine, other = make("campus"), make("other")
    output = prove(playbook, mine, chamilo_prove_address=other.address)
    assert "Nothing was attacked" in output
    asked = other.run("cat /var/log/*/*access*.log").stdout
    assert "chamilo-hardening-" in asked, "the question whose it is"
    assert "/main/install" not in asked and "login_json" not in asked
    assert not mine.run("ls /var/www/chamilo/public | grep chamilo-hardening", check=False).stdout
