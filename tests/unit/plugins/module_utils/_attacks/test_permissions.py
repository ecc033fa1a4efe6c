# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import permissions
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider, Tried
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

PAGE = {"/": Answer("", 200, (), b"welcome")}


def test_nothing_to_fetch_passes(portal):
    assert permissions.fetch_secrets(portal(PAGE)).status == "pass"


@pytest.mark.parametrize(
    "path, body",
    [
        ("/.env", b"# settings\nAPP_SECRET=x\n"),
        ("/.git/config", b"[core]\n\tbare = false"),
        ("/dump.sql", b"-- dump\nCREATE TABLE user"),
        ("/build/..%2f..%2fcomposer.json", b'{ "name": "chamilo/chamilo-lms" }'),
    ],
)
def test_a_file_that_can_be_fetched_is_named(portal, path, body):
    found = permissions.fetch_secrets(portal({**PAGE, path: Answer("", 200, (), body)}))
    assert found.status == "fail"
    assert path in found.evidence


@pytest.mark.parametrize(("status", "result"), [(200, "fail"), (206, "pass"), (403, "pass"), (100, "pass")])
def test_only_what_is_given_is_fetched(portal, status, result):
    found = permissions.fetch_secrets(portal({**PAGE, "/.env": Answer("", status, (), b"APP_SECRET=x\n")}))
    assert found.status == result


def test_a_page_of_the_application_is_no_loot(portal):
    answers = {path: Answer("", 200, (), b"<html>one page for everything</html>") for path in permissions._LOOT}
    found = permissions.fetch_secrets(portal({**PAGE, **answers}))
    assert found.status == "pass", found.evidence


def test_a_portal_that_is_down_does_not_pass(portal):
    with pytest.raises(OSError, match="no answer"):
        permissions.fetch_secrets(portal({"/": Answer("", 0, (), b"", "refused")}))


# --------------------------------------------------------------------------------- with an account on the host itself


@pytest.fixture
def site():
    """A portal that every local user may change, in a directory open to all: those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        yield sloppy(Path(directory, "chamilo"))


def sloppy(root):
    for path in (".env", "config/a.yaml", "public/index.php", "src/Kernel.php", "vendor/x.php", "var/log/x.log"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    subprocess.run(["chmod", "-R", "777", root], check=True)
    return root


ATTACKS = [
    permissions.plant,
    permissions.read_uploads,
    permissions.read_passwords,
    permissions.read_configuration,
    permissions.lay_traps,
]


@pytest.mark.parametrize("attack", [*ATTACKS, permissions.forge_token])
def test_a_host_without_chamilo_is_not_attacked_from_inside(attack):
    with pytest.raises(OSError, match="no Chamilo was found on the host"):
        attack(Insider(Site("campus.test", php=Php(user="www-data"))))


@pytest.mark.parametrize("attack", [*ATTACKS, permissions.forge_token])
def test_an_account_that_cannot_be_taken_proves_nothing(attack, site):
    (site / "config/jwt").mkdir()
    (site / "config/jwt/private.pem").write_text("a key")
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data")))
    insider.as_user = lambda user, function: Tried(error="stopped without a word")
    with pytest.raises(OSError, match=r"\Aas (www-data|nobody): stopped without a word\Z"):
        attack(insider)


def picture(root):
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(root.rglob("*"))}


CHANGED = "www-data, and so an attacker with a page, can change"
GOT_THROUGH = [
    f"{CHANGED} ., public, src and 4 more.",
    "Another account of this host (nobody) can read var/log/x.log.",
    "Another account of this host (nobody) can read .env.",
    "Another account of this host (nobody) can read config/a.yaml.",
    "www-data can lay a link out of the tree into ., public, config and 2 more; the next repair may follow it.",
]


@pytest.mark.parametrize(("attack", "evidence"), list(zip(ATTACKS, GOT_THROUGH)))
def test_from_inside_it_gets_through_and_leaves_nothing(attack, evidence, site):
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data")))
    before = picture(site)
    found = attack(insider)
    assert (found.status, found.evidence) == ("fail", evidence)
    assert picture(site) == before


@pytest.mark.parametrize(("attack", "name"), [(permissions.read_passwords, ".env"), (ATTACKS[3], "config/a.yaml")])
def test_what_the_web_user_alone_may_change_is_named(attack, name, site):
    (site / name).chmod(0o660)
    shutil.chown(site / name, "root", "www-data")
    found = attack(Insider(Site("campus.test", root=str(site), php=Php(user="www-data"))))
    assert (found.status, found.evidence) == ("fail", f"{CHANGED} {name}.")


def test_a_published_secret_is_no_secret(site):
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data"), secrets_default=("APP_SECRET",)))
    assert "APP_SECRET" in permissions.forge_token(insider).evidence
    assert permissions.forge_token(insider).status == "fail"


def test_without_a_key_nothing_is_signed(site):
    found = permissions.forge_token(Insider(Site("campus.test", root=str(site), php=Php(user="www-data"))))
    assert (found.status, found.evidence.endswith("; there is no key to try them on.")) == ("pass", True)


@pytest.mark.parametrize(("passphrase", "status"), [("your_secret_passphrase", "fail"), ("own", "pass")])
def test_a_key_that_opens_with_the_shipped_passphrase_signs_a_forged_token(site, passphrase, status):
    key = site / "config/jwt/private.pem"
    key.parent.mkdir()
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-aes256", "-pass", f"pass:{passphrase}", "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["chmod", "-R", "755", site / "config"], check=True)
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data")))
    assert permissions.forge_token(insider).status == status
    insider.as_user = lambda _name, function: Tried(function())
    found = permissions.forge_token(insider)
    assert (found.status, "the passphrase that Chamilo ships" in found.evidence) == (status, status == "fail")


@pytest.mark.parametrize(
    ("answer", "shows"),
    [
        (Answer("https://campus.test/_profiler/", 500, (), b"<pre>Stack trace:</pre>"), "'Stack trace:'"),
        (Answer("https://campus.test/_profiler/", 404, (("X-Debug-Token", "1a2b3c"),), b""), "'X-Debug-Token'"),
    ],
)
def test_an_error_that_reports_too_much_is_named(portal, answer, shows):
    found = permissions.provoke(portal({**PAGE, "/_profiler/": answer}))
    assert found.status == "fail"
    assert found.evidence.endswith(f": https://campus.test/_profiler/ shows {shows}.")
    assert permissions.provoke(portal(PAGE)).evidence.startswith("5 pages, errors among them, disclose neither")


def test_a_portal_that_gives_no_answer_to_any_address_does_not_pass(portal):
    silent = {path: Answer("", 0, (), b"", "no answer") for path in permissions._ERRORS}
    silent["/"] = Answer("", 0, (), b"", "refused")
    with pytest.raises(OSError, match="campus.test gave no answer: refused"):
        permissions.provoke(portal(silent))
    del silent["/api/chamilo-hardening"]
    assert permissions.provoke(portal(silent)).status == "pass"
