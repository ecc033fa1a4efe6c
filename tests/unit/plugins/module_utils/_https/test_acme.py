# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal, which keeps a run from asking an authority in vain, and the certificate."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._https import acme, reach
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import certbot
from tests.testbed import authority
from tests.unit.plugins.conftest import Files

TOKEN = "chamilo-hardening-1"
CHALLENGE = f"http://campus.test/.well-known/acme-challenge/{TOKEN}"


class Net:
    """Serves a directory under one address, and other answers elsewhere."""

    def __init__(self, webroot: Path, addresses: list[str]) -> None:
        self.webroot, self.addresses = webroot, addresses
        self.answers: dict[str, Answer] = {}

    def fetch(self, url: str, address: str) -> Answer:
        if address in self.answers:
            return self.answers[address]
        if url in self.answers:
            return self.answers[url]
        file = self.webroot / url.partition("campus.test/")[2]
        return Answer(url, 200, body=file.read_bytes()) if file.exists() else Answer(url, 404)

    def rehearse(self) -> str:
        return acme.rehearse("campus.test", str(self.webroot), lambda name: self.addresses, self.fetch, TOKEN)


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path, ["192.0.2.1", "2001:db8::1"])


def test_a_challenge_that_is_found_at_every_address_leaves_nothing_behind(net: Net) -> None:
    assert net.rehearse() == ""
    assert list(net.webroot.iterdir()) == []


def test_what_was_there_stays(net: Net) -> None:
    (net.webroot / ".well-known/acme-challenge").mkdir(parents=True)
    (net.webroot / ".well-known/acme-challenge/theirs").write_text("x")
    assert net.rehearse() == ""
    assert [path.name for path in net.webroot.rglob("*") if path.is_file()] == ["theirs"]


def test_what_an_account_without_rights_lays_leads_nowhere(net: Net) -> None:
    """On a host that was not hardened the web user owns the directory."""
    theirs = net.webroot.parent / "theirs"
    theirs.mkdir(mode=0o700)
    (net.webroot / ".well-known").mkdir()
    link = net.webroot / ".well-known/acme-challenge"
    link.symlink_to(theirs)
    os.lchown(link, pwd.getpwnam("www-data").pw_uid, -1)
    assert "a link to" in net.rehearse() and "chown -h root" in net.rehearse()
    os.lchown(link, 0, -1)
    assert net.rehearse() == "", "root may have them elsewhere"
    os.chown(link.parent, pwd.getpwnam("www-data").pw_uid, -1)
    assert "an account other than root could have made" in net.rehearse(), "it may be another one of root's, moved here"
    assert list(theirs.iterdir()) == []


def test_no_mode_is_changed_of_what_takes_the_place_of_a_directory(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = net.webroot.parent / "shadow"
    secret.touch(0o600)
    made = os.mkdir

    def swapped(path: str, mode: int, **how: int) -> None:
        made(path, mode, **how)
        if "acme-challenge" in path:
            link = net.webroot / ".well-known/acme-challenge"
            link.rmdir()
            link.symlink_to(secret)
            os.lchown(link, pwd.getpwnam("www-data").pw_uid, -1)

    monkeypatch.setattr(os, "mkdir", swapped)
    assert "No challenge can be laid" in net.rehearse()
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_challenge_can_be_read_by_the_web_server(net: Net) -> None:
    def inspect(url: str, address: str) -> Answer:
        modes.extend(path.stat().st_mode & 0o777 for path in sorted(net.webroot.rglob("*")))
        return net.fetch(url, address)

    modes: list[int] = []
    before = os.umask(0o077)
    try:
        assert acme.rehearse("campus.test", str(net.webroot), lambda name: ["192.0.2.1"], inspect, TOKEN) == ""
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert modes == [0o755, 0o755, 0o644]


def test_a_redirect_is_followed_as_an_authority_does(net: Net) -> None:
    secure = CHALLENGE.replace("http:", "https:")
    net.answers[CHALLENGE] = Answer(CHALLENGE, 301, (("Location", secure),))
    assert net.rehearse() == ""
    net.answers[secure] = Answer(secure, 403)
    assert f"It was led there from {CHALLENGE}." in net.rehearse()


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (Answer("", error="Connection refused"), "does not answer: Connection refused"),
        (Answer("", 403), "gives 403 where the challenge should be"),
        (Answer("", 200, body=b"welcome"), "gives another answer than this host's"),
    ],
)
def test_one_wrong_address_is_enough_to_be_refused(net: Net, answer: Answer, output: str) -> None:
    net.answers["2001:db8::1"] = answer
    assert output in net.rehearse() and "2001:db8::1" in net.rehearse()


