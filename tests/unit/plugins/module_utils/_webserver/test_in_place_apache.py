# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into virtual hosts of Apache, over those that stand in the world and over odd ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import apply, strip
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache, in_place_apache, tls_policy
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost, Unmarked, digest
from tests.vhosts import Case, cases

DROP_INS = "/etc/apache2/sites-available/chamilo-campus.d"
SITE = "/etc/apache2/sites-available/campus.conf"
INCLUDE = f"IncludeOptional {DROP_INS}/*.conf"
DESIRED = DesiredHost(
    site="campus",
    domain="campus.example.org",
    names=frozenset(),
    roots=frozenset({"/var/www/chamilo", "/var/www/chamilo/public"}),
    drop_ins=DROP_INS,
    headers=frozenset({"x-frame-options", "strict-transport-security"}),
    tls=True,
)
HEAD = "<VirtualHost *:80>\nServerName campus.example.org\nDocumentRoot /var/www/chamilo/public\n"
SECURE = "SSLCertificateFile /etc/ssl/x.pem\nSSLCertificateKeyFile /etc/ssl/x.key\n"
MACRO = f"<Macro Site $name>\n{HEAD.replace('campus', '$name')}</VirtualHost>\n</Macro>\n"


def of(name):
    """What another portal of the host desires."""
    return replace(
        DESIRED,
        site=name,
        domain=f"{name}.example.org",
        roots=frozenset({f"/var/www/{name}/public"}),
        drop_ins=DROP_INS.replace("campus", name),
    )


def planned(host, desired=DESIRED):
    """The plan for a host, and its files with the marks in them. It is the same with the marks in place."""
    tree = Unmarked(Tree(host.tree.prefix), desired.site)
    first = in_place_apache.plan(tree, apache.parse(tree, "2.4.62"), desired)
    texts = {}
    for edited in first.files:
        path = host.root / edited.path.lstrip("/")
        before = path.read_bytes().decode("utf-8", "surrogateescape")
        assert edited.digest == digest(before)
        texts[edited.path] = apply(before, edited.marks, desired.site)
        assert strip(texts[edited.path], desired.site) == before
        path.write_bytes(texts[edited.path].encode("utf-8", "surrogateescape"))
    again = in_place_apache.plan(tree, apache.parse(tree, "2.4.62"), desired)
    assert again == first
    host.write(f"{desired.drop_ins}/tls/https.conf", "SSLEngine on\n")
    marked = apache.parse(Tree(host.tree.prefix), "2.4.62")
    assert marked.problems == apache.parse(tree, "2.4.62").problems
    return first, texts, marked


def modules(host, case: Case) -> None:
    for name in (*case.head.get("modules", "").split(), *(["php8.4"] if case.head.get("php") else [])):
        text = f"LoadModule {name.replace('8.4', '')}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        host.write(f"/etc/apache2/mods-enabled/{name}.load", text)


@pytest.mark.parametrize("case", cases("apache"), ids=lambda case: case.name)
def test_every_virtual_host_of_the_world(host, case):
    host.install("apache")
    modules(host, case)
    case.lay(host.root)
    # Where another program has the ports of the web, it speaks https as well.
    plan, texts, marked = planned(host, replace(DESIRED, tls="proxy" not in case.head))
    if case.panel:
        assert plan.files == ()
        assert plan.obstacles
        for obstacle in plan.obstacles:
            assert obstacle.file in case.files
            assert INCLUDE in obstacle.remedy
        return
    assert plan.obstacles == ()
    assert plan.files
    named, _fallback = apache.answering(apache.servers(marked), DESIRED.domain)
    redirects = {(block.file, block.line) for block in plan.blocks if block.kind == "redirect"}

    serving = [server for server in named if INCLUDE.split()[1] in server.host.includes]
    assert {server.host.line for server in named} == {server.host.line for server in serving} | {
        line for _file, line in redirects
    }


def lay(host, text, file=SITE, enabled=True, modules=("ssl",)):
    """One virtual host of the portal's owner, beside Debian's own configuration."""
    host.install("apache")
    for module in modules:
        host.write(f"/etc/apache2/mods-enabled/{module}.load", f"LoadModule {module}_module x.so\n")
    host.write(file, text)
    if enabled:
        host.link(
            f"/etc/apache2/sites-enabled/{file.rsplit('/', 1)[1]}", f"../sites-available/{file.rsplit('/', 1)[1]}"
        )


