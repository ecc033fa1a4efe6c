"""Virtual hosts as they stand in the world, on a real web server: ours work in them, and all else is as before."""

from __future__ import annotations

import pytest

from tests.hosts.hardening import world
from tests.testbed.hosts import Host

OPEN = """<VirtualHost *:80>
  ServerName campus.example.org
  DocumentRoot /var/www/chamilo/public
  <Directory /var/www/chamilo/public>
    AllowOverride All
    Require all granted
  </Directory>
"""
PASSWORD = "AuthType Basic\nAuthName x\nAuthUserFile /etc/apache2/pilot\nRequire valid-user\n"
# What no tutorial shows: name -> the virtual host, and the .htaccess of a directory of the portal.
ODD: dict[str, dict[str, str]] = {
    "closed by .htaccess": {"text": f"{OPEN}</VirtualHost>\n", "htaccess": PASSWORD},
    "closed by .htaccess, with a header of ours": {
        "text": f"{OPEN}</VirtualHost>\n",
        "htaccess": "Require ip 192.0.2.7\nHeader set X-Frame-Options DENY\n",
    },
    "closed by a password": {"text": f'{OPEN}<Location "/">\n{PASSWORD}</Location>\n</VirtualHost>\n'},
    "headers everywhere": {
        "text": OPEN.replace("granted", "granted\nHeader set X-Frame-Options a\nHeader always append X-Frame-Options b")
        + "Header add Strict-Transport-Security x\n<Location /main>\nHeader always add X-Frame-Options y\n</Location>\n"
        '<If "true">\nHeader set X-Frame-Options z\n</If>\n</VirtualHost>\n'
    },
    "no name, CRLF, no end of line": {
        "text": f"{OPEN.replace('ServerName campus.example.org', '')}</VirtualHost>".replace("\n", "\r\n")
    },
    "port in the name": {"text": f"{OPEN.replace('example.org', 'example.org:80')}</VirtualHost>\n"},
    "rules of the owner": {
        "text": f"{OPEN}RewriteEngine On\nRewriteRule ^/old/(.*)$ /new/$1 [R=301,L]\n"
        "RewriteRule ^/(?!index.php|robots|img|private|main|\\.git)(.*)$ /index.php [PT]\n</VirtualHost>\n"
    },
    "https by its port": {
        "text": OPEN.replace(":80", ":443") + "SSLCertificateFile /etc/ssl/testbed/fullchain.pem\n"
        "SSLCertificateKeyFile /etc/ssl/testbed/privkey.pem\n</VirtualHost>\n"
        f"{OPEN}RedirectMatch permanent ^/(?!\\.well-known/)(.*)$ https://campus.example.org/$1\n</VirtualHost>\n",
        "modules": "ssl",
    },
    "comments that go on": {"text": f"{OPEN}# a comment \\\n</VirtualHost>\n</VirtualHost>\n# the end \\"},
}


@pytest.mark.wire
@pytest.mark.cells("trixie-apache")
def test_the_owners_virtual_host_of_apache_stays_and_ours_works_in_it(fresh: Host) -> None:
    world(fresh, "on_host_vhosts.py", ODD)
