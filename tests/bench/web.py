"""What hardening costs a request, as a ratio: wrk against a hardened host, and against one without our rules.

    bin/env python -m tests.bench.web [--web nginx] [--release trixie] [--pairs 20] [--seconds 3]

Both are the same host, saved after it was hardened: production mode, owners, and TLS with the same certificate,
protocols and ciphers. On one of them all our rules are undone. A pair is one run of wrk on either host, over loopback,
both at once: the servers share one processor, the two of wrk another, so the kernel interleaves them every few
milliseconds and whatever else the machine does meets both. (One run after the other, equal hosts differ by a third.)
What is compared is the processor time of web server and PHP for each request; the ratio of requests per second is
printed beside it.

The file is as long as a bundle of JavaScript. One with next to nothing in it shows what the headers alone cost; it has
no limit. Apache sends the rest of a file all at once where a piece of it begins at a page of memory, which it does if
the headers are a multiple of 64 bytes long: a chance of one in 64, worth eight per cent, that neither host may have.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.hardening import Playbook
from tests.testbed import hosts, images
from tests.testbed.hosts import Host

LEAST = 0.98  # of the speed without our rules
PATHS = {"page": "/login", "file": "/build/long.js", "tiny": "/build/app.css"}
LIMITED = ("page", "file")
SECTIONS = ("updates", "https", "permissions", "sessions", "headers", "uploads")
LENGTH = 200_000
# The same TLS as ours: what the distribution's file sets already is changed there.
TLS = {
    "nginx": """
cd /etc/nginx
sed -i 's/^\\s*ssl_protocols .*/ssl_protocols TLSv1.2 TLSv1.3;/' nginx.conf
sed -i 's/^\\s*ssl_prefer_server_ciphers .*/ssl_prefer_server_ciphers off;/' nginx.conf
printf 'ssl_session_cache shared:bench:10m;\\nssl_session_tickets off;\\n' >conf.d/tls.conf
""",
    "apache": """
cd /etc/apache2/conf-enabled
printf 'SSLProtocol -all +TLSv1.2 +TLSv1.3\\nSSLHonorCipherOrder off\\nSSLSessionTickets off\\n' >tls.conf
""",
}
SERVICES = {"nginx": "nginx.service", "apache": "apache2.service"}


@dataclass(frozen=True)
class Run:
    """One run of wrk."""

    requests: int
    rate: float  # requests per second
    cost: float  # seconds of processor time of the servers per request

    @classmethod
    def on(cls, host: Host, path: str, seconds: int) -> Run:
        before = spent(host)
        output = host.run(
            f"taskset --cpu-list 1 wrk --threads 1 --connections 8 --duration {seconds}s --timeout 10s "
            f"https://{host.domain}{path}"
        ).stdout
        used = spent(host) - before
        wrong = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", output)
        if wrong or " 0 requests in" in output:
            raise RuntimeError(f"{host.name}: {path}: {wrong[0] if wrong else 'no answer'}")
        (requests,) = map(int, re.findall(r"(\d+) requests in", output))
        (rate,) = map(float, re.findall(r"Requests/sec:\s+([\d.]+)", output))
        return cls(requests, rate, used / requests)


def spent(host: Host) -> float:
    """Seconds of processor time that web server and PHP have had so far, those of their children that ended too."""
    output = host.run(["systemctl", "show", "--property=CPUUsageNSec", SERVICES[host.web], "php*-fpm.service"]).stdout
    return sum(map(int, re.findall(r"CPUUsageNSec=(\d+)", output))) / 1e9


def prepared(host: Host) -> None:
    host.run("apt-get -q update && apt-get -q -y --no-install-recommends install wrk")
    # All on the same processor, whatever nginx would choose for itself.
    host.run("sed -i '/^worker_cpu_affinity/d' /etc/nginx/nginx.conf 2>/dev/null || true")
    for service in (SERVICES[host.web], host.run("cd /lib/systemd/system && ls php*-fpm.service").stdout.strip()):
        host.put(f"/etc/systemd/system/{service}.d/bench.conf", "[Service]\nCPUAffinity=0\n")
    host.run("systemctl daemon-reload")
    # Room for all connections, and code that is compiled once.
    host.run("sed -i 's/^pm.max_children = .*/pm.max_children = 8/' /etc/php/*/fpm/pool.d/www.conf")
    host.put("/var/www/chamilo/public/build/long.js", "a" * LENGTH, "0644")


def plain(host: Host) -> None:
    """Production mode, owners and TLS stay; nothing else of ours does."""
    for section in reversed(SECTIONS):
        host.run(["chamilo-hardening", "undo", section, "--yes"])
    host.run(TLS[host.web])


def warm(host: Host) -> None:
    host.run(f"echo '127.0.0.1 {host.domain}' >>/etc/hosts")
    host.run(f"systemctl restart 'php*-fpm.service' {SERVICES[host.web]}")
    for path in PATHS.values():
        Run.on(host, path, 10)  # caches fill
    asked = f"curl -s --http1.1 -o /dev/null -w %{{size_header}} https://{host.domain}{PATHS['file']}"
    headers = int(host.run(asked).stdout)
    if host.web == "apache" and headers % 64 == 0:
        raise RuntimeError(f"{host.name}: headers of {headers} bytes, which are lucky; give the file another type")


def compare(hardened: Host, bare: Host, path: str, pairs: int, seconds: int) -> tuple[list[float], list[float]]:
    """For each pair: how fast the hardened host is in terms of the other's, by processor time and by requests."""
    by_cost, by_rate = [], []
    with ThreadPoolExecutor(2) as together:
        for _ in range(pairs):
            ours, theirs = together.map(Run.on, (hardened, bare), (path, path), (seconds, seconds))
            by_cost.append(theirs.cost / ours.cost)
            by_rate.append(ours.rate / theirs.rate)
    return by_cost, by_rate


def described(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"median {middle:.3f}, quartiles {low:.3f} to {high:.3f}, all {min(ratios):.3f} to {max(ratios):.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.web", description=__doc__.partition("\n")[0])
    parser.add_argument("--web", choices=images.SERVERS, default="nginx")
    parser.add_argument("--release", choices=images.RELEASES, default="trixie")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of wrk")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    network = f"chamilo-bench-{os.getpid()}"
    networks = [f"{network}-{name}" for name in ("first", "hardened", "bare")]
    saved: list[str] = []
    slow = False
    try:
        first = hosts.up("campus", options.release, options.web, vhost="https", network=networks[0])
        prepared(first)
        with tempfile.TemporaryDirectory() as directory:
            # All of production mode, TLS and web server; nothing that would count wrk among attackers.
            Playbook(Path(directory), ",".join(SECTIONS)).harden(first)
        saved.append(first.save())
        hosts.down(networks[0])
        hardened, bare = (
            hosts.up("campus", options.release, options.web, vhost="https", network=each, image=saved[0])
            for each in networks[1:]
        )
        plain(bare)
        warm(hardened), warm(bare)
        print(f"{options.pairs} pairs of {options.seconds} s, {options.web}, Debian {options.release}")
        for name, path in PATHS.items():
            by_cost, by_rate = compare(hardened, bare, path, options.pairs, options.seconds)
            fast = name not in LIMITED or statistics.median(by_cost) >= LEAST
            verdict = "" if fast else f"  TOO SLOW, at least {LEAST}"
            slow = slow or bool(verdict)
            print(f"{name:5} by processor time: {described(by_cost)}{verdict}")
            print(f"{name:5} by requests/s:     {described(by_rate)}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
        return 130
    finally:
        for each in networks:
            hosts.down(each)
        hosts.forget(*saved)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
