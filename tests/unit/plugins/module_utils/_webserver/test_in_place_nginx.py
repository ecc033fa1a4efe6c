# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into the server blocks of an owner, and what stays as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import Mark, apply, strip
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import in_place_nginx, nginx, tls_policy
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import walk
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost, Unmarked
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import InPlace
from tests.vhosts import DOMAIN, ROOT, cases

SITE = "campus"
DROP_INS = f"/etc/nginx/sites-available/chamilo-{SITE}.d"
HEADERS = frozenset(
    {
        "content-security-policy",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
        "x-xss-protection",
    }
)
OURS, TLS, PHP, LOCATION, ACME = (
    f"include {DROP_INS}/{part}*.conf;" for part in ("", "tls/", "php/", "location/", "acme/")
)
BOTH = "listen 80; listen 443 ssl;"
SERVED = f"root {ROOT}/public; location ~ \\.php$ {{ include fastcgi_params; fastcgi_pass unix:/run/php/x.sock; }}"


def desired(*names: str, tls: bool = True) -> DesiredHost:
    roots = frozenset({ROOT, f"{ROOT}/public"})
    return DesiredHost(SITE, DOMAIN, frozenset({DOMAIN, *names}), roots, DROP_INS, HEADERS, tls)


@dataclass
class Planned:
    """A plan with the files of its owner, before and after."""

    plan: InPlace
    before: dict[str, str]
    after: dict[str, str]

    def lines(self, file: str = "") -> list[str]:
        """Our own lines, in order, but for those by which an authority is answered, and for protocols and ciphers."""
        text = self.after[file] if file else "\n".join(self.after.values())
        found = re.findall(r"# BEGIN chamilo[^\n]*\n((?:(?! *\t*# END).*\n)*)", text)
        ours = [line.strip() for body in found for line in body.split("# set aside:")[0].splitlines()]
        return [line for line in ours if line and line not in (ACME, *tls_policy.LINES.values())]

    def aside(self) -> list[str]:
        """What is set aside."""
        found = re.findall(r"# set aside:\n((?:# (?!END).*\n)+)", "".join(self.after.values()))
        return [" ".join(body.replace("\n# ", " ").lstrip("# ").split()) for body in found]


def planned(host, names: tuple[str, ...] = (), tls: bool = True, **changes) -> Planned:
    tree, goal = Unmarked(host.tree, SITE), replace(desired(*names, tls=tls), **changes)
    configuration = nginx.parse(tree)
    plan = in_place_nginx.plan(tree, configuration, goal)
    before = {edited.path: configuration.texts[edited.path] for edited in plan.files}
    after = {edited.path: apply(before[edited.path], edited.marks, SITE) for edited in plan.files}
    assert {file: strip(text, SITE) for file, text in after.items()} == before
    for file, text in after.items():
        (host.root / file.lstrip("/")).write_bytes(text.encode("utf-8", "surrogateescape"))
    again = Unmarked(host.tree, SITE)
    assert in_place_nginx.plan(again, nginx.parse(again), goal) == plan
    assert nginx.parse(host.tree).problems == configuration.problems
    return Planned(plan, before, after)


def site(host, text: str, more: dict[str, str] | None = None, **options) -> Planned:
    host.install("nginx")
    host.site("nginx", text)
    for path, content in (more or {}).items():
        host.write(path, content)
    return planned(host, **options)


def lay(host, name: str) -> Planned:
    host.install("nginx")
    (case,) = [case for case in cases("nginx") if case.name == name]
    case.lay(host.root)
    return planned(host)


def refusals(found: Planned) -> list[str]:
    assert found.plan.files == ()
    return [f"{one.file}:{one.line}: {one.what}. {one.remedy}" for one in found.plan.obstacles]


