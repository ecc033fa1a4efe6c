# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _keys, _preflight, _removed

SPECS: dict[str, Any] = {
    "common": {
        "chamilo_domain": {"type": "str"},
        "chamilo_level": {"type": "str", "choices": ["must", "should", "consider"]},
        "chamilo_waivers": {"type": "list", "elements": "dict"},
        "chamilo_friends": {"type": "list", "elements": "str"},
    },
    "https": {
        "chamilo_https_hsts": {"type": "str", "choices": ["ramp", "full", "off"]},
        "chamilo_https_days": {"type": "int"},
    },
    "backups": {"chamilo_backups_password": {"type": "str", "no_log": True, "choices": ["long"]}},
}


def errors(sections: list[str] | None = None, **values: Any) -> list[str]:
    return _preflight.errors(SPECS, ["https", "backups"] if sections is None else sections, values)


def test_good_values_are_good() -> None:
    assert (
        errors(chamilo_level="must", chamilo_https_hsts="full", chamilo_hosts="web", chamilo_friends=["10.1.2.3/8"])
        == []
    )
    assert errors() == []


REGISTERED = {"changed": False, "failed": False, "stdout": "2.0.1"}


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("chamilo_domian", "x", "chamilo_domain"),
        ("chamilo_https_hst", "x", "chamilo_https_hsts"),
        ("chamilo_friend", "10.0.0.1", "chamilo_friends"),
        ("chamilo_serail", 2, "chamilo_serial"),
        *((name, "x", "") for name in ("chamilo_zzzzzzzz", "chamilo_db_user", "chamilo_db_password", "chamilo_theme")),
        *((f"chamilo_{name}", REGISTERED, "") for name in ("installed", "version", "sites", "domains", "https_day")),
        ("chamilo_sites", [{"domain": "a.test"}], ""),
        ("chamilo_note", "{{ only_where_it_is_used }}", ""),
        ("my_chamilo_domian", "x", ""),
    ],
)
def test_a_misspelt_variable_is_refused_and_one_of_the_users_own_is_not(name: str, value: Any, meant: str) -> None:
    known = {**SPECS, "common": {**SPECS["common"], "chamilo_site": {"type": "str"}, "chamilo_web_user": {}}}
    output = _preflight.errors(known, ["https"], {name: value})
    assert bool(output) is bool(meant), output
    assert all(f"{name} is not a variable of this collection. Did you mean {meant}?" in one for one in output)


def test_a_removed_variable_is_refused_with_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_removed.INSTEAD, "chamilo_https_pace", "nginx has its own.")
    assert errors(chamilo_https_pace="x") == ["chamilo_https_pace was removed. nginx has its own."]


def test_no_removed_variable_is_one_that_a_role_reads_and_no_removed_control_is_in_the_table() -> None:
    assert not set(_removed.INSTEAD) & set(_preflight.options(_preflight.specs()))
    assert not set(_removed.CONTROLS) & set(_controls.load().by_id)


def test_variables_of_sections_that_do_not_run_are_known_but_not_judged() -> None:
    assert errors(["https"], chamilo_backups_password="short") == []


def test_an_unknown_value_is_named_with_the_known_ones() -> None:
    assert errors(chamilo_level="mast") == ["Invalid value for chamilo_level: 'mast'. Valid: must, should, consider."]


@pytest.mark.parametrize("value", [False, True])
def test_a_word_that_yaml_read_as_a_boolean_is_refused(value: bool) -> None:
    (output,) = errors(chamilo_https_hsts=value)
    assert output.startswith(f"chamilo_https_hsts is {str(value).lower()}: ") and output.endswith('such as "off".')


ALL = {name: option for spec in _preflight.specs().values() for name, option in spec.items()}
NOT_TEXTS = [name for name, option in ALL.items() if option["type"] not in _preflight.TEXTS]


@pytest.mark.parametrize("name", NOT_TEXTS)
@pytest.mark.parametrize("sections", [[], ["https"]], ids=["look", "other"])
def test_a_text_is_none_of_the_other_types(name: str, sections: list[str]) -> None:
    """``-e name=false`` and an INI inventory make texts. None is converted: "false" is true, a name its letters."""
    for text in ("false", "true", "8", "a,b", "{}", ""):
        (output,) = [each for each in _preflight.errors(_preflight.specs(), sections, {name: text}) if name in each]
        assert output.startswith(f"{name} is ") and "a text, but must be" in output and f'-e \'{{"{name}": ' in output
        assert not ALL[name].get("no_log") or "'a,b'" not in output


