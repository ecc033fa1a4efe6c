# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handshakes here are real, with a TLS server in a thread."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from dataclasses import replace
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import brute_force, https
from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import Handshake
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, VirtualHost
from tests.testbed import authority

# Offering TLS 1.0 is what the check is for.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion")

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
GUIDE = "max-age=31536000; includeSubDomains"


def self_signed():
    """A certificate of no authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "campus.test")])
    names = x509.SubjectAlternativeName([x509.DNSName("campus.test")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOW - DAY, NOW + 90 * DAY)
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.public_bytes(form).decode(), key.private_bytes(form, kind, serialization.NoEncryption()).decode()


@pytest.fixture
def serve(tmp_path):
    """A TLS server on loopback: pass a certificate's properties and a function that sets the context up."""
    with contextlib.ExitStack() as stack:

        def start(name="campus.test", setup=None, trusted=True, **properties):
            certificate, key = authority.issue(*name.split(), **properties) if trusted else self_signed()
            chain = tmp_path / "chain.pem"
            chain.write_text(certificate + key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if setup:
                setup(context)
            context.load_cert_chain(chain)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=accept, args=(listener, context))
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            host = VirtualHost(
                "/etc/nginx/sites-enabled/campus",
                1,
                ("campus.test",),
                (Listen("127.0.0.1", listener.getsockname()[1], tls=True),),
                "/srv/campus/public",
                certificate=str(chain),
            )
            return host, certificate

        yield start


def accept(listener, context):
    while True:
        try:
            connection, _address = listener.accept()
        except OSError:  # the test is over
            return
        with connection, contextlib.suppress(OSError):
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)


# --------------------------------------------------------------------------------------------------- certificate


@pytest.fixture
def look_through(look_at):
    def make(host, **found):
        return look_at(hosts=(host,), options={"ca_file": str(authority.certificate())}, **found)

    return make


def test_a_good_certificate(serve, look_through):
    host, _certificate = serve()
    finding = https.certificate(look_through(host))
    assert finding.status == "pass", finding.evidence
    assert "EC 256 key" in finding.evidence
    assert "89 days left" in finding.evidence or "90 days left" in finding.evidence


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"trusted": False}, "It is signed by itself"),
        ({"name": "shop.test"}, "Hostname mismatch"),
        ({"days": -1}, "certificate has expired"),
        ({"days": 13}, "13 days left"),
    ],
)
def test_a_certificate_that_is_not(serve, look_through, properties, words):
    host, _certificate = serve(**properties)
    finding = https.certificate(look_through(host))
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize(
    ("certified", "names", "missing"),
    [
        ("campus.test www.campus.test", ["www.campus.test"], []),
        (
            "campus.test",
            ["www.campus.test", "library.test"],
            ["www.campus.test (certificate refused", "library.test ("],
        ),
        ("campus.test", ["*.campus.test"], ["*.campus.test (a wildcard)"]),
        ("campus.test *.campus.test", ["*.campus.test", "www.campus.test"], []),
    ],
)
def test_a_certificate_for_all_names(serve, look_through, certified, names, missing):
    host, _certificate = serve(name=certified)
    portal = ("campus.test", *names)
    finding = https.certificate(look_through(host, portal_names=portal))
    assert finding.status == ("fail" if missing else "pass"), finding.evidence
    assert all(each in finding.evidence for each in missing or names)


MANY = tuple(f"name{number}.test" for number in range(25))


def test_more_names_than_are_asked_are_not_assessed(serve, look_through):
    host, _certificate = serve(name=" ".join(("campus.test", *MANY)))
    portal = ("campus.test", *MANY)
    finding = https.certificate(look_through(host, portal_names=portal))
    assert finding.status == "not_assessed"
    assert "more than 20 names: name20.test, name21.test, name22.test, name23.test, name24.test." in finding.evidence


@pytest.fixture
def silent(monkeypatch):
    """No handshake is completed."""
    monkeypatch.setattr(https, "shake", lambda _endpoint, _context: Handshake(error="wrong version number"))


