"""A real browser: headless Chromium in a container of its own on a network of the testbed, driven over WebDriver.

The same container is an unrelated site, https://elsewhere.test: it serves the pages and scripts a test gives it, and
keeps what is sent to it.
"""

from __future__ import annotations

import json
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.testbed import authority, images
from tests.testbed.engine import LABEL, EngineError, docker

ELSEWHERE = "elsewhere.test"
_DIRECTORY = "/srv/elsewhere"
_POSTED = "/srv/posted"
_SERVER = f"""
import functools, http.server, ssl
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("{_POSTED}", "ab") as file:
            file.write(self.path.encode() + b" " + body + bytes([10]))
        self.send_response(204)
        self.end_headers()
handler = functools.partial(Handler, directory="{_DIRECTORY}")
server = http.server.ThreadingHTTPServer(("", 443), handler)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain("/etc/elsewhere.pem")
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions")


def image() -> str:
    packages = "chromium chromium-driver fonts-dejavu-core"
    return images.layer("browser", images.base("trixie"), images.APT.format(packages=packages))


@dataclass
class Browser:
    """One window. ``console`` is what its pages, and the browser about them, have logged since it was asked last."""

    container: str
    address: str
    session: str = field(default="", repr=False)

    def ask(self, method: str, path: str, seconds: float = 60, **data: Any) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}:9515{path}",
            json.dumps(data).encode() if method == "POST" else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as refused:
            raise EngineError(f"{method} {path}: {refused.read().decode(errors='replace')[:500]}") from refused

    def start(self) -> None:
        """Open a window that remembers nothing: no page, no cookie, no connection."""
        if self.session:
            self.ask("DELETE", f"/session/{self.session}")
        options = {
            "acceptInsecureCerts": True,  # the testbed's authority is not this browser's
            # Debian's build drops cookies in frames of other sites, which visitors' browsers may or may not do.
            "goog:chromeOptions": {"args": list(_ARGUMENTS), "prefs": {"profile.cookie_controls_mode": 0}},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self.session = self.ask("POST", "/session", capabilities={"alwaysMatch": options})["sessionId"]

    def open(self, url: str) -> None:
        """Load a page with all its parts."""
        self.ask("POST", f"/session/{self.session}/url", url=url)

    def run(self, script: str) -> Any:
        """What a JavaScript function body returns in the page."""
        return self.ask("POST", f"/session/{self.session}/execute/sync", script=script, args=[])

    def until(self, expression: str, seconds: float = 15) -> Any:
        """The value of a JavaScript expression once it is true."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(f"return {expression}")
            if value:
                return value
            if time.monotonic() > end:
                raise EngineError(f"not in {seconds} s: {expression}\n{self.run('return document.URL')}")
            time.sleep(0.1)

    def frame(self, number: int | None = 0) -> None:
        """Go into a frame of the page; None: back to the page."""
        self.ask("POST", f"/session/{self.session}/frame", id=number)

    def console(self) -> list[str]:
        entries = self.ask("POST", f"/session/{self.session}/se/log", type="browser")
        return [str(entry["message"]) for entry in entries]

    def violations(self) -> list[str]:
        """What the policies of the pages did not allow, or would not allow if they were enforced."""
        return [line for line in self.console() if "content security policy" in line.lower() or "frame-anc" in line]

    def serve(self, name: str, text: str) -> str:
        """Put a file on the other site; its address."""
        path = shlex.quote(f"{_DIRECTORY}/{name}")
        docker("exec", "-i", self.container, "sh", "-c", f"cat >{path}", data=text.encode())
        return f"https://{ELSEWHERE}/{name}"

    def posted(self, path: str, seconds: float = 15) -> list[Any]:
        """What was sent to an address of the other site, in JSON. Waits for the first."""
        end = time.monotonic() + seconds
        while True:
            lines = docker("exec", self.container, "cat", _POSTED).stdout.splitlines()
            found = [
                json.loads(body) for where, _blank, body in (line.partition(" ") for line in lines) if where == path
            ]
            if found or time.monotonic() > end:
                return found
            time.sleep(0.2)


@contextmanager
def browser(network: str) -> Iterator[Browser]:
    """A browser on a network that is there. Its container goes with it."""
    chain, key = authority.issue(ELSEWHERE)
    name = f"{network}-browser"
    script = (
        f"mkdir -p {_DIRECTORY} && touch {_POSTED} && cat >/etc/elsewhere.pem && python3 -c {shlex.quote(_SERVER)} & "
        "exec chromedriver --port=9515 --allowed-ips= --allowed-origins=*"
    )
    start = script.replace("cat >/etc/elsewhere.pem", f"printf %s {shlex.quote(chain + key)} >/etc/elsewhere.pem")
    docker("rm", "--force", "--volumes", name, check=False)
    words = ["run", "--detach", "--init", f"--name={name}", f"--network={network}", f"--network-alias={ELSEWHERE}"]
    docker(*words, f"--label={LABEL}", image(), "sh", "-c", start)
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    made = Browser(name, docker("inspect", "--format", form, name).stdout.strip())
    try:
        _wait(made)
        made.start()
        yield made
    finally:
        docker("rm", "--force", "--volumes", name)


def _wait(made: Browser) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            if made.ask("GET", "/status", seconds=5)["ready"]:
                return
        except OSError as problem:
            if time.monotonic() > end:
                output = docker("logs", "--tail", "20", made.container, check=False)
                raise EngineError(
                    f"chromedriver does not answer: {problem}\n{output.stdout}{output.stderr}"
                ) from problem
        time.sleep(0.2)