@pytest.mark.parametrize("case", [case for case in cases("nginx") if not case.panel], ids=lambda case: case.name)
def test_what_stands_in_the_world_is_planned(host, case):
    """Each block includes our files, and where a level has headers, it has ours once and none of the same names."""
    found = lay(host, case.name)
    assert found.plan.obstacles == ()
    portal = [block for block in found.plan.blocks if block.kind == "portal"]
    assert portal and found.lines().count(OURS) == len(portal)
    assert any(block.tls for block in found.plan.blocks) or found.lines().count(TLS) == len(portal)
    for path in ("", "location/"):
        host.write(f"{DROP_INS}/{path}h.conf", "".join(f"add_header {name} ours;\n" for name in sorted(HEADERS)))
    answers = nginx.answering(nginx.servers(nginx.parse(host.tree)), DOMAIN)[0]
    assert {listen.port for server in answers for listen in server.host.listens} >= {80}
    levels = [level for server in answers for level in walk([server.block]) if level.block is not None]
    php = [item for one in levels if one.name == "location" for item in one.block if item.written + ";" == PHP]
    assert len(php) >= len(portal)
    for server in nginx.servers(nginx.parse(host.tree)):
        if server.host.root.rstrip("/") == f"{ROOT}/public" and f"{DROP_INS}/*.conf" in server.host.includes:
            for level in walk([server.block]):
                names = [item.arguments[0].lower() for item in level.block or () if item.name == "add_header"]
                assert not names or [names.count(name) for name in HEADERS] == [1] * len(HEADERS)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("n09-chamilo2-cloudpanel", ["CloudPanel", "CloudPanel"]),
        ("n11-hestia-symfony", ["nginx.conf_chamilo", "nginx.ssl.conf_chamilo"]),
        ("n13-aapanel", ["aaPanel"]),
        ("n15-plesk-nginx-before-apache", ["more directives for nginx"]),
    ],
)
def test_what_a_panel_writes_is_never_edited(host, name, places):
    """Its own place is named, and with the line there all is well."""
    found = lay(host, name)
    for refusal, place in zip(refusals(found), places):
        assert place in refusal
        assert f'Add the line "{OURS}"' in refusal
    assert len(found.plan.obstacles) == len(places)
    for obstacle in found.plan.obstacles:
        file = host.root / obstacle.file.lstrip("/")
        file.write_text(re.sub(r"(?m)^server\s*{", f"server {{ {OURS}", file.read_text()))
    tree = Unmarked(host.tree, SITE)
    accepted = in_place_nginx.plan(tree, nginx.parse(tree), desired())
    assert (accepted.files, accepted.obstacles) == ((), ())


def block(listen: str, names: str = DOMAIN, body: str = SERVED) -> str:
    """A server block, by default of the portal."""
    return f"server {{ listen {listen.replace(', ', '; listen ')}; server_name {names}; {body} }}\n"


WWW = f"www.{DOMAIN}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (block("80"), [OURS, TLS, PHP]),
        (block("443 ssl, 80") + block("80", WWW), [OURS, PHP, OURS, TLS, PHP]),
        # A name that another block has is not given away, and no other site is edited.
        (
            block("80", WWW, f"return 301 http://{DOMAIN}$request_uri;")
            + f"server {{ listen 80 default_server; {SERVED} }}",
            [OURS, TLS, f"server_name {DOMAIN};", PHP],
        ),
        (
            block("80", f"{DOMAIN} {WWW}", "return 301 https://$host$request_uri;")
            + block("443 ssl")
            + block("443 ssl", WWW)
            + block("80", "library.example.org", "root /srv/library; add_header X-Frame-Options DENY;"),
            [OURS, PHP, OURS, PHP],
        ),
        # Who has no http needs nothing that leads from there.
        (block("443 ssl, [::]:443 ssl"), [OURS, PHP]),
        # nginx takes a server block without "listen" for one on port 80, but not once there is any.
        (f"server {{ server_name {DOMAIN}; {SERVED} }}", [OURS, TLS, "listen 80;", PHP]),
        # A cache before the portal is part of it.
        (
            block("80, 443 ssl", body="location / { proxy_pass http://127.0.0.1:8080; }") + block("127.0.0.1:8080"),
            [OURS, OURS, PHP],
        ),
    ],
)
def test_what_is_written_into_each_server_block(host, text, lines):
    found = site(host, text, names=(WWW,) if WWW in text else ())
    assert found.lines() == lines and found.aside() == []


@pytest.mark.parametrize("listen", ["listen 80;", ""])
def test_no_tls_where_it_ends_elsewhere(host, listen):
    text = f"server {{ {listen} server_name {DOMAIN}; {SERVED} }}"
    assert site(host, text, tls=False).lines() == [OURS, PHP]


@pytest.mark.parametrize("name", ["", "server_name _;", "server_name localhost;", 'server_name "" 203.0.113.7;'])
def test_a_block_without_the_name_gets_it(host, name):
    found = site(host, f"server {{ listen 80 default_server; {name} {SERVED} }}", names=(f"www.{DOMAIN}",))
    assert found.lines() == [OURS, TLS, f"server_name {DOMAIN} www.{DOMAIN};", PHP]