def test_a_port_that_does_not_speak_tls_shows_no_certificate(silent, look_at):
    observer = look_at()
    finding = https.certificate(observer)
    assert finding.status == "fail"
    assert finding.evidence == "https://campus.test at 192.0.2.7 does not speak TLS: wrong version number."
    with pytest.raises(Unseen, match="https://campus.test at 192.0.2.7 showed no certificate: wrong version number"):
        https.renewal(observer)
    finding = https.protocols(observer)
    assert finding.status == "fail"
    assert finding.evidence == "https://campus.test at 192.0.2.7 completed no TLS handshake at all."


@pytest.mark.parametrize(
    ("signature", "words"),
    [("", "the certificate has a RSA 1024 key."), ("SHA-1", "the certificate has a SHA-1 signature.")],
)
def test_a_weak_certificate_that_is_trusted_all_the_same_is_named(look_at, monkeypatch, signature, words):
    observer = look_at()
    monkeypatch.setattr(https, "shake", lambda _endpoint, _context: Handshake())
    weak = Mock(not_after=observer.now + 90 * 86400, described="RSA 1024", strong=False, weak_signature=signature)
    monkeypatch.setattr(https, "_served", lambda _endpoint: weak)
    finding = https.certificate(observer)
    assert (finding.status, finding.evidence) == ("fail", f"https://campus.test at 192.0.2.7: {words}")


def test_an_unknown_authority_is_refused(serve, look_at):
    host, _certificate = serve()
    finding = https.certificate(look_at(hosts=(host,)))
    assert finding.status == "fail"
    assert "certificate refused: self-signed certificate in certificate chain" in finding.evidence


def test_an_authority_file_that_is_not_there_is_reported(serve, look_at):
    host, _certificate = serve()
    with pytest.raises(Unseen, match="chamilo_https_acme_ca_file names /nowhere"):
        https.certificate(look_at(hosts=(host,), options={"ca_file": "/nowhere"}))


def test_no_https_fails(look_at):
    host = VirtualHost("f", 1, ("campus.test",), (Listen("*", 80, tls=False),), "/srv/campus/public")
    for function in (https.certificate, https.hsts, https.protocols, https.renewal):
        finding = function(look_at(hosts=(host,)))
        assert finding.status == "fail"
        assert "serves https for campus.test" in finding.evidence


# ----------------------------------------------------------------------------------------------------- protocols


def modern(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")


def old(context):
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")


def old_ciphers(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")


def newest(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("setup", "status", "words"),
    [
        (modern, "pass", "TLS 1.2 and TLS 1.3"),
        (newest, "pass", "speaks TLS 1.3"),
        (old, "fail", "still speaks TLS 1.0"),
        (old_ciphers, "fail", "takes ECDHE-ECDSA-AES128-SHA256"),
    ],
)
def test_protocols(serve, look_through, setup, status, words):
    host, _certificate = serve(setup=setup)
    finding = https.protocols(look_through(host))
    assert finding.status == status, finding.evidence
    assert words in finding.evidence


def test_a_client_that_cannot_offer_old_versions_proves_nothing(serve, look_through, monkeypatch):
    host, _certificate = serve(setup=modern)
    monkeypatch.setattr(https, "only", lambda version: None)
    finding = https.protocols(look_through(host))
    assert finding.status == "not_assessed"
    assert "TLS 1.0 and TLS 1.1" in finding.evidence


# ------------------------------------------------------------------------------------------------------ redirect


def redirecting(endpoint, path, request):
    if endpoint.scheme == "http":
        return 301, {"Location": f"https://campus.test{path}"}, b""
    return 200, {}, b"page"


def test_every_url_is_redirected(look_at):
    observer = look_at(redirecting)
    found = https.redirect(observer)
    assert found.status == "pass" and found.evidence.endswith("; a POST and a forged proxy header does as well.")
    found = https.redirect(look_at(redirecting, options={"terminated_elsewhere": True}))
    assert found.status == "pass" and found.evidence.endswith("; a POST does as well.")
    assert {request.get("method", "GET") for _door, _path, request in observer.asked} == {"GET", "POST"}
    assert not any("login" in path or "token" in path for _door, path, _request in observer.asked)


NAMES = {"portal_names": ("campus.test", "www.campus.test"), "answered": ("campus.test", "www.campus.test")}


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ((301, {"Location": "https://www.campus.test/"}, b""), "pass"),
        ((301, {"Location": "https://campus.test/"}, b""), "pass"),
        ((404, {}, b""), "pass"),
        ((200, {}, b"page"), "fail"),
        ((302, {"Location": "http://campus.test/"}, b""), "fail"),
    ],
)
def test_every_name_is_redirected(look_at, reply, status):
    observer = look_at(
        but(lambda endpoint, path, request: reply if endpoint.name == "www.campus.test" else None), **NAMES
    )
    finding = https.redirect(observer)
    assert finding.status == status, finding.evidence
    assert status == "pass" or "http://www.campus.test/ answers" in finding.evidence


