# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a failed login, who is banned for it, and when a host has to be asked at all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.chamilo.hardening.plugins.module_utils._common.networks import counted
from tests.tools.plans import discovered, planned, waived


def served(host: Any, server: str) -> None:
    """A portal with a virtual host."""
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")


def written(host: Any, name: str, **given: Any) -> str:
    """A file of the web server's, by the end of its name."""
    files = planned(host, "brute_force", **given)["web"]["files"]
    return next(str(file["content"]) for file in files if file["path"].endswith(name))


def maps(text: str) -> dict[str, list[tuple[str, str]]]:
    """nginx's maps: the expressions of each, and what they make."""
    found = re.findall(r"^map [^\n]* (\S+) {\n(.*?)^}", text, re.MULTILINE | re.DOTALL)
    return {name.rpartition("_")[2]: re.findall(r'^    "~\*?(.*)" (\S+);$', body, re.MULTILINE) for name, body in found}


def mapped(rows: list[tuple[str, str]], value: str, default: str = "0") -> str:
    return next((made for pattern, made in rows if re.search(pattern, value)), default)


READ = [
    ("/login_json", "page"),
    ("/index.php/login/ldap/check?x#y", "page"),
    ("/api/authentication_token?x=%41", "token"),
    ("/oauth/token", ""),
    ("/oauth/register", ""),
    ("/login_json_help", ""),
    ("/login", ""),
    ("/main/auth/lostPassword.php", ""),
    ("/x/login_json", ""),
    # Symfony finds a login there, and no browser and no app asks for it.
    ("/login_json#x", "refused"),
    ("/%6cogin_json", "refused"),
    ("/index.phplogin_json", "refused"),
    ("//login_json", "refused"),
    ("/main/auth/lostPassword.php/login_json", "refused"),
    ("/courses.php/api/authentication_token", "refused"),
]


@pytest.mark.parametrize(("target", "kind"), READ)
def test_nginx_counts_a_login_or_refuses_it(host: Any, target: str, kind: str) -> None:
    served(host, "nginx")
    rows = maps(written(host, "-brute_force.conf"))
    path = re.sub("/+", "/", re.sub("[?#].*", "", target).replace("%6c", "l"))
    login = mapped(rows["login"], target)
    refused = mapped(rows["refused"], f"{mapped(rows['read'], path)}:{login}::")
    assert (login if login != "0" else "refused" if refused == "1" else "") == kind
    if kind in ("page", "token"):
        for site, form, expected in (
            ("cross-site", "text/plain", "1"),
            ("same-site", "", "1"),
            ("cross-site", "application/json", "1" if kind == "page" else "0"),
            ("same-origin", "application/json", "0"),
        ):
            assert mapped(rows["refused"], f"1:{login}:{site}:{form}") == expected, (site, form)
        for status in ("401", "200", "502, 401"):
            assert mapped(rows["answered"], f"{login}:{status}") == "1"
        assert mapped(rows["answered"], f"{login}:") == "0", "what nginx answered itself"
    assert mapped(rows["answered"], "0:401") == "0"


@pytest.mark.parametrize(("target", "kind"), READ)
def test_apache_counts_a_login_or_refuses_it(host: Any, target: str, kind: str) -> None:
    served(host, "apache")
    text = written(host, "login.conf")
    (canonical, read) = re.findall(r'THE_REQUEST} "!(.*)"\nRewriteRule "(.*)" - \[R=400', text)[0]
    (counts,) = re.findall(r'RewriteRule "(\^.*)" - \[E=chamilo_\w+:%{ENV', text)
    path = re.sub("/+", "/", re.sub("[?#].*", "", target).replace("%6c", "l"))
    refused = bool(re.search(read, path)) and not re.search(canonical, f"POST {target} HTTP/2.0")
    counted = bool(re.search(counts, path)) and not refused
    if target != "/index.php/login/ldap/check?x#y":  # Apache refuses an address with a # itself
        assert ("refused" if refused else "counted" if counted else "") == {"page": "counted", "token": "counted"}.get(
            kind, kind
        )
    assert not re.search(canonical, "post /login_json HTTP/1.1"), "Symfony makes it POST"


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:1::", "2001:db8:1::/64"),
        ("2001::d:e:f:1:2", "2001:0:0:d::/64"),
        ("2001:db8:1:0:5::7", "2001:db8:1::/64"),
        ("2001:db8:0:0:1::", "2001:db8::/64"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1::/64"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    ],
)
def test_of_ipv6_a_network_is_counted_as_fail2ban_writes_it(host: Any, server: str, address: str, network: str) -> None:
    served(host, server)
    if server == "nginx":
        rows = re.findall(r'^    "~(\S+)" "(\S+)";$', written(host, "-brute_force.conf"), re.MULTILINE)
    else:  # the last one that matches counts
        rows = re.findall(r'REMOTE_ADDR} "(\S+)"\nRewriteRule \^ - \[E=\w+_from:(\S+)\]', written(host, "login.conf"))[
            ::-1
        ]
        log = re.findall(r"m#(\S+)# && \S+ == '(\S+)'\)", written(host, "-brute_force.conf"))
        assert [(pattern, made.replace("$", "%")) for pattern, made in log] == rows
    found = address
    for pattern, made in rows:
        # re knows no groups of one number in alternatives.
        match = re.search(pattern.replace("(?|", "(?:"), address)
        if match:
            groups = iter([group for group in match.groups() if group])
            found = re.sub(r"[$%]\d", lambda _number, groups=groups: next(groups), made)
            break
    assert found == network
    assert counted(address) in (network, "203.0.113.7")


