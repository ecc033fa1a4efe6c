"""An authority that speaks ACME: Debian's Pebble in a container of the test network, with its challenge server.

Pebble asks the challenge server for every name, so a test sets where a name leads (``name``) and what the host may
publish in the DNS (the challenge server's own interface, http://acme.test:8055). It signs with an authority that it
makes at each start; ``roots`` is that one's certificate.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from dataclasses import dataclass

from tests.testbed import authority, hosts, images
from tests.testbed.engine import LABEL, EngineError, docker, ensure

NAME = "acme.test"
DIRECTORY = f"https://{NAME}/dir"
PACKAGES = "pebble"
DAYS = 90
CONFIGURATION = {
    "pebble": {
        "listenAddress": "0.0.0.0:443",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/etc/pebble.pem",
        "privateKey": "/etc/pebble.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "certificateValidityPeriod": DAYS * 86400,
        "profiles": {"default": {"description": "As long as most", "validityPeriod": DAYS * 86400}},
    }
}
START = """\
pebble-challtestsrv -defaultIPv4 '' -defaultIPv6 '' -http01 '' -https01 '' -tlsalpn01 '' -doh '' &
export PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0
exec pebble -config /etc/pebble.json -dnsserver 127.0.0.1:8053
"""


@dataclass
class Acme:
    """One authority. ``directory`` is what an ACME client is given; hosts trust the certificate it is served with."""

    container: str
    address: str
    directory: str = DIRECTORY

    def name(self, domain: str, *addresses: str) -> None:
        """Set where a name leads."""
        v4, v6 = ([each for each in addresses if (":" in each) is six] for six in (False, True))
        self._report("clear-a", {"host": domain})
        self._report("clear-aaaa", {"host": domain})
        if v4:
            self._report("add-a", {"host": domain, "addresses": v4})
        if v6:
            self._report("add-aaaa", {"host": domain, "addresses": v6})

    @property
    def roots(self) -> str:
        """The certificate of the authority that signs, in PEM."""
        context = ssl.create_default_context(cafile=str(authority.certificate()))
        context.check_hostname = False  # reached by its address
        with urllib.request.urlopen(f"https://{self.address}:15000/roots/0", context=context, timeout=10) as answer:
            return str(answer.read().decode())

    def orders(self) -> int:
        """How many certificates it was asked for since it started."""
        log = docker("logs", self.container)
        return (log.stdout + log.stderr).count("POST /order-plz")

    def _report(self, what: str, data: dict[str, object]) -> None:
        request = urllib.request.Request(f"http://{self.address}:8055/{what}", json.dumps(data).encode())
        with urllib.request.urlopen(request, timeout=10):
            pass


def image() -> str:
    return images.layer("acme", images.base("trixie"), images.APT.format(packages=PACKAGES))


def up(network: str) -> Acme:
    """An authority in this network, in place of one that is there. It must go before the network does."""
    ensure()
    hosts.make_network(network)
    container = f"{network}-acme"
    docker("rm", "--force", "--volumes", container, check=False)
    chain, key = authority.issue(NAME)
    files = {"pem": chain, "key": key, "json": json.dumps(CONFIGURATION)}
    writes = "".join(f"cat >/etc/pebble.{end} <<'END'\n{text}\nEND\n" for end, text in files.items())
    words = ["--detach", f"--name={container}", f"--network={network}", f"--network-alias={NAME}", f"--label={LABEL}"]
    docker("run", *words, image(), "bash", "-euc", writes + START)
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    acme = Acme(container, docker("inspect", "--format", form, container).stdout.strip())
    wait(acme)
    return acme


def down(network: str) -> None:
    """Before the network goes."""
    docker("rm", "--force", "--volumes", f"{network}-acme", check=False)


def wait(acme: Acme, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            acme._report("clear-a", {"host": NAME})
            assert "BEGIN CERTIFICATE" in acme.roots
            return
        except OSError as problem:
            if time.monotonic() > end:
                log = docker("logs", "--tail", "20", acme.container, check=False)
                raise EngineError(f"{acme.container} does not answer: {problem}\n{log.stdout}{log.stderr}") from problem
            time.sleep(0.1)
