# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers

OURS = sorted(path.stem for path in _answers.MODULES.glob("*.py"))
ACCOUNT: dict[str, Any] = {"server_here": False, "needs_admin": False, "accounts": {}, "moved": {}, "notes": []}
ANSI = "\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize("module", OURS)
def test_every_module_has_a_documented_answer(module: str) -> None:
    shape = _answers.shape(module)
    none = ("guide_inventory", "guide_preflight", "guide_report", "planned")  # no host answers these
    assert shape.entries or module in none


def test_the_forms_are_those_of_documented_answers() -> None:
    for module, forms in _answers.FORMS.items():
        for path, form in forms.items():
            shape: Any = _answers.shape(module)
            for name in path.split("."):
                shape = shape.entries[name]
            assert shape is form, f"{module}: {path}"


def test_what_is_printed_is_safe_and_has_an_end() -> None:
    answer = {
        "changed": False,
        "failed": True,
        "msg": ["x" * 10_000_000, f"a{ANSI}b\rc\r\nd\te"],
        "warnings": [ANSI],
        "diff": [{"before": f"{ANSI}\n", "after": None}],
    }
    read = _answers.read("chamilo_remembered", answer)
    assert len(read["msg"][0]) < 10_100 and read["msg"][0].endswith("(cut)")
    assert read["msg"][1] == "a\ufffd[2J\ufffd31m\ufffdb\ufffdc\r\nd\te"
    assert "\x1b" not in json.dumps(read, ensure_ascii=False)
    assert read["diff"][0]["after"] is None


def test_only_what_is_documented_comes_through() -> None:
    answer = {"changed": True, "forgotten": 1, "ansible_facts": {"x": 1}, "add_host": {"host_name": "x"}, "stdout": "x"}
    assert _answers.read("chamilo_remembered", answer) == {"changed": True, "forgotten": 1}


@pytest.mark.parametrize(
    ("module", "answer", "output"),
    [
        ("chamilo_remembered", {"changed": "yes", "forgotten": 1}, "changed is a text 'yes', not true or false"),
        ("chamilo_remembered", {"changed": True}, "forgotten is missing"),
        ("chamilo_remembered", {"changed": True, "forgotten": True}, "forgotten is a boolean, not a number"),
        ("chamilo_hsts", {"value": None, "since": "", "waits": []}, "value is a null, not a text"),
        ("chamilo_hsts", {"value": "", "since": "", "waits": "x"}, "waits is a text 'x', not a list"),
        ("chamilo_hsts", {"value": "", "since": "", "waits": [{}]}, "waits[0] is a map, not a text"),
        ("chamilo_hsts", {"value": "x" * 1_000_001, "since": "", "waits": []}, "value has 1000001 characters"),
        ("chamilo_hsts", {"value": "", "since": "", "waits": ["x" * 900_000] * 5}, "larger than any valid result"),
        ("chamilo_hsts", {"value": "", "since": "", "waits": [""] * 300_000}, "larger than any valid result"),
        ("guide_prove", {"path": "@169.254.169.254/latest"}, "path is a text"),
        ("guide_prove", {"path": "/../chamilo-hardening-1.txt"}, "path is a text"),
        ("guide_prove", {"findings": {"x": {"status": "held", "evidence": ""}}}, "findings.x.status is a text 'held'"),
        (
            "guide_audit_info",
            {"observed": [], "chamilo_version": "", "signs": [], "forecast": {}},
            "observed is a list",
        ),
        ("backup_key", {"key": "a\nb: {{ x }}"}, "key is a text"),
        ("backup_key", {"due": ["other"]}, "due[0] is a text 'other'"),  # the last screen knows no such job
        ("chamilo_certificate", {"days_left": "many"}, "days_left is a text 'many', not a number"),
        ("chamilo_perms", {"failed": True, "unlike": [["a.php"]]}, "unlike[0] is a list, not a text"),
        ("chamilo_env", {"files": {"/var/www/chamilo/.env": "rm"}}, "is missing"),
        ("chamilo_site_info", {"site": "x"}, "is missing"),
        ("chamilo_database_account", {**ACCOUNT, "source": "x'; GRANT ALL ON *.* TO y; -- "}, "source is a text"),
    ],
)
def test_what_cannot_be_an_answer_is_refused(module: str, answer: dict[str, Any], output: str) -> None:
    with pytest.raises(_answers.AnswerError) as refused:
        _answers.read(module, answer)
    assert output in str(refused.value) and len(str(refused.value)) < 600