def test_a_site_without_a_name_is_not_displaced(host):
    found = site(host, f"{block('80')}server {{ listen 443 ssl; root /srv/other; }}\n")
    (refusal,) = refusals(found)
    assert refusal.startswith("/etc/nginx/sites-available/campus.conf:2: this site answers on *:")
    assert refusal.endswith('Write default_server behind "listen" in this server block')


def test_headers_of_a_location_bring_ours_along(host):
    found = site(
        host,
        f"""server {{
    listen 80; listen 443 ssl;
    server_name {DOMAIN};
    {SERVED}
    location /a {{ add_header X-Frame-Options DENY; }}
    location /b {{
        add_header Cache-Control public;
        location /b/c {{ expires 1d; }}
        if ($arg_x) {{ add_header X-B 1; add_header x-content-type-options nosniff; }}
    }}
    location /d {{ include snippets/more.conf; }}
}}
""",
        {"/etc/nginx/snippets/more.conf": "add_header X-More 1;\nadd_header Referrer-Policy origin;\n"},
    )
    assert found.aside() == [
        "add_header X-Frame-Options DENY;",
        "add_header x-content-type-options nosniff;",
        "add_header Referrer-Policy origin;",
    ]
    assert found.lines("/etc/nginx/sites-available/campus.conf") == [OURS, PHP, LOCATION, LOCATION, LOCATION]


def test_a_location_whose_headers_hide_ours_is_known_until_it_has_our_line(host):
    own = "location /files/ { add_header X-School 1; }"
    there = f"location /more/ {{ add_header X-School 1; {LOCATION} }}"
    (bare,) = site(host, block("80, 443 ssl", body=f"{SERVED} {own} {there}")).plan.bare
    assert (bare.what, bare.remedy) == ("location /files/", f'Add "{LOCATION}" to it')


def test_lines_of_the_module_headers_more(host):
    lines = "more_set_headers 'A: b'; more_clear_headers Server; more_set_headers -s 404 'x-frame-options: DENY';"
    (refusal,) = refusals(site(host, block("80, 443 ssl", body=f"{SERVED} {lines}")))
    assert "more_set_headers for headers that chamilo.hardening sends" in refusal


def test_what_applies_to_all_sites_is_repeated(host):
    """A level with a line of its own inherits none: as our drop-ins have such lines, they are repeated."""
    found = site(
        host,
        f"server {{ listen 80; listen 443 ssl; server_name {DOMAIN}; {SERVED} proxy_hide_header B; }}",
        {
            "/etc/nginx/conf.d/all.conf": "add_header X-Served-By web1;\nadd_header X-Frame-Options DENY;\n"
            "error_page 404 /lost.html;\nfastcgi_hide_header X-A;\nproxy_hide_header X-B;\n"
        },
    )
    assert found.lines() == [
        OURS,
        "add_header X-Served-By web1;",
        "error_page 404 /lost.html;",
        "fastcgi_hide_header X-A;",
        PHP,
    ]


def test_the_parameters_of_php_stand_where_they_count(host):
    found = site(
        host,
        f"""server {{
    listen 80; listen 443 ssl; server_name {DOMAIN}; root {ROOT}/public;
    include fastcgi_params;
    location ~ \\.php$ {{
        fastcgi_pass unix:/run/php/x.sock;
    }}
    location ~ ^/plugin/x/.+\\.php$ {{
        fastcgi_param A b;
        if ($arg_y) {{
            fastcgi_pass unix:/run/php/y.sock;
        }}
    }}
}}
""",
    )
    (text,) = found.after.values()
    assert found.lines() == [OURS, PHP, PHP]
    assert text.index("sock;\n        }\n        # BEGIN") < text.index("    }\n    # BEGIN")


def test_parameters_of_php_for_all_of_http_are_refused(host):
    text = block("80", body=f"root {ROOT}/public; location ~ \\.php$ {{ fastcgi_pass x:9; }}")
    found = site(host, text, {"/etc/nginx/conf.d/p.conf": "fastcgi_param SECRET word;\n"})
    (refusal,) = refusals(found)
    assert "fastcgi_params" in refusal
    assert "word" not in refusal


