# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import symfony_sessions

ROOT = "/srv/campus [1]"
SHIPPED = "framework:\n    session:\n        handler_id: null\n        cookie_secure: auto\n        name: chamilo2\n"
COMPILED = """            'session.storage.options' => [
                'cache_limiter' => '0',
                'name' => 'chamilo2',
                'cookie_httponly' => true,
                'gc_maxlifetime' => 3600,
            ],
            'session.save_path' => %s,
"""


def options(host):
    return symfony_sessions.options(host.tree, ROOT, "prod")


def in_php(host):
    return symfony_sessions.in_php(host.tree, ROOT, "prod")


def configure(host, text, file="packages/framework.yaml"):
    host.write(f"{ROOT}/config/{file}", text)


def compiled(host, save_path, directory="ContainerNew"):
    """A compiled container, as Symfony writes it."""
    path = f"{ROOT}/var/cache/prod/{directory}/App_KernelProdContainer.php"
    host.write(path, COMPILED % save_path)
    return host.root / path.lstrip("/")


def test_the_compiled_container_wins(host):
    compiled(host, "NULL")
    configure(
        host,
        "framework:\n    session:\n        handler_id: 'redis://10.0.0.5'\n        gc_maxlifetime: 9\n",
        "packages/prod/framework.yaml",
    )
    assert options(host) == {
        "cache_limiter": "0",
        "name": "chamilo2",
        "cookie_httponly": "true",
        "gc_maxlifetime": "3600",
        "handler_id": "redis://10.0.0.5",  # the container's options do not name it
    }


def test_without_a_container_the_files_count(host):
    configure(host, "framework:\n    session:\n        gc_maxlifetime: 1440\n")
    configure(
        host,
        "framework:\n    session:\n        handler_id:\n        gc_maxlifetime: 3600\n",
        "packages/prod/framework.yaml",
    )
    assert options(host) == {"handler_id": "", "gc_maxlifetime": "3600"}


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED,
        "framework:\n    session: {handler_id: null, storage_factory_id: session.storage.factory.native}\n",
        "framework:\n    session:\n        # handler_id: 'redis://10.0.0.5'\n        name: chamilo2\n",
    ],
)
def test_sessions_are_left_to_php(host, text):
    configure(host, text)
    assert in_php(host)
    compiled(host, "NULL")
    assert in_php(host)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("packages/framework.yaml", "framework:\n    session:\n        handler_id: 'redis://10.0.0.5'\n"),
        ("packages/prod/sessions.yaml", "framework:\n    session:\n        save_path: /srv/sessions\n"),
        # It may be active once this run has changed the mode.
        ("packages/dev/a.yml", "framework: {session: {handler_id: 'file://%kernel.project_dir%/var/sessions'}}\n"),
        (
            "packages/zz.yaml",
            "when@prod:\n    framework:\n        session:\n            handler_id: '%env(SESSIONS)%'\n",
        ),
        ("packages/prod/own/a.yaml", "framework:\n    session:\n        handler_id:\n"),
        ("packages/zz.yaml", "framework:\n    session:\n        storage_factory_id: app.sessions\n"),
        ("packages/own.php", "<?php return fn ($c) => $c->framework()->session()->handlerId('redis://10.0.0.5');\n"),
        ("services.yaml", "framework:\n    session:\n        handler_id: App\\Session\\Handler\n"),
    ],
)
def test_sessions_are_kept_elsewhere_or_who_knows_where(host, file, text):
    configure(host, SHIPPED)
    assert in_php(host)
    configure(host, text, file)
    assert not in_php(host)


@pytest.mark.parametrize("save_path", ["'/srv/sessions'", "false"])  # false: from the application's directories
def test_the_newest_container_must_not_report_something_else(host, save_path):
    configure(host, SHIPPED)
    old = compiled(host, "NULL", "ContainerOld")
    os.utime(old, (1, 1))
    new = compiled(host, save_path)
    assert not in_php(host)
    os.utime(new, (0, 0))
    assert in_php(host)


def test_what_cannot_be_read_is_not_left_to_php(host):
    assert not in_php(host)  # there is no configuration
    configure(host, SHIPPED)
    assert in_php(host)
    (host.root / ROOT.lstrip("/") / "config/packages/odd.yaml").mkdir()
    assert not in_php(host)


MOCKED = "framework:\n    test: true\n    session:\n        storage_factory_id: session.storage.factory.mock_file\n"


def test_what_only_tests_use_does_not_count(host):
    """Symfony's own recipe brings it."""
    block = "".join(f"    {line}\n" for line in MOCKED.splitlines())
    configure(host, f"{SHIPPED}\nwhen@test:\n# for PHPUnit\n{block}")
    configure(host, MOCKED, "packages/test/framework.yaml")
    assert in_php(host)
    configure(host, f"{SHIPPED}\nwhen@test:\n{block}\nwhen@prod:\n{block}")
    assert not in_php(host)


@pytest.mark.parametrize(
    ("own", "in_php", "found"),
    [
        ({}, {"session.save_path": "1;0600;/srv/sessions"}, ("/srv/sessions", "")),
        ({}, {}, ("/var/lib/php/sessions", "")),
        ({"handler_id": "file:///srv/a"}, {"session.save_path": "/srv/b"}, ("/srv/a", "")),
        ({"handler_id": "session.handler.native_file", "save_path": "'/srv/a'"}, {}, ("/srv/a", "")),
        ({"handler_id": "file://%kernel.project_dir%/%kernel.environment%"}, {}, (f"{ROOT}/prod", "")),
        ({"handler_id": "redis://:canary@10.0.0.5"}, {}, ("", "redis")),
        ({"handler_id": "App\\Sessions"}, {}, ("", "App\\Sessions")),
        ({"save_path": "%env(SESSIONS)%"}, {}, ("", "%env(SESSIONS)%")),
        ({"handler_id": "file://%env(SESSIONS)%"}, {}, ("", "file://%env(SESSIONS)%")),
        ({}, {"session.save_handler": "memcached"}, ("", "memcached")),
        ({}, {"session.save_path": "tcp://redis:6379"}, ("", "tcp://redis:6379")),
        ({}, None, ("", "PHP, whose settings are not known,")),
    ],
)
def test_where_the_sessions_lie(own, in_php, found):
    assert symfony_sessions.stored(own, ROOT, "prod", in_php) == found