def served(marked):
    """What answers to the portal's name: for each, its ports, and whether it includes our files and those of TLS."""
    named, _fallback = apache.answering(apache.servers(marked), DESIRED.domain)
    return [
        (
            [listen.port for listen in server.host.listens],
            f"{DROP_INS}/*.conf" in server.host.includes,
            f"{DROP_INS}/tls/*.conf" in server.host.includes,
        )
        for server in named
    ]


PLAIN_AND_TLS = [([80], True, False), ([443], True, True)]
WHOLE = f"{HEAD}</VirtualHost>\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(WHOLE.replace("\n", "\r\n"), PLAIN_AND_TLS, id="CRLF"),
        pytest.param(WHOLE[:-1], PLAIN_AND_TLS, id="no newline at the end"),
        pytest.param(
            HEAD.replace("*:80", "\\\n  *:80") + "SetEnv A \\\n  b\n</VirtualHost>\n", PLAIN_AND_TLS, id="continued"
        ),
        pytest.param(
            "Define NAME campus.example.org\n" + WHOLE.replace("campus.example.org", "${NAME}"),
            PLAIN_AND_TLS,
            id="defined",
        ),
        pytest.param(f"<IfModule mod_alias.c>\n{WHOLE}</IfModule>\n", PLAIN_AND_TLS, id="condition"),
        pytest.param(
            WHOLE.replace("*:80", "*:80 [::]:80"),
            [([80, 80], True, False), ([443, 443], True, True)],
            id="two addresses",
        ),
        pytest.param(
            WHOLE.replace("*:80", "*:80 *:8080"), [([80, 8080], True, False), ([443], True, True)], id="two ports"
        ),
        pytest.param(WHOLE.replace("*:80", "203.0.113.10:80"), PLAIN_AND_TLS, id="one address"),
        pytest.param(WHOLE.replace("ServerName campus.example.org\n", ""), PLAIN_AND_TLS, id="nameless"),
        pytest.param(
            HEAD.replace("ServerName", "UseCanonicalName On\n servername") + "</VIRTUALHOST>\n",
            PLAIN_AND_TLS,
            id="canonical",
        ),
        pytest.param(
            WHOLE.replace("campus.example.org", "HTTP://Campus.example.org:80"), PLAIN_AND_TLS, id="port in the name"
        ),
        pytest.param(
            HEAD + "# a comment \\\n</VirtualHost>\n</VirtualHost>\n# the end \\", PLAIN_AND_TLS, id="comments"
        ),
    ],
)
def test_odd_virtual_hosts(host, text, expected):
    lay(host, text)
    plan, _texts, marked = planned(host)
    assert plan.obstacles == ()
    assert served(marked) == expected
    assert plan.tls


def test_two_portals_in_one_file(host):
    lay(host, WHOLE + WHOLE.replace("campus.", "library.").replace("chamilo", "library"))
    first, texts, _marked = planned(host)
    library = of("library")
    second, both, marked = planned(host, library)
    assert strip(both[SITE], "library") == texts[SITE]
    assert [block.names for block in (*first.blocks, *second.blocks)] == [
        ("campus.example.org",),
        ("library.example.org",),
    ]
    for desired in (DESIRED, library):
        named, _fallback = apache.answering(apache.servers(marked), desired.domain)
        assert [f"{desired.drop_ins}/*.conf" in server.host.includes for server in named] == [True, True]
    own = strip(both[SITE], "campus")
    assert "library" in own
    assert "chamilo-campus" not in own


@pytest.mark.parametrize(
    ("file", "enabled"),
    [
        ("/etc/apache2/apache2.conf", False),
        ("/etc/apache2/sites-enabled/campus.conf", False),
        (SITE, True),
    ],
)
def test_wherever_it_stands(host, file, enabled):
    lay(host, "", enabled=enabled)
    text = WHOLE
    if file == apache.MAIN:
        text = (host.root / file.lstrip("/")).read_text() + text
    host.write(file, text)
    plan, _texts, marked = planned(host)
    assert [edited.path for edited in plan.files] == [file]
    assert served(marked) == PLAIN_AND_TLS