def test_hsts_is_asked_of_every_name_that_serves_pages(look_at):
    def answer(endpoint, path, request):
        header = {} if endpoint.name == "www.campus.test" else {"Strict-Transport-Security": GUIDE}
        return (
            (301, {"Location": f"https://campus.test{path}"}, b"") if endpoint.scheme == "http" else (200, header, b"")
        )

    finding = https.hsts(look_at(answer, **NAMES))
    assert finding.status == "fail" and "https://www.campus.test/ (200 www.campus.test): not sent" in finding.evidence
    led = but(
        lambda endpoint, path, request: (
            (301, {"Location": "https://campus.test/"}, b"") if "www" in endpoint.name else None
        )
    )
    assert "www.campus.test" not in https.hsts(look_at(led, **NAMES)).evidence


def test_a_proxy_that_does_not_listen_for_http_is_the_best_there_is(look_at):
    silent = but(lambda endpoint, path, request: (0, {}, b"") if endpoint.scheme == "http" else None)
    behind = https.redirect(look_at(silent, options={"terminated_elsewhere": True}))
    assert behind.status == "pass" and "No process listens" in behind.evidence
    assert https.redirect(look_at(silent)).status == "fail"


def but(changed):
    def answer(endpoint, path, request):
        return changed(endpoint, path, request) or redirecting(endpoint, path, request)

    return answer


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda endpoint, path, request: (200, {}, b""), "answers 200 instead of 301"),
        (lambda endpoint, path, request: (302, {"Location": f"https://campus.test{path}"}, b""), "answers 302"),
        (
            lambda endpoint, path, request: (301, {"Location": "https://campus.test/"}, b"") if path != "/" else None,
            "deeper",
        ),
        (lambda endpoint, path, request: (405, {}, b"") if request.get("method") == "POST" else None, "POST"),
        (lambda endpoint, path, request: (301, {"Location": "https://else.test/"}, b""), "https://else.test/"),
        (lambda endpoint, path, request: (200, {}, b"") if request["headers"] else None, "X-Forwarded-Proto"),
        (lambda endpoint, path, request: (0, {}, b""), "connection refused"),
    ],
)
def test_not_redirected(look_at, changed, words):
    finding = https.redirect(look_at(but(changed)))
    assert finding.status == "fail"
    assert words in finding.evidence


def test_a_trusted_proxy_may_report_so(look_at):
    reported = but(lambda endpoint, path, request: (200, {}, b"") if request["headers"] else None)
    assert https.redirect(look_at(reported, options={"trusted_proxies": ["192.0.2.0/24"]})).status == "pass"


def trusting(look_at, value, server=None, **more):
    """A portal whose environment trusts these proxies, and whose logs are not read."""
    seen = {
        "environment": {"APP_ENV": "prod", "TRUSTED_PROXIES": value},
        "environment_source": {"TRUSTED_PROXIES": "/.env"},
    }
    return look_at(server or (lambda *_: (301, {"Location": "https://campus.test/login"}, b"")), **seen, **more)


