"""The role headers: each header exactly once on every kind of answer, whatever else sends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from tests.guide import HEADERS
from tests.hosts.hardening import HSTS, Playbook, missing_from_the_portal, without_virtual_host
from tests.playbook import PlayError
from tests.testbed.hosts import Host

ENVIRONMENT = "/var/www/chamilo/.env"
# From a host with both sections.
ONLY = ("--tags", "headers")


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Only what this file is about, which takes a fifth of the time."""
    return Playbook(tmp_path, "https,headers")


def answers(host: Host, scheme: str = "https") -> Iterator[tuple[int, Answer]]:
    """Every kind of answer the portal can give, with the status it must have. Ends with PHP stopped."""
    base = f"{scheme}://{host.domain}"
    if scheme == "https":
        yield 301, host.http(f"http://{host.domain}/")
    yield 200, host.http(f"{base}/")
    yield 200, host.http(f"{base}/main/auth/lostPassword.php")
    yield 403, host.http(f"{base}/main/auth/inscription.php")
    yield 403, host.http(f"{base}/{'img/' if host.web == 'nginx' else '.htaccess'}")
    yield 200, host.http(f"{base}/build/app.css")
    yield 401, host.http(f"{base}/api/users")
    yield 404, host.http(f"{base}/nothing-here")
    yield 404, host.http(f"{base}/.well-known/chamilo-hardening/headers")
    yield 404, host.http(f"{base}/.well-known/chamilo-hardening/https")
    # Apache checks the length of what it hands on to PHP only once it comes.
    yield 413, host.http(f"{base}/build/app.css", method="POST", headers={"Content-Length": str(10**12)})
    yield 500, host.http(f"{base}/_testbed/crash")
    beyond = {"Range": "bytes=999999-"}
    yield 416, host.http(f"{base}/favicon.ico", headers=beyond)
    yield 416, host.http(f"{base}/build/app.css", headers=beyond)
    host.run("systemctl stop 'php*-fpm.service'")
    yield 503 if host.web == "apache" else 502, host.http(f"{base}/")
    host.run("systemctl start 'php*-fpm.service'")


def wrong(answer: Answer, desired: dict[str, str]) -> list[str]:
    """Headers that are not there exactly once with the right value, in words."""
    return [
        f"{answer.status} {answer.url}: {name} {answer.values(name)}"
        for name, value in desired.items()
        if answer.values(name) != [value]
    ]


@pytest.mark.parametrize("own", ["true", "false"], ids=["application sends its own", "application sends none"])
@pytest.mark.wire
def test_each_header_is_sent_exactly_once_on_every_answer(hardened: Host, own: str) -> None:
    hardened.run(["sed", "-i", f"s/^IDS_SECURITY_HEADERS=.*/IDS_SECURITY_HEADERS={own}/", ENVIRONMENT])
    problems = []
    for status, answer in answers(hardened):
        assert answer.status == status, f"{answer.url} answers {answer.status} {answer.error}, not {status}"
        desired = {**HEADERS, "Strict-Transport-Security": HSTS} if answer.url.startswith("https") else HEADERS
        problems += wrong(answer, desired)
        if len(answer.values("Content-Security-Policy-Report-Only")) != 1:
            problems.append(f"{answer.status} {answer.url}: no policy")
        assert answer.values("X-Chamilo-Generation") == [], answer.url
        for name in ("Server", "X-Powered-By"):
            problems += [
                f"{answer.url}: {name}: {value}" for value in answer.values(name) if any(map(str.isdigit, value))
            ]
    assert not problems


@pytest.mark.wire
def test_packages_have_a_policy_of_their_own_and_nothing_else_has_it(served: Host) -> None:
    def policy(path: str) -> str:
        answer = served.http(f"https://{served.domain}{path}")
        (sent,) = answer.values("Content-Security-Policy-Report-Only")
        return sent

    usual, package = policy("/login"), policy("/assets/scorm/x")
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;" in usual
    assert "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: https:;" in package
    for path in ("/plugin/H5pImport/x", "/assets/scorm/demo/a.html?back=../x"):
        assert policy(path) == package, path
    # What only seems to lead there.
    for way in ("%2e%2e/", "%2E%2E/", "../", "x/%2e%2e/%2e%2e/", "..%2F", "..%2f", "x%2F"):
        for directory in ("/assets/scorm/", "/plugin/H5pImport/"):
            assert policy(f"{directory}{way}login") == usual, f"{directory}{way}"
    for path in ("/login?/assets/scorm/x", "/x/assets/scorm/x", "/assets/scormx", "/plugin/h5pimport/x"):
        assert policy(path) == usual, path


def test_an_unhardened_host_sends_none_of_them(shared: Host) -> None:
    answer = shared.http("/")
    assert answer.status == 200
    assert all(not answer.values(name) for name in [*HEADERS, "Strict-Transport-Security"])


