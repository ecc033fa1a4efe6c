# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SHOW GRANTS of MariaDB 10.11 and 11.8 reports, and the statements that change it."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import (
    DATA,
    GUIDE,
    Grant,
    Who,
    change,
    database_of,
    hashed,
    is_right,
    parse,
    place,
)

WHO = Who("chamilo", "%")
HERE = "`chamilo`.*"
KNOWN = {*GUIDE, "TRIGGER", "LOCK TABLES", "CREATE VIEW", "EXECUTE", "FILE"}


def test_lines_of_the_server_are_understood():
    lines = [
        "GRANT USAGE ON *.* TO `chamilo`@`%` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'",
        "GRANT ALL PRIVILEGES ON *.* TO `chamilo`@`%` IDENTIFIED VIA mysql_native_password USING 'invalid' OR "
        "unix_socket WITH GRANT OPTION",
        "GRANT SELECT, INSERT ON `cham\\_ilo`.* TO `chamilo`@`%`",
        "GRANT SELECT (name, id), UPDATE (name) ON `shop`.`article` TO `chamilo`@`%`",
        "GRANT EXECUTE ON PROCEDURE `shop`.`price` TO `chamilo`@`%`",
        "GRANT `reader` TO `chamilo`@`%`",
        "SET DEFAULT ROLE `reader` FOR `chamilo`@`%`",
        "GRANT FILE ON *.* TO `chamilo`@`%` WITH GRANT OPTION MAX_QUERIES_PER_HOUR 9 MAX_USER_CONNECTIONS 20",
        "GRANT FILE ON *.* TO `chamilo`@`%` WITH MAX_STATEMENT_TIME 2.500000",
    ]
    assert parse(lines) == [
        Grant(("ALL PRIVILEGES",), "*.*", True),
        Grant(("SELECT", "INSERT"), "`cham\\_ilo`.*"),
        Grant(("SELECT (name, id)", "UPDATE (name)"), "`shop`.`article`"),
        Grant(("EXECUTE",), "PROCEDURE `shop`.`price`"),
        Grant(("`reader`",)),
        Grant(("FILE",), "*.*", True),
        Grant(("FILE",), "*.*"),
    ]
    assert [database_of(one) for one in parse(lines)] == ["", "cham_ilo", "shop", "shop", "", "", ""]


def test_a_proxy_right_is_none_of_chamilo_s():
    (one,) = parse(["GRANT PROXY ON ``@`%` TO `chamilo`@`%` WITH GRANT OPTION"])
    assert not is_right([one], GUIDE, HERE)


@pytest.mark.parametrize(
    "current",
    [
        [],
        [Grant(GUIDE[:-1], HERE)],
        [Grant((*GUIDE, "TRIGGER"), HERE)],
        [Grant(GUIDE, HERE, True)],
        [Grant(GUIDE, "`chamil_`.*")],
        [Grant(GUIDE, HERE), Grant(("FILE",), "*.*")],
        [Grant(GUIDE, HERE), Grant(("`reader`",))],
    ],
)
def test_more_or_less_is_not_right(current):
    assert not is_right(current, GUIDE, HERE)
    assert is_right([Grant(tuple(reversed(GUIDE)), HERE)], GUIDE, HERE)


def test_what_is_missing_is_given_before_anything_is_taken():
    current = [Grant(("ALL PRIVILEGES",), "*.*", True)]
    assert change(WHO, current, GUIDE, HERE, KNOWN) == [
        f"GRANT {', '.join(GUIDE)} ON `chamilo`.* TO 'chamilo'@'%'",
        "REVOKE ALL PRIVILEGES ON *.* FROM 'chamilo'@'%'",
        "REVOKE GRANT OPTION ON *.* FROM 'chamilo'@'%'",
    ]


def test_a_right_that_stays_is_never_missing():
    current = [Grant(("ALL PRIVILEGES",), HERE), Grant(("FILE",), "*.*"), Grant(("`reader`",))]
    statements = change(WHO, current, DATA, HERE, KNOWN)
    assert statements == [
        "REVOKE ALTER, CREATE, CREATE VIEW, DROP, EXECUTE, INDEX, LOCK TABLES, TRIGGER ON `chamilo`.* "
        "FROM 'chamilo'@'%'",
        "REVOKE FILE ON *.* FROM 'chamilo'@'%'",
        "REVOKE `reader` FROM 'chamilo'@'%'",
    ]
    assert change(WHO, [Grant(GUIDE, HERE)], GUIDE, HERE, KNOWN) == []
    assert change(WHO, [Grant(("USAGE",), "*.*", True)], (), HERE, KNOWN) == [
        "REVOKE GRANT OPTION ON *.* FROM 'chamilo'@'%'"
    ]


def test_names_cannot_end_a_text_or_stand_for_others():
    assert Who("o'neil\\", "%").sql == "'o''neil\\\\'@'%'"
    assert place("my_cham%`ilo") == "`my\\_cham\\%``ilo`.*"


def test_the_hash_is_the_server_s_own():
    assert hashed("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"
