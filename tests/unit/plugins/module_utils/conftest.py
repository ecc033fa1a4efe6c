# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An observer of a host that answers what the test defines."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Endpoint, Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Listen,
    VirtualHost,
    WebServer,
)

HTTP = Listen("*", 80, tls=False)
HTTPS = Listen("*", 443, tls=True)
# (status, headers, body) of a request
Reply = tuple[int, dict[str, Any], bytes]
Server = Callable[[Endpoint, str, dict[str, Any]], Reply]


class FakeLook(Observer):
    """Requests go to a function instead of the wire."""

    def __init__(self, site: Site, options: dict[str, Any], server: Server) -> None:
        super().__init__(site, options)
        self.server = server
        self.asked: list[tuple[Endpoint, str, dict[str, Any]]] = []
        self.as_root = True

    def _fetch(self, endpoint: Endpoint, path: str, **request: Any) -> Answer:
        self.asked.append((endpoint, path, request))
        status, headers, body = self.server(endpoint, path, request)
        if not status:
            return Answer(endpoint.url(path), error="connection refused")
        flat = [
            (name, each) for name, value in headers.items() for each in (value if isinstance(value, list) else [value])
        ]
        return Answer(endpoint.url(path), status, tuple(flat), body)


def virtual_host(root: str, *listens: Listen, names: tuple[str, ...] = ("campus.test",), **more: Any) -> VirtualHost:
    return VirtualHost("/etc/nginx/sites-enabled/campus", 1, names, listens or (HTTP, HTTPS), root, **more)


def nothing(_door: Endpoint, _path: str, _request: dict[str, Any]) -> Reply:
    return 404, {}, b"not found"


@pytest.fixture
def look_at() -> Callable[..., FakeLook]:
    def make(
        server: Server = nothing, root: str = "", hosts: tuple[VirtualHost, ...] | None = None, **more: Any
    ) -> FakeLook:
        serving = (virtual_host(f"{root or '/srv/campus'}/public"),) if hosts is None else hosts
        options = more.pop("options", {})
        site = {
            "virtual_hosts": serving,
            "serving": serving,
            "answering": more.get("serving", serving),
            "addresses": ("192.0.2.7",),
            "root": root,
            **more,
        }
        return FakeLook(Site("campus.test", **site), options, server)

    return make


@pytest.fixture
def beside(look_at: Callable[..., FakeLook]) -> Callable[..., FakeLook]:
    """A portal whose own virtual host is as it should be, beside one that does not answer to its name."""

    def own(endpoint: Endpoint, path: str) -> Reply:
        return (301, {"Location": f"https://campus.test{path}"}, b"") if endpoint.scheme == "http" else (403, {}, b"")

    def make(
        server: Callable[[Endpoint, str], Reply], root: str = "/srv/campus/public", names: tuple[str, ...] = ("_",)
    ):
        mine = virtual_host("/srv/campus/public")
        other = VirtualHost("/etc/nginx/sites-enabled/default", 7, names, (HTTP,), root)
        return look_at(
            lambda endpoint, path, _request: (own if endpoint.name == "campus.test" else server)(endpoint, path),
            root="/srv/campus",
            hosts=(mine, other),
            serving=(mine,),
            web=WebServer("nginx", service="nginx"),
            options={"site": "campus_test"},
        )

    return make


@pytest.fixture
def web_user() -> str:
    """An account that is neither root nor the one that runs the tests."""
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in ("www-data", "nobody"))


@pytest.fixture
def project(tmp_path, web_user):
    """A project directory as the guide requires it, owned by the account of the tests. PHP would run as another one."""
    if os.geteuid() != 0:
        pytest.fail("these tests give files to other accounts, so they need root")
    owner = pwd.getpwnam(web_user)
    tmp_path.chmod(0o755)
    root = tmp_path / "campus"
    files = {
        ".env": "APP_ENV=prod\nDATABASE_NAME=chamilo\n",
        "composer.json": '{"name": "chamilo/chamilo-lms"}\n',
        "bin/console": "#!/usr/bin/env php\n",
        "config/bundles.php": "<?php\n",
        "config/jwt/private.pem": "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        "public/index.php": "<?php\n",
        "public/build/app.css": "body {}\n",
        "src/Kernel.php": "<?php\n",
        "var/log/prod.log": "a line of the log that is long enough\n",
        "var/upload/resource/essay.txt": "the essay of a pupil\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in [root, *root.rglob("*")]:
        below = path.relative_to(root).as_posix()
        os.chown(path, 0, 0)
        path.chmod(0o755 if path.is_dir() or below == "bin/console" else 0o644)
        if below.split("/")[0] == "var":
            os.chown(path, owner.pw_uid, owner.pw_gid)
            path.chmod(0o770 if path.is_dir() else 0o660)
        if below.startswith((".env", "config")):
            os.chown(path, 0, owner.pw_gid)
            path.chmod(0o750 if path.is_dir() else 0o640)
    return root


@pytest.fixture
def tree_look(look_at, project, web_user):
    """An observer of the project directory on disk."""

    def make(server: Server = nothing, **more: Any) -> FakeLook:
        user = Php("8.4", "fpm", user=web_user, group=grp.getgrgid(pwd.getpwnam(web_user).pw_gid).gr_name)
        return look_at(server, str(project), **{"php": user, "web": WebServer("nginx", user=web_user), **more})

    return make
