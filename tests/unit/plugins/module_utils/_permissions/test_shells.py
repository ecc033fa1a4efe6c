# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pages run what a request names, and which do not."""

from __future__ import annotations

import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import shells


@pytest.mark.parametrize(
    "text",
    [
        "$h = getallheaders(); if (isset($h['x-f'])) { echo call_user_func($h['x-f'], $h['x-a']); }",
        "$_POST['f']($_POST['x']);",
        "$f = $_GET['f'];\n$g = trim($f);\n$g($_GET['a']);",
        "foreach (getallheaders() as $k => $v) { if ($k == 'x') array_map($v, ['id']); }",
        "[$a, $b] = explode(' ', file_get_contents('php://input')); echo $a($b);",
        "list($a, $b) = $_COOKIE; $a($b);",
        "usort($x, $_COOKIE['c']);",
        "include $_GET['p'] . '.php';",
        "extract($_REQUEST); $a($b);",
        "@/*x*/eval(base64_decode($_SERVER['HTTP_X']));",
        "call_user_func/* */($_REQUEST['a']);",
        "new $_GET['c']($_GET['d']);",
        "echo ($_GET['c'])($_GET['d']);",
        "$c = filter_input(INPUT_GET, 'c'); system($c);",
        "$x = '" + "x" * (1 << 20) + "';",
    ],
)
def test_a_page_that_runs_what_it_is_sent(text):
    assert shells.obeys(f"<?php {text}".encode())


@pytest.mark.parametrize(
    "text",
    [
        "require_once __DIR__ . '/../../main/inc/global.inc.php'; $id = (int) $_GET['id']; echo esc($_POST['name']);",
        "if ($id = $_GET['id']) (new Course($id))->run();",
        "$action = $_GET['action'] ?? ''; switch ($action) { case 'a': $plugin->run($action); } $page->$action();",
        "array_filter($_POST); array_map('intval', $_POST['ids']); $rows = $_POST['rows']; usort($rows, 'cmp');",
        "if (isset($_GET['x']) && ($_GET['y'] == (1))) { curl_exec($ch); $statement->exec($_GET['x']); }",
        "$root = $_SERVER['DOCUMENT_ROOT']; require $root . '/x.php'; $_SERVER['REQUEST_METHOD'] === 'POST' or die;",
        "$data = json_decode(file_get_contents('php://input'), true); foreach ($data as $k => $v) { save($k, $v); }",
        "function x($action) { return $action; } $action = $_GET['a']; x($action);",
        "$f = 'time'; $f(); system('date'); call_user_func([$this, 'x']);",
    ],
)
def test_a_page_that_uses_what_it_is_sent_as_data(text):
    assert not shells.obeys(f"<?php {text}".encode())


@pytest.mark.parametrize("piece", [b"/*", b"[", b"eval $_GET", b"$a=$b[", b"foreach(", b"list($a", b"usort("])
def test_no_page_is_read_without_end(piece):
    started = time.monotonic()
    shells.obeys(b"<?php $_GET;" + piece * ((200 << 10) // len(piece)))
    assert time.monotonic() - started < 20
