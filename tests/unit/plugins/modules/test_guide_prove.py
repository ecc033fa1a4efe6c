# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site, SiteError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import failed
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, VirtualHost
from ansible_collections.chamilo.hardening.plugins.modules import guide_prove
from tests.tools.asking import ask

TOKEN = "5f" * 32


def run(capsys, site, **arguments):
    def discover(*_arguments, **_options):
        if isinstance(site, Exception):
            raise site
        return site

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide_prove, "discover", discover)
        return ask(guide_prove, capsys, **{"domain": "campus.test", "token": TOKEN, **arguments})


@pytest.fixture
def portal(tmp_path):
    (tmp_path / "public").mkdir()
    return Site("campus.test", root=str(tmp_path))


def test_the_word_is_put_there_and_removed(capsys, portal, tmp_path):
    placed = run(capsys, portal)
    file = tmp_path / "public" / placed["path"].lstrip("/")
    assert file.read_text() == TOKEN
    assert not placed["changed"]
    run(capsys, portal, state="absent")
    assert list((tmp_path / "public").iterdir()) == []


def test_the_word_goes_where_the_portal_is_and_not_where_its_redirect_is(capsys, tmp_path):
    def host(root, *listens):
        return VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), listens, str(root))

    for directory in ("letsencrypt", "chamilo/public"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "current").symlink_to("chamilo")
    serving = (
        host(tmp_path / "letsencrypt", Listen("*", 80, False)),
        host(tmp_path / "current/public", Listen("*", 443, True)),
    )
    placed = run(capsys, Site("campus.test", root=str(tmp_path / "chamilo"), serving=serving))
    assert (tmp_path / "chamilo/public" / placed["path"].lstrip("/")).read_text() == TOKEN


def test_a_file_that_is_there_is_never_written_to(capsys, portal, tmp_path):
    placed = run(capsys, portal)
    file = tmp_path / "public" / placed["path"].lstrip("/")
    file.write_text("somebody else's")
    assert run(capsys, portal)["failed"]
    assert file.read_text() == "somebody else's"


def test_alone_it_reports_who_makes_the_word(capsys, portal):
    assert "do not call the module alone" in run(capsys, portal, token="")["msg"]
    assert "do not call the module alone" in run(capsys, portal, token="../x")["msg"]


def test_a_host_without_chamilo_is_refused(capsys):
    assert run(capsys, SiteError("There is no Chamilo."))["msg"] == "There is no Chamilo."


def test_it_runs_the_attacks_it_is_asked_for_on_the_host(capsys, portal, monkeypatch):
    def break_in(insider):
        return failed(f"{insider.unrelated_client} is in {insider.site.domain}.")

    def stumble(insider):
        raise OSError("no way in")

    monkeypatch.setattr(guide_prove, "attacks", {"a": break_in, "b": stumble, "c": break_in})
    monkeypatch.setattr(guide_prove, "inside_attacks", {"a", "b"})
    assert run(capsys, portal, state="attack", attacks=["a", "b", "c"])["findings"] == {
        "a": {"status": "fail", "evidence": "nobody is in campus.test."},
        "b": {"status": "not_assessed", "evidence": "OSError: no way in."},
    }
