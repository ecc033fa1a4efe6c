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
        "$_GET; $x = '" + "x" * (1 << 20) + "';",
        "'system'($_GET['c']); // it's",
        'echo `$_GET[c]`; eval("return 1;");',
        "eval(\"return {$_COOKIE['c']};\");",
        'system("ls $_GET[d]");',
        "\\system($_SERVER['HTTP_X_C']);",
        "$_SERVER['HTTP_F']($_SERVER['HTTP_A']);",
        "call_user_func('system', $_GET['c']);",
        "array_filter($_GET, 'system');",
        "$a = <<<'X'\n'\nX;\nsystem($_GET['c']);",
        "# a comment's end ?><?php /* it's */ system($_GET['c']);",
        "/* ' */ $a = \"it's\"; $b = '\\''; system($_GET['c']);",
        "?> it's <? it's ?><?php system($_GET['c']);",
        "?> it's <? system($_GET['c']); ?>",
        "parse_str($_SERVER['QUERY_STRING'], $q); $q['f']($q['a']);",
        "$h = array_change_key_case(getallheaders()); isset($h['f']) && call_user_func($h['f'], $h['a']);",
        "$f = $_GET['f']; function a() { if (true) { show(); } } $f($_GET['a']);",
        "class A { function a() { show(); } function b() { if (true) { $x = $_GET['a']; } eval($x); } }",
        "$data['c'] = $_GET['c']; system($data['c']);",
        "array_udiff([1], [2], $_GET['c']);",
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
        "$words = '" + "x" * (1 << 20) + "';",
        "$file = '/etc/p/' . strtolower($_SERVER['HTTP_HOST']) . '.php'; if (is_file($file)) require $file;",
        "$kind = trim($_POST['kind']); new $kind();",
        "$options['name'] = $_GET['n']; $options['done']($page);",
        "function a() { $show = $_GET['a']; save($show); } function b($show) { $show(); }",
        "class A { abstract function a($d); function b() { return $_GET['b']; } function c($d) { eval($d); } }",
        "$tax = find($_GET['tax']); call_user_func($tax->cleaned, $_GET['x']);",
        "// We require the course id\nif (isset($_GET['id'])) { show($_GET['id']); }",
        "# eval of the answers\n$answers = $_POST['answers'];",
        "if ('system' === $_GET['type']) { show(); }",
        "switch ($kind) { case 'system': $x = $_GET['a']; break; case \"exec\": $x = $_POST['b']; }",
        "Assert::string($_GET['db']); assert::keyExists($_POST, 'x');",
        "$order = $_GET['o']; usort($r, function ($a, $b) use ($f, $order) { return $a[$order] <=> $b[$order]; });",
        "$word = $_GET['q']; $rows = array_filter($rows, fn ($row) => $row['name'] === $word);",
        "$get = fn ($key) => $_GET[$key] ?? ''; echo esc($get('a'));",
        "$get = static function ($key) { return $_GET[$key]; }; echo esc($get('a'));",
        "$page = $_GET['page']; if (!in_array($page, ['a', 'b'], true)) { exit; } require $page . '.php';",
        "$page = $_GET['page']; if (!in_array($page, ['a', 'b'], true)) { exit; } require __DIR__ . \"/$page.php\";",
        "$lang = $_COOKIE['lang']; include __DIR__ . '/lang/' . $lang . '.php';",
        "$action = $_POST['action']; $known = ['a' => 'first']; $known[$action]($page); $do = $known[$action]; $do();",
        "$controller = $container->get($_GET['page']); $controller($request); new $this->kinds[$_GET['kind']]();",
        "?><p>Please include <?= esc($_GET['name']) ?> (system)</p><?php show();",
        "echo \"include $_GET[name] (exec)\"; $sql = <<<SQL\nSELECT `exec` FROM t WHERE id = {$_GET['id']} (x)\nSQL;",
        "exec('file ' . escapeshellarg($_FILES['f']['tmp_name'])); if (exec('id') && isset($_POST['x'])) { a(); }",
        "array_walk($rows, 'show', $_GET['x']); preg_replace_callback('/a/', $show, $_GET['x']);",
        "array_unshift($a, $_GET['b']);",
        "class Shell { function exec($command) { return $command; } } $command = $_GET['c'];\n$shell->exec($command);",
        "#[Route('/eval')]\nfunction show() { return $_GET['x']; }",
        "$kind = (int) $_GET['k']; system(\"beep $kind\"); parse_str($_POST['data'], $data); save($data);",
    ],
)
def test_a_page_that_uses_what_it_is_sent_as_data(text):
    assert not shells.obeys(f"<?php {text}".encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        b"/*",
        b"[",
        b"eval $_GET",
        b"$a=$b[",
        b"foreach(",
        b"list($a",
        b"usort(",
        b'"{$',
        b"<<<A\n",
        b"'",
        b"`{",
        b"#",
        b"?>",
        b'"{$a"',
    ],
)
def test_no_page_is_read_without_end(piece):
    started = time.monotonic()
    shells.obeys(b"<?php $_GET;" + piece * ((200 << 10) // len(piece)))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (b"()", [b""]),
        (b"(a)", [b"a"]),
        (b"(a,b) c", [b"a", b"b"]),
        (b"(a(b,c),[d,e],{f,g})", [b"a(b,c)", b"[d,e]", b"{f,g}"]),
        (b"(a,b", [b"a", b"b"]),
        (b"(a,(b,c)", [b"a", b"(b,c)"]),
    ],
)
def test_the_arguments_of_a_call_are_read_also_where_it_does_not_end(code, arguments):
    assert list(shells._arguments(b"f" + code, 1)) == arguments


def test_of_a_call_without_end_only_its_beginning_is_read():
    (argument,) = shells._arguments(b"(" + b"x" * (2 * shells._GAP), 0)
    assert len(argument) == shells._GAP - 1
