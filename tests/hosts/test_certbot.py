"""Certificates by Certbot from a real authority, Debian's Pebble in the test network, and what must not break them.

Pebble takes the place of Let's Encrypt; the mail of an alert ends in a script in place of the host's sendmail.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import x509
from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import handshake
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import tls_context
from tests.hosts.conftest import RUN, Cell
from tests.hosts.hardening import PROGRAM, QUIET, Playbook, changed, include_line, missing_from_the_portal, paste
from tests.playbook import PlayError
from tests.testbed import acme, hosts
from tests.testbed import authority as testbed_authority
from tests.testbed.acme import Acme
from tests.testbed.hosts import Host

NETWORK = f"{RUN}-acme"
LIVE = "/etc/letsencrypt/live/campus.test"
CONF = "/etc/letsencrypt/renewal/campus.test.conf"
HOOK = "/usr/local/sbin/chamilo-hardening renewed"
CERTBOT = {
    "chamilo_https_certificate": "certbot",
    "chamilo_https_certificate_file": "",
    "chamilo_https_certificate_key_file": "",
    "chamilo_https_acme_directory": acme.DIRECTORY,
    "chamilo_alert_mail": "admin@school.example",
}
APT = "apt-get -q -y --no-install-recommends install"
INSTALL = f"apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive {APT} "
ANY = f"certbot -n --agree-tos --register-unsafely-without-email --server {acme.DIRECTORY}"
ASK = f"{ANY} -d campus.test"
# Names of other people on the same host, in a certificate of two names and in one of its own.
UNRELATED = ("shop.test", "www.shop.test", "library.test")
# Certbot's own run, as its timer starts it, but at once and whatever the date.
RENEW = "certbot renew --force-renewal --no-random-sleep-on-renew"
# Publishes what proves the name, as the program of a DNS provider would.
PUBLISH = """\
#!/usr/bin/python3
import json, os, urllib.request
data = {"host": f"_acme-challenge.{os.environ['CERTBOT_DOMAIN']}.", "value": os.environ["CERTBOT_VALIDATION"]}
urllib.request.urlopen("http://acme.test:8055/set-txt", json.dumps(data).encode(), timeout=10)
"""
IN_THE_DNS = ["--manual", "--preferred-challenges", "dns", "--manual-auth-hook", "/usr/local/sbin/publish"]
# What the owner of a virtual host for Apache writes when he has it speak https.
SECURE = """
<VirtualHost *:443>
    ServerName {domain}
    DocumentRoot /var/www/chamilo/public
    SSLEngine on
    SSLCertificateFile {live}/fullchain.pem
    SSLCertificateKeyFile {live}/privkey.pem
    <Directory /var/www/chamilo/public>
        AllowOverride All
        Require all granted
    </Directory>