def test_a_rate_limit_of_a_location_brings_ours_along(host):
    """A location with one of its own inherits none: many guesses at once would be let through there."""
    limit = "location / { limit_req zone=one burst=20; try_files $uri /index.php; location /api/ { expires 1d; } }"
    zone = "limit_req_zone $binary_remote_addr zone=one:1m rate=9r/s;"
    found = site(host, f"{zone}\nserver {{ {BOTH} server_name {DOMAIN}; limit_req zone=one; {limit} {SERVED} }}")
    assert found.lines().count(f"include {DROP_INS}/limit/*.conf;") == 1
    outer = next(item for item in walk(nginx.parse(host.tree).directives) if item.arguments == ("/",))
    assert [item.arguments for item in outer.block if item.name == "include"] == [(f"{DROP_INS}/limit/*.conf",)]


def test_hidden_headers_of_a_location_bring_ours_along(host):
    found = lay(host, "n19-laravel-docs-school")
    assert found.lines() == [OURS, TLS, f"include {DROP_INS}/hide/*.conf;", PHP]


SHARED = "location ~ \\.php$ { include fastcgi_params; fastcgi_pass unix:/run/php/x.sock; }\n"
WITHIN = f"include {DROP_INS}/within/*.conf;"


OTHER = "server { listen 80; server_name library.example.org; root /srv/library; include snippets/php.conf; }\n"


def test_a_snippet_of_the_portal_alone_is_edited(host):
    text = f"server {{ {BOTH} server_name {DOMAIN}; root {ROOT}/public; include snippets/php.conf; }}\n"
    found = site(host, text + text.replace(DOMAIN, f"www.{DOMAIN}"), {"/etc/nginx/snippets/php.conf": SHARED})
    assert found.lines("/etc/nginx/snippets/php.conf") == [PHP]


def shared(host, snippet: str, more: dict[str, str] | None = None) -> Planned:
    """A portal whose block includes a file that another site includes, too."""
    text = f"server {{\n {BOTH}\n server_name {DOMAIN};\n root {ROOT}/public;\n include snippets/php.conf;\n}}\n{OTHER}"
    return site(host, text, {"/etc/nginx/snippets/php.conf": snippet, **(more or {})})


def test_a_snippet_that_other_sites_include_too_is_written_out(host):
    """Their file stays as it is, and its content stands in the portal's own block, with our lines in it."""
    body = (
        "location ~ \\.php$ {\n    if ($arg_x) {\n set $y $arg_x;\n }\n    include snippets/fpm.conf;\n"
        "    fastcgi_param HTTPS on;\n    fastcgi_pass unix:/run/php/x.sock;\n"
    )
    found = shared(
        host,
        f"add_header X-Frame-Options DENY;\nadd_header X-Other 1;\ninclude snippets/more.conf;\n{body}}}\n",
        {
            "/etc/nginx/snippets/more.conf": "expires 1d;\n",
            "/etc/nginx/snippets/fpm.conf": "fastcgi_param SECRET word;\n",
        },
    )
    assert list(found.after) == ["/etc/nginx/sites-available/campus.conf"]
    assert found.aside() == ["include snippets/php.conf;"]
    assert found.lines() == [
        OURS,
        "# /etc/nginx/snippets/php.conf, which other sites include too:",
        "# without: add_header X-Frame-Options DENY;",
        "add_header X-Other 1;",
        "include snippets/more.conf;",
        *(line.strip() for line in body.splitlines()),
        PHP,
        "}",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "fastcgi_param SECRET word;",
        "content_by_lua_block { word }",
        "auth_basic_user_file /word;",
        'if ($arg_key = "word") { return 200; }',
        "proxy_pass http://me:word@127.0.0.1;",
        'more_set_input_headers "Authorization: Basic word";',
        "unheard_of word;",
        "ssl_certificate_key data:word;",
        'proxy_read_timeout "6\nword";',
    ],
)
def test_a_snippet_of_other_sites_with_what_may_be_a_secret_is_refused(host, line):
    found = shared(host, SHARED.replace("}", f"{line} }}"))
    (refusal,) = refusals(found)
    assert refusal.startswith("/etc/nginx/snippets/php.conf:1: ")
    assert "Copy /etc/nginx/snippets/php.conf to a file of the portal's own" in refusal
    assert "word" not in str(found.plan)


@pytest.mark.parametrize(
    "line",
    [
        "try_files $uri =404;",
        "if ($request_method !~ ^(GET|POST)$) { return 405; }",
        "location = /favicon.ico { access_log off; log_not_found off; }",
        "fastcgi_buffers 16 16k;",
        "location ^~ /main/img/ { expires 1d; }",
    ],
)
def test_what_a_snippet_of_other_sites_may_report(host, line):
    found = shared(host, SHARED + line + "\n")
    assert line.partition("{")[0].strip(" ;") in " ".join(found.lines())
    assert found.lines().count(WITHIN) == ("^~ /main/" in line)