@pytest.mark.parametrize(
    "value",
    ["", "127.0.0.1", "127.0.0.1,::1", "127.0.0.0/8, localhost", "192.0.2.7", "127.0.0.1,10.1.2.3", "10.1.2.0/24,::1"],
)
def test_the_host_itself_and_declared_proxies_are_trusted(look_at, value):
    observer = trusting(look_at, value, options={"trusted_proxies": ["10.1.2.0/24"]})
    found = https.trusted_proxies(observer)
    whom = f"{', '.join(value.replace(',', ' ').split())} alone" if value else "no client"
    tried = "" if value == "192.0.2.7" else "; forged ones changed no redirect and no link"
    assert found.status == "pass"
    assert found.evidence == f"The application trusts X-Forwarded-* headers from {whom}{tried}."


@pytest.mark.parametrize(
    "value, named",
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("127.0.0.1,::/0", "::/0"),
        ("127.0.0.1,REMOTE_ADDR", "REMOTE_ADDR"),
        ("PRIVATE_SUBNETS", "PRIVATE_SUBNETS"),
        ("10.1.2.0/23", "10.1.2.0/23"),
        ("%env(PROXIES)%", "%env(PROXIES)%"),
    ],
)
def test_any_other_client_that_is_trusted_is_named(look_at, value, named):
    observer = trusting(look_at, value, options={"trusted_proxies": ["10.1.2.0/24"]})
    finding = https.trusted_proxies(observer)
    assert finding.status == "fail" and f"headers from {named} (TRUSTED_PROXIES in /.env)" in finding.evidence


@pytest.mark.parametrize("value", ["0.0.0.0/1,128.0.0.0/1", "127.0.0.1"])
def test_declared_proxies_that_are_most_of_the_internet_are_none(look_at, value):
    observer = trusting(look_at, value, options={"trusted_proxies": ["0.0.0.0/1", "128.0.0.0/1"]})
    finding = https.trusted_proxies(observer)
    assert finding.status == "fail" and "which is 100.00% of all IPv4 addresses" in finding.evidence


def poisoned(_door, path, request):
    host = request.get("headers", {}).get("X-Forwarded-Host", "campus.test")
    return 301, {"Location": f"https://{host}/login"}, b""


def linked(_door, path, request):
    return 200, {}, f'<link rel="canonical" href="https://{request["headers"]["X-Forwarded-Host"]}/">'.encode()


@pytest.mark.parametrize("server", [poisoned, linked])
def test_what_the_application_does_counts_whatever_the_environment_reports(look_at, server):
    finding = https.trusted_proxies(trusting(look_at, "127.0.0.1", server))
    assert finding.status == "fail" and "named in X-Forwarded-Host" in finding.evidence
    finding = https.trusted_proxies(trusting(look_at, "127.0.0.1", server, options={"terminated_elsewhere": True}))
    assert finding.status == "fail" and "The proxy in front must replace these headers" in finding.evidence


def test_from_an_address_that_is_trusted_by_right_nothing_is_asked(look_at):
    observer = trusting(look_at, "192.0.2.7", poisoned)
    assert https.trusted_proxies(observer).status == "pass"
    assert not [request for _door, _path, request in observer.asked if "X-Forwarded-Host" in request.get("headers", {})]


def test_a_web_server_that_takes_any_word_for_the_address(look_at, monkeypatch):
    observer = trusting(look_at, "127.0.0.1")
    endpoint = observer.all_endpoints[0]
    visit = brute_force.Visit(endpoint, "/login_json", 405, {"MESSAGE": f"{brute_force.VICTIM} 405"})
    monkeypatch.setattr(https, "visits", lambda _observer: [visit])
    finding = https.trusted_proxies(observer)
    assert finding.status == "fail" and "any client. Name your proxies" in finding.evidence
    observer = trusting(look_at, "127.0.0.1", options={"trusted_proxies": [endpoint.address]})
    assert https.trusted_proxies(observer).status == "pass"