def test_redirects_without_end_are_refused(net: Net) -> None:
    net.answers[CHALLENGE] = Answer(CHALLENGE, 302, (("Location", CHALLENGE),))
    assert "without end" in net.rehearse()


def test_a_name_without_an_address_is_refused(net: Net) -> None:
    net.addresses = []
    assert "no address in the DNS" in net.rehearse()
    assert "no address in the DNS" in reach.refusal("campus.test", lambda name: [])
    assert "no name of the DNS" in reach.refusal("192.0.2.1", lambda name: [name])
    assert "no name of the DNS" in reach.refusal("campus", lambda name: [])
    assert reach.refusal("campus.test", lambda name: ["192.0.2.1"]) == ""


def test_an_authority_is_tried(monkeypatch):
    monkeypatch.setattr(reach, "unanswered", lambda places, *_ca: dict.fromkeys(places, "refused"))
    assert reach.no_authority("", "") == f"The authority {reach.LETS_ENCRYPT} cannot be reached from here: refused."


def test_behind_nat_without_a_way_back_the_authority_is_asked(net: Net) -> None:
    """From inside such a host cannot tell whether its own address answers outside."""
    net.answers["192.0.2.1"] = Answer("", error="timed out")
    where = ("campus.test", str(net.webroot), lambda name: ["192.0.2.1"], net.fetch, TOKEN)
    assert "does not answer: timed out" in acme.rehearse(*where)
    assert acme.rehearse(*where, outside=["192.0.2.1"]) == ""
    net.answers["192.0.2.1"] = Answer("", 404)
    assert "gives 404 where the challenge should be" in acme.rehearse(*where, outside=["192.0.2.1"])


class Certbot:
    """Does what Certbot would: makes a certificate for the names it is asked for, but for those it cannot prove."""

    one_by_one = False

    def __init__(self, host: Files) -> None:
        self.host = host
        self.unproved: set[str] = set()
        self.asked: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float = 60) -> tuple[int, str]:
        words = list(argv)[list(argv).index("/usr/bin/certbot") + 1 :]
        self.asked.append(words)
        names = [name for option, name in zip(words, words[1:]) if option == "-d"]
        failed = [name for name in names if name in self.unproved][: 1 if self.one_by_one else None]
        if failed:
            return 1, "".join(f"  Domain: {name}\n  Type: dns\n  Detail: no such name\n" for name in failed)
        lineage(self.host, words[words.index("--cert-name") + 1], *(names or ["campus.test"]))
        return 0, ""


def lineage(host: Files, name: str, *names: str, days: int = 60, conf: str = "authenticator = webroot\n") -> None:
    host.write(f"/etc/letsencrypt/live/{name}/fullchain.pem", authority.issue(*names, days=days)[0])
    conf = conf if "renew_hook" in conf else f"{conf}renew_hook = {certbot.HOOK}\n"
    host.write(f"/etc/letsencrypt/renewal/{name}.conf", f"[renewalparams]\n{conf}")


@pytest.fixture
def ask(host: Files, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[acme.Got, list[str], list[list[str]]]]:
    """The names of a portal become a certificate. Those of ``gone`` have no address, ``astray`` lead elsewhere."""
    monkeypatch.setattr(certbot, "DIRECTORY", str(host.root / "etc/letsencrypt"))
    monkeypatch.setattr(certbot, "program", lambda _tree: "/usr/bin/certbot")
    monkeypatch.setattr(acme, "STATE", str(host.root / "state"))
    monkeypatch.setattr(plan, "_user", lambda _name: os.geteuid())
    monkeypatch.setattr(plan, "_group", lambda _name: os.getegid())
    webroot = host.root / "public"
    webroot.mkdir()
    program = Certbot(host)
    engine = Engine(str(host.root / "state"), Machine(program.run, systemd=False))

    def call(
        *names: str, gone: Sequence[str] = (), astray: Sequence[str] = (), unproved: Sequence[str] = (), **options: Any
    ) -> tuple[acme.Got, list[str], list[list[str]]]:
        def fetch(url: str, _address: str) -> Answer:
            name = url.split("/")[2]
            file = webroot / url.split("/", 3)[3]
            return (
                Answer(url, 200, body=file.read_bytes()) if name not in astray and file.exists() else Answer(url, 404)
            )

        program.asked, program.unproved = [], {*unproved}
        how = {"check": options.pop("check")} if "check" in options else {}
        desired = acme.Desired(names, "campus", str(webroot), **options)
        outcome = Outcome()

        def resolver(name: str) -> list[str]:
            return [] if name in gone else ["192.0.2.1"]

        got = acme.obtain(desired, engine, outcome, resolver=resolver, fetch=fetch, **how)
        notes = [note for note in outcome.notes if "systemd" not in note]
        return got, notes, program.asked

    return call


