"""The module fail2ban_filter with fail2ban's own engine, as Debian 12 (1.0) and Debian 13 (1.1) package it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.testbed import hosts
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

if TYPE_CHECKING:
    from tests.hosts.conftest import Cell

pytestmark = pytest.mark.cells("trixie-nginx", "bookworm-apache")

DATE = r'\[(%d/%b/%Y:%H:%M:%S %z)\] "'
ACCESS = (
    r'^(?:campus\.test:\d+ )?<ADDR> \S+ (?:[^"\\]|\\.)*"POST (?:https?://[^/\s"]*)?(?:/index\.php)?'
    r'/(?:login_json|login/ldap/check|api/authentication_token)(?:\?\S*)? HTTP/[\d.]+" (?:401|403|429)\b'
)
LINE = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
IDS = "[2026-11-25 09:44:57] [Info] [Client 203.0.113.7] Login failed for username jdoe"
IDS_DATE = r"^\[%Y-%m-%d %H:%M:%S\]"
EVENTS = "[2026-11-25 09:44:57] [{}] [IP 203.0.113.7] [URI /x] [PARAM q] Detected {} pattern in param 'q': union"
# Each takes for ever, or nearly so, on a line that begins well and ends badly.
CATASTROPHIC = [
    r"(?:a+)+x$",
    r"(?:a|a)*x$",
    r"(?:a|aa)+x$",
    r"(?:.*a){20}x$",
    r"(?:[a-zA-Z]+)*x$",
    r"(?:\w+\s?)*x$",
    r"(?:\S+\s*)+\x02$",
    r"(?:(?:[a-z/])+.)+[A-Z]([a-z])+$",
    r"(?:\d+)*x$",
    r'(?:[^"]*)*\x02$',
    r".*.*.*.*\x02$",
]

# Runs on the host: the engine, on what it reads.
ON_HOST = """
import json, sys, time
sys.path.insert(0, "/opt/proof")
from ansible_collections.chamilo.hardening.plugins.module_utils import _fail2ban_filter as engine
told = json.load(sys.stdin)
samples = [engine.Sample(*each) for each in told.pop("samples")]
budget, escaped = told.pop("budget"), told.pop("escaped")
began = time.monotonic()
try:
    answer = engine.prove(engine.Definition(**{k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}),
                          samples, budget, escaped).to_dict()
except engine.FilterError as problem:
    answer = {"refused_because": str(problem)}