@pytest.mark.parametrize("name", ALL)
def test_each_type_takes_its_own_kind_of_value_alone(name: str) -> None:
    kinds = {"bool": True, "int": 7, "float": 0.5, "list": [], "dict": {}, "str": "x", "path": "/x", "none": None}
    of = ALL[name]["type"]
    good = {"str": {"str", "path"}, "path": {"str", "path"}, "float": {"int", "float"}}.get(of, {of})
    if name in _preflight.NUMBERS_TOO:
        good |= {"int"}
    if "true" in ALL[name].get("choices", ()):
        good |= {"bool"}
    for kind, value in kinds.items():
        output = _preflight.form(name, ALL[name], value)
        assert bool(output) is (kind not in good), (kind, output)
    if of == "list":
        entry: Any = {} if ALL[name]["elements"] == "dict" else "x"
        assert _preflight.form(name, ALL[name], [entry]) == ""
        assert all(_preflight.form(name, ALL[name], [entry, wrong]) for wrong in (True, 7, None, [entry]))


def test_the_defaults_of_the_roles_are_of_their_types() -> None:
    defaults: dict[str, Any] = {}
    for path in sorted(_preflight.ROLES.glob("*/defaults/main.yml")):
        defaults.update(yaml.safe_load(path.read_text()) or {})
    assert len(defaults) > 60 and _preflight.forms(_preflight.specs(), defaults) == {}


@pytest.mark.parametrize(
    ("name", "value", "output"),
    [
        (
            *("chamilo_backups_first", "False"),
            "is 'False', a text, but must be true or false. In YAML, or as JSON: "
            "-e '{\"chamilo_backups_first\": true}'.",
        ),
        ("chamilo_monitoring_smtp_port", "465", "is '465', a text, but must be a whole number."),
        ("chamilo_uploads_blocked_extensions", "exe,php", """-e '{"chamilo_uploads_blocked_extensions": [...]}'."""),
        ("chamilo_monitoring_administrators", [83], "holds 83, a number, but must be a list in which each entry"),
        ("chamilo_waivers", "headers_csp", "is 'headers_csp', a text, but must be a list. In YAML"),
        ("chamilo_domain", None, "chamilo_domain has no value, but must be a text."),
        ("chamilo_site", 1.1, """must be a text. In YAML, or as JSON: -e '{"chamilo_site": "..."}'."""),
    ],
)  # fmt: skip
def test_a_wrong_type_is_reported_with_the_value_and_how_to_write_it(name: str, value: Any, output: str) -> None:
    error = _preflight.forms(_preflight.specs(), {name: value})[name]
    assert error.startswith(name) and output in error


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    wrong = {
        "chamilo_backups_password": 4711471,
        "chamilo_alert_webhook": ["https://hook.example/4711471"],
        "chamilo_backups_environment": "KEY=4711471",
    }
    output = _preflight.forms(_preflight.specs(), wrong)
    assert set(output) == set(wrong) and "4711471" not in str(output)
    assert output["chamilo_backups_password"].startswith("chamilo_backups_password is a number, but must be a text.")


def test_a_secret_is_not_shown() -> None:
    (error,) = errors(chamilo_backups_password="hunter2")
    assert error.startswith("Invalid value for chamilo_backups_password: (not shown: it is a secret). Valid: ")
    assert "hunter2" not in error


def test_everything_is_reported_at_once() -> None:
    output = errors(
        chamilo_levle="1", chamilo_level="x", chamilo_https_hsts="x", chamilo_friends=["x"], chamilo_waivers=[{}]
    )
    assert len(output) == 5
    assert output[3] == (
        "Invalid value for chamilo_friends: 'x'. Valid: an address or a network, such as 192.0.2.1 or 10.0.0.0/8."
    )
    assert output[4] == "chamilo_waivers, entry 1: control is missing."


@pytest.mark.parametrize("value", ["campus.example.org", "xn--mnchen-3ya.example", "campus", "a-1.b2.c"])
def test_good_names(value: str) -> None:
    assert _preflight.domain(value, "web1") == []