def test_an_unreadable_environment_is_not_assessed(look_at):
    observer = look_at(redirecting, root="/srv/campus")
    with pytest.raises(Unseen, match="the environment files of /srv/campus could not be read"):
        https.trusted_proxies(observer)
    observer.as_root = False
    with pytest.raises(Unseen, match="needs root"):
        https.trusted_proxies(observer)


def test_no_plain_http_needs_no_redirect(look_at):
    host = VirtualHost("f", 1, ("campus.test",), (Listen("*", 443, tls=True),), "/srv/campus/public")
    assert https.redirect(look_at(redirecting, hosts=(host,))).status == "pass"
    with pytest.raises(Unseen):
        https.redirect(look_at(redirecting, hosts=()))


@pytest.mark.parametrize(("status", "location"), [(200, ""), (302, "/login"), (302, "http://192.0.2.7/login")])
def test_the_portal_is_served_over_http_under_another_name(beside, status, location):
    finding = https.redirect(beside(lambda *_: (status, {"Location": location}, b"")))
    assert finding.status == "fail"
    assert "/etc/nginx/sites-enabled/default line 7" in finding.evidence


@pytest.mark.parametrize(("status", "location"), [(301, "https://campus.test/"), (403, "")])
def test_another_name_that_serves_nothing_over_http_needs_no_line(beside, status, location):
    assert https.redirect(beside(lambda *_: (status, {"Location": location}, b""))).status == "pass"


def test_another_name_without_an_answer_is_not_assessed(beside):
    with pytest.raises(Unseen, match=r"192\.0\.2\.7"):
        https.redirect(beside(lambda *_: (0, {}, b"")))


# ---------------------------------------------------------------------------------------------------------- hsts


def sending(value, **changes):
    def answer(endpoint, path, request):
        if endpoint.scheme == "http":
            return 301, {}, b""
        status = 413 if request.get("method") else {"/": 200, "/api/users": 401, "/.htaccess": 403}.get(path, 404)
        sent = changes.get(f"on_{status}", value)
        return status, {} if sent is None else {"Strict-Transport-Security": sent}, b""

    return answer


@pytest.mark.parametrize(
    "value", [GUIDE, "max-age=63072000; includeSubDomains; preload", 'max-age="31536000";includesubdomains']
)
def test_hsts(look_at, value):
    assert https.hsts(look_at(sending(value))).status == "pass"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (sending(None), "not sent"),
        (sending("max-age=31536000"), "'max-age=31536000'"),
        (sending("max-age=86400; includeSubDomains"), "86400"),
        (sending("strict-transport-security: max-age=31536000; includeSubDomains"), "strict-transport-security"),
        (sending(GUIDE, on_403=None), "(403): not sent"),
        (sending(GUIDE, on_404=[GUIDE, GUIDE]), "sent 2 times"),
    ],
)
def test_no_hsts(look_at, server, words):
    finding = https.hsts(look_at(server))
    assert finding.status == "fail"
    assert words in finding.evidence
    assert "due on" not in finding.evidence


def test_the_ramp_is_red_with_its_date(look_at):
    finding = https.hsts(look_at(sending("max-age=86400"), hsts_since="2026-11-20"))
    assert finding.status == "fail"
    assert "due on 2026-11-27" in finding.evidence
    today = datetime.date.today().isoformat()
    finding = https.hsts(look_at(sending("max-age=86400"), hsts_since=today))
    assert finding.waits.startswith(f"The ramp began on {today}; the full value is due on ")


def test_switched_off_is_red_and_reports_so(look_at):
    finding = https.hsts(look_at(sending("max-age=0"), options={"hsts": "off"}))
    assert finding.status == "fail"
    assert "chamilo_https_hsts is off" in finding.evidence


# ------------------------------------------------------------------------------------------------------- renewal

RENEWS = Job(
    "certbot.timer", "/usr/bin/certbot -q renew", service="certbot.service", result="success", alerts="mail@.service"
)


def test_files_replaced_by_hand_are_not_applicable(serve, look_through):
    host, _certificate = serve()
    finding = https.renewal(look_through(host))
    assert finding.status == "not_applicable"
    assert f"must be replaced by hand before {(NOW + 90 * DAY).date()}" in finding.evidence


