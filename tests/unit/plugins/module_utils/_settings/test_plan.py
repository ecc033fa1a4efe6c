# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import (
    HIDDEN,
    Row,
    Seen,
    SettingsError,
    desired,
    lines,
    plan,
)

LOCK = "security.login_max_attempt_before_blocking_account"
CHECK = "security.check_password"
RULES = "security.password_requirements"
STRENGTH = "security.allow_strength_pass_checker"  # kept in sessions
WHOLE = {"min": {"length": 12, "lowercase": 1, "uppercase": 1, "numeric": 1, "specials": 1}}
PORTALS = {1: "https://campus.test/", 2: "https://second.test/", 3: "https://third.test/"}


def asked(settings=None, reset=(), access_url=("all",), secret=None, lock=None, pin=None):
    return desired(settings or {}, secret or {}, reset, access_url, lock, pin)


def row(number, portal, value, key=CHECK, category="", changeable=True):
    known, _dot, variable = key.partition(".")
    return Row(number, portal, category or known, variable, value, changeable)


def planned(expected, *rows, overrides=None, portals=PORTALS, version=""):
    return plan(expected, Seen(portals, rows, overrides or {}, version))


# ------------------------------------------------------------------------------------------------ what is asked for


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (CHECK, True, "true"),
        (CHECK, False, "false"),
        (LOCK, 5, "5"),
        ("security.captcha_time_to_block", None, ""),
        (RULES, WHOLE, '{"min":{"length":12,"lowercase":1,"uppercase":1,"numeric":1,"specials":1}}'),
        (RULES, json.dumps(WHOLE), json.dumps(WHOLE)),
        ("document.upload_extensions_blacklist", ["exe", "bat", "php"], "exe;bat;php"),
        ("document.upload_extensions_blacklist", "exe;bat", "exe;bat"),
        ("document.upload_extensions_blacklist", [], ""),
        (
            RULES,
            {"min": dict.fromkeys(WHOLE["min"], 0)},
            json.dumps({"min": dict.fromkeys(WHOLE["min"], 0)}).replace(" ", ""),
        ),
        ("security.security_xss_protection", 0, "0"),
        (
            "security.security_content_policy",
            "default-src 'self'; \"ü\" \U0001f600",
            "default-src 'self'; \"ü\" \U0001f600",
        ),
    ],
)
def test_a_value_becomes_the_text_that_the_application_reads(key, value, text):
    assert asked({key: value}).values[key] == text


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (CHECK, "yes", "takes true or false, not 'yes'"),
        (LOCK, -1, "takes a whole number, not -1"),
        (LOCK, True, "takes a whole number, not True"),
        (RULES, "{", "takes a map, or JSON text of one, not '{'"),
        (RULES, {"min": {"length": 12}}, "needs a whole number at min.lowercase"),
        (RULES, {"min": {**WHOLE["min"], "specials": -1}}, "needs a whole number at min.specials"),
        (RULES, {"length": 12}, "needs a whole number at min.length"),
        (RULES, "[1]", "takes a map"),
        (LOCK, "\u0665", "takes a whole number"),
        ("document.upload_extensions_blacklist", True, "a list of words"),
        ("document.upload_extensions_list_type", "", "takes blacklist or whitelist, not ''"),
        ("document.upload_extensions_blacklist", ["a;b"], "without ';'"),
        ("document.upload_extensions_list_type", "grey", "takes blacklist or whitelist, not 'grey'"),
        ("security.security_content_policy", "a\0b", "takes a text"),
    ],
)
def test_a_value_that_is_none_is_refused(key, value, words):
    with pytest.raises(SettingsError) as problem:
        asked({key: value})
    assert words in str(problem.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("security.chek_password", "security.check_password"),
        ("upload_extensions_blacklist", "document.upload_extensions_blacklist"),
        ("registration.check_password", "security.check_password"),  # not the nearest by its letters
    ],
)
def test_the_right_name_under_another_category_comes_first(name, meant):
    with pytest.raises(SettingsError, match=f"Did you mean {meant}, "):
        asked(reset=[name])