@pytest.mark.parametrize(
    "value",
    [
        *("my campus", "", "https://campus.test", "campus.test/", "campus.test:443", "campus..test", "-a.test"),
        *("a_b.test", "ä.test", "campus.test\n", "*.campus.test", "a" * 64 + ".test", "a." * 127 + "test", "{{ x }}"),
    ],
)
def test_names_that_are_none(value: str) -> None:
    (error,) = _preflight.domain(value, "web1")
    assert error.startswith(
        f"chamilo_domain is {value!r}, and that is no valid domain name. Write the public name alone"
    )


def test_an_address_is_no_name() -> None:
    (error,) = _preflight.domain("192.0.2.1", "web1")
    assert "is an address, not a name" in error


def test_a_bad_name_out_of_the_inventory_reports_where_it_is_from() -> None:
    (error,) = _preflight.domain("my host", "my host")
    assert error.startswith("The portal's name is the host's name in the inventory, 'my host'")
    assert "Set chamilo_domain" in error


SECTIONS = ["headers", "backups"]
# In which of these a copy of the backup key is fetched, into a directory that does not last.
FETCHED: list[tuple[list[str], dict[str, Any], dict[str, Any], bool]] = [
    (SECTIONS, {}, {}, True),
    (SECTIONS, {}, {"ansible_run_tags": ["backups"]}, True),
    (SECTIONS, {}, {"ansible_run_tags": ["headers"]}, False),
    (SECTIONS, {"chamilo_backups_first": True}, {"ansible_run_tags": ["headers"]}, True),
    (["backups"], {}, {"ansible_run_tags": ["of a play of one's own"]}, True),
    (["headers"], {}, {}, False),
    (SECTIONS, {"chamilo_backups_password": "from a vault"}, {}, False),
    (SECTIONS, {"chamilo_backups_key_folder": "/srv/keys"}, {}, False),
    (SECTIONS, {"chamilo_backups_key_folder": "keys"}, {}, True),
    (SECTIONS, {"chamilo_backups_state": "absent"}, {}, False),
    (SECTIONS, {}, {"group_names": ["chamilo_db"]}, False),
    (SECTIONS, {}, {"group_names": ["chamilo_db", "chamilo_web"]}, True),
]


@pytest.mark.parametrize(("sections", "values", "variables", "fetched"), FETCHED)
def test_where_the_copy_of_the_backup_key_would_be_lost_a_run_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    sections: list[str],
    values: dict[str, Any],
    variables: dict[str, Any],
    fetched: bool,
) -> None:
    monkeypatch.setattr(_keys, "ephemeral", lambda: "the environment variable CI is set")
    monkeypatch.setattr(_keys, "_not_writable", lambda _directory: "")
    known = {"inventory_hostname": "campus.test", "inventory_dir": "/srv/school", **variables}
    output = _preflight.key_copy(sections, values, known)
    assert bool(output) == fetched, output
    assert all(one.startswith("chamilo_backups_password is not set, and this controller does not") for one in output)


def test_where_the_copy_of_the_backup_key_cannot_be_written_a_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_keys, "ephemeral", lambda: "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    known = {"inventory_hostname": "a-b.test", "inventory_dir": str(tmp_path / "file")}
    (tmp_path / "file").touch()
    (output,) = _preflight.key_copy(["backups"], {}, known)
    assert output.startswith(f"The copy of the backup key cannot be written: {tmp_path}/file/chamilo-keys: ")
    copy = tmp_path / "home/chamilo-keys/a-b.test-a__b_test.key"
    copy.parent.mkdir(parents=True)
    copy.touch()
    assert _preflight.key_copy(["backups"], {}, known) == [], "it is used where it is"


@pytest.mark.parametrize(
    ("sections", "values", "tags", "left"),
    [
        (["headers", "backups", "updates"], {}, [], "backups, updates"),
        (["headers", "backups", "updates"], {}, ["updates", "headers"], "updates"),
        (["headers", "backups", "updates"], {"chamilo_backups_state": "absent"}, [], "updates"),
        (["headers", "uploads"], {}, [], ""),
        (["headers", "uploads"], {"chamilo_uploads_antivirus": True}, [], "uploads"),
        (["uploads"], {"chamilo_level": "consider"}, ["mine"], "uploads"),
    ],
)
def test_what_goes_on_by_the_host_program_is_refused_without_it(
    sections: list[str], values: dict[str, Any], tags: list[str], left: str
) -> None:
    variables = {"ansible_run_tags": tags}
    found = _preflight.without_program(sections, {**values, "chamilo_host_program": False}, variables)
    assert [", ".join(one.sections) for one in found] == ([left] if left else [])
    assert all(one.why.startswith(f"chamilo_host_program is false, and {left} would end") for one in found)
    assert _preflight.without_program(sections, values, variables) == []


