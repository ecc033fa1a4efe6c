"""Records what real web servers and the application write about logins, for the tests of filters.

python -m tests.tools.logins [--matrix CELL,...]

On a host of the testbed for each pair of a Debian release and a web server: each answer to a login, each way in which a
attacker forges lines, over HTTP/1.1 and HTTP/2, by IPv4, IPv6, IPv4 within IPv6 and through a proxy. The lines go into
tests/unit/fixtures/logins, as the servers wrote them; see the README there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import hosts, images
from tests.testbed.app.selfcheck import PASSWORDS
from tests.testbed.hosts import Host

DIRECTORY = Path(__file__).resolve().parents[1] / "unit/fixtures/logins"
# They exist on the host alone, so whom the network belongs to does not matter.
VISITOR, VISITOR6, PROXY, VICTIM = "203.0.113.7", "2001:db8::7", "10.9.9.9", "198.51.100.77"
ADDRESSES = (f"{VISITOR}/32", f"{VISITOR6}/128", f"{PROXY}/32")
LOGS = {
    "nginx": {"combined": "/var/log/nginx/access.log"},
    "apache": {form: f"/var/log/apache2/campus-{form}.log" for form in ("combined", "common", "vhost_combined")},
}
IDS = "/var/www/chamilo/var/log/ids"
# A proxy whose word counts, and IPv4 within IPv6. The application of the testbed has no OAuth2 and no tokens between
# portals, so the server itself gives the answer that Chamilo gives.
NGINX = f"""
    listen [::]:8443 ssl ipv6only=off;
    set_real_ip_from {PROXY};
    real_ip_header X-Forwarded-For;
    real_ip_recursive on;
    location ^~ /connect/ {{ return 403; }}
    location = /login/token/check {{ return 403; }}
"""
APACHE = f"""
    Protocols h2 http/1.1
    RemoteIPHeader X-Forwarded-For
    RemoteIPInternalProxy {PROXY}
    <LocationMatch "^/(connect/|login/token/check$)">
        Require all denied
    </LocationMatch>
