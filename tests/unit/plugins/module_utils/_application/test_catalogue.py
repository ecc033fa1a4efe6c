# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.module_utils._application.catalogue import CATALOGUE
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import as_text

SCHEMAS = Path(__file__).parents[4] / "testbed/app/tree/src/CoreBundle/Settings/Schemas.php"


def test_each_default_is_a_value_that_the_setting_takes():
    for setting in CATALOGUE.values():
        assert as_text(setting, setting.default) == setting.default


def test_what_may_contain_a_password_is_a_secret():
    assert {key for key, setting in CATALOGUE.items() if setting.secret} == {
        "mail.mailer_dsn",
        "security.proxy_settings",
    }


def test_the_testbed_starts_with_the_same_defaults():
    """Where both know a setting. The content policies differ between the versions of Chamilo, too."""
    found, category = {}, ""
    for line in SCHEMAS.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\s+'(\w+)' => \[", line):
            category = match[1]
        for variable, value in re.findall(r"'(\w+)' => '([^']*)'", line):
            found[f"{category}.{variable}"] = value
    known = {key: setting.default for key, setting in CATALOGUE.items() if key in found}
    assert len(known) > 40
    assert {key: found[key] for key in known} == known
