# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles of the web server make of a host: values and files."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from tests.testbed import authority

ROLES = Path(__file__).resolve().parents[3] / "roles"


def trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: trusted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def made(host: Any, role: str, expression: str, **given: Any) -> Any:
    """An expression as the role sees it on this host."""
    variables: dict[str, Any] = {"inventory_hostname": "campus.test", "ansible_search_path": [str(ROLES / role)]}
    for name in dict.fromkeys(("common", "https", role)):
        for part in ("defaults", "vars"):
            variables |= trusted(yaml.safe_load((ROLES / name / part / "main.yml").read_text(encoding="utf-8")))
    # As it comes from the host.
    found = json.loads(json.dumps(asdict(discover("campus.test", site="campus_test", tree=host.tree))))
    variables |= {"__chamilo_common_info": {"site": found}, "_chamilo_https_policy": True, "ansible_play_hosts_all": []}
    return Templar(DataLoader(), variables=variables | {"hostvars": {}} | given).template(
        trust_as_template(expression), escape_backslashes=False
    )


def rendered(host: Any, role: str, template: str, **given: Any) -> str:
    return str(made(host, role, (ROLES / role / "templates" / template).read_text(encoding="utf-8"), **given))


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /login_json HTTP/1.1",
        "POST /login_json#x HTTP/1.1",  # Symfony leaves out what stands behind it
        "POST /api/authentication_token?a#b HTTP/2.0",
        "POST /%6cogin_json#b HTTP/2.0",
        "POST  /login_json   HTTP/1.1",  # nginx takes any number of spaces
        "POST HTTPS://campus.test/login_json HTTP/1.1",
        "POST x-y://campus.test/login_json HTTP/1.1",  # and any scheme
        "post /login_json HTTP/1.1",  # Apache hands it on, and Symfony makes it POST
        "POST /index.php/login_json HTTP/1.1",
        "POST /index.phplogin_json HTTP/1.1",  # some releases of Symfony put the slash in
        "POST /main/auth/lostPassword.php/login_json HTTP/1.1",
        "POST //courses.php/api/authentication_token?x HTTP/2.0",
        "POST /a/../certificates/index.php/login/ldap/check HTTP/1.1",
        "POST /%69ndex.php/login%2Fldap%2fcheck HTTP/1.1",
        "POST /%6C%6f%67%69%6E%5f%6A%73%6f%6e HTTP/1.1",
        "POST /courses%2ephp%2fapi/authentication%5Ftoken HTTP/1.1",
    ],
)
def test_a_failed_login_counts_in_whatever_form_it_is_asked_for(host, request_line):
    host.install("nginx")
    host.chamilo()
    patterns = made(host, "brute_force", "{{ _chamilo_brute_force_failregex }}")
    # fail2ban has taken the date out.
    line = f'203.0.113.7 - - [] "{request_line}" 401 43 "-" "-"'
    assert any(re.search(pattern.replace("<ADDR>", r"(\S+)"), line) for pattern in patterns)


@pytest.mark.parametrize(
    "path",
    [
        "/%2egit",
        "/%6dain/install/",
        "/%6cogin",
        "/x%2flogin_json",
        "/%4cogin_json",
        "/login_json%2f",
        "/.git/%78.phplogin_json",
        "/%c3%a9/login_json",
    ],
)
def test_no_other_escaped_path_counts_as_a_login(host, path):
    """Any web page can have its reader's browser ask for one that is refused."""
    host.install("nginx")
    host.chamilo()
    patterns = made(host, "brute_force", "{{ _chamilo_brute_force_failregex }}")
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
    host.install("nginx")
    host.chamilo()
    patterns = made(host, "brute_force", "{{ _chamilo_brute_force_failregex }}")
    compiled = [re.compile(pattern.replace("<ADDR>", r"(\S+)")) for pattern in patterns]
    began = time.process_time()
    assert not any(each.search(f'203.0.113.7 - - [] "{request_line}" 401 43 "-" "-"') for each in compiled)
    assert time.process_time() - began < 0.01


SHUTS_OUT = {"_chamilo_brute_force_shuts_out": True}  # by a filter that is not there without Ansible's loader


