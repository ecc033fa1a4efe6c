# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a failed login, who is banned for it, and when a host has to be asked at all."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any

import pytest
from ansible.errors import AnsibleError

from tests.tools.plans import discovered, planned, waived


def served(host: Any, server: str) -> None:
    """A portal with a virtual host."""
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")


def logs(host: Any) -> list[str]:
    """What the jail reads."""
    (jail,) = [file for file in planned(host, "brute_force")["jail"]["files"] if "/jail.d/" in file["path"]]
    (found,) = re.findall(r"^logpath = ((?:\S+\s+)*?)usedns", jail["content"], re.MULTILINE)
    return found.split()


def drop_in(host: Any, **given: Any) -> str:
    return str(planned(host, "brute_force", **given)["web"]["files"][0]["content"])


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /login_json HTTP/1.1",
        "POST /login_json#x HTTP/1.1",  # Symfony leaves out what stands behind it
        "POST /api/authentication_token?a#b HTTP/2.0",
        "POST /%6cogin_json#b HTTP/2.0",
        "POST HTTPS://campus.test/login_json HTTP/1.1",
        "post /login_json HTTP/1.1",  # Apache hands it on, and Symfony makes it POST
        "POST /index.phplogin_json HTTP/1.1",  # some releases of Symfony put the slash in
        "POST /main/auth/lostPassword.php/login_json HTTP/1.1",
        "POST /a/../certificates/index.php/login/ldap/check HTTP/1.1",
        "POST /%69ndex.php/login%2Fldap%2fcheck HTTP/1.1",
        "POST /%6C%6f%67%69%6E%5f%6A%73%6f%6e HTTP/1.1",
        "POST /oauth/token HTTP/1.1",
        "POST /index.php/oauth/register?x HTTP/2.0",
    ],
)
def test_a_failed_login_counts_in_whatever_form_it_is_asked_for(host, request_line):
    served(host, "nginx")
    patterns = planned(host, "brute_force")["filter"]["failregex"]
    # fail2ban has taken the date out.
    line = f'203.0.113.7 - - [] "{request_line}" 401 43 "-" "-"'
    assert any(re.search(pattern.replace("<ADDR>", r"(\S+)"), line) for pattern in patterns)


@pytest.mark.parametrize(
    "path",
    [
        "/%2egit",
        "/x%2flogin_json",
        "/login_json%2f",
        "/.git/%78.phplogin_json",
    ],
)
def test_no_other_escaped_path_counts_as_a_login(host, path):
    """Any web page can have its reader's browser ask for one that is refused."""
    served(host, "nginx")
    patterns = planned(host, "brute_force")["filter"]["failregex"]
    line = f'203.0.113.7 - - [] "POST {path} HTTP/1.1" 403 43 "-" "-"'
    assert not any(re.search(pattern.replace("<ADDR>", r"(\S+)"), line) for pattern in patterns)


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /" + "a.php/" * 1300 + " HTTP/1.1",
        "POST /" + "%2ephp%2f" * 900 + " HTTP/1.1",
        "POST /" + "%6c" * 2600 + " HTTP/1.1",
        "POST /" + "index.php" * 900 + "%",
    ],
)
def test_a_long_path_takes_the_filter_no_time(host, request_line):
    served(host, "nginx")
    patterns = planned(host, "brute_force")["filter"]["failregex"]
    compiled = [re.compile(pattern.replace("<ADDR>", r"(\S+)")) for pattern in patterns]
    began = time.process_time()
    assert not any(each.search(f'203.0.113.7 - - [] "{request_line}" 401 43 "-" "-"') for each in compiled)
    assert time.process_time() - began < 0.01