def test_certbots_redirect_is_left_alone_and_one_of_some_visitors_is_not(host):
    lay(
        host,
        f"{HEAD}RewriteEngine On\nRewriteCond %{{SERVER_NAME}} =campus.example.org\n"
        "RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]\n</VirtualHost>\n"
        f"{HEAD.replace('80', '443')}ServerAlias www.campus.example.org\nSSLEngine on\nRewriteEngine On\n"
        "RewriteCond %{HTTP_HOST} ^www\\. [NC]\nRewriteRule ^ https://campus.example.org%{REQUEST_URI} [R=301,L]\n"
        "</VirtualHost>\n",
    )
    plan, texts, _marked = planned(host)
    assert [(block.kind, block.tls) for block in plan.blocks] == [("redirect", False), ("portal", True)]
    assert not plan.tls
    assert texts[SITE].index("# BEGIN") > texts[SITE].index("443")
    assert texts[SITE].count("# BEGIN") == 2


REWRITE = "RewriteEngine On\nRewrite"
TO = "https://campus.example.org/"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"Redirect permanent / {TO}", "redirect"),
        (f"RedirectPermanent / {TO}", "redirect"),
        (f"RedirectMatch 301 ^(.*)$ {TO}$1", "redirect"),
        (f"RedirectMatch permanent ^/(?!\\.well-known/acme-challenge/)(.*) {TO}$1", "redirect"),
        (f"{REWRITE}Rule ^(.*)$ https://%{{HTTP_HOST}}$1 [R=301,L]", "redirect"),
        (f"{REWRITE}Rule !^/\\.well-known {TO} [R=301,L]", "redirect"),
        (f"{REWRITE}Cond %{{HTTPS}} off\nRewriteRule (.*) https://%{{HTTP_HOST}}%{{REQUEST_URI}} [L,R]", "redirect"),
        (f"{REWRITE}Cond %{{REQUEST_URI}} !^/\\.well-known\nRewriteRule ^ https://%{{HTTP_HOST}}/ [R,L]", "redirect"),
        (
            f"{REWRITE}Cond %{{HTTP_HOST}} =no.test [OR]\nRewriteCond %{{HTTP_HOST}} ^CAMPUS [NC]\n"
            f"RewriteRule ^ {TO} [R]",
            "redirect",
        ),
        (f"Redirect permanent /old {TO}", "portal"),
        (f"Redirect gone / {TO}", "portal"),
        ("Redirect / /y", "portal"),
        (f"RedirectMatch 301 ^/old(.*)$ {TO}$1", "portal"),
        (f"RedirectMatch permanent ^/(?!forum/)(.*)$ {TO}$1", "portal"),
        (f"RewriteRule ^ {TO} [R]", "portal"),
        (f"RewriteEngine Off\nRewriteRule ^ {TO} [R]", "portal"),
        (f"{REWRITE}Rule ^ https://%{{HTTP_HOST}}/ [P]", "portal"),
        (f"{REWRITE}Cond %{{HTTPS}} !=off\nRewriteRule ^ {TO} [R]", "portal"),
        (f"{REWRITE}Cond %{{HTTP:X-Forwarded-Proto}} !https\nRewriteRule ^ {TO} [R]", "portal"),
        (f"{REWRITE}Cond %{{HTTP_HOST}} ^www\nRewriteRule ^ {TO} [R]", "portal"),
    ],
)
def test_what_leads_every_visitor_elsewhere_is_left_alone(host, line, kind):
    """All of it but what an authority asks for is led on. What serves a part of it is edited."""
    lay(host, f"{HEAD}{line}\n</VirtualHost>\n{HEAD.replace('80', '443')}SSLEngine on\n{SECURE}</VirtualHost>\n")
    plan, _texts, _marked = planned(host)
    assert plan.obstacles == ()
    assert [(block.kind, block.tls) for block in plan.blocks] == [(kind, False), ("portal", True)]


def test_a_portal_that_only_leads_elsewhere_is_none(host):
    lay(host, f"{HEAD}Redirect / {TO}\n</VirtualHost>\n")
    plan, _texts, _marked = planned(host)
    assert [block.kind for block in plan.blocks] == ["redirect"]
    assert "is only led elsewhere" in plan.obstacles[0].what


