"""The module fail2ban_filter with fail2ban's own engine, as Debian 12 (1.0) and Debian 13 (1.1) package it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.modules import fail2ban_filter
from tests.hosts.hardening import Playbook
from tests.playbook import Played, PlayError
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
RECORDED = ROOT / "tests/unit/fixtures/logins"
LINE = '203.0.113.7 - - [25/Nov/2026:14:47:59 +0000] "POST /login_json HTTP/1.1" 401 43 "-" "Mozilla/5.0 (X11)"'
# In the words that the application has for it in its three languages.
IDS = (
    r"^\s*\[[^\]]*\] \[\S+ <ADDR>\] (?:Login failed for username|Connexion échouée pour l'utilisateur"
    r"|Inicio de sesión fallido para el usuario)\b"
)
IDS_DATE = r"^\[%Y-%m-%d %H:%M:%S\]"
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

# Runs on the host: the engine, on each line it reads.
ON_HOST = """
import json, sys, time
sys.path.insert(0, "/opt/proof")
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_attacks import Sample
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import Definition, FilterError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import prove
for line in sys.stdin:
    given = json.loads(line)
    samples = [Sample(*each) for each in given.pop("samples")]
    budget, escaped = given.pop("budget"), given.pop("escaped")
    began = time.monotonic()
    try:
        definition = Definition(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
        answer = prove(definition, samples, budget, escaped).to_dict()
    except FilterError as problem:
        answer = {"refused_because": str(problem)}
    print(json.dumps({**answer, "seconds": time.monotonic() - began}), flush=True)
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


@pytest.fixture(scope="module")
def engine(host: Host) -> Iterator[subprocess.Popen[str]]:
    command = ["docker", "exec", "-i", host.container, "python3", "-c", ON_HOST]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


@pytest.fixture
def prove(engine: subprocess.Popen[str]) -> Any:
    def run(
        failregex: Any = ACCESS, match: Any = ((LINE, "203.0.113.7"),), no_match: Any = (), **options: Any
    ) -> dict[str, Any]:
        reported = {
            "name": "campus",
            "failregex": [failregex] if isinstance(failregex, str) else failregex,
            "datepattern": DATE,
            "budget": 1.0,
            "escaped": "auto",
        }
        reported |= {"samples": [list(each) for each in match] + [[line, ""] for line in no_match], **options}
        assert engine.stdin and engine.stdout
        print(json.dumps(reported), file=engine.stdin, flush=True)
        answer: dict[str, Any] = json.loads(engine.stdout.readline())
        return answer

    return run


def refusal(answer: dict[str, Any]) -> str:
    assert "refused_because" in answer, answer
    return str(answer["refused_because"])


def recorded(name: str, **desired: str) -> list[dict[str, str]]:
    """Lines that real servers and the application wrote; see the README there."""
    lines: list[dict[str, str]] = json.loads((RECORDED / f"{name}.json").read_text())
    return [line for line in lines if desired.items() <= line.items()]


def given(lines: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "match": [(each["line"], each["address"]) for each in lines if each["address"]],
        "no_match": [each["line"] for each in lines if not each["address"]],
    }


FRONT = r'^(?:\S+ [^"]*"[^"]*" 401 \d+ '


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r'^(?:\S+ - )?<ADDR> .*"POST \S+ HTTP/[\d.]+" 401\b', "the user name"),
        (r'^(?:\S+ [^"]*"POST /)?<ADDR>\b.* 401\b', "the path"),
        (r'^(?:\S+ [^"]*"POST /login_json\?)?<ADDR>\b.* 401\b', "the query"),
        (rf'{FRONT}")?<ADDR>\b', "the referer"),
        (rf'{FRONT}"[^"]*" ")?<ADDR>\b', "the user agent"),
        (rf'{FRONT}"[^"]*" "[^"]*" ")?<ADDR>\b', "X-Forwarded-For"),
        (r'^<ADDR>[, ].*"POST .*" 401\b', "X-Forwarded-For"),
        (r'^(?:.*\\x0A)?<ADDR> - .*"POST .*" 401\b', "the user name, behind a line break"),
        (r'^(?:.*\\n)?<ADDR> - .*"POST .*" 401\b', "the user name, behind a line break"),
    ],
)
def test_a_victim_comes_out(prove: Any, pattern: str, what: str) -> None:
    reported = refusal(prove(pattern))
    assert f"planted in {what}, the line" in reported
    assert "yields 198.51.100.77" in reported


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_the_applications_own_log_is_refused_in_any_language(prove: Any, language: str) -> None:
    """A user name with a line break writes a whole line there."""
    lines = given([each for each in recorded("application", language=language) if "forged" not in each["what"]])
    assert lines["match"] and lines["no_match"], "a failure, and a login that is none"
    reported = refusal(prove(IDS, **lines, datepattern=IDS_DATE))
    assert "behind a line break that this log does not escape" in reported
    answer = prove(IDS, **lines, datepattern=IDS_DATE, escaped="escaped")
    assert answer.get("matched") == 1, answer


