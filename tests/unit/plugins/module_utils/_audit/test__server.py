# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit._server import left_behind, name, text


class Server:
    def __init__(self):
        self.replicas = []
        self.loaded = []
        self.variables = {"datadir": "/var/lib/mysql/", "plugin_dir": "/usr/lib/mysql/plugin/", "init_connect": ""}

    def query(self, sql, _params=()):
        if sql == "SHOW ALL SLAVES STATUS":
            return self.replicas
        if "GLOBAL VARIABLES" in sql:
            return [{"Variable_name": name, "Value": value} for name, value in self.variables.items()]
        return [dict(zip(("kind", "place", "name", "more"), row)) for row in self.loaded]

    def left(self, declared=()):
        return left_behind(self, ["/srv/campus", ""], declared.__contains__)


@pytest.fixture
def server():
    return Server()


def test_a_server_as_debian_makes_it_has_nothing(server):
    assert server.left() == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("function", "", "sys_exec", "udf.so"), "(DROP FUNCTION `sys_exec`;)"),
        (("plugin", "", "handlersocket", "handlersocket.so"), "(UNINSTALL PLUGIN `handlersocket`;)"),
        (("server", "", "out", "mysql at 192.0.2.66"), "out leads to mysql at 192.0.2.66 (DROP SERVER `out`;)"),
        (("table", "shop", "a`b", "FEDERATED"), "DROP TABLE `shop`.`a``b`;"),
    ],
)
def test_what_the_server_loads_or_fetches_is_named(server, row, words):
    server.loaded = [row]
    assert words in server.left()[0]


def test_a_plugin_that_logs_or_checks_is_fine_where_root_alone_may_change_its_library(server, tmp_path):
    (tmp_path / "server_audit.so").write_text("")
    server.variables["plugin_dir"] = f"{tmp_path}/"
    server.loaded = [("plugin", "", "SERVER_AUDIT", "server_audit.so")]
    assert server.left() == []
    tmp_path.chmod(0o777)
    assert len(server.left()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("init_connect", "SET NAMES utf8mb4", "pass"),
        ("init_connect", "SET collation_connection = utf8_unicode_ci; SET NAMES utf8 ;", "pass"),
        ("init_connect", "INSERT INTO mysql.global_priv SELECT 1", "fail"),
        ("init_connect", "SET NAMES utf8mb4; CALL x.y()", "fail"),
        ("init_slave", "GRANT ALL ON *.* TO x", "fail"),
        ("init_file", "/nowhere/init.sql", "fail"),
        ("general_log_file", "campus.log", "pass"),
        ("slow_query_log_file", "/var/log/mysql/mariadb-slow.log", "pass"),
        ("general_log_file", "/var/www/chamilo/public/build/notes.txt", "fail"),
        ("slow_query_log_file", "/srv/campus/slow.log", "fail"),
        ("general_log_file", "/home/x/shell.php", "fail"),
    ],
)
def test_what_the_server_reports_or_writes_for_an_intruder_is_named(server, variable, value, status):
    server.variables[variable] = value
    assert [text.startswith(variable) for text in server.left()] == ([True] if status == "fail" else [])


def test_values_and_names_cannot_leave_their_place_in_a_statement():
    assert text("it's a \\ path") == "'it''s a \\\\ path'"
    assert name("my`db", "", "t") == "`my``db`.`t`"