@pytest.mark.wire
def test_the_role_works_alone_in_another_play(fresh: Host, playbook: Playbook) -> None:
    without_virtual_host(fresh)
    play = playbook.write(
        "site.yml",
        """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: chamilo.hardening.headers
  handlers:
    - ansible.builtin.command: {cmd: tee -a /root/heard, stdin: heard}
      listen: chamilo web server reloaded
""",
    )
    assert playbook.run(play, fresh).changed[fresh.domain] > 0
    answer = fresh.http("/")
    assert answer.status == 200, "plain http stays as it was: that is the business of another section"
    assert not wrong(answer, HEADERS)
    assert not missing_from_the_portal(fresh, "http")
    assert playbook.run(play, fresh).changed[fresh.domain] == 0
    assert fresh.run("cat /root/heard").stdout.split() == ["heard"], "by who listens, and only when something changed"


def test_the_role_works_without_the_host_program_or_its_timer(fresh: Host, playbook: Playbook) -> None:
    without_virtual_host(fresh)
    play = playbook.write("site.yml", "- {hosts: all, become: true, roles: [chamilo.hardening.headers]}")
    with pytest.raises(PlayError, match="is not installed, so nothing would put the old files back") as warned:
        playbook.run(play, fresh, chamilo_host_program=False)
    assert "exit code 0" in str(warned.value)
    assert not missing_from_the_portal(fresh, "http")
    assert not fresh.run("ls -d /usr/local/sbin/cham* /etc/systemd/system/cham*", check=False).stdout
    assert playbook.run(play, fresh, chamilo_host_program=False).changed[fresh.domain] == 0
    updates = playbook.write("updates.yml", "- {hosts: all, become: true, roles: [chamilo.hardening.updates]}")
    with pytest.raises(PlayError, match="chamilo_host_program is false, and updates would end with this run"):
        playbook.run(updates, fresh, chamilo_host_program=False)

    seen = "systemctl is-active chamilo-hardening-daily.timer; ls /usr/local/sbin/chamilo-hardening"
    for daily, state in ((False, "inactive"), (True, "active"), (False, "inactive")):
        assert playbook.run(play, fresh, chamilo_daily=daily).changed[fresh.domain] == 1
        assert fresh.run(seen, check=False).stdout.split() == [state, "/usr/local/sbin/chamilo-hardening"]
    assert playbook.run(play, fresh, chamilo_daily=False).changed[fresh.domain] == 0


def test_a_framing_partner_is_let_in_by_the_policy(varied: Host, playbook: Playbook) -> None:
    playbook.harden(varied, *ONLY, chamilo_headers_frame_ancestors=["https://portal.example.org"])
    answer = varied.http(f"https://{varied.domain}/")
    assert answer.values("X-Frame-Options") == []
    assert answer.values("Content-Security-Policy") == ["frame-ancestors 'self' https://portal.example.org"]


@pytest.mark.long
def test_without_a_policy_frames_have_their_rule(varied: Host, playbook: Playbook) -> None:
    def sent(**variables: Any) -> tuple[list[str], ...]:
        playbook.harden(varied, *ONLY, chamilo_headers_csp="off", **variables)
        answer = varied.http(f"https://{varied.domain}/")
        names = ("X-Frame-Options", "Content-Security-Policy", "Content-Security-Policy-Report-Only")
        return tuple(answer.values(name) for name in names)

    assert sent() == (["SAMEORIGIN"], [], [])
    partner = "https://portal.example.org"
    assert sent(chamilo_headers_frame_ancestors=[partner]) == ([], [f"frame-ancestors 'self' {partner}"], [])


@pytest.mark.long
def test_a_waived_policy_leaves_frames_their_rule(varied: Host, playbook: Playbook) -> None:
    partner = "https://portal.example.org"
    waiver = {"control": "headers_csp", "reason": "the old theme", "owner": "Ada", "until": "2099-12-31"}
    playbook.harden(
        varied,
        *ONLY,
        chamilo_headers_csp="enforce",
        chamilo_headers_frame_ancestors=[partner],
        chamilo_waivers=[waiver],
    )
    answer = varied.http(f"https://{varied.domain}/")
    assert answer.values("Content-Security-Policy") == [f"frame-ancestors 'self' {partner}"]
    assert answer.values("X-Frame-Options") == []


@pytest.mark.long
def test_an_enforced_policy_is_the_only_one(varied: Host, playbook: Playbook) -> None:
    playbook.harden(
        varied, *ONLY, chamilo_headers_csp="enforce", chamilo_headers_csp_report_uri="https://reports.example.org/csp"
    )
    answer = varied.http(f"https://{varied.domain}/")
    policies = answer.values("Content-Security-Policy")
    assert len(policies) == 1
    assert policies[0].endswith("; frame-ancestors 'self'; report-uri https://reports.example.org/csp")
    assert answer.values("Content-Security-Policy-Report-Only") == []


def test_a_waived_header_is_left_out(varied: Host, playbook: Playbook) -> None:
    waiver = {"control": "headers_xss_protection", "reason": "obsolete", "owner": "Ada", "until": "2099-12-31"}
    playbook.harden(varied, *ONLY, chamilo_waivers=[waiver])
    answer = varied.http(f"https://{varied.domain}/")
    assert answer.values("X-XSS-Protection") == []
    assert answer.values("X-Content-Type-Options") == ["nosniff"]