def test_a_server_block_whose_lines_stand_in_a_snippet(host):
    found = site(
        host,
        "server { include snippets/body.conf; }\n",
        {"/etc/nginx/snippets/body.conf": f"listen 80;\nlisten 443 ssl;\nserver_name {DOMAIN};\n{SERVED}\n"},
    )
    assert found.lines("/etc/nginx/sites-available/campus.conf") == [OURS]
    assert found.lines("/etc/nginx/snippets/body.conf") == [PHP]


@pytest.mark.parametrize(
    "text",
    [
        f"server {{ listen 80; listen 443 ssl; server_name {DOMAIN}; {SERVED} }}",
        f"server {{\r\n\tlisten 80;\r\n\tlisten 443 ssl;\r\n\tserver_name {DOMAIN};\r\n\t{SERVED}\r\n}}\r\n",
        f"# server {{\nserver # {{\n{{ # }} of the portal\n listen 80; listen 443 ssl; # {{\n server_name {DOMAIN};\n"
        f" set $a 'x;}}'; {SERVED} # }}\n # }}\n}} # end",
        f"server{{{BOTH}server_name {DOMAIN};{SERVED}access_by_lua_block {{ if a then b = '}}' end }}}}",
        f"map $a $b {{ default 0; }}\ngeo $c {{ default 1; }}\nupstream u {{ server 127.0.0.1:9; }}\n"
        f"server {{ listen 80; listen 443 ssl; server_name {DOMAIN}; {SERVED} }}\n# \udcff",
    ],
    ids=["one line without an end", "CRLF", "comments", "Lua", "beside others"],
)
def test_odd_files(host, text):
    host.install("nginx")
    host.site("nginx", "")
    (host.root / "etc/nginx/sites-available/campus.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert planned(host).lines() == [OURS, PHP]


def test_the_owners_own_line_is_not_repeated(host):
    assert site(host, block("80, 443 ssl", body=f"{OURS} {SERVED}")).lines() == [PHP]


def test_marks_of_another_portal_are_text(host):
    text = f"server {{\n {BOTH}\n server_name {DOMAIN};\n {SERVED}\n}}\n"
    other = text.replace(DOMAIN, "school.example.org").replace(ROOT, "/var/www/school")
    marked = apply(other, [Mark(8, ("gzip on;",))], "school") + text
    assert site(host, marked).before == {"/etc/nginx/sites-available/campus.conf": marked}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"server {{ listen 80; server_name {DOMAIN}; location / {{ proxy_pass http://10.0.0.2; }} }}", "handed on to"),
        (
            f"server {{ server_name {DOMAIN}; root {ROOT}/public; location / {{ proxy_pass http://[::2]:81; }} }}",
            "handed on to",
        ),
        (f"server {{ listen 80; server_name {DOMAIN}; root /srv/other; }}", "/srv/other, where no portal is"),
        (
            f"server {{ listen 80; server_name {DOMAIN}; root /srv; location /a {{ alias; }} "
            f"location ^~ /lms/ {{ alias {ROOT}/public/; }} }}",
            "the portal is served below /lms/ of another site",
        ),
        (f"server {{ listen 80; listen 443; server_name {DOMAIN}; {SERVED} }}", "port 443 without TLS"),
        (f"server {{ listen 80 proxy_protocol; server_name {DOMAIN}; {SERVED} }}", "the PROXY protocol"),
        (f"server {{ listen 80; server_name {DOMAIN}; root {ROOT}; }}", "the project directory"),
        (
            f"server {{ listen 8080; listen 127.0.0.1:80; server_name {DOMAIN}; {SERVED} }}",
            "no server block of the portal",
        ),
        (f"server {{ listen 80; server_name {DOMAIN}; {SERVED}", "the file ends within"),
        (
            f"# BEGIN chamilo.hardening {SITE}\nserver {{ listen 80; server_name {DOMAIN}; {SERVED} }}\n",
            "damaged marks",
        ),
    ],
)
def test_what_is_refused_names_its_place(host, text, what):
    (refusal,) = refusals(site(host, text))
    assert re.match(r"/etc/nginx/sites-(available|enabled)/campus\.conf:1: ", refusal)
    assert what in refusal


