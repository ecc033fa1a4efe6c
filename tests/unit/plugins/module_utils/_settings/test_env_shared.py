# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes of a portal: what one hands on, and the other takes."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import sealed as sealing
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_file
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import Result
from tests.unit.plugins.module_utils._settings.conftest import (
    OWN_SECRET,
    PUBLIC_PASSPHRASE,
    PUBLIC_SECRET,
    App,
    openssl,
)


def node(directory, secret, passphrase, key=b""):
    """A web node of a portal with several."""
    directory.mkdir()
    made = App(directory)
    made.write(".env", f"APP_ENV=prod\nAPP_SECRET='{secret}'\nJWT_PASSPHRASE={passphrase}\n")
    if key:
        made.write("config/jwt/private.pem", key, 0o600)
        made.write(
            "config/jwt/public.pem", openssl("pkey", "-passin", f"pass:{passphrase}", "-pubout", data=key).stdout
        )
    return made


def lead(app, **desired):
    """What the node that leads the portal hands on."""
    result, problem = app.set(require=env_file.REQUIRED, generate=True, salt="salt", **desired)
    assert not problem
    return result


def secrets_of(app):
    """Its secrets, and the public half by which its tokens are verified; both halves belong together."""
    env = app.see()
    half = openssl(
        "pkey",
        "-passin",
        f"pass:{env.secret('JWT_PASSPHRASE')}",
        "-pubout",
        data=app.read("config/jwt/private.pem").encode(),
    ).stdout.decode()
    assert app.read("config/jwt/public.pem") == half != ""
    return [*(env.secret(name) for name in env_file.REQUIRED), half]


def test_the_other_nodes_take_what_the_leader_made(tmp_path, key):
    one, other = (node(tmp_path / name, PUBLIC_SECRET, PUBLIC_PASSPHRASE, key) for name in "ab")
    made = lead(one)
    before = secrets_of(one)
    result, problem = other.set(sealed=made.sealed, salt="salt")
    assert (problem, result.secrets) == ("", ["APP_SECRET", "JWT_PASSPHRASE"])
    assert secrets_of(other) == before == secrets_of(one)
    assert stat.S_IMODE(os.stat(other.path("config/jwt/private.pem")).st_mode) == 0o600
    assert len(one.ended) == len(other.ended) == 1, "who knew the public ones may have logged in on either"
    for known in (before[0], before[1], PUBLIC_SECRET):
        assert known not in str(made) and known not in str(result)
    again = lead(one)
    assert (again.changed, other.set(sealed=again.sealed, salt="salt")) == (False, (Result(), ""))
    assert len(other.ended) == 1


def test_what_is_handed_on_can_be_read_with_the_salt_of_the_run_alone(tmp_path, key):
    made = lead(node(tmp_path / "a", PUBLIC_SECRET, PUBLIC_PASSPHRASE, key)).sealed
    other = node(tmp_path / "b", OWN_SECRET, "7c1e5ab0d8e94f02a6b3")
    written = other.read(".env")
    alien = sealing.seal({"DATABASE_PASSWORD": "x"}, "salt")
    lines = sealing.seal({"APP_SECRET": "x\nDATABASE_HOST=evil"}, "salt")
    for sealed, salt in ((made, "other"), (made[:-4], "salt"), ("%%", "salt"), (alien, "salt"), (lines, "salt")):
        with pytest.raises(sealing.SealError, match="What the other node of the portal has as"):
            other.set(sealed=sealed, salt=salt)
    assert other.read(".env") == written


def test_the_leader_s_own_win_and_a_public_one_of_it_does_not(tmp_path, plain_key):
    def encrypted(passphrase):
        return openssl("pkey", "-aes-256-cbc", "-passout", f"pass:{passphrase}", data=plain_key).stdout

    own = ["7c1e5ab0d8e94f02a6b3", "e04b7d92ac5138f6b7aa"]
    leader = node(tmp_path / "a", OWN_SECRET, own[0], encrypted(own[0]))
    second = node(tmp_path / "b", f"{OWN_SECRET}a1", own[1], encrypted(own[1]))
    new = node(tmp_path / "c", PUBLIC_SECRET, PUBLIC_PASSPHRASE)
    sealed = lead(leader).sealed
    for app in (second, new):
        assert app.set(sealed=sealed, salt="salt")[1] == ""
        assert secrets_of(app)[:2] == secrets_of(leader)[:2] == [OWN_SECRET, own[0]]
    assert (len(leader.ended), len(second.ended), len(new.ended)) == (0, 0, 1), "nobody else had theirs"
    # One that was away when the others got theirs leads now: it takes what they have.
    late = node(tmp_path / "d", PUBLIC_SECRET, PUBLIC_PASSPHRASE, encrypted(PUBLIC_PASSPHRASE))
    result = lead(late, sealed=lead(second).sealed)
    assert result.generated == [] and secrets_of(late)[:2] == [OWN_SECRET, own[0]]


def test_who_set_up_a_second_factor_is_not_locked_out_by_another_node(tmp_path, key):
    sealed = lead(node(tmp_path / "a", OWN_SECRET, "7c1e5ab0d8e94f02a6b3")).sealed
    other = node(tmp_path / "b", f"{OWN_SECRET}a1", "7c1e5ab0d8e94f02a6b3")
    other.factors = "3 people use two-factor login, and could not log in any more"
    _result, problem = other.set(sealed=sealed, salt="salt")
    assert "do not have the same APP_SECRET: 3 people use two-factor login" in problem
    assert other.see().secret("APP_SECRET") == f"{OWN_SECRET}a1"
    assert other.set(sealed=sealed, salt="salt", rotate_secret=True)[1] == ""
    assert other.see().secret("APP_SECRET") == OWN_SECRET
    # With a public one on the leader, which such people keep there, nothing can be handed on.
    leader = node(tmp_path / "c", PUBLIC_SECRET, "7c1e5ab0d8e94f02a6b3")
    leader.factors = other.factors
    result = lead(leader)
    assert result.refused and "is public and was left as it is" in other.set(sealed=result.sealed, salt="salt")[1]


def test_another_pair_that_does_not_open_is_not_taken(tmp_path, key):
    other = node(tmp_path / "b", OWN_SECRET, PUBLIC_PASSPHRASE, key)
    secrets = {"APP_SECRET": OWN_SECRET, "JWT_PASSPHRASE": "7c1e5ab0d8e94f02a6b3", "JWT_SECRET_KEY": key.decode()}
    sealed = sealing.seal(secrets, "salt")
    written = other.read("config/jwt/private.pem"), other.read(".env")
    assert "does not open. No file was changed." in other.set(sealed=sealed, salt="salt")[1]
    assert (other.read("config/jwt/private.pem"), other.read(".env")) == written
