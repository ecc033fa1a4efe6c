# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An alert goes out by mail and webhook, as an incident that begins and ends; a failure to send it is reported."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import AlertError, notify


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host. ``mails``: what its sendmail was given; ``fails``: whether it refuses; ``journal``: what was logged."""
    program = tmp_path / "sendmail"
    log = tmp_path / "mails"
    program.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/fails ] && {{ echo "connection refused"; exit 69; }}\n'
        f'printf "%s\\n" "$*" >> {log}.arguments\ncat >> {log}\nprintf "\\001" >> {log}\n'
    )
    program.chmod(0o755)
    host = SimpleNamespace(journal=[], fails=tmp_path / "fails", moment=1_000_000.0)
    host.mails = lambda: (
        [email.message_from_string(text, policy=email.policy.default) for text in log.read_text().split("\1")[:-1]]
        if log.exists()
        else []
    )
    host.arguments = lambda: Path(f"{log}.arguments").read_text()
    host.configure = lambda **known: (tmp_path / "alert.json").write_text(json.dumps(known))
    monkeypatch.setattr(alert, "SENDMAIL", (str(tmp_path / "nothing"), str(program)))
    monkeypatch.setattr(alert, "CONFIGURATION", str(tmp_path / "alert.json"))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(alert.syslog, "syslog", lambda level, line: host.journal.append(line))
    monkeypatch.setattr(alert.time, "time", lambda: host.moment)
    return host


def test_without_an_addressee_it_is_in_the_journal_alone(host):
    assert notify("https", "Certificate", "It ends in 3 days.") == []
    assert host.journal == ["https: Certificate: It ends in 3 days."] and host.mails() == []


def test_it_is_mailed_by_the_hosts_own_program(host):
    host.configure(mail="admin@school.example", webhook="")
    assert notify("https", "Certificate\nBcc: x@y", "It ends.\n.\nNow. ä") == ["mail to admin@school.example"]
    (mail,) = host.mails()
    assert mail["To"] == "admin@school.example" and mail["Bcc"] is None
    assert "https: Certificate Bcc: x@y" in mail["Subject"]
    assert mail.get_content().startswith("It ends.\n.\nNow. ä\n")
    assert host.arguments() == "-i -- admin@school.example\n"


def test_what_lasts_is_reported_after_one_three_and_seven_days_and_when_it_is_over(host):
    host.configure(mail="admin@school.example")
    began, reported = host.moment, []
    for day in range(23):
        host.moment = began + day * 86400 - 3600 * (day % 2)  # what is checked daily is not checked by the second
        before = len(host.mails())
        for _time in range(2):
            assert notify("https", "Certificate", f"It ends in {30 - day} days.") == ["mail to admin@school.example"]
        alert.settle("https")
        alert.settle("backups")
        reported += [day] * (len(host.mails()) - before)
    assert reported == [0, 1, 3, 7, 14, 21]
    assert host.mails()[2].get_content().startswith("It ends in 27 days.\n\nSeen 7 times since 1970-01-12 13:46 UTC.\n")
    host.moment += 86400
    alert.settle("backups")
    assert len(host.mails()) == 6
    alert.settle("https")
    alert.settle("https")
    assert [mail["Subject"].partition("https: ")[2] for mail in host.mails()[6:]] == ["Over: Certificate"]
    notify("https", "Certificate", "It ends in 3 days.")
    notify("backups", "Certificate", "It ends in 3 days.")
    for _time in range(2):
        notify("https", "Certificate", "It ends in 3 days.", again=True)
    assert len(host.mails()) == 11


def test_a_cause_is_one_incident_that_becomes_worse_and_ends_once(host):
    host.configure(mail="admin@school.example")
    for level, title in enumerate(("A copy is missing", "No backup was made", "No backup was made", "All is lost")):
        notify("backups", title, f"{title}.", cause="campus", worse=min(level, 2), holds="So much.", then="Do it.")
        notify("backups", "A copy is missing", "It is missing.", cause="campus")
    titles = ["A copy is missing", "No backup was made", "No backup was made"]
    assert [mail["Subject"].partition("backups: ")[2] for mail in host.mails()] == titles
    assert (
        host.mails()[0]
        .get_content()
        .startswith("A copy is missing.\n\nWhat still holds: So much.\n\nWhat to do: Do it.\n")
    )
    host.moment += 86400
    alert.settle("backups")
    assert alert.lasts("backups", "campus") and not alert.lasts("backups", "shop")
    host.fails.touch()
    with pytest.raises(AlertError):
        alert.over("backups", "campus", "It works.")
    host.fails.unlink()
    for _time in range(2):
        alert.over("backups", "campus", "It works.")
    (mail,) = host.mails()[3:]
    assert mail.get_content().startswith("It works.\n\nIt was seen 8 times, first on ")


def test_of_the_same_at_once_one_goes_out_and_all_others_are_remembered(host):
    host.configure(mail="admin@school.example")
    texts = ["The disk is full.", "The disk is full.", "PHP is down.", "The database is down."]
    threads = [threading.Thread(target=notify, args=("monitoring", "Host", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(host.mails()) == 3
    assert len(json.loads((Path(files.STATE) / "alerts.json").read_text())) == 3


def test_what_monit_repeats_each_half_hour_is_reported_as_soon_as_it_can_be_and_once_a_day(host):
    host.configure(mail="admin@school.example")
    host.fails.touch()
    with pytest.raises(AlertError):
        notify(
            "monitoring", "Disk", "A full disk stops logins.\nmonit: space usage 90.2% matches [space usage > 90.0%]"
        )
    host.fails.unlink()
    began = host.moment
    for number in range(1, 48):
        host.moment = began + number * 1800
        saw = f"space usage {90 + number / 10}% matches [space usage > 90.0%]"
        assert notify("monitoring", "Disk", f"A full disk stops logins.\nmonit: {saw}") == [
            "mail to admin@school.example"
        ]
        assert len(host.mails()) == (1 if host.moment - began < 20.5 * 3600 else 2)


def test_another_text_under_the_same_title_is_reported_up_to_a_limit(host):
    host.configure(mail="admin@school.example")
    for disk in ("/", "/home", "/srv", "/var", "/opt", "/boot", "/usr"):
        for percent in (91, 97):
            assert notify("monitoring", "Disk", f"{disk} is {percent} % full") == ["mail to admin@school.example"]
    reported = [mail.get_content().split()[0] for mail in host.mails()]
    assert reported == ["/", "/home", "/srv", "/var", "/opt"]
    assert len(host.journal) == 14, "all of it is in the journal"


def test_what_did_not_go_out_is_an_error_and_is_tried_again(host):
    host.configure(mail="admin@school.example")
    host.fails.touch()
    with pytest.raises(AlertError, match=r"No notification was sent: 'Disk'.*refused the mail.*connection refused"):
        notify("monitoring", "Disk", "full")
    host.fails.unlink()
    assert notify("monitoring", "Disk", "full") == ["mail to admin@school.example"]


def test_a_host_without_a_mail_program_reports_so(host, monkeypatch):
    host.configure(mail="admin@school.example")
    monkeypatch.setattr(alert, "SENDMAIL", ())
    with pytest.raises(AlertError, match="no sendmail, so no mail can go to admin@school.example: install msmtp-mta"):
        notify("monitoring", "Disk", "full")


def test_a_damaged_memory_does_not_keep_an_alert_back(host):
    host.configure(mail="admin@school.example")
    Path(files.STATE).mkdir()
    (Path(files.STATE) / "alerts.json").write_text("{")
    assert notify("monitoring", "Disk", "full")


def test_a_damaged_configuration_is_an_error(host):
    Path(alert.CONFIGURATION).write_text("[")
    with pytest.raises(AlertError, match="cannot be read"):
        notify("monitoring", "Disk", "full")


@pytest.mark.parametrize(
    ("mail", "webhook", "words"),
    [
        ("", "", ""),
        ("admin@school.example", "https://hooks.example/T0?a=1", ""),
        ("Admin <admin@school.example>", "", "is no mail address"),
        ("-a@school.example", "", "is no mail address"),
        ("", "http://hooks.example/T0", "begins with https://"),
        ("", "zzz://hooks.example/T0", "begins with https://"),
        ("", "https:///T0", "begins with https://"),
        ("", "https://hooks.example/T 0", "begins with https://"),
    ],
)
def test_who_can_be_notified(mail, webhook, words):
    refused = alert.refusal(mail, webhook)
    assert words in refused and bool(words) == bool(refused) and "T0" not in refused


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """A webhook behind TLS. ``got``: what was posted; ``status``: its answer."""
    hook = SimpleNamespace(got=[], status=204)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            size = int(self.headers["Content-Length"])
            hook.got.append((self.path, self.headers["Content-Type"], json.loads(self.rfile.read(size))))
            self.send_response(hook.status)
            self.send_header("Location", "https://localhost:1/")
            self.end_headers()

        def log_message(self, *words):
            pass

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hook.address = f"https://localhost:{server.server_port}/services/T0/secret?a=1"
    hook.trust = lambda: monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield hook
    server.shutdown()
    server.server_close()


def test_it_is_posted_to_the_webhook(host, hook):
    hook.trust()
    host.configure(webhook=hook.address)
    assert notify("backups", "Late", "No backup since Monday.") == ["webhook"]
    ((path, kind, content),) = hook.got
    assert (path, kind) == ("/services/T0/secret?a=1", "application/json")
    assert set(content) == {"host", "section", "title", "text"} and content["title"] == "Late"
    assert "secret" not in " ".join(host.journal)


def test_a_webhook_that_cannot_show_who_it_is_gets_nothing(host, hook):
    host.configure(webhook=hook.address)
    with pytest.raises(AlertError, match="webhook on localhost could not be reached: certificate refused") as reported:
        notify("backups", "Late", "No backup since Monday.")
    assert hook.got == [] and "secret" not in str(reported.value)


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_a_webhook_that_refuses_is_an_error_and_no_redirect_is_followed(host, hook, status):
    hook.trust()
    hook.status = status
    host.configure(webhook=hook.address)
    with pytest.raises(AlertError, match=f"webhook on localhost answered {status}"):
        notify("backups", "Late", "No backup since Monday.")


def test_one_of_two_ways_is_enough_and_the_other_is_in_the_journal(host, hook):
    hook.trust()
    host.configure(mail="admin@school.example", webhook=hook.address)
    host.fails.touch()
    assert notify("backups", "Late", "No backup.") == ["webhook"]
    assert any("refused the mail" in line for line in host.journal)


def test_names_that_are_no_text_keep_no_alert_back(host):
    host.configure(mail="admin@school.example")
    assert notify("backups", "Copies \x1b[2J\udcff", "dump\udce9.sql\x1b[2J\r\nis away") == [
        "mail to admin@school.example"
    ]
    (mail,) = host.mails()
    assert mail["Subject"].endswith(r"backups: Copies \x1b[2J\udcff")
    assert mail.get_content().startswith("dump\\udce9.sql\\x1b[2J\\r\nis away\n")
    assert not [line for line in host.journal if not line.isprintable()]


def test_a_full_disk_is_reported(host, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    host.configure(mail="admin@school.example")
    monkeypatch.setattr(files, "replace_file", full)
    assert notify("monitoring", "Disk", "full") == ["mail to admin@school.example"]
    assert "could not be recorded" in host.journal[-1]


def test_a_webhook_with_a_bad_port_does_not_make_the_mail_fail(host):
    host.configure(mail="admin@school.example", webhook="https://hook.example:abc/secret")
    assert notify("monitoring", "Disk", "full") == ["mail to admin@school.example"]
    assert "hook.example could not be reached" in host.journal[-1] and "secret" not in host.journal[-1]