EACH = {
    "_": "/srv/$http_host",
    "~^(?<name>.+)\\.example\\.org$": "/srv/${name}.example.org",
    f"{DOMAIN} school.example.org": "/srv/$host",
    f"{DOMAIN} www.example.org": "$chosen",
}


@pytest.mark.parametrize("name", EACH)
def test_a_directory_for_each_name_is_shared_with_other_sites(host, name):
    """Our rules would count for them, too."""
    own = f"/srv/{DOMAIN}/public"
    host.chamilo(f"/srv/{DOMAIN}")
    host.write("/srv/school.example.org/index.html")
    roots = frozenset({f"/srv/{DOMAIN}", own})
    written = EACH[name] if EACH[name] == "$chosen" else f"{EACH[name]}/public"
    head, all_sites = "map $host $chosen { default /srv/x; }\n", SERVED.replace(f"{ROOT}/public", written)
    found = site(host, head + block("80 default_server", name, all_sites), roots=roots)
    (refusal,) = refusals(found)
    assert f"campus.conf:2: its document root is {written}, another one for each name" in refusal
    assert refusal.endswith(f'but with "server_name {DOMAIN};" and "root {own};"')
    # Its remedy, followed.
    portal = block("80", body=SERVED.replace(f"{ROOT}/public", own))
    text = head + portal + block("80 default_server", name, all_sites)
    if DOMAIN not in name:
        host.write("/etc/nginx/sites-available/campus.conf", text)
        found = planned(host, roots=roots)
        assert found.plan.obstacles == () and [edited.marks[0].at for edited in found.plan.files] == [
            text.index("server {") + len("server {")
        ]


@pytest.mark.parametrize(
    ("line", "around", "refused"),
    [
        ("error_page 403 404 = /index.php;", "", True),
        ("error_page 403 =404 /404.html;", "", True),
        ("error_page 403 https://example.org/closed;", "", True),
        ("", "error_page 403 =200 /x.html;", True),
        ("error_page 500 /500.html;", "error_page 403 =200 /x.html;", False),
        ("error_page 403 404 /404.html;", "", False),
        ("error_page 403 =403 /403.html;", "", False),
        ("error_page 404 = /index.php;", "", False),
    ],
)
def test_a_page_that_hides_that_something_is_refused(host, line, around, refused):
    text = f"{around}\nserver {{ listen 80; server_name {DOMAIN};\n{line}\n{SERVED} }}\n"
    found = site(host, text)
    if refused:
        (refusal,) = refusals(found)
        assert f"campus.conf:{3 if line else 1}: what is refused would be answered with another status" in refusal
    else:
        assert found.plan.obstacles == ()


def test_a_portal_without_a_name_beside_the_default_server(host):
    """Visitors get another site. That they get the portal from now on is its owner's decision."""
    other = "server { listen 80 default_server; root /srv/other; }\n"
    (refusal,) = refusals(site(host, f"{other}server {{ listen 80; {SERVED} }}\n"))
    file = "/etc/nginx/sites-available/campus.conf"
    assert refusal.startswith(f"{file}:2: visitors of {DOMAIN} get another site, {file} line 1, which")
    assert f'Add the line "server_name {DOMAIN};" to this virtual host' in refusal
    host.write(file, other + block("80"))
    assert planned(host).plan.obstacles == ()


def test_a_location_of_another_site_with_the_root_of_the_portal_makes_no_portal_of_it(host):
    other = block("80", "shop.test", f"root /srv/shop; location /main {{ root {ROOT}/public; }}")
    found = site(host, other + block("80"))
    assert found.plan.obstacles == () and [block.names for block in found.plan.blocks] == [(DOMAIN,)]


def test_a_file_that_others_can_change_is_refused(host):
    host.install("nginx")
    (host.root / host.site("nginx", block("80")).lstrip("/")).chmod(0o666)
    (refusal,) = refusals(planned(host))
    assert "can be written by others than root" in refusal


def front(target: str) -> str:
    return block("80, 443 ssl", body=f"location / {{ proxy_pass http://{target}; proxy_set_header Host $host; }}")