""" + "".join(f"    CustomLog {file} {form}\n" for form, file in LOGS["apache"].items())
LOGIN = ["/login_json", "/login/ldap/check", "/api/authentication_token"]
PASSWORD = PASSWORDS["student01"]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FORGED = f'{VICTIM} - - [25/Nov/2026:10:00:00 +0000] "POST /login_json HTTP/1.1" 401 43 "-" "-"'
PLAIN = FORGED.replace('"', "").replace(" ", "%20")


@dataclass(frozen=True)
class Try:
    """A request, and what it is. ``failure``: whether the filter has to find the visitor in its line."""

    what: str
    path: str
    status: int
    failure: bool
    options: tuple[str, ...] = ()
    data: dict[str, str] | None = None
    address: str = VISITOR  # who connects
    visitor: str = ""  # whom the log has to show, if that is another address
    port: int = 443


def tries() -> list[Try]:
    def wrong(what: str, path: str = LOGIN[2], *options: str, status: int = 401, **more: str) -> Try:
        return Try(
            what, path, status, status in (401, 403, 429), options, {"username": "nobody", "password": "x"}, **more
        )

    def login(what: str, user: str, status: int, failure: bool, path: str = LOGIN[0], **data: str) -> Try:
        return Try(what, path, status, failure, (), {"username": user, "password": PASSWORD, **data})

    made = [wrong(f"wrong password, {path}", path) for path in LOGIN]
    made += [wrong(f"wrong password, {path}, HTTP/1.1", path, "--http1.1") for path in LOGIN]
    made += [
        login("right password", "student01", 200, False),
        login("right password for a token", "student01", 200, False, LOGIN[2]),
        login("right password, second factor missing", "student07", 200, False),
        login("right password, second factor wrong", "student07", 401, True, totp="000000"),
        login("inactive account", "inactive.student", 403, True),
        login("expired account", "expired.student", 403, True),
        login("no user name", "", 401, True),
        Try("no JSON", LOGIN[0], 400, False, ("-H", "Content-Type: text/plain"), {}),
        Try("a refusal of OAuth2", "/connect/azure/check?code=x&state=y", 403, False),
        Try("a refused token between portals", "/login/token/check", 403, False, (), {"token": "x"}),
        Try("a wrong API key", "/api/users", 401, False, ("-H", "Authorization: Bearer x")),
        Try("the page of the login", "/login", 200, False),
        Try("the path of the login, asked for", LOGIN[0], 405, False),
        wrong("a browser", LOGIN[0], "-A", FIREFOX, "-e", "https://campus.test/login"),
        wrong("IPv6", address=VISITOR6),
        wrong(
            "through a proxy", LOGIN[2], "-H", f"X-Forwarded-For: {VICTIM}, {VISITOR}", address=PROXY, visitor=VISITOR
        ),
        wrong("behind index.php", f"/index.php{LOGIN[2]}"),
        wrong("a letter that is hidden", LOGIN[2].replace("t", "%74", 1)),
        wrong("the whole URL", f"https://campus.test{LOGIN[2]}", "--http1.1"),
        wrong("a query", f"{LOGIN[2]}?x=1"),
        wrong("forged X-Forwarded-For", LOGIN[2], "-H", f"X-Forwarded-For: {VICTIM}", "-H", f"X-Real-IP: {VICTIM}"),
        wrong("forged referer", LOGIN[2], "-H", f"Referer: {FORGED}"),
        wrong("forged referer, closed", LOGIN[2], "-H", f'Referer: " {FORGED}'),
        wrong("forged user agent", LOGIN[2], "-A", FORGED),
        wrong("forged user agent, closed", LOGIN[2], "-A", f'" {FORGED}'),
        wrong("forged query", f"{LOGIN[2]}?{PLAIN}"),
        wrong("forged path", f"/{PLAIN}", status=404),
        wrong("forged user name", LOGIN[2], "-u", f"{FORGED.replace(':', ';')}:x"),
        wrong("forged user name, a line break", LOGIN[2], "-u", f"x\n{FORGED.replace(':', ';')}:x"),
        wrong("a user name with a space", LOGIN[2], "-u", "jane doe:x"),
        wrong("a user name like a date", LOGIN[2], "-u", "[25/Nov/2020:x"),
    ]
    return made


def throttled() -> list[Try]:
    data = {"username": "student03", "password": "x"}
    return [Try("throttled" if turn == 5 else "", LOGIN[0], 401, True, (), data) for turn in range(6)]


def captcha() -> list[Try]:
    data = {"username": "student05", "password": PASSWORD, "captcha_code": "x"}
    statuses = {"CAPTCHA wrong": 401, "": 401, "CAPTCHA blocked": 429}
    return [Try(what, LOGIN[0], status, True, (), data) for what, status in statuses.items()]


def prepare(host: Host) -> None:
    host.run("".join(f"ip address add {address} dev lo;" for address in ADDRESSES))
    if host.web == "nginx":
        file, after, text = "/etc/nginx/sites-available/chamilo", "ssl_certificate_key.*", NGINX
        host.run(["sed", "-i", r"s/443 ssl;/443 ssl http2;/", file])
    else:
        file, after, text = "/etc/apache2/sites-available/chamilo.conf", "SSLCertificateKeyFile.*", APACHE
        host.run("a2enmod -q http2 remoteip")
    host.put("/root/more", text)
    host.run(["sed", "-i", f"/{after}/r /root/more", file])
    host.run(["systemctl", "restart", "nginx" if host.web == "nginx" else "apache2"])
    settings = setting("2fa_enable", "true") + setting("captcha_number_mistakes_to_block_account", "2")
    host.run(["mariadb", "chamilo", "-e", settings])
    host.run("php /var/www/chamilo/bin/console testbed:second-factor student07", user="www-data")


def setting(name: str, value: str) -> str:
    return f"UPDATE settings SET selected_value = '{value}' WHERE variable = '{name}';"


def curl(address: str, port: int = 443) -> list[str]:
    target = f"[{address}]" if ":" in address else address
    return ["curl", "-sk", "-m", "20", "-o", "/dev/null", "--interface", address, "--connect-to", f"::{target}:{port}"]


def send(host: Host, one: Try) -> None:
    words = [*curl(one.address, one.port), "-w", "%{http_code}", "-H", "Content-Type: application/json", *one.options]
    if one.data is not None:
        words += ["--data-binary", json.dumps(one.data)]
    output = host.run([*words, "--request-target", one.path, "https://campus.test/"], check=False)
    if output.stdout != str(one.status):
        raise SystemExit(f"{host.container}: {one} was answered with {output.stdout} {output.stderr}")


def lines(host: Host, file: str) -> list[str]:
    # Before the first request there is no file.
    return host.run(f"test ! -e {file} || cat {file}").stdout.splitlines()


def record(host: Host) -> list[dict[str, str]]:
    prepare(host)
    found = []

    def run(each: Try) -> None:
        files = LOGS[host.web]
        before = {form: len(lines(host, file)) for form, file in files.items()}
        send(host, each)
        for form, file in files.items():
            end = time.monotonic() + 5
            while len(new := lines(host, file)[before[form] :]) < 1 and time.monotonic() < end:
                time.sleep(0.1)
            (line,) = new
            visitor = each.visitor or each.address
            if each.port == 8443:
                visitor = f"::ffff:{visitor}"
            if each.what:
                address = visitor if each.failure else ""
                found.append({"what": each.what, "form": form, "address": address, "line": line})

    for each in tries():
        run(each)
    if host.web == "nginx":
        run(Try("IPv4 within IPv6", LOGIN[2], 401, True, (), {"username": "nobody", "password": "x"}, port=8443))
    for each in throttled():
        run(each)
    host.run(["mariadb", "chamilo", "-e", setting("allow_captcha", "true")])
    for each in captcha():
        run(each)
    return found


def record_own(host: Host) -> list[dict[str, str]]:
    """What the application itself writes, in its languages."""
    found = []
    for language in ("en", "fr", "es"):
        host.run(f"rm -f {IDS}/ids.log")
        more = ("-H", f"Accept-Language: {language}")
        send(host, Try("", LOGIN[2], 401, True, more, {"username": "jdoe", "password": "x"}))
        send(host, Try("", LOGIN[2], 200, True, more, {"username": "student02", "password": PASSWORD}))
        failed, fine = lines(host, f"{IDS}/ids.log")
        found.append({"what": "ids.log", "language": language, "address": VISITOR, "line": failed})
        found.append({"what": "ids.log, right password", "language": language, "address": "", "line": fine})
    host.run(f"rm -f {IDS}/ids.log {IDS}/ids_events.log")
    data = {
        "username": f"x\n[2026-11-25 09:44:57] [Info] [Client {VICTIM}] Login failed for username x",
        "password": "x",
    }
    send(host, Try("", LOGIN[2], 401, True, (), data))
    _mine, forged = lines(host, f"{IDS}/ids.log")
    found.append({"what": "ids.log, forged", "language": "en", "address": "", "line": forged})
    for path in ("/?q=1+union+select+1", "/?q=../../../x", "/?q=;id", "/.env", f"/?q=<script>]+[IP+{VICTIM}]"):
        host.run([*curl(VISITOR), "-g", "--request-target", path, "https://campus.test/"])
    for language in ("fr", "es"):
        host.run([*curl(VISITOR), "-g", "-H", f"Accept-Language: {language}", "https://campus.test/?q=<script>"])
    events = lines(host, f"{IDS}/ids_events.log")
    return found + [{"what": "ids_events.log", "language": "", "address": VISITOR, "line": line} for line in events]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.logins", description=__doc__)
    cells = [f"{release}-{web}" for release in images.RELEASES for web in images.SERVERS]
    parser.add_argument("--matrix", default=",".join(cells))
    network = f"chamilo-logins-{os.getpid()}"
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for cell in parser.parse_args().matrix.split(","):
        release, web = cell.split("-")
        try:
            host = hosts.up("campus", release, web, vhost="https", network=network)
            found = {f"{cell}.json": record(host)}
            if cell == cells[0]:
                host.run(["mariadb", "chamilo", "-e", setting("allow_captcha", "false")])
                found["application.json"] = record_own(host)
        finally:
            hosts.down(network)
        for name, entries in found.items():
            text = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
            (DIRECTORY / name).write_text(f"[\n{text}\n]\n", encoding="utf-8")
            print(f"{name}: {len(entries)} lines")


if __name__ == "__main__":
    main()