def test_what_a_copy_must_not_report_again_is_left_out(host):
    lay(
        host,
        f"{HEAD}SSLCertificateFile /old.pem\nWSGIDaemonProcess x\n<IfModule ssl_module>\n  SSLEngine off\n"
        "  SSLOptions x\n</IfModule>\nInclude /etc/apache2/of-tls.conf\nSetEnv LAST 1\n</VirtualHost>\n",
    )
    host.write("/etc/apache2/of-tls.conf", "SetEnv A b\nSSLCertificateKeyFile /old.key\n")
    plan, texts, marked = planned(host)
    copy = texts[SITE].split("<VirtualHost *:443>")[1]
    for gone in ("/old.pem", "WSGI", "SSLEngine off", "of-tls.conf"):
        assert gone not in copy
        assert gone in texts[SITE]
    assert "SSLOptions x" in copy
    assert "SetEnv LAST 1" in copy
    assert served(marked) == PLAIN_AND_TLS


def test_header_lines_in_a_section_that_is_merged_last_are_set_aside(host):
    lay(
        host,
        f"{HEAD}Header set X-Frame-Options DENY\nHeader set X-Frame-Options DENY early\n"
        f"<If \"%{{HTTPS}} == 'on'\">\n  Header set Own 1\n"
        "  Header always set Strict-Transport-Security x\n</If>\n</VirtualHost>\n",
    )
    _plan, texts, marked = planned(host)
    blocks = [server.block.block for server in apache.servers(marked) if server.host.names]
    sections = [item for block in blocks for item in block if item.name == "if"]
    assert [[item.written for item in section.block] for section in sections] == [["Header set Own 1"]] * 2
    assert [[item.arguments[-1] for item in block if item.name == "header"] for block in blocks] == [["DENY"]] * 2


def test_a_site_without_a_name_stays_the_first_one(host):
    lay(host, WHOLE)
    other = "<VirtualHost *:443>\nSSLEngine on\n</VirtualHost>\n"
    before, behind = (f"/etc/apache2/sites-enabled/{name}.conf" for name in ("a", "zeta"))
    host.write(before, other)
    assert planned(host)[0].obstacles == ()
    host.write(SITE, WHOLE)
    host.write(before, "")
    host.write(behind, other)
    (obstacle,) = planned(host)[0].obstacles
    assert f"the virtual host without a name in {behind}" in obstacle.what
    host.write(behind, other.replace("SSLEngine", "ServerName z.test\nSSLEngine"))
    assert planned(host)[0].obstacles == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<VirtualHost *:80>\n", "never closed"),
        ("<Directory /x>\n", "never closed"),
        (f"{HEAD}ProxyPass / http://other.example.org/\n</VirtualHost>\n", "handed on to other.example.org"),
        (MACRO + "Use Site campus\nUse Site library\n", "made by a macro"),
        (MACRO.replace("$name", "name") + "Use Site campus\n", "made by a macro"),
    ],
)
def test_what_cannot_be_edited_is_reported_with_its_file(host, text, what):
    lay(host, text)
    plan, _texts, _marked = planned(host)
    assert plan.files == ()
    assert what in " ".join(obstacle.what for obstacle in plan.obstacles)
    assert all(obstacle.file and obstacle.line and obstacle.remedy for obstacle in plan.obstacles)


def test_a_macro_that_is_used_once_is_edited_where_it_is_written(host):
    written = "/etc/apache2/conf-enabled/macros.conf"
    headers = "<Macro Headers>\n<If true>\nHeader set X-Frame-Options DENY\n</If>\n</Macro>\n"
    host.write(
        written,
        headers + MACRO.replace("</VirtualHost>", "ServerAlias www.$name.example.org\nUse Headers\n</VirtualHost>"),
    )
    lay(host, "Use Site campus\n")
    plan, texts, marked = planned(host)
    assert [*texts] == [written] and plan.obstacles == ()
    assert "ServerAlias www.$name.example.org" in texts[written].split("<VirtualHost *:443>")[1]
    assert headers in texts[written], "it may be used elsewhere, too"
    assert [server.host.names for server in apache.servers(marked)] == [
        ("campus.example.org", "www.campus.example.org")
    ] * 2


def test_a_file_that_others_may_write_is_not_gone_by(host):
    lay(host, WHOLE)
    (host.root / SITE.lstrip("/")).chmod(0o666)
    plan, _texts, _marked = planned(host)
    assert "can be written by others" in plan.obstacles[0].what
    (host.root / SITE.lstrip("/")).chmod(0o644)
    (host.root / "etc/apache2/sites-available").chmod(0o777)
    plan, _texts, _marked = planned(host)
    assert plan.obstacles[0].what == "/etc/apache2/sites-available can be written by others than root"


