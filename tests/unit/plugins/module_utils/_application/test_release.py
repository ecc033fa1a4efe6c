# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a file of PHP without running it. The verdicts on whole layouts: _audit/test_updates_version.py."""

from __future__ import annotations

import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.release import installed, values


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("<?php return ['a' => '1', \"b\" => 2, 'c' => TRUE];", {"a": "1", "b": "2", "c": "TRUE"}),
        ("<?php\n/* x */ return array(\n  'a' => '1', // y\n  # z\n);\n?>\n\n", {"a": "1"}),
        ("<?php declare(strict_types=1);\n\nreturn ['a' => null];", {"a": "null"}),
        ("<?php $a = '1'; $b = false;", {"a": "1", "b": "false"}),
        ("<?php return [];", {}),
    ],
)
def test_a_plain_list(text, known):
    assert values(text) == known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<?php",
        "<?php return ['a' => '1'",
        "<?php return ['a' => '1', 'a' => '2'];",
        "<?php return ['a' => ['b' => '1']];",
        "<?php return ['a' => '1'.'2'];",
        "<?php return ['a' => \"$b\"];",
        "<?php return ['a' => 'it\\'s'];",
        "<?php return ['a' => f()];",
        "<?php return ['a' => '1']; return ['a' => '2'];",
        "<?php return include 'x';",
        "<?php $a = '1'; $a = '2';",
        "<?php return ['a' => '1']; ?> <?php echo 1;",
        "<?php /* return ['a' => '1'];",
        "<?php // ?> x\nreturn ['a' => '1'];",
        "<?php return ['a' => '1'];\0",
    ],
)
def test_what_is_more_than_a_plain_list(text):
    assert values(text) is None


@pytest.mark.parametrize("part", ["/*", "//", "'", "[", "$a = '1'; ", "#", "\n", "return ", "/**/"])
def test_no_file_keeps_it_busy(part):
    began = time.monotonic()
    values("<?php " + part * (60_000 // len(part)))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("root", ["/srv/[campus]", "/srv/cam*pus"])
def test_signs_of_a_pattern_in_the_path_are_a_path(host, root):
    host.write(f"{root}/src/CoreBundle/Migrations/Schema/V300/x.php")
    host.write("/srv/campus/src/CoreBundle/Migrations/Schema/V310/x.php")
    assert installed(host.tree, root, "").branch == "3.0"