json.dump({**answer, "seconds": time.monotonic() - began}, sys.stdout)
"""


@pytest.fixture(scope="module")
def host(cell: Cell) -> Iterator[Host]:
    network = f"chamilo-test-filter-{cell}"
    host = hosts.up("campus", cell.release, cell.web, state="virgin", network=network)
    host.run(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install fail2ban"
    )
    package = "/opt/proof/ansible_collections/chamilo/hardening/plugins"
    host.put_tree(ROOT / "plugins" / "module_utils", f"{package}/module_utils")
    yield host
    hosts.down(network)


@pytest.fixture
def prove(host: Host) -> Any:
    def run(
        failregex: Any = ACCESS, match: Any = ((LINE, "203.0.113.7"),), no_match: Any = (), **options: Any
    ) -> dict[str, Any]:
        told = {
            "name": "campus",
            "failregex": [failregex] if isinstance(failregex, str) else failregex,
            "datepattern": DATE,
            "budget": 1.0,
            "escaped": "auto",
        }
        told |= {"samples": [list(each) for each in match] + [[line, ""] for line in no_match], **options}
        answer: dict[str, Any] = json.loads(host.run(["python3", "-c", ON_HOST], data=json.dumps(told)).stdout)
        return answer

    return run


def refusal(answer: dict[str, Any]) -> str:
    assert "refused_because" in answer, answer
    return str(answer["refused_because"])


@pytest.mark.parametrize("path", ["/login_json", "/login/ldap/check", "/api/authentication_token"])
@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize("front", ["", "campus.test:443 "])
def test_every_login_path_and_answer_of_both_servers(prove: Any, path: str, status: int, front: str) -> None:
    line = front + LINE.replace("/login_json", path).replace(" 401 ", f" {status} ")
    fine = [line.replace(f" {status} ", f" {other} ") for other in (200, 400, 500)]
    answer = prove(match=[(line, "203.0.113.7")], no_match=fine)
    assert answer["matched"] == 1, answer
    assert answer["refused"] > 500
    assert answer["slowest_ms"] < 200


@pytest.mark.parametrize("address", ["2001:db8::7", "::ffff:203.0.113.7"])
def test_ipv6(prove: Any, address: str) -> None:
    assert prove(match=[(LINE.replace("203.0.113.7", address), address)])["matched"] == 1


def test_a_miss(prove: Any) -> None:
    missed = LINE.replace("/login_json", "/login")
    assert f"must match does not: {missed!r} yields nothing" in refusal(prove(match=[(missed, "203.0.113.7")]))


def test_a_false_hit(prove: Any) -> None:
    told = refusal(prove(no_match=[LINE.replace("curl", "x").replace("/login_json", "/login_json?x")]))
    assert "must not match does" in told
    assert "yields 203.0.113.7" in told


def test_a_wrong_address(prove: Any) -> None:
    assert "yields 203.0.113.7 instead of 203.0.113.8" in refusal(prove(match=[(LINE, "203.0.113.8")]))
    assert "yields 3.0.113.7 instead" in refusal(prove(r'^.*<ADDR> \S+ .*"POST .*" 401\b'))


@pytest.mark.parametrize(
    "pattern", ["<ADDR> .*POST", "(?:^|x)<ADDR> .*POST", "^x <ADDR>|^ <ADDR>|y", ".*^<ADDR> .*POST"]
)
def test_an_unanchored_pattern(prove: Any, pattern: str) -> None:
    told = refusal(prove(pattern))
    assert "is not anchored" in told or "fail2ban itself refuses" in told


@pytest.mark.parametrize("pattern", [r'^\S* ?<ADDR>.*"POST .*" 401\b', r'^.* ?<ADDR> - - .*"POST .*" 401 .*'])
def test_a_victim_comes_out(prove: Any, pattern: str) -> None:
    told = refusal(prove(pattern, match=[(f"x {LINE}", "203.0.113.7")]))
    assert "A stranger can have somebody else banned" in told or "wrong address" in told


def test_forwarded_for_in_front_of_the_address(prove: Any) -> None:
    told = refusal(prove(r'^<ADDR>[, ].*"POST .*" 401\b'))
    assert "planted in X-Forwarded-For" in told
    assert "198.51.100.77" in told


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("English", IDS),
        ("French", IDS.replace("Login failed for username", "Echec de connexion pour l'utilisateur")),
        ("Spanish", IDS.replace("[Client ", "[Cliente ").replace("Login failed for username", "Acceso fallido para")),
    ],
)
def test_the_applications_own_log_is_refused_in_any_language(prove: Any, language: str, line: str) -> None:
    """A user name with a line break writes a whole line there."""
    pattern = r"^\s*\[[^\]]*\] \[\S+ <ADDR>\] \S+"
    told = refusal(prove(pattern, match=[(line, "203.0.113.7")], datepattern=IDS_DATE))
    assert "behind a line break that this log does not escape" in told
    answer = prove(pattern, match=[(line, "203.0.113.7")], datepattern=IDS_DATE, escaped="escaped")
    assert answer["matched"] == 1, (language, answer)


@pytest.mark.parametrize("kind", ["SQLI", "XSS", "PATHTRAVERSAL", "CMDINJECTION", "SCANNER"])
def test_the_log_of_intrusions_can_be_used(prove: Any, kind: str) -> None:
    line = EVENTS.format(kind, kind.title())
    assert (
        prove(r"^\s*\[[A-Z]+\] \[IP <ADDR>\] \[URI\b", match=[(line, "203.0.113.7")], datepattern=IDS_DATE)["matched"]
        == 1
    )


@pytest.mark.parametrize("shape", CATASTROPHIC)
def test_a_catastrophic_pattern_is_refused_within_twice_the_budget(prove: Any, shape: str) -> None:
    began = time.monotonic()
    answer = prove(failregex=[ACCESS, r'^<ADDR> \S+ .*"POST ' + shape])
    assert "Too slow" in refusal(answer)
    assert answer["seconds"] < 2, "the budget is one second"
    assert time.monotonic() - began < 10


def test_what_fail2ban_refuses_itself(prove: Any) -> None:
    assert "No failure-id group" in refusal(prove("^foo [a-z]+"))


@pytest.mark.parametrize("pattern", ["sshd", "sshd.conf", "/etc/fail2ban/filter.d/sshd.conf", "sshd[mode=ddos]"])
def test_a_file_name_is_no_pattern(prove: Any, pattern: str) -> None:
    assert "name of a file" in refusal(prove(pattern))


def test_an_earlier_pattern_that_others_rely_on_stays(host: Host) -> None:
    """The proof leaves nothing on the host."""
    assert host.run("ls /tmp /etc/fail2ban/filter.d | grep -c campus", check=False).stdout.strip() == "0"