def refused_logins(host: Any, server: str) -> str:
    """What the web server refuses of the login paths, as an expression."""
    host.install(server)
    host.chamilo()
    text = rendered(host, "brute_force", f"{server}/brute_force.conf.j2", **SHUTS_OUT)
    rule = r'if \(\$uri ~ "(.*)"\) {\s+return 403;' if server == "nginx" else r'RewriteRule "(.*)" - \[F\]'
    (found,) = re.findall(rule, text)
    return str(found)


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/main/auth/lostPassword.php/login_json", True),
        ("/courses.php/api/authentication_token", True),
        ("/certificates/index.php/login/ldap/check", True),
        ("//main/auth/lostPassword.php/login_json", True),  # where its owner has nginx keep both slashes
        ("/login_json", False),
        ("/index.php/login_json", False),
        ("/main/auth/lostPassword.php", False),
        ("/main/auth/lostPassword.php/login", False),
        ("/main/auth/lostPassword.php/LOGIN_JSON", False),  # another path to Symfony
        ("/main/auth/lostPassword.php/x/login_json", False),
        ("/courses.php/login/ldap/check/", False),
        ("/r/document/x.php.txt/login_json", False),
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
        ("/login/ldap/check", True),
        ("/index.php/login_json", True),
        ("/index.phplogin_json", True),
        ("/main/auth/lostPassword.php/login_json", True),
        ("/courses.php/api/authentication_token", True),
        ("/.git\n.php/login_json", True),
        ("/api/authentication_token", False),  # an app in a web view
        ("/index.php/api/authentication_token", False),
        ("/login", False),
        ("/login_json/x", False),
        ("/main/auth/lostPassword.php", False),
    ],
)
def test_a_page_of_another_site_can_not_fail_to_log_in(host, server, path, refused):
    host.install(server)
    host.chamilo()
    text = rendered(host, "brute_force", f"{server}/brute_force.conf.j2", **SHUTS_OUT)
    rule = (
        r'if \(\$uri ~ "(.*)"\) {\s+set \$chamilo_login \$http_sec_fetch_site;'
        if server == "nginx"
        else r'RewriteCond %{HTTP:Sec-Fetch-Site} =cross-site \[NV\]\s+RewriteRule "(.*)" - \[R=400,L\]'
    )
    (found,) = re.findall(rule, text)
    assert bool(re.search(found, path)) == refused


def test_apache_may_hand_on_an_escaped_slash(host):
    """With AllowEncodedSlashes NoDecode. Symfony takes it for a slash."""
    assert re.search(refused_logins(host, "apache"), "/courses.php/login%2Fldap%2fcheck")


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_what_the_web_server_answers_to_the_banned_counts_no_further(host, server):
    """Else each try during a ban would make it longer, and the first after it could be one too many."""
    host.install(server)
    host.chamilo()
    template = f"{server}/brute_force.conf.j2"
    text = rendered(host, "brute_force", template, chamilo_trusted_proxies=["192.0.2.9"], **SHUTS_OUT)
    rule = r"if \(-f \S+\) {\s+return (\d+);" if server == "nginx" else r"RewriteRule \^ - \[R=(\d+),L\]"
    (status,) = re.findall(rule, text)
    assert not re.findall(rule, rendered(host, "brute_force", template, **SHUTS_OUT)), (
        "without a proxy the firewall does it"
    )
    patterns = made(host, "brute_force", "{{ _chamilo_brute_force_failregex }}")
    line = f'203.0.113.7 - - [] "POST /login_json HTTP/1.1" {status} 0 "-" "-"'
    assert not any(re.search(pattern.replace("<ADDR>", r"(\S+)"), line) for pattern in patterns)
    assert any(f'POST /login_json HTTP/1.1" {status} ' in one for one in proved(host)["no_match"])