def refused_logins(host: Any, server: str) -> str:
    """What the web server refuses of the login paths, as an expression."""
    served(host, server)
    text = drop_in(host)
    rule = r'if \(\$uri ~ "(.*)"\) {\s+return 403;' if server == "nginx" else r'RewriteRule "(.*)" - \[F\]'
    (found,) = re.findall(rule, text)
    return str(found)


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/main/auth/lostPassword.php/login_json", True),
        ("/courses.php/api/authentication_token", True),
        ("//main/auth/lostPassword.php/login_json", True),  # where its owner has nginx keep both slashes
        ("/login_json", False),
        ("/index.php/login_json", False),
        ("/main/auth/lostPassword.php", False),
        ("/main/auth/lostPassword.php/LOGIN_JSON", False),  # another path to Symfony
        ("/main/auth/lostPassword.php/x/login_json", False),
    ],
)
def test_a_login_behind_an_older_script_is_refused(host, server, path, refused):
    """The kernel that handles its request finds this path behind the script's name, and tries the password."""
    assert bool(re.search(refused_logins(host, server), path)) == refused


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/login_json", True),
        ("/index.php/login_json", True),
        ("/main/auth/lostPassword.php/login_json", True),
        ("/courses.php/api/authentication_token", True),
        ("/.git\n.php/login_json", True),
        ("/api/authentication_token", False),  # an app in a web view
        ("/login", False),
        ("/main/auth/lostPassword.php", False),
    ],
)
def test_a_page_of_another_site_can_not_fail_to_log_in(host, server, path, refused):
    served(host, server)
    text = drop_in(host)
    rule = (
        r'if \(\$uri ~ "(.*)"\) {\s+set \$chamilo_login \$http_sec_fetch_site;'
        if server == "nginx"
        else r'RewriteCond %{HTTP:Sec-Fetch-Site} =cross-site \[NV\]\s+RewriteRule "(.*)" - \[R=400,L\]'
    )
    (found,) = re.findall(rule, text)
    assert bool(re.search(found, path)) == refused


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_where_no_captcha_asks_guesses_wait_and_nowhere_else(host, server):
    """A class that logs in at once behind one address does so on the page."""
    served(host, server)
    plan = planned(host, "brute_force")
    drop_in, pace = (str(file["content"]) for file in plan["web"]["files"][:2])
    rules = r'if \(\$uri ~ "([^"]*)"\) {\s+set \S+_(?:guesses|escaped) '
    open_, page = re.findall(rules if server == "nginx" else r'RewriteRule "(\^[^"]*\$)" - \[R=503,L\]', drop_in)[:2]
    for path, unasked, escaped in (
        ("/api/authentication_token", True, False),
        ("/oauth/token", True, False),
        ("/index.php/api/authentication_token", True, False),
        ("/login_json", False, True),
        ("/index.php/login/ldap/check", False, True),
        ("/api/authentication_token/x", False, False),
        ("/login", False, False),
    ):
        assert (bool(re.search(open_, path)), bool(re.search(page, path))) == (unasked, escaped), path
    # The application decodes what is escaped, but has no CAPTCHA for it.
    found = re.findall(r'(?:_escaped ~|THE_REQUEST}) "(.*)"', drop_in)
    line = "{}" if server == "nginx" else "POST {} HTTP/1.1"
    for path, hidden in (("/%6cogin_json", True), ("/login_json", False), ("/login_json?x=%41", False)):
        assert [bool(re.search(each, line.format(path))) for each in found] == [hidden], path
    limits = [str(file["content"]) for file in plan["web"]["files"] if "/limit/" in file["path"]]
    assert ("rate=60r/m" in pace and "burst=4 " in limits[0]) if server == "nginx" else "AT_ONCE = 5\n" in pace


@pytest.mark.parametrize(("nodes", "burst", "rate"), [(2, "burst=2 ", 30), (5, "guesses nodelay", 12)])
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


def test_the_program_that_apache_asks_counts_by_address(host, tmp_path):
    served(host, "apache")
    (pace,) = [file for file in planned(host, "brute_force")["web"]["files"] if file["path"].endswith("-pace")]
    assert pace["mode"] == "0755"
    program = tmp_path / "pace"
    program.write_text(pace["content"])
    asked = ["192.0.2.1"] * 50 + ["192.0.2.2"]
    answers = subprocess.run(
        [sys.executable, "-IS", program], input="\n".join(asked) + "\n", capture_output=True, text=True, check=True
    ).stdout.split()
    assert answers[:5] == ["go"] * 5 and answers[6:50] == ["wait"] * 44 and answers[50] == "go"


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_what_the_web_server_answers_to_the_banned_counts_no_further(host, server):
    """Else each try during a ban would make it longer, and the first after it could be one too many."""
    served(host, server)
    text = drop_in(host, chamilo_trusted_proxies=["192.0.2.9"])
    rule = r"if \(-f \S+\) {\s+return (\d+);" if server == "nginx" else r"RewriteRule \^ - \[R=(\d+),L\]"
    (status,) = re.findall(rule, text)
    assert not re.findall(rule, drop_in(host)), "without a proxy the firewall does it"
    patterns = planned(host, "brute_force")["filter"]["failregex"]
    line = f'203.0.113.7 - - [] "POST /login_json HTTP/1.1" {status} 0 "-" "-"'
    assert not any(re.search(pattern.replace("<ADDR>", r"(\S+)"), line) for pattern in patterns)
    assert any(
        f'POST /login_json HTTP/1.1" {status} ' in one
        for one in planned(host, "brute_force")["filter"]["samples"]["no_match"]
    )


@pytest.mark.parametrize(
    ("form", "armed"),
    [
        ("", True),
        (r'LogFormat "%a %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined', True),
        # As it is advised for behind a proxy: the visitor writes the first field himself.
        (r'LogFormat "%{X-Forwarded-For}i %l %u %t \"%r\" %>s %b" combined', False),
    ],
)
def test_no_client_is_banned_by_a_field_that_visitors_write(host, form, armed):
    host.install("apache")
    host.chamilo()
    log = "CustomLog /var/log/apache2/campus.log combined"
    host.site("apache", f"{form}\n<VirtualHost *:80>\nServerName campus.test\n{log}\n</VirtualHost>\n")
    if armed:
        assert logs(host) == ["/var/log/apache2/campus.log"]
    else:
        with pytest.raises(
            AnsibleError, match=r"campus\.conf line 2, which writes .*\{X-Forwarded-For\}.*\).* or waive"
        ):
            logs(host)