@pytest.mark.parametrize(
    "target", ["127.0.0.1:8080", "[::1]:81", "unix:/run/chamilo.sock", "chamilo", "localhost:8080/"]
)
@pytest.mark.parametrize("apache", [False, True])
def test_a_portal_in_a_container_of_the_host(host, target, apache):
    """The directives for visitors stand in front of it. Where Apache runs its PHP, that is the one to harden."""
    if apache:
        host.write("/usr/sbin/apache2")
    found = site(host, "upstream chamilo { server 127.0.0.1:8080; keepalive 4; }\n" + front(target))
    if apache:
        assert all("handed on to" in refusal for refusal in refusals(found))
    else:
        assert found.plan.obstacles == ()
        assert found.lines() == [OURS]


def test_an_upstream_elsewhere_is_another_host(host):
    text = "upstream chamilo { server 127.0.0.1:8080; server 10.0.0.7:80; }\n"
    (refusal,) = refusals(site(host, text + front("chamilo")))
    assert "handed on to http://chamilo" in refusal


@pytest.mark.parametrize(("address", "kinds"), [("8080", ["portal", "portal"]), ("192.0.2.7:80", ["portal"])])
def test_a_program_between_two_blocks_of_the_portal(host, address, kinds):
    """Such as Varnish, whose port is none of nginx. Where visitors reach the portal itself, it is another program's."""
    found = site(host, front("127.0.0.1:6081") + block(address))
    assert [block.kind for block in found.plan.blocks] == kinds
    assert bool(found.plan.obstacles) == (len(kinds) == 1)


@pytest.mark.parametrize(
    "line",
    [
        "if (!-e $request_filename) { rewrite ^/(.*)$ /index.php?q=$1 last; }",
        "rewrite ^/(?!index\\.php).*$ /index.php last;",
        "if ($ssl_client_verify != SUCCESS) { return 403; }",
    ],
)
def test_what_we_ask_for_is_found_before_rules_of_the_owner(host, line):
    """nginx goes by them before it selects a location: those of ours that report what is active would be passed by."""
    found = site(host, f"server {{ {BOTH} server_name {DOMAIN}; {line} {SERVED} }}")
    first, second = found.lines()[:2]
    assert first.endswith("{ break; }")
    assert re.search(first.split('"')[1], "/.well-known/chamilo-hardening/https")
    assert not re.search(first.split('"')[1], "/main/.well-known/chamilo-hardening/")
    assert second == OURS


@pytest.mark.parametrize(
    ("location", "tls", "answered"),
    [
        ("", True, True),
        ("location ~ /[.] { deny all; }", True, True),
        ("location ^~ /.well-known/acme-challenge/ { root /srv/acme; }", True, False),
        ("", False, False),  # https is made elsewhere
    ],
)
def test_an_authority_is_answered_where_no_location_of_the_owner_does(host, location, tls, answered):
    text = f"server {{ listen 80; server_name {DOMAIN}; root {ROOT}/public; {location} }}"
    assert (ACME in "".join(site(host, text, tls=tls).after.values())) is answered


def test_what_a_server_block_may_contain_once_is_set_aside(host):
    text = block("80", body=f"root {ROOT}/public; server_tokens on; gzip on;")
    found = site(host, text, once=frozenset({"server_tokens", "real_ip_header"}))
    assert found.aside() == ["server_tokens on;"]


def test_what_an_owner_reported_of_tls_stands_aside_where_a_server_block_gets_it_from_us(host):
    own = "ssl_protocols TLSv1.2; ssl_session_cache shared:SSL:1m; http2 on;"
    text = block("80", body=f"{own} {SERVED}") + block("443 ssl", WWW, f"{own} {SERVED}")
    text += block("80 default_server, 443 ssl default_server", "other.example", "root /srv;")
    found = site(host, text, names=(WWW,))
    assert found.lines().count(TLS) == 1
    assert found.aside() == ["ssl_protocols TLSv1.2;", "ssl_session_cache shared:SSL:1m;", "http2 on;"]


def test_the_file_for_tls_reports_nothing_that_an_owner_could_report_beside_it():
    role = Path(__file__).parents[5] / "roles/https"
    files = [(role / "templates/nginx" / name).read_text() for name in ("tls.conf.j2", "profile.conf.j2")]
    output = re.findall(r"^(\w+) ", "".join(files), re.MULTILINE)
    assert {*output, *tls_policy.LINES} - {"listen"} == {*in_place_nginx.TLS}
    # What every server block of the portal includes, also those whose https the owner configured.
    everywhere = (role / "templates/nginx/https.conf.j2").read_text()
    assert re.findall(r"^(ssl_\w+|http2) ", everywhere, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("listen", "tls", "bound"),
    [
        (BOTH, True, "max-age=31536000"),
        ("listen 80;", True, ""),  # browsers go by it when it comes by https
        ("listen 80;", False, "max-age=31536000"),  # TLS ends elsewhere
    ],
)
@pytest.mark.parametrize("insider", [True, False])
def test_what_an_owner_bound_browsers_to_is_known_though_its_line_stands_aside(host, listen, tls, bound, insider):
    line = "add_header Strict-Transport-Security max-age=31536000 always;"
    host.write("/etc/nginx/conf.d/headers.conf", "" if insider else line)
    found = site(host, f"server {{ {listen} server_name {DOMAIN}; {line if insider else ''} {SERVED} }}\n", tls=tls)
    assert found.aside() == ([line] if insider else [])
    assert found.plan.bound == bound


