# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application on disk, with a real openssl."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import (
    Desired,
    EnvError,
    EnvFile,
    Result,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import ask

PUBLIC_SECRET = "141af65f23c7935a37b504c422f113b0"
OWN_SECRET = "6f1c0b7e94d25a83c1f0e7b2a9d46358"
PUBLIC_PASSPHRASE = "your_secret_passphrase"


def openssl(*words, data=b""):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=False)


@pytest.fixture(scope="module")
def plain_key():
    return openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024").stdout


@pytest.fixture(scope="module")
def key(plain_key):
    return openssl("pkey", "-aes-256-cbc", "-passout", f"pass:{PUBLIC_PASSPHRASE}", data=plain_key).stdout


class App:
    """An application on disk; commands are written down instead of run."""

    def __init__(self, directory):
        self.root = str(directory / "campus")
        self.state = str(directory / "state")
        self.commands = []
        self.fails = ""
        self.code = 1
        self.remove = (0, "")
        self.web_user, self.service = "www-data", ""
        self.factors = ""
        self.ended = []
        self.fetch = ask
        os.mkdir(self.root)

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, content, mode=0o640):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read().decode()

    def see(self, given=None):
        return dotenv.read(Tree(), self.root, given)

    def run(self, argv, _seconds):
        self.commands.append(list(argv))
        if "cache:clear" in argv and self.fails:
            return self.code, self.fails
        return self.remove if "rm" in argv else (0, "")

    def end_logins(self, _portal, check):
        self.ended.append(check)
        return ["All are logged out."], []

    def set(self, given=None, check=False, **desired):
        portal = Installation(self.root, self.web_user, php="8.4", service=self.service, given=given or {})
        engine = Engine(self.state, Machine(self.run, systemd=False), self.fetch)
        result = Result()
        env_file = EnvFile(portal, engine, lambda _portal: self.factors, end_logins=self.end_logins)
        try:
            env_file.apply(Desired(**desired), result, check)
        except EnvError as problem:
            return result, str(problem)
        return result, ""


@pytest.fixture
def app(tmp_path):
    return App(tmp_path)


@pytest.fixture
def portal(app, key):
    app.write(".env", f"APP_ENV=prod\nAPP_SECRET='{PUBLIC_SECRET}'\nJWT_PASSPHRASE={PUBLIC_PASSPHRASE}\n")
    app.write("config/jwt/private.pem", key, 0o600)
    return app