@pytest.mark.parametrize(("server", "unit"), [("nginx", "nginx.service SYS"), ("apache", "apache2.service SYS")])
def test_the_jail_reads_what_the_web_server_writes_to_the_journal_alone(host: Any, server: str, unit: str) -> None:
    served(host, server)
    files = {file["path"]: str(file.get("content")) for file in planned(host, "brute_force")["jail"]["files"]}
    text = files["/etc/fail2ban/filter.d/chamilo-campus-test.conf"]
    (tag,) = re.findall(r"SYSLOG_IDENTIFIER=(\w+)", text)
    assert f"journalmatch = _SYSTEMD_UNIT={unit}" in text and ("_UID=0" in text) == (server == "apache")
    jail = files["/etc/fail2ban/jail.d/chamilo-campus-test.conf"]
    assert "backend = systemd" in jail and "logpath" not in jail
    (pattern,) = re.findall("^failregex = (.*)$", text, re.MULTILINE)
    pattern = pattern.replace("<SUBNET>", r"(\S+)")
    for status in (200, 302, 401, 403, 405, 423, 429, 503):
        line = f"campus {tag}[7]: 203.0.113.7 {status}"
        assert bool(re.search(pattern, line)) == (status in (401, 403, 429)), status
    assert not re.search(pattern, f"campus other[7]: {tag}: 203.0.113.7 401")
    log = written(host, "/log/brute_force.conf" if server == "nginx" else "-brute_force.conf")
    if server == "nginx":
        assert f"tag={tag}," in log
        # PHP has tried the password by then.
        text = written(host, "/login.conf")
        assert all(f"\n{name}_ignore_client_abort on;" in text for name in ("fastcgi", "proxy"))
    else:  # others may set this variable, but to no other client's address
        assert (
            f"logger -t {tag} " in log
            and f'"expr=\\\n-n %{{HANDLER}} && (%{{reqenv:{tag}}} == %{{REMOTE_ADDR}}\\\n ||' in log
        )


INHERITED = "access_log /var/log/nginx/access.log; access_log /x.log combined;"
GOES_ON = ["/var/log/nginx/access.log", "/x.log combined"]


@pytest.mark.parametrize(
    ("http", "own", "vhost", "expected"),
    [
        ("", "", "include", []),
        (INHERITED, "", "include", GOES_ON),
        (INHERITED, "", "auto", GOES_ON),
        (INHERITED, "access_log /own.log;", "include", []),
        (INHERITED, "", "managed", []),  # it has one in itself
        ("access_log off;", "", "include", []),  # beside another one it would turn that off, too
    ],
)
def test_a_log_of_all_sites_goes_on(host: Any, http: str, own: str, vhost: str, expected: list[str]) -> None:
    """With a log of its own a server block inherits none."""
    nginx_of(host, http, own)
    text = written(host, "/log/brute_force.conf", chamilo_https_vhost=vhost)
    assert re.findall(r"^access_log (?!syslog)(.*);$", text, re.MULTILINE) == expected


def test_a_virtual_host_that_logs_nothing_is_refused(host: Any) -> None:
    """Its line would turn ours off, and nobody would be banned."""
    nginx_of(host, INHERITED, "access_log off;")
    with pytest.raises(AnsibleError, match=r"access_log is off .*campus\.conf line 1.* or waive brute_force_fail2ban"):
        planned(host, "brute_force", chamilo_https_vhost="include")


def nginx_of(host: Any, http: str, own: str) -> None:
    host.install("nginx")
    host.chamilo()
    host.write("/etc/nginx/nginx.conf", f"http {{ {http} include /etc/nginx/sites-enabled/*; }}")
    root = "root /var/www/chamilo/public;"
    host.site("nginx", f"server {{ listen 80; server_name campus.test; {root} {own} }}\n")


