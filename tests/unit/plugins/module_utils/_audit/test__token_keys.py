# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that an attacker has the portal take for its own. Real keys, as root; the web user is www-data."""

from __future__ import annotations

import os
import pwd
import subprocess

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import _token_keys
from ansible_collections.chamilo.hardening.plugins.module_utils._common import openssl
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

WEB = pwd.getpwnam("www-data")
USERS = (Identity("www-data", WEB.pw_uid, frozenset({WEB.pw_gid})),)
PASSPHRASE = "four horses, a red door"


def pair(directory, passphrase=PASSPHRASE):
    directory.mkdir(parents=True, exist_ok=True)
    private, public = directory / "private.pem", directory / "public.pem"
    words = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", f"pass:{passphrase}"]
    subprocess.run(["openssl", "genpkey", *words, "-out", private], check=True, capture_output=True)
    words = ["-in", private, "-passin", f"pass:{passphrase}", "-pubout", "-out", public]
    subprocess.run(["openssl", "pkey", *words], check=True, capture_output=True)
    private.chmod(0o640)


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "campus"
    pair(root / "config/jwt")
    (root / ".env").write_text(f"JWT_PASSPHRASE='{PASSPHRASE}'\n")
    return root


def found(root, **environment):
    source = dict.fromkeys(environment, f"{root}/.env")
    site = Site("campus.test", root=str(root), environment=environment, environment_source=source, php=Php(user=""))
    return _token_keys.faults(site, USERS)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"JWT_PUBLIC_KEY": "%kernel.project_dir%/config/jwt/public.pem"},
        {"JWT_SECRET_KEY": "config/jwt/private.pem", "JWT_PUBLIC_KEY": "config/jwt/public.pem"},
    ],
)
def test_a_pair_where_chamilo_has_it(site, environment):
    assert found(site, **environment) == []


@pytest.mark.parametrize(
    "value", ["var/upload/public.pem", "%kernel.project_dir%/var/upload/public.pem", "../loose/public.pem"]
)
def test_a_public_half_that_the_web_user_can_exchange(site, tmp_path, value):
    """The same one for now, so that all works."""
    for directory in (site / "var/upload", tmp_path / "loose"):
        directory.mkdir(parents=True)
        (directory / "public.pem").write_bytes((site / "config/jwt/public.pem").read_bytes())
        os.chown(directory, WEB.pw_uid, WEB.pw_gid)
    (fault,) = found(site, JWT_PUBLIC_KEY=value)
    assert "JWT_PUBLIC_KEY in" in fault and "which PHP's user can exchange" in fault and "public.pem" in fault


def test_a_private_half_that_the_web_user_can_exchange(site):
    pair(site / "var/jwt")
    os.chown(site / "var", WEB.pw_uid, WEB.pw_gid)
    faults = found(site, JWT_SECRET_KEY="var/jwt/private.pem")
    assert "JWT_SECRET_KEY in" in faults[0] and "is not the public half of" in faults[1]


@pytest.mark.parametrize("certificate", [False, True])
def test_a_public_half_of_another_key(site, tmp_path, certificate):
    """In its usual place, with the owner of all of the program by now."""
    pair(tmp_path / "evil", "evil")
    public = site / "config/jwt/public.pem"
    if certificate:
        words = ["-key", tmp_path / "evil/private.pem", "-passin", "pass:evil", "-subj", "/CN=x", "-out", public]
        subprocess.run(["openssl", "req", "-x509", *words], check=True, capture_output=True)
    else:
        public.write_bytes((tmp_path / "evil/public.pem").read_bytes())
    (fault,) = found(site)
    assert "is not the public half of" in fault and "tokens that another key signed are accepted" in fault


def test_where_no_token_is_made_nothing_is_reported(site):
    (site / ".env").write_text("JWT_PASSPHRASE=wrong\n")  # no key opens, which other checks report
    (site / "config/jwt/public.pem").write_text("")
    assert found(site) == []
    (site / "config/jwt/private.pem").unlink()
    assert found(site) == []


def test_no_passphrase_is_in_a_command_line(site, monkeypatch):
    seen, run = [], subprocess.run
    monkeypatch.setattr(openssl.subprocess, "run", lambda argv, **more: seen.append(argv) or run(argv, **more))
    found(site)
    assert seen and PASSPHRASE not in str(seen)
