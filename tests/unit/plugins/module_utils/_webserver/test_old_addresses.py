# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server block surely answers by itself, and what only seems so."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Server, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.old_addresses import answered

PHP = r"location ~ \.php$ { fastcgi_pass unix:/run/php/x.sock; }"


def conditions(*bodies: str) -> list[str]:
    hosts = [nginx.parse_text(f"server {{ {body} }}", "x")[0] for body in bodies]
    return list(answered([Server(VirtualHost("x", 1, (), (), ""), host) for host in hosts]))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (r"rewrite ^/claroline/(.*)\.php$ /main/$1 permanent;", [r'($uri ~ "^/claroline/(.*)\.php$")']),
        ("rewrite ^/a https://other.example/; rewrite ^/b /c redirect;", ['($uri ~ "^/a")', '($uri ~ "^/b")']),
        ("if ($request_uri ~* ^/moodle/) { return 301 /; }", ["($request_uri ~* ^/moodle/)"]),
        ("if ($moved) { return 301 $moved; }", ["($moved)"]),
        ("location = /old.php { return 301 /; }", ['($uri = "/old.php")']),
        ("location ^~ /old/ { return 410; }", ['($uri ~ "^/old/")']),
        (rf"location ~ ^/old/.+\.php$ {{ return 410; }} {PHP}", [r'($uri ~ "^/old/.+\.php$")']),
        # Another address comes to be looked at, or another place may be first.
        (r"rewrite ^/old/(.*)$ /$1 last; rewrite ^/old/ / permanent;", []),
        (r"rewrite ^/old/(.*)$ /$1; rewrite ^/old/ / permanent; location = /a.php { return 410; }", []),
        ("if ($uri ~ ^/x) { rewrite ^/x(.*)$ $1 break; } location = /a.php { return 410; }", []),
        ("set $moved 1; if ($moved) { return 301 /; }", []),
        ('if ($arg_key = "hidden") { return 301 /; }', []),
        (rf"{PHP} location ~ ^/old/ {{ return 410; }}", []),
        ("location ^~ /old/up/ { fastcgi_pass x; } location ^~ /old/ { return 410; }", []),
        (rf"location ~ ^/old {{ return 410; }} location /old/ {{ {PHP} }}", []),
        ("location ~ ^/old { return 410; } location ^~ /old/ { proxy_pass http://x; }", []),
        ("location ~ ^/old { return 410; } location ^~ /old/ { try_files $uri @php; }", []),
        ("location /old/ { return 410; }", []),
        ("location = /a.php { if ($arg_x) { return 410; } fastcgi_pass x; }", []),
        ("location =/a.php { return 410; }", []),
        # Not the same in quotes, or a line of its own for the template.
        ('rewrite "^/a b" / permanent; rewrite ^/(?<name>x) / permanent; rewrite "^/{{x" / permanent;', []),
    ],
)
def test_what_a_server_block_answers_by_itself(body: str, found: list[str]) -> None:
    assert conditions(body) == found


def test_what_one_of_two_server_blocks_hands_on_is_none() -> None:
    one, two = "location = /a.php { return 410; }", "location = /b.php { return 410; }"
    assert conditions(one + two, two) == ['($uri = "/b.php")']
    assert conditions(one, two) == conditions() == []