@pytest.mark.parametrize(
    ("name", "armed"), [("", True), ("combined", True), ("common", False), ("vhost_combined", False)]
)
def test_a_name_that_nginx_takes_for_whatever_arms_nothing(host, name, armed):
    host.install("nginx")
    host.chamilo()
    log = f"access_log /var/log/nginx/campus.log {name};"
    host.site(
        "nginx", f"log_format vhost_combined '$http_x_forwarded_for';\nserver {{ server_name campus.test; {log} }}\n"
    )
    if armed:
        assert logs(host) == ["/var/log/nginx/campus.log"]
    else:
        with pytest.raises(AnsibleError, match="or waive brute_force_fail2ban"):
            logs(host)


def portal(host: Any, log: str = "/var/log/nginx/campus.log", **changes: Any) -> dict[str, Any]:
    """What discovery knows of a host on which nothing is missing."""
    host.install("nginx")
    host.chamilo()
    host.site("nginx", f"server {{ server_name campus.test; access_log {log}; }}\n")
    return discovered(host, fail2ban=True, **changes)


WAIVED = waived("brute_force_fail2ban")


def test_the_filter_that_is_written_is_the_one_that_is_proved(host):
    given = planned(host, "brute_force", __chamilo_common_info={"site": portal(host)})
    (written,) = [file for file in given["jail"]["files"] if "/filter.d/" in file["path"]]
    assert [f"    {one}".replace("%", "%%") in written["content"] for one in given["filter"]["failregex"][1:]] == [True]
    assert written["path"].endswith(f"/{given['filter']['name']}.conf")


@pytest.mark.parametrize(
    ("lock", "given"), [(10, {}), (8, {"chamilo_brute_force_attempts": 3}), (5, {"chamilo_waivers": WAIVED})]
)
def test_an_address_is_banned_before_it_can_lock_an_account(host, lock, given):
    found = planned(host, "brute_force", __chamilo_common_info={"site": portal(host)}, **given)
    assert found["settings"]["settings"]["security.login_max_attempt_before_blocking_account"] == lock


@pytest.mark.parametrize(("nodes", "banned_after"), [(1, 5), (2, 3), (3, 2), (5, 1), (9, 1)])
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


def test_logs_that_php_can_write_are_rotated_by_their_own_rotation(host):
    exposed = {"/b.log": "/etc/logrotate.d/00", "/none.log": "", "/a.log": "/etc/logrotate.d/00"}
    found = planned(host, "brute_force", __chamilo_common_info={"site": portal(host, exposed_logs=exposed)})
    ((*_shell, file, first, second),) = found["rotate"]
    assert (file, first, second) == ("/etc/logrotate.d/00", "/b.log", "/a.log")


def test_the_ban_outlives_a_new_action_behind_a_proxy(host):
    info = {"site": portal(host)}
    assert planned(host, "brute_force", __chamilo_common_info=info)["jail"]["load"] == {"service": "fail2ban"}
    behind = planned(host, "brute_force", __chamilo_common_info=info, chamilo_trusted_proxies=["192.0.2.9"])
    assert behind["jail"]["load"]["action"] == "restart"
    assert behind["filter"]["proxies"] == ["192.0.2.9"]
    reported = {"chamilo_trusted_proxies": ["192.0.2.9"], "__chamilo_https_vhost": {}}
    assert planned(host, "brute_force", __chamilo_common_info=info, **reported)["filter"]["proxies"] == []


ALIAS = {
    "nginx": "server {{ listen 80; server_name library.test; root {root}; access_log {log} combined; }}\n",
    "apache": "<VirtualHost *:80>\nServerName library.test\nDocumentRoot {root}\nCustomLog {log} vhost_combined\n"
    "</VirtualHost>\n",
}


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_the_jail_reads_the_logs_of_all_names(host: Any, server: str) -> None:
    served(host, server)
    before = logs(host)
    log = f"/var/log/{'nginx' if server == 'nginx' else 'apache2'}/library.log"
    host.site(server, ALIAS[server].format(root="/var/www/chamilo/public", log=log), "library.conf")
    assert logs(host) == [*before, log]
    host.site(
        server, ALIAS[server].format(root="/var/www/shop", log="/srv/shop.log").replace("library", "shop"), "shop.conf"
    )
    assert logs(host) == [*before, log], "another site's log is none of the portal's"
    if server == "apache":
        patterns = planned(host, "brute_force")["filter"]["failregex"]
        for name, counts in (
            ("library.test", True),
            ("campus.test", True),
            ("shop.test", False),
            ("forged.test", False),
        ):
            line = f'{name}:80 203.0.113.7 - - [] "POST /login_json HTTP/1.1" 401 43 "-" "-"'
            assert any(re.search(each.replace("<ADDR>", r"[\d.]+"), line) for each in patterns) is counts, name
