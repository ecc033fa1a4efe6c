"""The recipient of alerts: a mail server (Debian's aiosmtpd, with STARTTLS) and an https server in a container.

The https server takes what is posted to /hook and serves /feed, whose text a test sets. Both have a
certificate of the testbed's own authority for ``mail.test``, which its hosts trust.
"""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

from tests.testbed import authority, hosts, images
from tests.testbed.engine import LABEL, EngineError, docker, ensure

NAME = "mail.test"
HOOK = f"https://{NAME}/hook/not-for-everybody"
FEED = f"https://{NAME}/feed"
SERVER = """\
import http.server, json, pathlib, ssl, threading, time
from aiosmtpd.controller import Controller

DIRECTORY = pathlib.Path("/srv/got")
DIRECTORY.mkdir(exist_ok=True)


def keep(kind, text):
    part = DIRECTORY / f".{time.time_ns()}"
    part.write_text(text)
    part.rename(DIRECTORY / f"{part.name[1:]}.{kind}")


class Mail:
    async def handle_DATA(self, server, session, envelope):
        message = {"to": envelope.rcpt_tos, "from": envelope.mail_from, "tls": session.ssl is not None}
        keep("mail", json.dumps({**message, "text": envelope.content.decode("utf-8", "replace")}))
        return "250 OK"


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        keep("hook", self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204 if self.path.startswith("/hook/") else 404)
        self.end_headers()

    def do_GET(self):
        text = pathlib.Path("/srv/feed")
        there = self.path == "/feed" and text.exists()
        self.send_response(200 if there else 404)
        self.end_headers()
        if there:
            self.wfile.write(text.read_bytes())

    def log_message(self, *words):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/mail.pem", "/srv/mail.key")
Controller(Mail(), hostname="0.0.0.0", port=587, tls_context=context, require_starttls=True).start()
Controller(Mail(), hostname="0.0.0.0", port=25).start()
web = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Web)
web.socket = context.wrap_socket(web.socket, server_side=True)
web.serve_forever()
"""


@dataclass
class Sink:
    """Where alerts arrive. ``mails`` and ``hooks``: what came so far, the oldest first."""

    container: str
    address: str

    def mails(self) -> list[EmailMessage]:
        """The mails, each with the headers X-To and X-TLS for what was sent outside of it."""
        found = []
        for text in self._got("mail"):
            known = json.loads(text)
            message = email.message_from_string(known["text"], policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            message["X-To"] = ",".join(known["to"])
            message["X-TLS"] = str(known["tls"])
            found.append(message)
        return found

    def hooks(self) -> list[dict[str, str]]:
        return [json.loads(text) for text in self._got("hook")]

    def titles(self) -> list[str]:
        """What was posted, by title."""
        return [hook["title"] for hook in self.hooks()]

    def wait(self, desired: Callable[[], object], seconds: float = 60) -> None:
        """Until something came that is true of what came."""
        end = time.monotonic() + seconds
        while not desired():
            if time.monotonic() > end:
                raise EngineError(f"{NAME} waited {seconds} s for nothing; it got: {self.titles()}")
            time.sleep(0.5)

    def forget(self) -> None:
        docker("exec", self.container, "sh", "-c", "rm -f /srv/got/*")

    def feed(self, text: str) -> None:
        """What /feed answers from now on; empty: 404."""
        if text:
            docker("exec", "-i", self.container, "sh", "-c", "cat >/srv/feed", data=text.encode())
        else:
            docker("exec", self.container, "rm", "-f", "/srv/feed")

    def down(self) -> None:
        docker("rm", "--force", "--volumes", self.container)

    def _got(self, kind: str) -> list[str]:
        script = f"for f in $(ls /srv/got/*.{kind} 2>/dev/null | sort); do cat $f; printf '\\0'; done"
        return docker("exec", self.container, "sh", "-c", script).stdout.split("\0")[:-1]


def up(network: str) -> Sink:
    """Start one in a network, where it is known as mail.test. It must go before the network does."""
    ensure()
    hosts.make_network(network)
    image = images.layer("mail", images.base("trixie"), images.APT.format(packages="python3-aiosmtpd"))
    chain, key = authority.issue(NAME)
    container = f"{network}-mail"
    docker("rm", "--force", "--volumes", container, check=False)
    script = (
        f"cat >/srv/mail.pem <<'END'\n{chain}END\ncat >/srv/mail.key <<'END'\n{key}END\n"
        f"cat >/srv/server.py <<'END'\n{SERVER}END\nexec python3 /srv/server.py\n"
    )
    docker(
        "run",
        "--detach",
        f"--name={container}",
        f"--network={network}",
        f"--network-alias={NAME}",
        f"--label={LABEL}",
        image,
        "bash",
        "-euc",
        script,
    )
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    sink = Sink(container, docker("inspect", "--format", form, container).stdout.strip())
    ready = "import socket; [socket.create_connection(('127.0.0.1', port), 1) for port in (25, 443, 587)]"
    end = time.monotonic() + 30
    while docker("exec", container, "python3", "-c", ready, check=False).returncode:
        if time.monotonic() > end:
            raise EngineError(f"{container} does not answer: {docker('logs', container, check=False).stderr}")
        time.sleep(0.2)
    return sink