def test_a_line_of_the_owner_that_includes_ours_is_enough_at_the_top(host):
    lay(host, f"{HEAD}{INCLUDE}\n</VirtualHost>\n")
    plan, texts, marked = planned(host, replace(DESIRED, tls=False))
    assert texts[SITE].startswith(f"{HEAD}{INCLUDE}\n# BEGIN")
    assert served(marked) == [([80], True, False)] and not plan.tls


@pytest.mark.parametrize(
    ("root", "lines", "refusal"),
    [
        (
            "/var/www/chamilo",
            "",
            "DocumentRoot is /var/www/chamilo, the project directory with its secrets and programs",
        ),
        ("/srv/lms", "", "campus.example.org is served from /srv/lms, where no portal is"),
        ("/srv/lms", "Alias / /var/www/chamilo/public/\n", ""),
        (
            "/srv/lms",
            "AliasMatch ^/lms/(.*)$ /var/www/chamilo/public/$1\n",
            "the portal is served below ^/lms/(.*)$ of another site, where the rules of this collection do not reach "
            "it",
        ),
        (
            "/srv/lms",
            "Alias /lms /var/www/chamilo/public/\n",
            "the portal is served below /lms of another site, where the rules of this collection do not reach it",
        ),
        ("/srv/lms", "ProxyPass / http://127.0.0.1:8080/", ""),
        ("/srv/lms", "RewriteRule ^/(.*)$ http://127.0.0.1:8080/$1 [P,L]", ""),
    ],
)
def test_a_document_root_that_is_not_the_portals(host, root, lines, refusal):
    """There, the rules about programs would close another one, or https would show the project's secrets."""
    lay(host, HEAD.replace("/var/www/chamilo/public", root) + f"{lines}\n</VirtualHost>\n")
    host.write("/srv/lms/index.php", "")
    host.write("/var/www/chamilo/public/index.php", "")
    plan, _texts, _marked = planned(host)
    assert [obstacle.what for obstacle in plan.obstacles] == ([refusal] if refusal else [])
    assert bool(plan.files) is not bool(refusal)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("/srv/%0", "ServerAlias *.example.org"),
        ("/srv/%1.%2.%-1", "ServerName www.example.org\nServerAlias *.example.org"),
        ("/srv/%1.1%1.2+.%2+", "ServerAlias campus.example.org *.school.example.org"),
    ],
)
def test_a_directory_for_each_name_is_shared_with_other_sites(host, pattern, names):
    """Our rules would count for them, too."""
    head = f"<VirtualHost *:80>\n{names}\nVirtualDocumentRoot {pattern}/public\n</VirtualHost>\n"
    lay(host, head)
    host.chamilo("/srv/campus.example.org")
    roots = frozenset({"/srv/campus.example.org", "/srv/campus.example.org/public"})
    plan, _texts, _marked = planned(host, replace(DESIRED, roots=roots))
    assert plan.files == ()
    (refusal,) = plan.obstacles
    assert refusal.what.startswith(f"its document root is {pattern}/public, another one for each name")
    assert refusal.remedy.endswith(
        '"ServerName campus.example.org" and "DocumentRoot /srv/campus.example.org/public" instead of '
        "VirtualDocumentRoot"
    )
    host.write(SITE, f"{HEAD.replace('/var/www/chamilo', '/srv/campus.example.org')}</VirtualHost>\n{head}")
    plan, _texts, _marked = planned(host, replace(DESIRED, roots=roots))
    assert plan.obstacles == () and [block.line for block in plan.blocks] == [1]


def test_a_portal_without_a_name_beside_the_first_virtual_host(host):
    """Visitors get another site. That they get the portal from now on is its owner's decision."""
    lay(
        host,
        "<VirtualHost *:80>\nDocumentRoot /srv/other\n</VirtualHost>\n"
        + HEAD.replace("ServerName campus.example.org\n", "")
        + "</VirtualHost>\n",
    )
    plan, _texts, _marked = planned(host)
    (refusal,) = plan.obstacles
    assert (refusal.line, plan.files) == (4, ())
    assert refusal.what.startswith(f"visitors of campus.example.org get another site, {SITE} line 1, which")
    assert 'Add the line "ServerName campus.example.org"' in refusal.remedy