WWW, LIBRARY = "www.campus.test", "library.test"


def test_one_certificate_for_all_names(ask) -> None:
    got, notes, (request,) = ask("campus.test", WWW, LIBRARY)
    assert got.changed and got.pair.good and {*got.pair.names} == {"campus.test", WWW, LIBRARY} and notes == []
    assert request[request.index("--cert-name") + 1] == "campus.test" and request.count("-d") == 3
    got, notes, asked = ask("campus.test", WWW, LIBRARY)
    assert (got.changed, notes, asked) == (False, [], [])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"gone": [WWW]}, "has no address in the DNS"),
        ({"astray": [WWW]}, "gives 404 where the challenge should be"),
        ({"unproved": [WWW]}, "The authority could not prove it"),
    ],
)
def test_a_name_that_cannot_be_proved_is_left_out_and_named(ask, how: dict[str, list[str]], why: str) -> None:
    got, notes, _asked = ask("campus.test", WWW, LIBRARY, **how)
    assert {*got.pair.names} == {"campus.test", LIBRARY} and got.pair.lacks == (WWW,)
    (note,) = notes
    assert note.startswith(f"{WWW} is not in the certificate. ") and why in note and f'["!{WWW}"]' in note


@pytest.mark.parametrize("how", ["gone", "astray", "unproved"])
def test_without_the_domain_there_is_no_certificate(ask, how: str) -> None:
    with pytest.raises(acme.AcmeError, match="campus.test"):
        ask("campus.test", WWW, **{how: ["campus.test"]})


def test_a_certbot_that_makes_nothing_has_not_succeeded(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "lineage", lambda *_names: None)
    with pytest.raises(
        acme.AcmeError, match=r"\ACertbot reported success, but there is no certificate for campus.test.\Z"
    ):
        ask("campus.test")


def test_without_certbot_nothing_is_asked_for(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certbot, "program", lambda _tree: "")
    with pytest.raises(acme.AcmeError, match=r"\ACertbot is not installed.\Z"):
        ask("campus.test")


def test_names_that_fail_one_after_the_other_are_left_out_once(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Certbot, "one_by_one", True)
    with pytest.raises(acme.AcmeError, match="could not get a certificate for campus.test: .*no such name"):
        ask("campus.test", WWW, LIBRARY, unproved=[WWW, LIBRARY])


def test_a_lineage_that_proves_its_names_by_another_way_is_renewed_by_its_own_file(host: Files, ask) -> None:
    lineage(host, "owners", "campus.test", days=-1, conf="authenticator = dns-rfc2136\n")
    got, _notes, (request,) = ask("campus.test")
    assert request == ["renew", "--cert-name", "owners", "--no-random-sleep-on-renew", "--non-interactive"]
    assert got.changed and got.pair.good


def test_a_wildcard_needs_the_dns(ask) -> None:
    got, notes, _asked = ask("campus.test", "*.campus.test")
    assert got.pair.names == ("campus.test",)
    assert "*.campus.test is not in the certificate. A wildcard is proved in the DNS alone." in notes[0]
    got, notes, (request,) = ask("campus.test", "*.campus.test", arguments=("--dns-rfc2136",))
    assert {*got.pair.names} == {"campus.test", "*.campus.test"} and notes == []
    assert "--dns-rfc2136" in request and "--webroot" not in request and "--expand" in request