</VirtualHost>
"""
# How sysadmins without a mail server see what would have been sent.
SENDMAIL = "#!/bin/sh\ncat >>/var/mail/sent\n"


@pytest.fixture(scope="module")
def authority() -> Iterator[Acme]:
    yield acme.up(NETWORK)
    acme.down(NETWORK)
    hosts.down(NETWORK)


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https")


def known(authority: Acme, host: Host) -> Host:
    """The authority finds the host under its name, as the DNS of the world would."""
    authority.name(host.domain, host.address)
    return host


@pytest.fixture
def sloppy(stage: Callable[..., Host], authority: Acme) -> Host:
    """A host with Certbot, and mail that is kept."""

    def prepare(host: Host) -> None:
        host.run(INSTALL + "certbot")
        host.put("/usr/sbin/sendmail", SENDMAIL, "0755")

    return known(authority, stage("certbot", prepare, network=NETWORK))


@pytest.fixture
def issued(stage: Callable[..., Host], authority: Acme, playbook: Playbook) -> Host:
    """A host that came without a certificate, after harden."""

    def prepare(host: Host) -> None:
        known(authority, host)
        host.put("/usr/sbin/sendmail", SENDMAIL, "0755")
        predicted = playbook.run("harden", host, "--check", **CERTBOT).output
        assert "Install packages" in str(changed(predicted))
        assert changed(predicted) == changed(playbook.run("harden", host, **CERTBOT).output), "it was predicted"

    return known(authority, stage("issued", prepare, network=NETWORK))


def served(host: Host) -> str:
    """The serial of the certificate that visitors get."""
    found = handshake(host.domain, 443, host.address, tls_context(verify=False)).certificate
    return x509.parse(found).serial if found else ""


def in_file(host: Host, path: str = f"{LIVE}/fullchain.pem") -> str:
    return x509.first_of(host.get(path)).serial


def foreign(host: Host) -> str:
    """All that Certbot keeps of the lineages of others: owners, modes, links and contents."""
    directories = [f"{directory}/{name}" for directory in ("archive", "live") for name in ("shop.test", "library.test")]
    where = " ".join([*directories, "renewal/shop.test.conf", "renewal/library.test.conf"])
    listing = f"find {where} -printf '%p %y %m %U:%G %l\\n' | sort && find {where} -type f | sort | xargs sha256sum"
    reported = host.run(f"cd /etc/letsencrypt && {listing}").stdout
    assert reported.count("privkey1.pem") == 6, reported  # the file, the link and the sum of each
    return reported


def mails(host: Host) -> str:
    """What was sent, without the line breaks that mail puts in."""
    return host.run("cat /var/mail/sent", check=False).stdout.replace("=\n", "").replace("\n ", " ")


class Visitors:
    """They come one after the other, each with a connection of its own, until the block ends."""

    def __init__(self, host: Host, number: int = 3) -> None:
        self.host = host
        self.seen: list[int] = []
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self.visit) for _each in range(number)]

    def visit(self) -> None:
        while not self.end.is_set():
            self.seen.append(self.host.http(f"https://{self.host.domain}/login").status)

    def __enter__(self) -> Visitors:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.wire
def test_the_first_certificate_comes_by_itself_and_once(
    issued: Host, authority: Acme, playbook: Playbook, tmp_path: Path
) -> None:
    (tmp_path / "roots.pem").write_text(authority.roots)
    answer = issued.http(f"https://{issued.domain}/", verify=True, ca_file=str(tmp_path / "roots.pem"))
    assert answer.status == 200, answer.error
    conf = issued.get(CONF)
    assert f"renew_hook = {HOOK}\n" in conf and "authenticator = webroot\n" in conf
    assert issued.http("/").status == 301
    asked = authority.orders()
    assert playbook.harden(issued, **CERTBOT) == 0
    assert authority.orders() == asked, "nothing was asked for again"
    assert issued.run("systemctl show -P OnFailure certbot.service").stdout == "chamilo-hardening-renewal.service\n"


@pytest.mark.long
@pytest.mark.wire
def test_a_renewal_under_load_loses_no_request(issued: Host) -> None:
    before = served(issued)
    with Visitors(issued) as visitors:
        issued.run(RENEW)
        after = served(issued)
        time.sleep(1)
    assert after != before and after == in_file(issued)
    assert set(visitors.seen) == {200} and len(visitors.seen) > 20, len(visitors.seen)


@pytest.mark.wire
def test_a_broken_configuration_at_renewal_is_reported_and_made_up_for(issued: Host) -> None:
    before = served(issued)
    service = "nginx" if issued.web == "nginx" else "apache2"
    broken = "/etc/nginx/conf.d/broken.conf" if issued.web == "nginx" else "/etc/apache2/conf-enabled/broken.conf"
    issued.put(broken, "nonsense\n")
    issued.run(RENEW)
    assert served(issued) == before != in_file(issued)
    assert issued.run(["systemctl", "is-active", service]).stdout == "active\n"
    reported = mails(issued)
    assert "is not active" in reported and "broken.conf" in reported and "admin@school.example" in reported
    issued.run(["rm", broken])
    issued.run("chamilo-hardening daily https")
    assert served(issued) == in_file(issued)


def test_a_renewal_that_fails_is_reported(issued: Host, authority: Acme) -> None:
    issued.run(f"sed -i 's/^.*renew_before_expiry.*/renew_before_expiry = 3000 days/' {CONF}")
    authority.name(issued.domain, authority.address)
    assert issued.run("systemctl start certbot.service", check=False).returncode
    end = time.monotonic() + 20
    while "Certbot failed" not in mails(issued) and time.monotonic() < end:
        time.sleep(0.2)
    assert "Certbot failed" in mails(issued)
    assert served(issued) == in_file(issued)


@pytest.mark.long
def test_what_certbot_got_for_others_is_not_the_hooks_business(issued: Host) -> None:
    before = issued.run("journalctl -t chamilo-hardening --no-pager").stdout
    issued.run(f"RENEWED_LINEAGE=/etc/letsencrypt/live/shop.test {HOOK}")
    assert issued.run("journalctl -t chamilo-hardening --no-pager").stdout == before


@pytest.mark.wire
@pytest.mark.parametrize("way", ["webroot", pytest.param("plugin", marks=pytest.mark.long)])
def test_a_certificate_that_certbot_got_before_is_adopted(
    sloppy: Host, authority: Acme, playbook: Playbook, way: str
) -> None:
    """``certbot certonly``, and ``certbot --nginx`` or ``--apache``, which write into the virtual host."""
    if way == "webroot":
        sloppy.run(f"{ASK} certonly --webroot -w /var/www/chamilo/public --deploy-hook 'touch /root/theirs'")
    else:
        plugin = sloppy.web
        sloppy.run(f"{INSTALL} python3-certbot-{plugin}")
        sloppy.run(f"{ASK} --{plugin} --redirect --deploy-hook 'touch /root/theirs'")
    for name in UNRELATED:
        authority.name(name, sloppy.address)
    webroots = "-w /var/www/shop -d shop.test -w /var/www/html -d www.shop.test"
    sloppy.run(f"{ANY} certonly --webroot {webroots}")
    sloppy.run(f"{ANY} certonly --webroot -w /var/www/html -d library.test")
    theirs = foreign(sloppy)
    serial, asked = in_file(sloppy), authority.orders()
    variables = {**CERTBOT, "chamilo_https_certificate": "auto" if way == "plugin" else "certbot"}
    playbook.harden(sloppy, **variables)
    assert served(sloppy) == serial and authority.orders() == asked
    conf = sloppy.get(CONF)
    assert "authenticator = webroot\n" in conf and "installer" not in conf
    assert f"renew_hook = touch /root/theirs; {HOOK}\n" in conf
    assert playbook.harden(sloppy, **variables) == 0
    sloppy.run(f"{RENEW} --cert-name campus.test")
    assert served(sloppy) == in_file(sloppy) != serial
    sloppy.run("test -e /root/theirs")
    assert foreign(sloppy) == theirs, "foreign lineages are never touched"


@pytest.mark.long
def test_a_virtual_host_of_ones_own_gets_a_certificate_and_reports_what_to_do(
    sloppy: Host, authority: Acme, playbook: Playbook, cell: Cell
) -> None:
    variables = {**CERTBOT, "chamilo_https_vhost": "include"}
    with pytest.raises(PlayError) as failed:
        playbook.harden(sloppy, **variables)
    asked = " ".join(str(failed.value).split())
    assert "chamilo-campus_test.d/*.conf" in asked and "not active" in asked
    assert f"{LIVE}/fullchain.pem" in asked
    assert sloppy.http("/login").status == 200, "no visitor is sent to https while it is not served there"
    if sloppy.web == "nginx":
        paste(sloppy, f"listen 443 ssl; ssl_certificate {LIVE}/fullchain.pem; ssl_certificate_key {LIVE}/privkey.pem;")
    else:
        own = "/etc/apache2/sites-available/chamilo.conf"
        sloppy.put(own, sloppy.get(own) + SECURE.format(domain=sloppy.domain, live=LIVE))
        sloppy.run("a2enmod -q ssl")
    paste(sloppy, include_line(sloppy))
    sloppy.run(["systemctl", "restart", "nginx" if sloppy.web == "nginx" else "apache2"])
    playbook.harden(sloppy, **variables)
    assert sloppy.http("/login").status == 301 and served(sloppy) == in_file(sloppy)
    assert sloppy.http(f"https://{sloppy.domain}/login").status == 200
    before = served(sloppy)
    sloppy.run(RENEW)
    assert served(sloppy) == in_file(sloppy) != before


def test_behind_nat_the_authority_alone_can_tell_whether_the_portal_answers(
    sloppy: Host, authority: Acme, playbook: Playbook
) -> None:
    sloppy.run(f"printf '{authority.address} campus.test\\n' >>/etc/hosts")  # where nothing answers on port 80
    authority.name(sloppy.domain, authority.address)
    with pytest.raises(PlayError) as refused:
        playbook.harden(sloppy, **CERTBOT)
    assert "certbot" in str(refused.value).lower() and authority.address in str(refused.value)
    assert not missing_from_the_portal(sloppy, "http"), "the portal goes on as before"
    authority.name(sloppy.domain, sloppy.address)
    playbook.harden(sloppy, **CERTBOT)
    assert served(sloppy) == in_file(sloppy)


@pytest.mark.long
def test_a_name_without_an_address_leaves_the_section_as_it_is(sloppy: Host, playbook: Playbook) -> None:
    sloppy.run("printf 'nameserver 127.0.0.2\\noptions timeout:1 attempts:1\\n' >/etc/resolv.conf")
    before = sloppy.snapshot()
    with pytest.raises(PlayError, match="no address in the DNS") as refused:
        playbook.harden(sloppy, **{**CERTBOT, "chamilo_https_certificate": "auto"})
    assert "chamilo_https_certificate" in str(refused.value)
    assert not before.changes(sloppy.snapshot(), [*QUIET, *PROGRAM])


def ask(playbook: Playbook, host: Host, **options: Any) -> str:
    """The module alone. What it reports when it is refused; empty when there is a certificate."""
    arguments = {"domain": host.domain, "site": "campus", "webroot": "/var/www/chamilo/public", **options}
    # Certbot refuses a hook whose program is not there.
    program = {"chamilo.hardening.host_program": {"request": {}}}
    task = {"chamilo.hardening.chamilo_certificate": {"request": {"directory": acme.DIRECTORY, **arguments}}}
    play = playbook.write("ask.yml", json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [program, task]}]))
    try:
        playbook.run(play, host)
    except PlayError as problem:
        return " ".join(str(problem).split())
    return ""


def certified(playbook: Playbook, host: Host) -> tuple[set[str], str]:
    """The names of the certificate that the module has made for those that discovery found, and the output."""
    found = {
        "chamilo.hardening.chamilo_site_info": {"request": {"domain": host.domain, "names": []}},
        "register": "found",
    }
    arguments = {"domain": host.domain, "site": "campus", "webroot": "/var/www/chamilo/public"}
    arguments.update(names="{{ found.site.portal_names }}", directory=acme.DIRECTORY)
    tasks = [
        {"chamilo.hardening.host_program": {"request": {}}},
        found,
        {"chamilo.hardening.chamilo_certificate": {"request": arguments}},
    ]
    play = playbook.write("names.yml", json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    try:
        output = playbook.run(play, host).output
    except PlayError as warned:  # a name that is left out is a warning
        output = str(warned)
    return {*x509.first_of(host.get(f"{LIVE}/fullchain.pem")).names}, " ".join(output.split())


@pytest.mark.long
@pytest.mark.wire
def test_one_certificate_has_all_names_of_the_portal(
    sloppy: Host, authority: Acme, playbook: Playbook, tmp_path: Path
) -> None:
    """An alias of the virtual host, an access URL of Chamilo, and one that leads nowhere."""
    service, edit = {
        "nginx": ("nginx", "s/server_name campus.test/& www.campus.test library.*/"),
        "apache": ("apache2", "s/ServerName campus.test/&\\n    ServerAlias www.campus.test library.*/"),
    }[sloppy.web]
    sloppy.run(f"sed -i '{edit}' /etc/{service}/sites-available/chamilo* && systemctl reload {service}")
    for name in ("www.campus.test", "library.test"):
        authority.name(name, sloppy.address)
        sloppy.run(f"echo '{sloppy.address} {name}' >>/etc/hosts")
    assert certified(playbook, sloppy)[0] == {"campus.test", "www.campus.test"}
    urls = "INSERT INTO access_url (id, url, description, active, created_by, tms) VALUES "
    rows = ", ".join(
        f"({number}, 'https://{name}.test/', '', 1, 1, NOW())" for number, name in ((2, "library"), (3, "gone"))
    )
    sloppy.run(["mariadb", "chamilo", "-e", urls + rows])
    every, output = certified(playbook, sloppy)
    assert every == {"campus.test", "www.campus.test", "library.test"}, "expanded, under its own name"
    assert "gone.test is not in the certificate. gone.test has no address in the DNS" in output
    asked = authority.orders()
    again, output = certified(playbook, sloppy)
    assert again == every and authority.orders() == asked and "gone.test is not in the certificate" in output

    variables = {**CERTBOT, "chamilo_names": ["!gone.test"], "chamilo_https_hsts": "ramp"}
    playbook.harden(sloppy, **variables)
    (tmp_path / "roots.pem").write_text(authority.roots)
    for name in sorted(every):
        page = sloppy.http(f"https://{name}/login", verify=True, ca_file=str(tmp_path / "roots.pem"))
        assert page.status == 200 and len(page.values("Strict-Transport-Security")) == 1, (
            name,
            page.error,
            page.headers,
        )
        assert sloppy.http(f"http://{name}/login").value("Location") == f"https://{name}/login"
    assert playbook.harden(sloppy, **variables) == 0 and authority.orders() == asked


@pytest.mark.long
def test_undo_restores_what_was_there_before(sloppy: Host, playbook: Playbook) -> None:
    variables = {**CERTBOT, "chamilo_https_hsts": "off"}  # else it warns, and rightly
    variables["chamilo_trusted_proxies"] = ["192.0.2.9"]
    service = "nginx" if sloppy.web == "nginx" else "apache2"
    names = "find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | sort"
    sums = "find . -type f | sort | xargs sha256sum"
    listing = f"for directory in /etc/{service} /etc/systemd/system; do cd $directory && {names} && {sums}; done"
    listing += "; sha256sum /var/www/chamilo/.env"
    hooks = f"--pre-hook 'systemctl stop {service}' --post-hook 'systemctl start {service}'"
    sloppy.run(f"{ASK} certonly --standalone {hooks}")
    conf = sloppy.get(CONF)
    playbook.harden(sloppy, "--tags", "none", **variables)  # the program and its units come first, and stay
    before = sloppy.run(listing).stdout
    playbook.harden(sloppy, **variables)
    assert (
        "authenticator = standalone\n" in sloppy.get(CONF)
        and HOOK in sloppy.get(CONF)
        and "192.0.2.9" in sloppy.get("/var/www/chamilo/.env")
    )
    playbook.harden(sloppy, **variables, chamilo_https_state="absent")
    assert sloppy.run(listing).stdout == before and sloppy.get(CONF) == conf
    assert playbook.harden(sloppy, **variables, chamilo_https_state="absent") == 0
    assert sloppy.wait("/login").status == 200
    assert not re.search("chamilo", sloppy.run("ls /etc/chamilo-hardening").stdout.replace("alert", ""))


@pytest.mark.long
def test_a_name_is_proved_in_the_dns_to_an_authority_of_ones_own(
    sloppy: Host, authority: Acme, playbook: Playbook
) -> None:
    authority.name(sloppy.domain)  # by http the host would not be found
    sloppy.put("/usr/local/sbin/publish", PUBLISH, "0755")
    sloppy.run("rm /usr/local/share/ca-certificates/testbed.crt && update-ca-certificates --fresh >/dev/null 2>&1")
    output = ask(playbook, sloppy, arguments=IN_THE_DNS)
    assert "Certbot could not get a certificate" in output and "certificate" in output.lower(), (
        "it trusts an unknown authority"
    )
    sloppy.put("/etc/ssl/school.pem", testbed_authority.certificate().read_text())
    variables = {
        **CERTBOT,
        "chamilo_https_acme_ca_file": "/etc/ssl/school.pem",
        "chamilo_https_acme_arguments": IN_THE_DNS,
        "chamilo_https_hsts": "off",
    }
    playbook.harden(sloppy, **variables)
    first = served(sloppy)
    assert first == in_file(sloppy)
    assert "authenticator = manual\n" in sloppy.get(CONF) and "pref_challs = dns-01," in sloppy.get(CONF)
    assert playbook.harden(sloppy, **variables) == 0
    sloppy.run(f"sed -i 's/^.*renew_before_expiry.*/renew_before_expiry = 3000 days/' {CONF}")
    sloppy.run("systemctl start certbot.service")
    deadline = time.monotonic() + 10  # a worker that is about to end may take one more visitor
    while served(sloppy) != in_file(sloppy) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert served(sloppy) == in_file(sloppy) != first, "Certbot's own run trusts that authority too"