@pytest.mark.parametrize(
    ("location", "times"),
    [
        ("location ^~ /main/ { expires 1d; }", 1),
        # nginx asks the regular expressions within a prefix first.
        ("location /main/ { location ~ \\.(css|sql)$ { expires 1d; } }", 1),
        ("location ^~ /main/ { location ^~ /main/img/ { expires 1d; } }", 2),
        ("location /main/ { location /main/img/ { expires 1d; } }", 0),
        ("location /main/ { expires 1d; }", 0),
        ("location ~ ^/main/ { location ~ css { expires 1d; } }", 0),
        ("location ^~ /.well-known/acme-challenge/ { root /srv/acme; }", 0),
        # Another program's addresses are its own.
        ("location ^~ /office/ { proxy_pass http://127.0.0.1:8080; }", 0),
        ("location /old/ { location ~ php$ { root /srv; fastcgi_pass unix:/run/php/y.sock; } }", 0),
    ],
)
def test_what_nginx_serves_without_our_regular_expressions_has_them_once_more(host, location, times):
    found = site(host, f"server {{\n {BOTH}\n server_name {DOMAIN};\n {location}\n {SERVED}\n}}\n")
    assert found.lines().count(WITHIN) == times
    opened = [text.rstrip().splitlines()[-1] for text in "".join(found.after.values()).split(WITHIN)[:-1]]
    assert all("BEGIN chamilo" in line for line in opened), "before the owner's own regular expressions"


CONFINED = 'fastcgi_param PHP_ADMIN_VALUE "open_basedir=$base/:/tmp/"'
WIDER = 'fastcgi_param PHP_ADMIN_VALUE "open_basedir=$base/:/tmp/:/usr/local/share/chamilo-hardening";'


CERTBOT = "ssl_protocols TLSv1.2 TLSv1.3;\nssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:!aNULL;\n"
OLD = "ssl_protocols TLSv1 TLSv1.2;\nssl_ciphers HIGH:!aNULL;\n"


@pytest.mark.parametrize(
    ("own", "around", "added", "aside"),
    [
        ("", "", ["ssl_ciphers"], 0),  # Debian's nginx.conf sets the protocols
        ("", CERTBOT, [], 0),
        (CERTBOT, OLD, [], 0),
        (OLD, CERTBOT, ["ssl_protocols", "ssl_ciphers"], 2),
        (f"include snippets/tls.conf;\n{OLD.splitlines()[0]}\n", "", ["ssl_protocols"], 1),
    ],
)
@pytest.mark.parametrize("tls", [True, False])
def test_old_protocols_and_ciphers_of_an_owner_stand_aside(host, own, around, added, aside, tls):
    host.write("/etc/nginx/conf.d/tls.conf", around)
    text = f"server {{\n {BOTH}\n server_name {DOMAIN};\n {own} {SERVED}\n}}\n"
    found = site(host, text, {"/etc/nginx/snippets/tls.conf": CERTBOT.splitlines()[1]}, tls=tls)
    text = "".join(found.after.values())
    ours = "".join(re.findall(r"# BEGIN chamilo[^\n]*\n((?:(?! *\t*# END).*\n)*)", text))
    assert [name for name, line in tls_policy.LINES.items() if line in ours] == (added if tls else [])
    assert len(found.aside()) == (aside if tls else 0)


def test_a_line_for_all_of_http_that_goes_on_is_refused(host):
    more = {"/etc/nginx/conf.d/h.conf": 'add_header X-School "a\n b";\n'}
    found = site(host, f"server {{ {BOTH} server_name {DOMAIN}; {SERVED} }}\n", more)
    assert refusals(found) == [
        "/etc/nginx/conf.d/h.conf:1: a directive of several lines for all of http. Write it in one line"
    ]