def test_a_lineage_is_expanded_under_its_name_and_keeps_its_options(host: Files, ask) -> None:
    conf = "authenticator = webroot\nserver = https://acme.test/dir\nkey_type = rsa\npre_hook = ufw allow 80\n"
    lineage(host, "owners", "campus.test", conf=f"{conf}renew_hook = 'cp a, b; {certbot.HOOK}'\n")
    assert ask("campus.test", WWW, check=True)[0].changed
    got, notes, (request,) = ask("campus.test", WWW)
    assert got.changed and got.pair.lineage == "owners" and got.pair.lacks == () and notes == []
    pairs = set(zip(request, request[1:]))
    assert {("--key-type", "rsa"), ("--pre-hook", "ufw allow 80"), ("--server", "https://acme.test/dir")} <= pairs
    assert ("--deploy-hook", f"cp a, b; {certbot.HOOK}") in pairs and "--expand" in request


@pytest.mark.parametrize(
    ("names", "conf", "how", "why"),
    [
        (["campus.test", "shop.test"], "authenticator = webroot\n", {}, "it is for shop.test as well"),
        (["campus.test"], "authenticator = dns-rfc2136\n", {}, "it proves its names by dns-rfc2136"),
        (["campus.test"], "authenticator = webroot\n", {"gone": [WWW]}, "has no address in the DNS"),
        (["campus.test"], "authenticator = webroot\n", {"gone": ["campus.test"]}, "campus.test has no address"),
        (["campus.test", LIBRARY], "authenticator = webroot\n", {"astray": [LIBRARY]}, "http://library.test/"),
    ],
)
def test_a_good_certificate_stays_where_it_cannot_be_expanded(
    host: Files, ask, names: list[str], conf: str, how: dict[str, list[str]], why: str
) -> None:
    lineage(host, "owners", *names, conf=conf)
    got, notes, asked = ask("campus.test", WWW, LIBRARY, **how) if LIBRARY in names else ask("campus.test", WWW, **how)
    assert (got.changed, asked) == (False, []) and got.pair.good and got.pair.lacks == (WWW,)
    assert why in " ".join(notes) and WWW in " ".join(notes)


def test_a_certificate_that_has_run_out_comes_again_without_the_name_that_is_gone(host: Files, ask) -> None:
    lineage(host, "campus.test", "campus.test", WWW, days=-1)
    got, notes, (request,) = ask("campus.test", WWW, gone=[WWW])
    assert got.pair.names == ("campus.test",) and request[0] == "certonly" and WWW in notes[0]


def test_names_that_cannot_be_proved_by_files_keep_their_way(host: Files, ask) -> None:
    lineage(host, "campus.test", "campus.test", WWW, conf="authenticator = nginx\ninstaller = nginx\n")
    _got, notes, _asked = ask("campus.test", WWW, astray=[WWW])
    conf = (host.root / "etc/letsencrypt/renewal/campus.test.conf").read_text()
    assert "authenticator = nginx" in conf and "still uses nginx" in notes[0]
    got, notes, _asked = ask("campus.test", WWW)
    conf = (host.root / "etc/letsencrypt/renewal/campus.test.conf").read_text()
    assert got.changed and "authenticator = webroot" in conf and f"{WWW} = " in conf and notes == []


def test_a_certificate_signed_by_itself_has_all_names(host: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_user", lambda _name: os.geteuid())
    monkeypatch.setattr(plan, "_group", lambda _name: os.getegid())
    engine = Engine(str(host.root / "state"), Machine(systemd=False))
    where = str(host.root / "x.pem"), str(host.root / "x.key")
    assert acme.self_sign(["campus.test"], "campus", *where, engine, Outcome()).changed
    assert acme.self_sign(["campus.test", "*.campus.test"], "campus", *where, engine, Outcome()).changed
    again = acme.self_sign(["campus.test", "*.campus.test"], "campus", *where, engine, Outcome())
    assert not again.changed and {*again.pair.names} == {"campus.test", "*.campus.test"}


def test_certbot_trusts_the_authorities_of_the_host_and_those_of_the_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme, "SYSTEM_AUTHORITIES", str(tmp_path / "system"))
    monkeypatch.setattr(acme, "BUNDLE", str(tmp_path / "bundle"))
    for name in ("system", "one", "two"):
        (tmp_path / name).write_text(f"of {name}\n\n")
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert acme.bundle([two, "", one, two]) == str(tmp_path / "bundle")
    assert (tmp_path / "bundle").read_text() == "of system\nof two\nof one\n"
    with pytest.raises(acme.AcmeError, match=f"^The file of an authority, {tmp_path}/none, cannot be read: No such"):
        acme.bundle([f"{tmp_path}/none"])