@pytest.mark.parametrize(
    ("form", "armed"),
    [
        ("", True),
        (r'LogFormat "%a %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" combined', True),
        # As it is advised for behind a proxy: whoever visits writes the first field himself.
        (r'LogFormat "%{X-Forwarded-For}i %l %u %t \"%r\" %>s %b" combined', False),
    ],
)
def test_nobody_is_shut_out_by_a_field_that_visitors_write(host, form, armed):
    host.install("apache")
    host.chamilo()
    log = "CustomLog /var/log/apache2/campus.log combined"
    host.site("apache", f"{form}\n<VirtualHost *:80>\nServerName campus.test\n{log}\n</VirtualHost>\n")
    if armed:
        assert made(host, "brute_force", "{{ _chamilo_brute_force_logs }}") == ["/var/log/apache2/campus.log"]
    else:
        with pytest.raises(
            AnsibleError, match=r"campus\.conf line 2, which writes .*\{X-Forwarded-For\}.*\).* or waive"
        ):
            made(host, "brute_force", "{{ _chamilo_brute_force_logs }}")


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
        assert made(host, "brute_force", "{{ _chamilo_brute_force_logs }}") == ["/var/log/nginx/campus.log"]
    else:
        with pytest.raises(AnsibleError, match="or waive brute_force_fail2ban"):
            made(host, "brute_force", "{{ _chamilo_brute_force_logs }}")


def proved(host: Any) -> Any:
    return yaml.safe_load(rendered(host, "brute_force", "samples.yml.j2"))


@pytest.mark.parametrize("handler", ["null", "'redis://10.0.0.5'"])
def test_cookies_are_dropped_only_where_php_keeps_the_sessions(host, handler):
    host.install("nginx")
    host.chamilo()
    host.write("/var/www/chamilo/config/packages/framework.yaml", f"framework:\n session:\n  handler_id: {handler}\n")
    host.write("/etc/php/8.4/fpm/php.ini")
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock\n")
    given = {"_chamilo_sessions_idle": False, "_chamilo_sessions_strict": True}
    found = made(host, "sessions", "{{ _chamilo_sessions_php_files | map(attribute='path') }}", **given)
    parts = [path for path in found if path.startswith("/usr/local/share/chamilo-hardening/prepend.d/sessions")]
    assert [path.rsplit("/", 1)[1] for path in parts] == ["sessions.php", "sessions-campus_test"] * (handler == "null")
    assert "/etc/php/8.4/fpm/conf.d/91-chamilo-campus_test-sessions.ini" in found


PORTAL = """server {{
{}
server_name campus.test;
root /var/www/chamilo/public;
location / {{ try_files $uri /index.php$is_args$args; }}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; }}
}}
"""
TLS = "ssl_certificate /etc/ssl/c.pem; ssl_certificate_key /etc/ssl/k.pem;"


def on_nginx(host, *lines, **others):
    """A host with the portal, and with other sites by the names of their files."""
    host.install("nginx")
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.site("nginx", PORTAL.format("\n".join(lines)))
    for name, text in others.items():
        host.site("nginx", text, f"{name}.conf")