def test_a_proxy_renews_by_itself(look_at):
    assert https.renewal(look_at(options={"terminated_elsewhere": True})).status == "not_applicable"


@pytest.fixture
def certbot(serve, look_through, tmp_path, monkeypatch):
    """Certbot's directories below tmp_path, and a certificate of its."""
    host, certificate = serve()
    live = tmp_path / "live" / "campus.test"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_text(certificate)
    (tmp_path / "renewal").mkdir()
    (tmp_path / "renewal/campus.test.conf").write_text("[renewalparams]\ninstaller = nginx\n")
    monkeypatch.setattr(https, "LETSENCRYPT", str(tmp_path))
    host = VirtualHost(host.file, 1, host.names, host.listens, host.root, certificate=str(live / "fullchain.pem"))

    def make(*found):
        observer = look_through(host)
        observer.jobs = found
        return observer

    return make


def test_one_owner_with_a_hook(certbot):
    finding = https.renewal(certbot(RENEWS, Job("/etc/cron.d/certbot:3", "certbot -q renew", active=False)))
    assert finding.status == "pass", finding.evidence


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "nothing renews"),
        ([RENEWS, Job("/etc/cron.daily/renew", "certbot renew")], "2 jobs renew at once"),
        ([Job("certbot.timer", "certbot renew", service="certbot.service", result="success")], "no alert is sent"),
        ([Job("certbot.timer", "certbot", service="certbot.service", result="exit-code", alerts="x")], "exit-code"),
    ],
)
def test_owners(certbot, found, words):
    finding = https.renewal(certbot(*found))
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("installer = None\n", "no hook of campus.test is known"),
        ("autorenew = False\ninstaller = nginx\n", "autorenew = False"),
        ("renew_hook = systemctl reload nginx\n", "no hook of campus.test is known"),
        ("installer = apache\n", ""),
        ("renew_hook = '/usr/local/sbin/theirs; /usr/local/sbin/chamilo-hardening renewed'\n", ""),
    ],
)
def test_a_renewal_is_active_where_it_is_known_to_be_tested_and_loaded(certbot, tmp_path, text, words):
    (tmp_path / "renewal/campus.test.conf").write_text(text)
    finding = https.renewal(certbot(RENEWS))
    assert finding.status == ("fail" if words else "pass"), finding.evidence
    assert words in finding.evidence


def test_a_certificate_that_certbot_does_not_renew_is_named(certbot, tmp_path):
    (tmp_path / "renewal/campus.test.conf").unlink()
    finding = https.renewal(certbot(RENEWS))
    assert finding.status == "fail"
    assert f"there is no {tmp_path}/renewal/campus.test.conf, so Certbot does not renew it" in finding.evidence


def test_a_file_that_is_no_certificate_is_not_assessed(certbot, tmp_path):
    (tmp_path / "live/campus.test/fullchain.pem").write_text("-----BEGIN NOTHING-----")
    with pytest.raises(Unseen, match=f"{tmp_path}/live/campus.test/fullchain.pem: "):
        https.renewal(certbot(RENEWS))


def test_a_certificate_of_no_known_file_is_not_assessed(serve, look_through):
    host, certificate = serve()
    finding = https.renewal(look_through(replace(host, certificate="")))
    assert finding.status == "not_assessed"
    serial = x509.load_pem_x509_certificate(certificate.encode()).serial_number
    assert f"({serial:X})".lower() in finding.evidence.lower()


def test_a_renewal_that_was_not_loaded(certbot, tmp_path):
    (tmp_path / "live/campus.test/fullchain.pem").write_text(authority.issue("campus.test")[0])
    finding = https.renewal(certbot(RENEWS))
    assert finding.status == "fail"
    assert "a renewal was not loaded" in finding.evidence


def test_without_root_renewal_is_not_assessed(certbot):
    observer = certbot(RENEWS)
    observer.as_root = False
    with pytest.raises(Unseen, match="needs root"):
        https.renewal(observer)