@pytest.mark.parametrize("address", ["*:8080", "127.0.0.1:80"])
def test_a_portal_behind_another_port_is_refused_unless_a_proxy_speaks_https(host, address):
    """There, https could be spoken on no port of the portal, and nothing would report it."""
    lay(host, HEAD.replace("*:80", address) + "</VirtualHost>\n")
    host.write("/etc/apache2/ports.conf", "Listen 8080\nListen 127.0.0.1:80\n")
    plan, _texts, _marked = planned(host)
    (obstacle,) = plan.obstacles
    assert (obstacle.file, obstacle.line) == (SITE, 1)
    assert "port 80 or 443" in obstacle.what and "chamilo_https_terminated_elsewhere" in obstacle.remedy
    plan, _texts, _marked = planned(host, replace(DESIRED, tls=False))
    assert plan.files and not plan.obstacles


def test_no_further_port_before_there_is_a_certificate(host):
    """Of an address, Apache asks the first VirtualHost whether TLS is spoken: the other site's would be lost."""
    lay(host, WHOLE)
    host.write(
        "/etc/apache2/sites-enabled/zeta.conf", "<VirtualHost *:443>\nServerName z.test\nSSLEngine on\n</VirtualHost>\n"
    )
    planned(host)
    file = host.root / f"{DROP_INS}/tls/https.conf".lstrip("/")
    names = []
    for _with in (True, False):
        servers = apache.servers(apache.parse(Tree(host.tree.prefix), "2.4.62"))
        names.append([one.host.names for one in servers if one.host.listens[0].port == 443])
        file.unlink(missing_ok=True)
    assert names == [[("campus.example.org",), ("z.test",)], [("z.test",)]]


def test_addresses_and_programs_of_the_owner(host):
    lay(
        host,
        f"{HEAD}ServerAlias www.campus.example.org *.campus.example.org\nAlias /forum /srv/forum\n"
        "Alias /files /srv/files\nProxyPass /office/ http://me:word@127.0.0.1:9000/ secret=word\n"
        "<Location /admin>\nRequire ip ::1\n"
        "</Location>\n<LocationMatch ^/x>\n</LocationMatch>\nRedirect 301 /old /new\nRewriteRule ^/shop/?$ /s [R]\n"
        "RewriteRule ^/a(.*)$ /b\n</VirtualHost>\nAlias /phpmyadmin /usr/share/phpmyadmin\n",
    )
    host.write("/srv/forum/index.php", "")
    host.write("/srv/files/x.txt", "")
    host.write("/usr/share/phpmyadmin/index.php", "")
    plan, _texts, _marked = planned(host)
    assert {(page.scheme, page.name, page.path) for page in plan.pages} == {
        ("http", name, path)
        for name in ("campus.example.org", "www.campus.example.org")
        for path in ("/", "/forum", "/files", "/office/", "/admin", "/old", "/shop")
    }
    assert [(program.path, program.line) for program in plan.programs] == [
        ("/forum", 5),
        ("/office/", 7),
        ("/phpmyadmin", 17),
    ]
    assert "word" not in str(plan)


def test_damaged_marks_are_an_obstacle(host):
    lay(host, WHOLE)
    _plan, texts, _marked = planned(host)
    host.write(SITE, texts[SITE].replace("# END chamilo.hardening campus", "#", 1))
    plan, _texts, _marked = planned(host)
    assert plan.files == ()
    assert (plan.obstacles[0].file, plan.obstacles[0].what) == (
        "/etc/apache2/sites-enabled/campus.conf",
        "damaged marks of chamilo.hardening",
    )


def test_a_root_behind_a_link_is_the_same_root(host):
    lay(host, f"{HEAD.replace('campus.example', 'www.example').replace('/chamilo/', '/current/')}</VirtualHost>\n")
    (host.root / "var/www/chamilo/public").mkdir(parents=True)
    host.link("/var/www/current", "chamilo")
    plan, _texts, _marked = planned(host)
    assert [block.names for block in plan.blocks] == [("www.example.org",)]


@pytest.mark.parametrize(
    ("ports", "output"),
    [("Listen 80\n", True), ("Listen 80\n<IfModule ssl_module>\nListen 443\n</IfModule>\n", False)],
)
def test_a_port_that_nothing_listens_on_is_opened(host, ports, output):
    lay(host, WHOLE, modules=())
    host.write("/etc/apache2/ports.conf", ports)
    _plan, texts, _marked = planned(host)
    assert ("Listen 443\n<VirtualHost *:443>" in texts[SITE]) is output


