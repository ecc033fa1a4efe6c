# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any, Literal, Optional

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.module_utils._common import request
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from tests.tools.asking import ask


@dataclass(frozen=True)
class Store:
    host: str
    port: int


@dataclass(frozen=True)
class Request:
    domain: str
    server: Literal["nginx", "apache"] = "nginx"
    sections: Sequence[Literal["https", "headers"]] = ()
    seconds: float = 0
    tls: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    store: Optional[Store] = None  # noqa: UP045 (Python 3.9 evaluates it)
    password: str = field(default="", metadata={"no_log": True})


def work(asked: Request, _module: Any) -> dict[str, Any]:
    if asked.domain == "gone.test":
        raise HardeningError("It is gone.")
    return {"asked": asdict(asked), "greeting": f"nginx, {asked.password}"}


def main() -> None:
    request.run(basic.AnsibleModule(request.options(Request)), Request, work)


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(basic, "has_journal", False)
    module: Any = SimpleNamespace(Request=Request, main=main)
    return lambda **given: ask(module, capsys, **given)


def test_values_have_the_types_of_the_fields(answer: Any) -> None:
    given = {"domain": "a.test", "seconds": "1.5", "tls": "yes", "sections": ["https"], "more": None}
    assert answer(**given, store={"host": "b.test", "port": "1"})["asked"] == {
        "domain": "a.test",
        "server": "nginx",
        "sections": ["https"],
        "seconds": 1.5,
        "tls": True,
        "more": {},
        "store": {"host": "b.test", "port": 1},
        "password": "",
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "missing required arguments: domain"),
        ({"domain": "a.test", "domian": "b"}, "domian. Supported parameters include: domain"),
        ({"domain": "a.test", "server": "lighttpd"}, "value of server must be one of: nginx, apache, got: lighttpd"),
        ({"domain": "a.test", "sections": ["htps"]}, "value of sections must be one or more of: https, headers"),
        ({"domain": "a.test", "seconds": "soon"}, "argument 'seconds' is of type"),
        ({"domain": "a.test", "store": {"host": "b.test"}}, "missing required arguments: port found in store"),
        ({"domain": "gone.test"}, "It is gone."),
    ],
)
def test_what_is_wrong_is_named(answer: Any, given: dict[str, Any], words: str) -> None:
    done = answer(**given)
    assert done["failed"] and words in done["msg"]


def test_a_secret_alone_is_masked(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "_log_to_syslog", lambda _self, line: logged.append(line))
    done = answer(domain="a.test", password="canary\n'1'")
    assert "canary" not in json.dumps(done) + "".join(logged)
    assert done["greeting"].startswith("nginx, ") and "a.test" in logged[0]


def test_a_secret_is_taken_from_its_own_option_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"request": {"domain": "a.test", "password": "x"}}), pytest.raises(SystemExit):
        main()
    assert "password can be given through the action plugin only" in capsys.readouterr().out
