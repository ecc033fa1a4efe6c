# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that an earlier version gave PHP is given up: real files and transactions, as root."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._program import former_pool
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import WebServer

OWN, OLD = "chamilo-campus", "www-data"
OURS = "unix:/run/chamilo-campus.sock"
THEIRS = "unix:/run/php/php8.4-fpm.sock"
NGINX = "user www-data;\nevents {}\n"
WITH_GROUP = "# chamilo.hardening, section permissions: was user www-data;\nuser www-data chamilo-web;\nevents {}\n"
CRON = "* * * * * {} php /srv/campus/bin/console x\n5 4 * * * root true\n"
POOL = f"[chamilo-campus]\nuser = {OWN}\ngroup = {OWN}\nlisten = /run/chamilo-campus.sock\n"
PAGE = {"url": "https://campus.test/", "address": "127.0.0.1", "send": {"X-Forwarded-Proto": "https"}}


class Host:
    """As an earlier version left it, with one virtual host of that version's."""

    def __init__(self, directory: Path, way: str) -> None:
        self.directory = directory
        self.way = way
        self.commands: list[str] = []
        self.rights: list[tuple[str, str]] = []
        self.crontab = 1
        self.fails = False
        self.engine = Repairing(
            str(directory / "state"), Machine(self.run, systemd=True, program=sys.executable), self.answer
        )
        for name in ("8.4/fpm/pool.d", "cron.d", "etc", "nginx"):
            (directory / name).mkdir(parents=True)
        self.pool = "8.4/fpm/pool.d/chamilo-campus.conf"
        theirs, self.vhost = "8.4/fpm/pool.d/www.conf", "nginx/campus.conf"
        was = {"nginx/nginx.conf": NGINX, "cron.d/campus": CRON.format(OLD), theirs: "[www]\n"}
        was[self.vhost] = f"fastcgi_pass {THEIRS if way == 'virtual_host' else OURS};\n"
        for name, text in was.items():
            self.write(name, text)
        self.before = self.picture()
        memo = {
            "domain": "campus.test",
            "root": "/srv/campus",
            "web_server": "nginx",
            "user": OLD,
            "group": OLD,
            "address": THEIRS,
            "pool": "www",
            "file": str(directory / theirs),
            "way": way,
            "member": False,
            "probe": [PAGE],
        }
        now = {
            self.pool: POOL,
            "nginx/nginx.conf": WITH_GROUP,
            "cron.d/campus": CRON.format(OWN),
            "etc/php_user-campus.json": json.dumps(memo),
            **({self.vhost: f"fastcgi_pass {OURS};\n"} if way == "virtual_host" else {}),
        }
        files: list[dict[str, Any]] = [
            {"path": str(directory / name), "content": text, "owner": "0", "group": "0", "mode": "0644"}
            for name, text in now.items()
        ]
        files += [{"path": str(directory / theirs), "state": "absent"}] if way == "address" else []
        self.engine.apply(plan({"name": "permissions:campus.pool", "files": files}), Outcome(), check=False)
        console = ["runuser", "-u", OWN, "--", "env", "--chdir=/srv/campus", "php8.4", "bin/console", "cache:clear"]
        other = [{"path": str(directory / "sessions.yaml"), "content": "x\n"}]
        self.engine.apply(plan({"name": "sessions:campus", "files": other, "test": [console]}), Outcome(), check=False)

    def run(self, argv: Sequence[str], _seconds: float) -> tuple[int, str]:
        self.commands.append(" ".join(argv))
        return (self.crontab if argv[0] == "crontab" else 0), ""

    def answer(self, *_given: Any, **_more: Any) -> Answer:
        self.commands.append("probe")
        return Answer("https://campus.test/", 200)

    def discover(self, *_given: Any, **_more: Any) -> Site:
        own = self.way != "address" and OURS in self.read(self.vhost)
        file = str(self.directory / self.pool) if own else "elsewhere"
        php = Php("8.4", "fpm", "php8.4-fpm", OURS, file, OWN, OWN)
        return Site("campus.test", "/srv/campus", web=WebServer("nginx", user=OLD, service="nginx"), php=php)

    def give(self, tree: dict[str, Any], *_more: Any, **_pages: Any) -> None:
        if self.fails:
            raise PermsError("The portal's health check failed.")
        self.rights.append((tree["web_user"], tree["group"]))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.directory / name).read_text()

    def picture(self) -> dict[str, bytes]:
        files = (path for path in self.directory.rglob("*") if path.is_file() and "state" not in path.parts)
        return {str(path): path.read_bytes() for path in files if path.name != "sessions.yaml"}