def test_an_address_that_others_have_for_themselves_is_ours_too(host):
    lay(host, WHOLE)
    other = "<VirtualHost 203.0.113.10:443 127.0.0.1:443>\nServerName z.test\nSSLEngine on\n</VirtualHost>\n"
    host.write("/etc/apache2/sites-enabled/zeta.conf", other)
    _plan, texts, _marked = planned(host)
    assert "<VirtualHost *:443 203.0.113.10:443>\n" in texts[SITE]


def test_visitors_of_other_sites_do_not_end_at_the_portal(host):
    lay(host, WHOLE)
    assert planned(host)[1][SITE].count("<VirtualHost *:443>") == 1
    host.write(SITE, f"{HEAD}</VirtualHost>\n{HEAD.replace('campus.', 'www.')}</VirtualHost>\n")
    host.write("/etc/apache2/sites-enabled/zeta.conf", "<VirtualHost *:80>\nServerName z.test\n</VirtualHost>\n")
    _plan, texts, marked = planned(host)
    assert texts[SITE].count("other-names.invalid") == 1
    for name in ("z.test", "203.0.113.10"):
        named, fallback = apache.answering(apache.servers(marked), name)
        (answering,) = [one for one in (*named, *fallback) if one.host.listens[0].port == 443]
        assert answering.host.names == ("other-names.invalid",)


GOOD = "SSLProtocol all -SSLv3 -TLSv1 -TLSv1.1\nSSLCipherSuite ECDHE-RSA-AES128-GCM-SHA256:!aNULL\n"
PROTOCOLS, CIPHERS = tls_policy.APACHE.values()


@pytest.mark.parametrize(
    ("own", "around", "added"),
    [
        ("", "", [PROTOCOLS, CIPHERS]),  # Debian's ssl.conf sets old ones
        ("", GOOD, []),
        (f"{GOOD}SSLProtocol all\n", "", [PROTOCOLS]),
        ("SSLProtocol +TLSv1.2 +TLSv1.3\nSSLCipherSuite SSL HIGH:!aNULL\n", "", [CIPHERS]),
        ("SSLProtocol TLSv1.3\nSSLCipherSuite TLSv1.3 TLS_AES_128_GCM_SHA256\n", GOOD, []),
        ("Include snippets/tls.conf\n", "", [PROTOCOLS]),
    ],
)
@pytest.mark.parametrize("tls", [True, False])
def test_behind_old_protocols_and_ciphers_of_an_owner_stand_ours(host, own, around, added, tls):
    files = "SSLCertificateFile /c.pem\nSSLCertificateKeyFile /k.pem\n"
    secure = HEAD.replace("*:80", "*:443") + f"SSLEngine on\n{files}{own}</VirtualHost>\n"
    lay(host, f"{HEAD}</VirtualHost>\n{secure}")
    host.write("/etc/apache2/snippets/tls.conf", f"{GOOD}SSLProtocol all\n")
    # Read behind Debian's.
    host.write("/etc/apache2/conf-enabled/tls.conf", around)
    _plan, texts, marked = planned(host, replace(DESIRED, tls=tls))
    assert [line for line in (PROTOCOLS, CIPHERS) if line in texts[SITE]] == (added if tls else [])
    (server,) = [one for one in apache.servers(marked) if one.host.file == SITE and one.host.listens[0].tls]
    assert not tls or not tls_policy.closing(server.block.block, marked.directives)


def test_a_certificate_on_port_443_is_tls_without_a_word(host):
    """Apache goes by the port where SSLEngine is not set, so no second https is added beside it."""
    lay(host, f"{HEAD.replace('80', '443')}{SECURE}</VirtualHost>\n")
    plan, texts, _marked = planned(host)
    assert [block.tls for block in plan.blocks] == [True]
    assert texts[SITE].count(":443>") == 1


@pytest.mark.parametrize(
    ("addresses", "lines", "what"),
    [
        ("*:80 *:443", "", "answers on port 443 without TLS"),
        ("*:443", f"SSLEngine off\n{SECURE}", "answers on port 443 without TLS"),
        ("*:80", "RemoteIPProxyProtocol On\n", "takes the PROXY protocol"),
    ],
)
def test_what_cannot_be_requested_by_https_is_refused(host, addresses, lines, what):
    lay(host, f"{HEAD.replace('*:80', addresses)}{lines}</VirtualHost>\n")
    (obstacle,) = planned(host)[0].obstacles
    assert (obstacle.file, obstacle.line) == (SITE, 1)
    assert what in obstacle.what