def test_a_secret_is_refused_where_it_would_be_logged_and_reported_nowhere():
    with pytest.raises(SettingsError, match="Give it in secret_settings"):
        asked({"mail.mailer_dsn": "smtp://a:hunter2@b"})
    with pytest.raises(SettingsError) as problem:
        asked(secret={"mail.mailer_dsn": ["hunter2"]})
    assert "hunter2" not in str(problem.value)
    todo = planned(asked(secret={"mail.mailer_dsn": "smtp://a:hunter2@b"}), row(1, 1, "smtp://old", "mail.mailer_dsn"))
    assert todo.settings["mail.mailer_dsn"]["after"]["stored"]["1"] == HIDDEN
    assert todo.settings["mail.mailer_dsn"]["changed"]
    shown = json.dumps(todo.settings) + lines(todo.settings, "after") + lines(todo.settings, "before")
    assert "hunter2" not in shown and "old" not in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Nothing is asked for"),
        ({"settings": {CHECK: True}, "reset": [CHECK]}, f"{CHECK} is asked for twice"),
        ({"settings": {CHECK: True}, "access_url": []}, "access_url is all, or a list"),
        ({"settings": {CHECK: True}, "access_url": ["1", "-2"]}, "access_url is all, or a list"),
        ({"settings": {CHECK: True}, "access_url": ["all", "1"]}, "access_url is all, or a list"),
        ({"settings": {LOCK: 1, CHECK: True}, "secret": {CHECK: True}}, f"{CHECK} is asked for twice"),
        ({"settings": {CHECK: True}, "access_url": ["2"], "lock": True}, "lock is about the row of the main portal"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(SettingsError) as problem:
        asked(**options)
    assert words in str(problem.value)


# --------------------------------------------------------------------------------------------- what has to be done


def test_a_portal_without_a_table_of_portals_is_the_main_one():
    todo = planned(asked({CHECK: True}), portals={})
    assert todo.insert == (Row(0, 1, "security", "check_password", "true"),)
    assert todo.settings[CHECK]["after"]["effective"] == {"1": "true"}


def test_json_that_is_none_is_replaced():
    stored = row(1, 1, "{", RULES)
    assert [one.id for one in planned(asked({RULES: WHOLE}), stored).update] == [1]
    other = row(1, 1, json.dumps({"min": {**WHOLE["min"], "length": 8}}), RULES)
    assert [one.id for one in planned(asked({RULES: WHOLE}), other).update] == [1]


def test_json_that_means_the_same_is_left_alone():
    stored = json.dumps({"min": dict(reversed(WHOLE["min"].items()))}, indent=2)
    assert not planned(asked({RULES: WHOLE}), row(1, 1, stored, RULES)).changes_rows


def test_doubles_are_merged_into_the_last_row_which_is_the_one_that_counts():
    todo = planned(asked({CHECK: True}), row(7, 1, "true"), row(9, 1, "true"), row(12, 1, "false"))
    assert [one.id for one in todo.update] == [12]
    assert todo.delete == (7, 9)
    assert [(one["kind"], one["portal"], one["value"]) for one in todo.repaired] == [
        ("duplicate", 1, "true"),
        ("duplicate", 1, "true"),
    ]
    assert todo.settings[CHECK]["before"]["effective"]["1"] == "false"


def test_a_row_under_a_stale_category_is_moved_where_it_is_needed():
    todo = planned(asked({LOCK: 5}), row(7, 1, "3", LOCK, "platform"), row(8, 2, "9", LOCK, "platform"))
    assert todo.update == (Row(7, 1, "security", LOCK.partition(".")[2], "5"),)
    assert todo.delete == (8,), "ignored all the time: in force it would be something new"
    assert todo.settings[LOCK]["before"]["effective"] == {"1": "0", "2": "0", "3": "0"}
    assert {one["kind"] for one in todo.repaired} == {"stale_category"}


def test_the_case_of_a_category_is_no_fault():
    assert not planned(asked({CHECK: True}), row(7, 1, "true", category="Security")).changes_rows


def test_a_lock_is_set_taken_away_and_otherwise_left():
    assert planned(asked({CHECK: True}, lock=True), row(7, 1, "true")).update == (row(7, 1, "true", changeable=False),)
    locked = row(7, 1, "true", changeable=False)
    assert not planned(asked({CHECK: True}, lock=True), locked).changes_rows
    assert planned(asked({CHECK: True}, lock=False), locked).update == (row(7, 1, "true"),)
    assert not planned(asked({CHECK: True}), locked).changes_rows
    assert planned(asked({CHECK: True}, lock=True)).insert[0].changeable is False
    assert planned(asked({CHECK: True}, lock=True), row(7, 1, "true")).settings[CHECK]["after"]["locked"]


def test_a_value_under_a_locked_row_would_have_no_effect():
    with pytest.raises(SettingsError, match="portal 2 would have no effect: the main portal's row is locked"):
        planned(asked({CHECK: True}, access_url=["2"]), row(7, 1, "false", changeable=False))


def test_a_portal_of_its_own_may_be_set_where_the_main_row_is_unlocked_or_right():
    locked = row(7, 1, "true", changeable=False)
    todo = planned(asked({CHECK: True}, access_url=["2"]), locked)
    assert todo.insert == (Row(0, 2, "security", "check_password", "true"),)
    todo = planned(asked({CHECK: True}, access_url=["1", "2"], lock=False), row(7, 1, "false", changeable=False))
    assert todo.settings[CHECK]["after"]["effective"] == {"1": "true", "2": "true", "3": "true"}


def test_an_unknown_portal_is_named_with_those_that_are_there():
    with pytest.raises(SettingsError, match=r"no portal 4. There are: 1 \(https://campus.test/\), 2 "):
        planned(asked({CHECK: True}, access_url=["4"]))


def test_reset_brings_the_default_and_writes_no_row():
    assert not planned(asked(reset=[CHECK])).changes_rows
    todo = planned(asked(reset=[STRENGTH]), row(7, 1, "false", STRENGTH), row(8, 2, "false", STRENGTH))
    assert [(one.id, one.value) for one in todo.update] == [(7, "true"), (8, "true")]
    assert planned(asked(reset=[CHECK]), row(7, 1, "true", category="platform")).delete == (7,)
    todo = planned(asked(reset=[CHECK], access_url=["2"]), row(7, 1, "true"))
    assert todo.insert == (Row(0, 2, "security", "check_password", "false"),)


def test_a_pin_stands_under_default_and_replaces_what_a_portal_has():
    todo = planned(asked({CHECK: True}, pin=True), row(7, 1, "true"), overrides={"2": {CHECK: "false"}})
    assert todo.overrides == {"default": {CHECK: "true"}, "2": {CHECK: "true"}}
    again = planned(
        asked({CHECK: True}, pin=True), row(7, 1, "true"), overrides={"default": {CHECK: "true"}, "2": {CHECK: "true"}}
    )
    assert again.overrides == {}


def test_an_entry_that_would_win_is_changed_without_being_asked():
    todo = planned(asked({CHECK: True}), row(7, 1, "true"), overrides={"default": {CHECK: "false"}, "2": {LOCK: "1"}})
    assert todo.overrides == {"default": {CHECK: "true"}}
    todo = planned(asked({CHECK: True}, access_url=["2"]), row(7, 2, "true"), overrides={"default": {CHECK: "false"}})
    assert todo.overrides == {"2": {CHECK: "true"}}


def test_a_pin_of_one_portal_stands_under_its_number():
    todo = planned(asked({CHECK: True}, access_url=["2"], pin=True), row(7, 2, "true"))
    assert todo.overrides == {"2": {CHECK: "true"}}
    # What is true for all portals today need not stay so.
    todo = planned(
        asked({CHECK: True}, access_url=["2"], pin=True), row(7, 2, "true"), overrides={"default": {CHECK: "true"}}
    )
    assert todo.overrides == {"2": {CHECK: "true"}}
    again = planned(
        asked({CHECK: True}, access_url=["2"], pin=True), row(7, 2, "true"), overrides={"2": {CHECK: "true"}}
    )
    assert not again.overrides and not again.settings[CHECK]["changed"]


def test_a_pin_is_taken_away():
    overrides = {"default": {CHECK: "false", LOCK: "1"}, "3": {CHECK: "true"}}
    todo = planned(asked({CHECK: True}, pin=False), row(7, 1, "true"), overrides=overrides)
    assert todo.overrides == {"default": {CHECK: None}, "3": {CHECK: None}}
    assert todo.settings[CHECK]["after"]["overridden"] == {"1": None, "2": None, "3": None}
    with pytest.raises(SettingsError, match="would have no effect: config/settings_overrides.yaml sets it for all"):
        planned(asked({CHECK: True}, access_url=["3"], pin=False), row(7, 1, "true"), overrides=overrides)


def test_sessions_keep_what_the_application_does_not_read_each_time():
    assert planned(asked({STRENGTH: False}), row(7, 1, "true", STRENGTH)).sessions_hold_old_values
    assert planned(asked({STRENGTH: True}), row(7, 1, "false", STRENGTH)).sessions_hold_old_values
    assert not planned(asked({STRENGTH: True}), row(7, 1, "true", STRENGTH)).sessions_hold_old_values
    assert not planned(asked({CHECK: True}), row(7, 1, "false")).sessions_hold_old_values, "asked for each time"
    assert not planned(asked({STRENGTH: False}, pin=True), row(7, 1, "true", STRENGTH)).sessions_hold_old_values
    second = planned(asked({STRENGTH: False}, access_url=["2"]), row(7, 1, "true", STRENGTH))
    assert not second.sessions_hold_old_values, "secondary portals read each time"


@pytest.mark.parametrize(
    ("key", "version", "known"),
    [
        ("file_integrity_check_enabled", "2.0.4", "from Chamilo 2.1 on and before 3.0"),
        ("file_integrity_check_enabled", "2.1.0", ""),
        ("file_integrity_check_notify_admins", "2.0.4", "from Chamilo 3.0 on"),
        ("mcp_enabled", "3.1.0", ""),
        *(("mcp_enabled", version, "") for version in ("", "beta", "2", "2.x")),
    ],
)
def test_a_setting_of_another_version_is_refused(key, version, known):
    expected = asked({f"security.{key}": "true" if "notify" not in key else "admin@campus.test"})
    if known:
        with pytest.raises(SettingsError) as refused:
            planned(expected, version=version)
        assert str(refused.value) == (
            f"security.{key} is a setting {known}, and this is {version}. Remove it. Nothing was written."
        )
    else:
        assert planned(expected, version=version).insert


def test_an_empty_secret_is_no_secret():
    key = "security.proxy_settings"
    todo = planned(asked(secret={key: "http://a:b@c"}), row(7, 1, "", key), row(8, 2, "x", key))
    assert todo.settings[key]["before"]["stored"] == {"1": "", "2": HIDDEN, "3": None}
    old = planned(asked(secret={key: ""}), row(7, 1, "", key), row(8, 1, "hunter", key), row(9, 1, "", key))
    assert [one["value"] for one in old.repaired] == ["", HIDDEN]