@pytest.fixture(params=["virtual_host"])
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Host:
    made = Host(tmp_path, request.param)
    windows = former_pool.permissions_window
    monkeypatch.setattr(former_pool, "MEMO", f"{tmp_path}/etc/php_user-{{site}}.json")
    monkeypatch.setattr(former_pool, "NGINX", f"{tmp_path}/nginx/nginx.conf")
    monkeypatch.setattr(former_pool, "_CRON", f"{tmp_path}/cron.d/")
    monkeypatch.setattr(former_pool, "discover", made.discover)
    monkeypatch.setattr(former_pool.apply, "produce", made.give)
    monkeypatch.setattr(windows, "site", lambda name: windows.Site(name, {"path": "/srv/campus", "owner": "root"}, {}))
    monkeypatch.setattr(former_pool.logins, "hand_over", lambda _directory, old, new: made.rights.append((old, new)))
    return made


@pytest.mark.parametrize("host", ["virtual_host", "address"], indirect=True)
def test_files_jobs_and_rights_go_back_and_what_was_edited_meanwhile_stays(host: Host) -> None:
    host.write("nginx/nginx.conf", "# mine\n" + host.read("nginx/nginx.conf"))
    assert former_pool.tracked(host.engine) == ["campus"]
    assert former_pool.undo("campus", host.engine) == ["PHP of campus.test runs as www-data again."]
    assert host.read("nginx/nginx.conf") == f"# mine\n{NGINX}"
    host.write("nginx/nginx.conf", NGINX)
    assert host.picture() == host.before
    assert host.rights == [(OLD, OLD), (OWN, OLD)] and former_pool.tracked(host.engine) == []
    (test,) = host.engine.store.peek()["records"]["sessions:campus"]["test"]
    assert test[:3] == ["runuser", "-u", OLD], "what others wrote is undone by a command that the old user can run"
    added, deleted = (host.commands.index(f"gpasswd --{word} {OLD} {OWN}") for word in ("add", "delete"))
    assert (
        added
        < host.commands.index("probe")
        < deleted
        < host.commands.index("systemctl try-reload-or-restart php8.4-fpm", deleted)
    )


def test_the_virtual_host_as_a_later_run_wrote_it_leads_to_the_old_pool(host: Host) -> None:
    later = [{"path": str(host.directory / host.vhost), "content": f"# new\nfastcgi_pass {OURS};\n"}]
    host.engine.apply(plan({"name": "https:campus", "files": later}), Outcome(), check=False)
    former_pool.undo("campus", host.engine)
    assert host.read(host.vhost) == f"# new\nfastcgi_pass {THEIRS};\n"


def test_a_crontab_of_the_account_is_named(host: Host) -> None:
    host.crontab = 0
    assert f"crontab -u {OWN} -e" in former_pool.undo("campus", host.engine)[1]


def test_after_a_failure_the_command_can_be_given_again(host: Host) -> None:
    host.fails = True
    with pytest.raises(HardeningError, match="health check failed"):
        former_pool.undo("campus", host.engine)
    assert former_pool.tracked(host.engine) == ["campus"]
    host.fails = False
    former_pool.undo("campus", host.engine)
    assert host.picture() == host.before


@pytest.mark.parametrize("host", ["line"], indirect=True)
def test_where_its_owner_has_to_change_the_line_the_pool_runs_as_the_old_user_until_then(host: Host) -> None:
    with pytest.raises(HardeningError, match=f"hands requests to {OURS}.* Write {THEIRS} there"):
        former_pool.undo("campus", host.engine)
    assert f"user = {OLD}\ngroup = {OLD}\n" in host.read(host.pool) and host.rights[0] == (OLD, OLD)
    host.write(host.vhost, f"fastcgi_pass {THEIRS};\n")
    former_pool.undo("campus", host.engine)
    assert not (host.directory / host.pool).exists() and former_pool.tracked(host.engine) == []


def test_not_while_a_window_is_open(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        def description(self) -> str:
            return "it is open until noon"

    monkeypatch.setattr(former_pool.permissions_window.Windows, "at", lambda _windows, _path: Open())
    with pytest.raises(HardeningError, match="it is open until noon. Run `chamilo-hardening window close` first"):
        former_pool.undo("campus", host.engine)
    assert not host.rights