@pytest.mark.parametrize(
    ("listens", "other", "kept"),
    [
        # Debian's own site is the default of port 80.
        (
            ["listen 80;", "listen [::]:80;", "listen 443 ssl default_server;", "listen [::]:443 ssl;", TLS],
            "server { listen 80 default_server; listen [::]:80 default_server; listen [::]:443 ssl default_server; }",
            ["80", "[::]:80", "443 ssl default_server", "[::]:443 ssl"],
        ),
        (
            ["listen 80 default_server;"],
            f"server {{ listen 443 ssl default_server; server_name shop.test; {TLS} }}",
            ["80 default_server", "443 ssl"],
        ),
    ],
)
def test_the_portal_is_the_default_of_those_addresses_where_it_was(host, listens, other, kept):
    on_nginx(host, *listens, other=other)
    given = {"_chamilo_https_pair": {"certificate": "/c.pem", "certificate_key": "/k.pem"}}
    text = rendered(host, "https", "nginx/vhost.conf.j2", **given)
    assert [each.replace(" http2", "") for each in re.findall(r"listen (.*);", text)] == kept


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("common.inc.js", False),
        ("photo.jpg", False),
        ("common.inc", True),
        ("common.INC", True),
        ("common.php.js", True),
        ("common.phtml", True),
    ],
)
@pytest.mark.parametrize(
    ("server", "rule", "behind"),
    [
        ("nginx", r"location (~\*) (\S+) \{\s+return 403;", "/x"),
        ("apache", r'<FilesMatch "(\(\?i\))(\S+)">\s+SetHandler none', ""),  # it is told the name of the file alone
    ],
    ids=["nginx", "apache"],
)
def test_names_of_programs_are_refused_where_a_server_could_run_them(host, server, rule, behind, name, refused):
    host.install(server)
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.testbed_site(server, "plain")
    nothing = {"certificate": "", "certificate_key": ""}
    found = re.findall(rule, rendered(host, "https", f"{server}/vhost.conf.j2", _chamilo_https_pair=nothing))
    patterns = [pattern for _any_case, pattern in found[-2:]]
    assert patterns
    for asked in {name, name + behind if refused else name}:
        assert {bool(re.search(pattern, asked, re.IGNORECASE)) for pattern in patterns} == {refused}, asked


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("access_log off;", "access_log /var/log/nginx/campus.log;", "/var/log/nginx/campus.log"),
        ("access_log off;", "access_log off;", "off"),
        ("access_log /a.log odd;", "access_log off;", "/a.log odd"),
    ],
)
def test_the_log_of_the_portal_stays_where_only_its_redirect_had_none(host, first, second, kept):
    redirect = f"server {{ listen 80; server_name campus.test; {first} return 301 https://$host$request_uri; }}\n"
    on_nginx(host, "listen 443 ssl;", TLS, second)
    host.site("nginx", redirect, "a-redirect.conf")
    assert made(host, "https", "{{ _chamilo_https_access_log }}") == kept


@pytest.mark.parametrize(
    ("portal", "other", "address"),
    [
        ("listen 80; listen [::]:80;", "listen 8080;", "127.0.0.1"),
        ("listen 80; listen [::]:80;", "listen 127.0.0.1:80; server_name 127.0.0.1;", "192.0.2.7"),
        ("listen 80;", "listen 127.0.0.1:80; listen 192.0.2.7:80;", "192.0.2.8"),
        ("listen [::]:80;", "listen 127.0.0.1:80; listen [::1]:80;", "2001:db8::7"),
        ("listen 192.0.2.7:80;", "listen 127.0.0.1:80;", "192.0.2.7"),
        # Nothing else is known.
        ("listen 80;", "listen 127.0.0.1:80; listen 192.0.2.7:80; listen 192.0.2.8:80;", "127.0.0.1"),
    ],
)
def test_a_probe_knocks_where_the_portal_answers_and_not_a_page_for_the_host_alone(host, portal, other, address):
    on_nginx(host, portal, status=f"server {{ {other} location /status {{ stub_status; }} }}")
    trie = "".join(f"|-- {each}\n /32 host LOCAL\n" for each in ("192.0.2.7", "192.0.2.8"))
    host.write("/proc/net/fib_trie", trie)
    host.write("/proc/net/if_inet6", "20010db8000000000000000000000007 02 40 00 80 eth0\n")
    assert made(host, "headers", "{{ _chamilo_common_probe_address }}") == address


@pytest.mark.parametrize(
    ("server", "template", "served"),
    [
        ("nginx", "nginx/vhost.conf.j2", 'root "/var/www/acme";'),
        (
            "apache",
            "apache/vhost.conf.j2",
            'Alias /.well-known/acme-challenge "/var/www/acme/.well-known/acme-challenge"',
        ),
    ],
)
def test_challenges_are_answered_from_where_certbot_puts_them(host, server, template, served):
    """Until now another virtual host did that on port 80, for all names of the host."""
    host.install(server)
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.testbed_site(server, "plain")
    assert served not in rendered(host, "https", template)
    host.write("/etc/letsencrypt/live/campus.test/fullchain.pem", authority.issue("campus.test", days=60)[0])
    conf = "[renewalparams]\nauthenticator = webroot\nwebroot_path = /var/www/acme,\n"
    host.write("/etc/letsencrypt/renewal/campus.test.conf", conf)
    assert served in rendered(host, "https", template)
