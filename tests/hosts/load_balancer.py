"""A load balancer in front of web nodes, and visitors who use the portal through it meanwhile."""

from __future__ import annotations

import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.playbook import ROOT
from tests.testbed import authority, hosts, images
from tests.testbed.hosts import Host

DOMAIN = "campus.test"
DEFAULTS = """\
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    option forwardfor
    option redispatch
    retries 2
"""
BACKEND = """\
backend campus
    balance roundrobin
    cookie NODE insert indirect nocache
    option httpchk
    http-check send meth GET uri /robots.txt hdr Host campus.test hdr X-Forwarded-Proto https
    default-server check inter 500ms fall 2 rise 1
"""
HAPROXY = f"""\
{DEFAULTS}\
frontend portal
    bind :443 ssl crt /etc/ssl/portal.pem
    http-request set-header X-Forwarded-Proto https
    default_backend campus
{BACKEND}"""
# The same by nginx, on another port.
NGINX = """\
upstream campus {
    include /etc/nginx/campus.d/*.conf;
}
server {
    listen 8443 ssl;
    server_name campus.test;
    ssl_certificate /etc/ssl/portal.pem;
    ssl_certificate_key /etc/ssl/portal.pem;
    location / {
        proxy_pass http://campus;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
"""


def balance(network: str, nodes: Sequence[Host]) -> Host:
    """HAProxy and nginx in front of these nodes, under the public name of the portal."""
    script = images.APT.format(packages="haproxy nginx socat") + "systemctl disable -q nginx haproxy\n"
    image = images.layer("load-balancer", images.base("trixie"), script)
    made = Host("balancer", network, state="empty")
    made.create(image, hosts.first_boot(made))
    chain, key = authority.issue(DOMAIN)
    made.put("/etc/ssl/portal.pem", chain + key, "0600")
    servers = "".join(f"    server {node.name} {node.address}:80 cookie {node.name}\n" for node in nodes)
    made.put("/etc/haproxy/haproxy.cfg", HAPROXY + servers)
    made.put("/etc/nginx/conf.d/campus.conf", NGINX)
    for node in nodes:
        made.put(f"/etc/nginx/campus.d/{node.name}.conf", f"server {node.address}:80;\n")
    made.run("rm -f /etc/nginx/sites-enabled/default && systemctl start haproxy nginx")
    return made


@dataclass(frozen=True)
class Hooks:
    """The tasks of the recipe that take a node out of a load balancer and put it back."""

    drain: dict[str, Any]
    undrain: dict[str, Any]

    @staticmethod
    def run(task: dict[str, Any], balancer: Host, node: Host) -> float:
        """As Ansible runs it on the load balancer. How many seconds it took."""
        shell = task["ansible.builtin.shell"]
        command = shell["cmd"].replace("{{ inventory_hostname_short }}", node.name)
        began = time.monotonic()
        balancer.run([shell.get("executable", "/bin/sh"), "-c", command])
        return time.monotonic() - began


def hooks() -> tuple[Hooks, Hooks]:
    """Those for HAProxy, and those for nginx, from the page that shows them."""
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    blocks = [re.sub("^ {4}", "", block, flags=re.M) for block in re.findall(r"(?<=\n\n)(?: {4}.*\n)+", text)]
    drain, undrain, of_nginx = (
        task for block in blocks if "delegate_to: balancer.internal" in block for task in yaml.safe_load(block)
    )
    # The page names the one expression in which the other file differs.
    out, back = "s/ down;/;/; s/;/ down;/", "s/ down;/;/"
    assert f"`{back}` alone" in text
    shell = of_nginx["ansible.builtin.shell"]
    assert out in shell["cmd"]
    back_again = {**of_nginx, "ansible.builtin.shell": {**shell, "cmd": shell["cmd"].replace(out, back)}}
    return Hooks(drain, undrain), Hooks(of_nginx, back_again)


@dataclass
class Visitors:
    """Ask for the portal's first page, again and again, while something else is done."""

    address: str
    port: int = 443
    asked: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)  # after how many seconds, and what came

    def __enter__(self) -> Visitors:
        self._began, self._end = time.monotonic(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _number in range(2)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        context = ssl.create_default_context(cafile=str(authority.certificate()))
        context.check_hostname = False  # it is asked by its address
        request = urllib.request.Request(f"https://{self.address}:{self.port}/", headers={"Host": DOMAIN})
        while not self._end.wait(0.05):
            at = time.monotonic() - self._began
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                    output = "" if b"<h1>Campus</h1>" in answer.read() else "another page"
            except (OSError, urllib.error.HTTPError) as error:
                output = str(error)
            self.asked += 1
            if output:
                self.failed.append((at, output))