def test_friends_of_ipv6_are_networks(host: Any) -> None:
    served(host, "nginx")
    friends = ["2001:db8::7", "2001:db8:1::/48", "203.0.113.7"]
    files = planned(host, "brute_force", chamilo_friends=friends)["jail"]["files"]
    (jail,) = [str(file["content"]) for file in files if "/jail.d/" in file["path"]]
    assert "ignoreip = 127.0.0.0/8 ::1 2001:db8::/64 2001:db8:1::/48 203.0.113.7\n" in jail


@pytest.mark.parametrize(
    ("nodes", "burst", "rate"), [(1, "burst=40 delay=4;", 40), (2, "delay=2;", 20), (5, "burst=40;", 20)]
)
def test_the_nodes_of_a_portal_share_how_many_guesses_go_on(host, nodes, burst, rate):
    names = ["campus.test", *(f"web{number}" for number in range(1, nodes))]
    beside = {
        "groups": {"all": names, "chamilo": names},
        "hostvars": {name: {"chamilo_domain": "campus.test"} for name in names[1:]},
        "chamilo_leader": "campus.test",
    }
    served(host, "nginx")
    web = "".join(str(file["content"]) for file in planned(host, "brute_force", **beside)["web"]["files"])
    assert burst in web and f"rate={rate}r/m" in web


def portal(host: Any, log: str = "/var/log/nginx/campus.log", **changes: Any) -> dict[str, Any]:
    """What discovery knows of a host on which nothing is missing."""
    host.install("nginx")
    host.chamilo()
    host.site("nginx", f"server {{ server_name campus.test; access_log {log}; }}\n")
    return discovered(host, fail2ban=True, **changes)


WAIVED = waived("brute_force_fail2ban")


@pytest.mark.parametrize(
    ("lock", "given"), [(10, {}), (8, {"chamilo_brute_force_attempts": 3}), (5, {"chamilo_waivers": WAIVED})]
)
def test_an_address_is_banned_before_it_can_lock_an_account(host, lock, given):
    found = planned(host, "brute_force", __chamilo_common_info={"site": portal(host)}, **given)
    assert found["settings"]["settings"]["security.login_max_attempt_before_blocking_account"] == lock


@pytest.mark.parametrize(("nodes", "banned_after"), [(1, 8), (2, 4), (3, 3), (5, 2), (9, 1)])
def test_the_nodes_of_a_portal_share_the_attempts_that_it_allows(host, nodes, banned_after):
    """Each counts what the load balancer sends to it; the lock of the account is the portal's."""
    names = ["campus.test", *(f"web{number}" for number in range(1, nodes))]
    beside = {
        "groups": {"all": names, "chamilo": names},
        "hostvars": {name: {"chamilo_domain": "campus.test"} for name in names[1:]},
        "chamilo_leader": "campus.test",
    }
    found = planned(host, "brute_force", __chamilo_common_info={"site": portal(host)}, **beside)
    (jail,) = [file for file in found["jail"]["files"] if "/jail.d/" in file["path"]]
    assert f"maxretry = {banned_after}\n" in jail["content"]
    assert found["settings"]["settings"]["security.login_max_attempt_before_blocking_account"] == 10


@pytest.mark.parametrize(
    ("version", "used", "off"),
    [
        ("3.0.2", [], {"mcp_enabled", "oauth_server_enabled", "external_api_enabled"}),
        ("3.1.0", ["mcp", "oauth"], {"external_api_enabled"}),
        ("2.0.4", [], set()),
        ("", [], set()),
    ],
)
def test_interfaces_that_are_not_declared_are_turned_off_where_there_are_any(host, version, used, off):
    info = {"site": portal(host, version=version)}
    found = planned(host, "brute_force", __chamilo_common_info=info, chamilo_brute_force_interfaces=used)
    values = found["settings"]["settings"]
    assert {name for name, value in values.items() if value is False} == {f"security.{name}" for name in off}
    assert not any(f"security.{name}_enabled" in values for name in used)


def test_a_jail_is_not_armed_where_only_a_proxy_visits(host):
    found = {"site": portal(host), "recurring": {"proxies": ["10.0.0.5"]}}
    plan = planned(host, "brute_force", __chamilo_common_info=found)
    assert plan["proxies"] == ["10.0.0.5"]
    # The section https, in the same play, has the web server see who is behind it.
    given = {"chamilo_trusted_proxies": ["10.0.0.5"], "__chamilo_https_vhost": {}}
    assert planned(host, "brute_force", __chamilo_common_info=found, **given)["proxies"] == []
