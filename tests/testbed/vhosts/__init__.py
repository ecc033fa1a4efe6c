"""Virtual hosts the way people write them, for nginx and for Apache, and where each of them lies."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
# name of the fixture -> file with the virtual host
FIXTURES = {
    "plain": "plain",
    "in-nginx-conf": "plain",
    "two-names": "two-names",
    "two-servers": "two-servers",
    "default-server": "default-server",
    "regular-file": "plain",
    "foreign-headers": "foreign-headers",
    "other-port": "other-port",
    "https": "https",
    "wrong-docroot": "wrong-docroot",
    "old-docroot": "old-docroot",
}


def script(web: str, fixture: str, domain: str, php: str) -> str:
    """A shell script that puts the virtual hosts of Chamilo and of the shop in place, before the host boots."""
    text = render(web, FIXTURES[fixture], domain, php)
    shop = render(web, "shop", domain, php)
    directory = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}[web]
    suffix = {"nginx": "", "apache": ".conf"}[web]
    lines = [
        f"cd {directory}",
        _file(f"sites-available/shop{suffix}", shop),
        f"ln -s ../sites-available/shop{suffix} sites-enabled/shop{suffix}",
    ]
    if fixture == "in-nginx-conf" and web == "nginx":
        lines += [_file("block", text), "sed -i '/include .*sites-enabled/r block' nginx.conf", "rm block"]
    elif fixture == "in-nginx-conf":
        lines += [_file("block", text), "cat block >>apache2.conf", "rm block"]
    elif fixture == "regular-file":
        lines += [_file(f"sites-enabled/chamilo{suffix}", text)]
    else:
        lines += [
            _file(f"sites-available/chamilo{suffix}", text),
            f"ln -s ../sites-available/chamilo{suffix} sites-enabled/chamilo{suffix}",
        ]
    if fixture == "default-server":
        lines += ["rm sites-enabled/*default*"]
    if fixture == "https" and web == "apache":
        lines += ["a2enmod -q ssl >/dev/null"]
    if fixture == "two-servers":
        lines += ["mkdir /var/www/library", "echo library >/var/www/library/index.html"]
    return "\n".join(lines) + "\n"


def render(web: str, name: str, domain: str, php: str) -> str:
    text = (HERE / web / f"{name}.conf").read_text()
    return text.replace("@DOMAIN@", domain).replace("@PHP@", php)


def _file(path: str, text: str) -> str:
    return f"cat >{path} <<'EOF'\n{text}EOF"