def test_a_line_forged_in_the_applications_log(prove: Any) -> None:
    (own,) = recorded("application", what="ids.log", language="en")
    (forged,) = recorded("application", what="ids.log, forged")
    reported = refusal(prove(IDS, **given([own, forged]), datepattern=IDS_DATE, escaped="escaped"))
    assert f"A line that must not match does: {forged['line']!r} yields 198.51.100.77" in reported


@pytest.mark.parametrize("shape", CATASTROPHIC)
def test_a_catastrophic_pattern_is_refused_within_seconds(prove: Any, shape: str) -> None:
    answer = prove(failregex=[ACCESS, r'^<ADDR> \S+ .*"POST ' + shape])
    assert "Too slow" in refusal(answer)
    assert answer["seconds"] < 10, "it would run for years; a second is its budget, and a busy host's is longer"


def test_what_fail2ban_refuses_itself(prove: Any) -> None:
    assert "No failure-id group" in refusal(prove("^foo [a-z]+"))


def test_the_proof_leaves_nothing_on_the_host(host: Host, prove: Any) -> None:
    listing = "ls -A /tmp /etc/fail2ban/filter.d"
    before = host.run(listing).stdout
    assert "refused_because" not in prove()
    refusal(prove("^foo [a-z]+"))
    assert host.run(listing).stdout == before


def test_the_examples_of_the_module_on_a_real_host(host: Host, playbook: Playbook) -> None:
    tasks = yaml.safe_load(fail2ban_filter.EXAMPLES)
    handler = {"name": "Reload fail2ban", "ansible.builtin.service": {"name": "fail2ban", "state": "reloaded"}}
    last = tasks.pop()
    assert last["name"] == "Remove a filter"
    host.run("mkdir -p /var/log/nginx && touch /var/log/nginx/access.log")
    # Debian's own jail would search for the log of an ssh that is not here.
    host.put("/etc/fail2ban/jail.d/defaults-debian.conf", "")
    host.run("systemctl restart fail2ban")

    def run(tasks: list[dict[str, Any]], *options: str) -> Played:
        text = [{"hosts": "all", "gather_facts": False, "tasks": tasks, "handlers": [handler]}]
        return playbook.run(playbook.write("play.yml", yaml.safe_dump(text)), host, *options)

    def there() -> list[str]:
        return host.run(
            "ls /etc/fail2ban/filter.d | grep ^campus; ls /etc/fail2ban/filter.d | grep hardening", check=False
        ).stdout.split()

    # Two filters, one jail, and the reload.
    assert run(tasks, "--check", "--diff").changed[host.domain] == 4
    assert there() == []
    assert run(tasks).changed[host.domain] == 4
    assert there() == ["campus-login.conf", "campus-sftp.conf"]
    assert "campus-login" in host.run("fail2ban-client status").stdout
    assert "login_json" in host.run("fail2ban-client get campus-login failregex").stdout
    assert run(tasks).changed[host.domain] == 0

    # With a pattern through which an attacker bans a victim: nothing is written, and what is there stays.
    (name,) = tasks[0].keys() - {"name", "notify", "register"}
    before = host.get("/etc/fail2ban/filter.d/campus-login.conf")
    for filter_name in ("campus-login", "campus-new"):
        arguments = {**tasks[0][name], "name": filter_name, "failregex": [r'^<ADDR>[, ].*"POST .*" 401\b']}
        with pytest.raises(PlayError) as refused:
            run([{**tasks[0], name: arguments}])
        assert "planted in X-Forwarded-For" in " ".join(str(refused.value).split())
    assert there() == ["campus-login.conf", "campus-sftp.conf"]
    assert host.get("/etc/fail2ban/filter.d/campus-login.conf") == before

    host.run("rm /etc/fail2ban/jail.d/campus-login.conf && fail2ban-client reload")
    assert run([last]).changed[host.domain] == 1
    assert there() == ["campus-sftp.conf"]