def test_waivers_that_ran_out_are_announced() -> None:
    entry = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2026-11-24"}
    assert _preflight.waivers([entry], datetime.date(2026, 11, 24)) == ([], [])
    wrong, run_out = _preflight.waivers([entry], datetime.date(2026, 11, 25))
    assert wrong == []
    assert run_out == [
        "The waiver of headers_csp (Anna: The editor breaks.) ran out on 2026-11-24; the control is enforced again "
        "from this run on."
    ]


def test_half_a_certificate_is_refused() -> None:
    half = {"chamilo_https_certificate": "files", "chamilo_https_certificate_file": "/etc/ssl/chain.pem"}
    (output,) = _preflight.certificate(half)
    assert 'chamilo_https_certificate_key_file is ""' in output
    assert _preflight.certificate({**half, "chamilo_https_certificate_key_file": "/etc/ssl/key.pem"}) == []
    assert _preflight.certificate({"chamilo_https_certificate": "auto"}) == []


def test_a_server_of_sessions_needs_an_address_and_a_password() -> None:
    given = {"chamilo_sessions_handler": "redis", "chamilo_sessions_redis_host": "redis.internal"}
    (output,) = _preflight.session_store(given)
    assert output == "chamilo_sessions_handler is redis, but chamilo_sessions_redis_password is empty. Set it."
    assert _preflight.session_store({**given, "chamilo_sessions_redis_password": "x"}) == []
    assert _preflight.session_store({**given, "chamilo_sessions_handler": "files"}) == []


def test_tls_that_ends_elsewhere_needs_a_proxy_that_is_believed() -> None:
    (output,) = _preflight.elsewhere({"chamilo_https_terminated_elsewhere": True})
    assert "chamilo_trusted_proxies is empty" in output
    proxies = {"chamilo_trusted_proxies": ["10.0.0.5"]}
    assert _preflight.elsewhere({"chamilo_https_terminated_elsewhere": True, **proxies}) == []
    assert _preflight.elsewhere({"chamilo_https_terminated_elsewhere": False}) == _preflight.elsewhere({}) == []


POLICY = "chamilo_permissions_policy"


def test_rules_for_the_tree_that_have_no_form_are_refused_once() -> None:
    specs = _preflight.specs()
    for wrong in ("public", ["public"], [{"file_mode": "0777"}], [{"path": "x", "mode": "0777"}]):
        output = _preflight.errors(specs, ["permissions"], {POLICY: wrong})
        assert len(output) == 1 and output[0].startswith(POLICY)


SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("archive", "checksum", "words"),
    [
        ("", "", []),
        ("auto", "", []),
        ("off", "", []),
        ("/home/me/chamilo-2.0.1.zip", "", []),
        ("chamilo-2.0.1.zip", SHA256, []),
        ("https://example.org/chamilo-2.0.1.zip", SHA256.upper(), []),
        ("https://example.org/chamilo-2.0.1.zip", "", ["chamilo_release_sha256 is empty"]),
        ("http://example.org/chamilo-2.0.1.zip", SHA256, ["an https:// address"]),
        ("chamilo-2.0.1.zip", "0123", ["no SHA-256 checksum"]),
        (1, SHA256, []),
    ],
)
def test_a_package_of_the_release_is_known_before_anything_changes(
    archive: Any, checksum: str, words: list[str]
) -> None:
    output = _preflight.release({"chamilo_release_archive": archive, "chamilo_release_sha256": checksum})
    assert len(output) == len(words) and all(word in sentence for word, sentence in zip(words, output))


@pytest.mark.parametrize(
    ("entry", "refused"), [("!Campus.test", True), ("!www.campus.test", False), ("campus.test", False)]
)
def test_the_first_name_is_never_left_out(entry: str, refused: bool) -> None:
    output = _preflight.names("campus.test", {"chamilo_names": [entry]})
    assert bool(output) is refused
    assert all(each.startswith("Invalid value for chamilo_names: '!Campus.test'. ") for each in output)
