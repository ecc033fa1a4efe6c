"""Two portals as larger schools run them: several nodes, a load balancer, sessions and uploads in one place.

    campus.test      HAProxy, which ends TLS; Redis; the disk with the uploads        (balancer)
      web1, web2     nginx and PHP; uploads by sshfs, a file system of the network    (chamilo_node: [web])
      store          the database                                                     (chamilo_node: [database])
    library.test     nginx and PHP, speaks TLS itself
      shelf          its database

sshfs stands in for NFS, which a container cannot mount without modules of the machine's kernel. What it does not show:
root_squash, locks over the network, and attributes that one node keeps while another one changes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.hardening import CERTIFICATE, SPARED
from tests.hosts.load_balancer import BACKEND, DEFAULTS
from tests.playbook import Played, play
from tests.testbed import authority, hosts, images
from tests.testbed.hosts import Host

PROJECT = "/var/www/chamilo"
DOMAIN = "campus.test"
WEB = ("web1", "web2")
HAPROXY = f"""\
{DEFAULTS}\
frontend portal
    bind :80
    bind :443 ssl crt /etc/haproxy/portal.pem
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    default_backend campus
{BACKEND}\
    server web1 web1.test:80 cookie web1
    server web2 web2.test:80 cookie web2
"""


def image_of_nodes() -> str:
    packages = f"sshfs php{images.PHP['trixie']}-redis"
    return images.layer("topology-node", images.image("trixie", "nginx"), images.APT.format(packages=packages))


def image_of_balancer() -> str:
    script = images.APT.format(packages="haproxy nginx redis-server socat")
    return images.layer("topology-balancer", images.base("trixie"), f"{script}systemctl disable -q nginx haproxy\n")


@dataclass
class Topology:
    """Both portals. ``directory``: inventories, keys and reports of the controller, and the hooks of the balancer."""

    network: str
    directory: Path
    hosts: dict[str, Host] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    @property
    def address(self) -> str:
        """Where visitors of the first portal arrive."""
        return self["campus"].address

    def up(self) -> Topology:
        node = image_of_nodes()
        balancer = self._make("campus", image_of_balancer(), "empty")
        for name in (*WEB, "store", "library", "shelf"):
            self._make(name, node)
        self._share(balancer)
        for name, store in (("web1", "store"), ("web2", "store"), ("library", "shelf")):
            self._become_web(self[name], store)
        for name in ("store", "shelf"):
            self[name].run(f"systemctl disable --now nginx 'php*-fpm' 2>/dev/null; rm -rf {PROJECT} /var/www/shop")
        chain, key = authority.issue(DOMAIN, f"www.{DOMAIN}")
        balancer.put("/etc/haproxy/portal.pem", chain + key, "0600")
        balancer.put("/etc/haproxy/haproxy.cfg", HAPROXY.lstrip())
        balancer.run("systemctl enable -q --now haproxy")
        balancer.wait(f"http://{DOMAIN}/")
        return self

    def _make(self, name: str, image: str, state: str = "sloppy") -> Host:
        hosts.make_network(self.network)
        host = Host(name, self.network, state=state)
        host.create(image, hosts.first_boot(host))
        self.hosts[name] = host
        return host

    def _share(self, balancer: Host) -> None:
        """The uploads of the first portal, on a disk of the balancer that its web nodes mount."""
        balancer.run("ssh-keygen -q -t ed25519 -N '' -f /root/disk && install -d -m 0700 /root/.ssh")
        balancer.run("cp /root/disk.pub /root/.ssh/authorized_keys && systemctl start ssh")
        key = balancer.get("/root/disk")
        packed = self["web1"].run(f"tar -C {PROJECT}/var/upload -cf /root/uploads.tar . && base64 /root/uploads.tar")
        balancer.run("install -d /srv/upload && base64 -d | tar -C /srv/upload -xf -", data=packed.stdout)
        options = "allow_other,default_permissions,reconnect,StrictHostKeyChecking=no,IdentityFile=/root/disk"
        for name in WEB:
            self[name].put("/root/disk", key, "0600")
            line = f"root@campus.test:/srv/upload {PROJECT}/var/upload fuse.sshfs _netdev,{options} 0 0"
            self[name].run(
                f"cat >>/etc/fstab && systemctl daemon-reload && mount {PROJECT}/var/upload", data=f"{line}\n"
            )

    def _become_web(self, web: Host, store: str) -> None:
        """A node without a database, which serves the portal by its public name."""
        web.run("systemctl disable --now mariadb 2>/dev/null")
        # What Doctrine's bundle does with the options of a connection.
        standin = f"{PROJECT}/vendor/standin/DoctrineExtension.php"
        known = "unset($dbal['default_table_options']);"
        more = "$dbal['driverOptions'] = $dbal['options'] ?? []; unset($dbal['options']);"
        web.put(standin, web.get(standin).replace(known, known + more))
        for name, value in {"DATABASE_HOST": f"{store}.test", "APP_ENV": "prod", "APP_DEBUG": "0"}.items():
            web.run(["sed", "-i", f"s/^{name}=.*/{name}='{value}'/", f"{PROJECT}/.env"])
        if web.name in WEB:
            web.run(f"sed -i 's/{web.domain}/{DOMAIN}/g' /etc/nginx/sites-available/chamilo && systemctl reload nginx")
            self["store"].run(["mariadb", "chamilo"], data=f"UPDATE access_url SET url = 'https://{DOMAIN}/';")
        else:
            self[store].run(["mariadb", "chamilo"], data=f"UPDATE access_url SET url = 'http://{web.domain}/';")
        web.run(f"rm -rf {PROJECT}/var/cache/*; systemctl reload 'php*-fpm.service'")
        web.wait(f"http://{DOMAIN if web.name in WEB else web.domain}/")

    def inventory(self, **variables: Any) -> Path:
        """As the recipe has it: each portal a group of its own, the balancer beside them."""

        def node(name: str, **own: Any) -> dict[str, Any]:
            return {name: {**self[name].quick_inventory(), **own}}

        def store(name: str, *clients: str) -> dict[str, Any]:
            bound = {
                "chamilo_node": ["database"],
                "chamilo_database_bind_address": self[name].address,
                "chamilo_database_clients": [self[client].address for client in clients],
            }
            return node(name, **bound)

        campus = {
            "hosts": {**node("web1", chamilo_node=["web"]), **node("web2", chamilo_node=["web"])},
            "vars": {"chamilo_trusted_proxies": [self.address], "chamilo_https_terminated_elsewhere": True},
        }
        hooks = {f"chamilo_{name}_tasks": str(self.directory / f"{name}.yml") for name in ("drain", "undrain")}
        whole = {
            "children": {"campus_web": campus, "campus_db": {"hosts": store("store", *WEB)}},
            "vars": {"chamilo_domain": DOMAIN, **hooks, **variables},
        }
        library = {
            "hosts": {**node("library", chamilo_node=["web"], **CERTIFICATE), **store("shelf", "library")},
            "vars": {"chamilo_domain": "library.test"},
        }
        tree = {
            "chamilo": {"children": {"campus_portal": whole, "library_portal": library}},
            "balancers": {"hosts": node("campus")},
        }
        path = self.directory / "hosts.yml"
        path.write_text(yaml.safe_dump({name: tree[name] for name in tree}))
        return path

    def run(self, playbook: str, *options: str, of_campus: dict[str, Any] | None = None, **variables: Any) -> Played:
        given = {
            **SPARED,
            "chamilo_backups_key_folder": str(self.directory / "keys"),
            "chamilo_report_dir": str(self.directory / "report"),
            **variables,
        }
        if playbook == "harden":
            del given["chamilo_report_dir"]
        return play(playbook, self.inventory(**(of_campus or {})), *options, variables=given, minutes=30)