@pytest.mark.parametrize("word", ["nginx", "../../../etc/passwd", "nginx\n", "{{ x }}"])
def test_what_names_a_template_here_is_one_of_two_words(word: str) -> None:
    shape: Any = _answers.shape("chamilo_site_info")
    name = shape.entries["site"].entries["web"].entries["name"]
    with contextlib.nullcontext() if word == "nginx" else pytest.raises(_answers.AnswerError):
        assert _answers._Reader("x").read(name, word, "") == word


def test_a_long_observation_is_cut_and_not_refused() -> None:
    answer = {
        "observed": {"https_hsts": {"status": "fail", "evidence": "x" * 10_000_000}},
        "chamilo_version": "2.0.1",
        "signs": [],
        "forecast": {},
    }
    assert len(_answers.read("guide_audit_info", answer)["observed"]["https_hsts"]["evidence"]) < 5_000


PORTAL = {"domain": "a.test", "names": [], "root": "/srv", "obstacles": []}
PORTAL |= dict.fromkeys(("web_server", "php", "database", "version"), "")


@pytest.mark.parametrize(
    ("changed", "output"),
    [
        ({"domain": "{{ lookup('pipe', 'id') }}"}, "portals[0].domain"),
        ({"names": ["../../etc"]}, "portals[0].names"),
        ({"root": "/var/www\n/etc"}, "portals[0].root"),
        ({"obstacles": "all"}, "portals[0].obstacles"),
    ],
)
def test_what_becomes_an_inventory_is_names_and_paths(changed: dict[str, Any], output: str) -> None:
    with pytest.raises(_answers.AnswerError) as refused:
        _answers.read("chamilo_portals_info", {"portals": [{**PORTAL, **changed}]})
    assert output in str(refused.value)


DAILY = {"ran": [{"changed": True, "step": "x"}], "lists": {"campus": {"digest": "0" * 64, "copied": False}}}


def test_what_the_daily_work_prints_is_validated() -> None:
    daily = _answers.KINDS["daily"]
    assert daily(json.dumps(DAILY)) == {"ran": [{"changed": True}], "lists": DAILY["lists"]}
    assert daily("{}") == {}
    for digest in ("/../../../hosts", "0" * 63, "0" * 64 + "\n", ["0" * 64], None):
        wrong = {**DAILY, "lists": {"campus": {"digest": digest, "copied": False}}}
        with pytest.raises(_answers.AnswerError, match="digest is a"):
            daily(json.dumps(wrong))
    for text in ("", "[", "[]", "[" * 100_000, "x" * 5_000_000, None, {}):
        with pytest.raises(_answers.AnswerError):
            daily(text)


def test_a_certificate_is_one() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n"
    read = _answers.KINDS["certificate"]
    assert read(base64.b64encode(pem.encode()).decode()) == pem
    for text in ("", "x", pem + "x", pem.replace("CERTIFICATE", "RSA PRIVATE KEY"), "{{ x }}", "\xff"):
        with pytest.raises(_answers.AnswerError, match="not one in PEM form"):
            read(base64.b64encode(text.encode("latin-1")).decode())
    for value in (pem, None, [], 7):
        with pytest.raises(_answers.AnswerError):
            read(value)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('a\tb\nc\r\nd\\e"f/ä€\N{GRINNING FACE}', True),
        ("\\u001b", True),  # a backslash and letters
        *((f"a{character}b", False) for character in "\x00\x08\x0c\x1b\x7f\x9b\r\u202e\u2028"),
    ],
)
def test_json_is_without_control_characters_before_it_is_read(text: str, left: bool) -> None:
    for ascii_ in (True, False):
        written = json.dumps({"warnings": [text]}, ensure_ascii=ascii_)
        read = json.loads(_answers.without_controls(written))["warnings"][0]
        assert read == (text if left else "a\N{REPLACEMENT CHARACTER}b")
    assert _answers.without_controls("no JSON\x1b[2J\\") == "no JSON\N{REPLACEMENT CHARACTER}[2J\\"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 17_000_000, "larger than"),
        ("\N{GRINNING FACE}" * 5_000_000, "larger than"),
        ('"\n{"a": [' + "[]," * 500_000 + "[]]}", "values"),
        ("\\n" * 1_100_000, "escapes"),
        ("\x07" * 1_100_000, "control characters"),
    ],
)
def test_what_would_fill_the_memory_is_refused_before_it_is_decoded(text, why):
    with pytest.raises(_answers.AnswerError, match=why):
        _answers.bounded("chamilo_env", text, "")


def test_texts_may_be_long_and_have_signs_of_json_in_them():
    _answers.bounded("chamilo_env", json.dumps({"text": '[{"a": 1}, ' * 80_000}), "")
