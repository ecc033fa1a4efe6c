"""Access rules of a portal, in .htaccess files or its virtual host: what they close stays closed, whatever hardens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hosts.hardening import PROGRAM, QUIET, Playbook, include_line, paste
from tests.playbook import PlayError
from tests.testbed.hosts import Host

PUBLIC = "/var/www/chamilo/public"
PASSWORD = """
AuthType Basic
AuthName "Pilot"
AuthUserFile /etc/apache2/pilot.htpasswd
Require valid-user
"""
FORUM = "RewriteEngine On\nRewriteRule ^old$ /img/ [R=302,L]\nSatisfy Any\nRequire all granted\n"
UNBOUND = {"chamilo_https_hsts": "off"}  # what was bound to https could not be led back
VIRTUAL_HOST = "/etc/apache2/sites-available/chamilo.conf"
# Asked for before and after: the directory with a rule of its own, and pages that need the password.
CLOSED = {
    "htaccess": {"/reports/list.txt": 403, "/main/index.php": 401, "/": 401},
    "virtual host": {"/reports/list.txt": 401, "/main/index.php": 401, "/": 401},
}


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,headers,uploads")


def closed(host: Host) -> dict[str, int]:
    """How each of them is answered, over https where it is spoken."""
    found = {}
    for path in CLOSED["htaccess"]:
        answer = host.http(path)
        found[path] = (host.http(f"https://{host.domain}{path}") if answer.status == 301 else answer).status
    return found


@pytest.mark.cells("trixie-apache")
@pytest.mark.parametrize("place", ["htaccess", pytest.param("virtual host", marks=pytest.mark.long)])
def test_what_is_closed_stays_closed(fresh: Host, playbook: Playbook, place: str) -> None:
    fresh.run(f"install -d {PUBLIC}/reports {PUBLIC}/forum && echo rows >{PUBLIC}/reports/list.txt")
    fresh.put(f"{PUBLIC}/reports/.htaccess", "Require ip 192.0.2.7\n")
    fresh.put(f"{PUBLIC}/forum/.htaccess", FORUM)
    if place == "htaccess":
        fresh.run(f"cat >>{PUBLIC}/.htaccess <<'END'\n{PASSWORD}END\n")
    else:
        text = fresh.get(VIRTUAL_HOST)
        fresh.put(VIRTUAL_HOST, text.replace("</VirtualHost>", f'<Location "/">{PASSWORD}</Location>\n</VirtualHost>'))
        fresh.run("systemctl reload apache2")
    fresh.put("/etc/apache2/pilot.htpasswd", "pilot:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=\n", "0644")
    assert closed(fresh) == CLOSED[place]
    before, owners = fresh.snapshot(), fresh.get(VIRTUAL_HOST)
    with pytest.raises(PlayError) as refused:
        playbook.harden(fresh, **UNBOUND, chamilo_https_vhost="managed")
    message = " ".join(str(refused.value).split())
    assert f"has a virtual host of its owner's: {VIRTUAL_HOST} line" in message
    assert not before.changes(fresh.snapshot(), [*QUIET, *PROGRAM]), "nothing of the web server was changed"
    assert closed(fresh) == CLOSED[place]
    # The owner's virtual host stays, and with it all that it obeys.
    playbook.harden(fresh, **UNBOUND)
    assert closed(fresh) == CLOSED[place]
    assert playbook.harden(fresh, **UNBOUND) == 0
    page = fresh.http(f"https://{fresh.domain}/main/index.php")
    assert page.values("X-Frame-Options") == ["SAMEORIGIN"]
    if place == "htaccess":
        assert fresh.http(f"https://{fresh.domain}/forum/old").value("Location").endswith("/img/")
    # What an attacker drops elsewhere has no effect all the same.
    fresh.put(f"{PUBLIC}/img/.htaccess", "Redirect 402 /img/\n")
    assert fresh.http(f"https://{fresh.domain}/img/").status != 402
    assert playbook.harden(fresh, **UNBOUND) == 0
    absent = dict.fromkeys(("chamilo_https_state", "chamilo_headers_state", "chamilo_uploads_state"), "absent")
    playbook.harden(fresh, **UNBOUND, **absent)
    assert fresh.get(VIRTUAL_HOST) == owners
    assert closed(fresh) == CLOSED[place]
    # Nor does a line of the owner's open it that includes ours.
    paste(fresh, include_line(fresh))
    fresh.run("systemctl reload apache2")
    playbook.harden(fresh, **UNBOUND, chamilo_https_vhost="include")
    assert closed(fresh) == CLOSED[place]
    assert fresh.http("/main/index.php").values("X-Frame-Options") == ["SAMEORIGIN"]


@pytest.mark.long
@pytest.mark.cells("trixie-nginx")
def test_what_auth_basic_closes_stays_closed(fresh: Host, playbook: Playbook) -> None:
    """The whole portal by a password, one directory by addresses as well; in place, and by the line of its owner."""
    file = "/etc/nginx/sites-available/chamilo"
    fresh.put("/etc/nginx/pilot.htpasswd", "pilot:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=\n", "0644")
    rules = 'auth_basic "Pilot";\n    auth_basic_user_file pilot.htpasswd;\n    location ^~ /reports/ { deny all; }\n'
    fresh.run(f"install -d {PUBLIC}/reports && echo rows >{PUBLIC}/reports/list.txt")
    owners = re.sub(r"(server_name [^;]*;\n)", rf"\1    {rules}", fresh.get(file))
    fresh.put(file, owners)
    fresh.run("systemctl restart nginx")  # after a reload, a worker of before may answer for a moment
    expected = {"/reports/list.txt": 403, "/main/index.php": 401, "/": 401}
    assert closed(fresh) == expected
    before = fresh.snapshot()
    with pytest.raises(PlayError) as refused:
        playbook.harden(fresh, **UNBOUND, chamilo_https_vhost="managed")
    message = " ".join(str(refused.value).split())
    assert f"has a virtual host of its owner's: {file} line" in message
    assert not before.changes(fresh.snapshot(), [*QUIET, *PROGRAM]), "nothing of the web server was changed"
    playbook.harden(fresh, **UNBOUND)
    assert closed(fresh) == expected
    assert fresh.http(f"https://{fresh.domain}/main/index.php").values("X-Frame-Options") == ["SAMEORIGIN"]
    assert playbook.harden(fresh, **UNBOUND) == 0
    absent = dict.fromkeys(("chamilo_https_state", "chamilo_headers_state", "chamilo_uploads_state"), "absent")
    playbook.harden(fresh, **UNBOUND, **absent)
    assert fresh.get(file) == owners and closed(fresh) == expected
    paste(fresh, include_line(fresh))
    fresh.run("systemctl reload nginx")
    playbook.harden(fresh, **UNBOUND, chamilo_https_vhost="include")
    assert closed(fresh) == expected
    assert fresh.http("/main/index.php").values("X-Frame-Options") == ["SAMEORIGIN"]
