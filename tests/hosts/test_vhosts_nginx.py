"""Virtual hosts as they stand in the world, on a real nginx: ours work in them, and all else is as before."""

from __future__ import annotations

import pytest

from tests.hosts.hardening import world
from tests.testbed.hosts import Host

FPM = "unix:/run/php/php@PHP@-fpm.sock"
NAMED = "listen 80; listen [::]:80; server_name campus.example.org;"
SCRIPT = "include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;"
ROOTED = "root /var/www/chamilo/public; index index.php;"
FRONT = "location / { try_files $uri /index.php$is_args$args; }"
BODY = f"{ROOTED} {FRONT} location ~ \\.php$ {{ {SCRIPT} fastcgi_pass {FPM}; }}"
# What no tutorial shows: name -> files below /etc/nginx.
ODD: dict[str, dict[str, str]] = {
    "one line": {"sites-available/campus.conf": f"server {{ {NAMED} {BODY} }}"},
    "CRLF": {"sites-available/campus.conf": f"server {{\r\n\t{NAMED}\r\n\t{BODY}\r\n}}"},
    "no name": {"sites-available/campus.conf": f"server {{ listen 80 default_server; {BODY} }}\n"},
    "the name _": {"sites-available/campus.conf": f"server {{\n listen 80;\n server_name _;\n {BODY}\n}}\n"},
    "comments": {
        "sites-available/campus.conf": f"# server {{\nserver # {{\n{{ # }} portal\n {NAMED} # }}\n set $a 'b;}}';\n"
        f" {BODY} # }}\n}}#"
    },
    "locations in a snippet": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n include snippets/portal.conf;\n}}\n",
        "snippets/portal.conf": BODY,
    },
    "parameters of the server block": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n {ROOTED}\n {SCRIPT}\n {FRONT}\n"
        f" location ~ \\.php$ {{ fastcgi_pass {FPM}; }}\n}}\n"
    },
    "headers everywhere": {
        "conf.d/all.conf": "add_header X-All 1 always;\nadd_header X-Frame-Options ALL always;\n",
        "sites-available/campus.conf": f"server {{\n {NAMED}\n add_header X-Frame-Options DENY always;\n {BODY}\n"
        " location /img { add_header Cache-Control public; if ($arg_x) { add_header Referrer-Policy x always; } }\n"
        " location = /robots.txt { add_header Strict-Transport-Security x always; expires 1d; }\n}\n",
    },
    "pages of errors for all sites": {
        "conf.d/all.conf": "error_page 404 =410 /robots.txt;\n",
        "sites-available/campus.conf": f"server {{\n {NAMED}\n {BODY}\n"
        " location /none { try_files $uri =404; }\n}\n",
    },
    "port 80 is missing, beside Debian's default": {
        "sites-available/campus.conf": "server {\n listen 443 ssl;\n server_name campus.example.org;\n"
        " ssl_certificate /etc/ssl/testbed/fullchain.pem;\n ssl_certificate_key /etc/ssl/testbed/privkey.pem;\n"
        f" {BODY}\n}}\nserver {{ listen 80 default_server; listen [::]:80 default_server; root /var/www/html; }}\n",
    },
    "a name without TLS beside one that has it": {
        "sites-available/campus.conf": "server {\n listen 443 ssl; listen 80;\n server_name campus.example.org;\n"
        " ssl_certificate /etc/ssl/testbed/fullchain.pem;\n ssl_certificate_key /etc/ssl/testbed/privkey.pem;\n"
        f" {BODY}\n}}\nserver {{\n listen 80;\n server_name www.campus.example.org;\n {BODY}\n}}\n",
    },
    "rewrites and conditions of the owner": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n rewrite ^/old/(.*)$ /new/$1 permanent;\n"
        " if ($http_user_agent ~ bad) { return 444; }\n location = /old-page { return 302 /index.php; }\n"
        f" location ^~ /img/ {{ expires 1d; }}\n {BODY}\n}}\n",
    },
    "a cache before it": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n location / {{ proxy_pass http://127.0.0.1:8088; "
        "proxy_set_header Host $host; }\n}\nserver {\n listen 127.0.0.1:8088;\n"
        f" server_name campus.example.org;\n {BODY}\n}}\n",
    },
    "a snippet that another site includes too": {
        "snippets/php.conf": f"add_header X-Frame-Options DENY;\nadd_header X-More 1;\n"
        f"location ~ \\.php$ {{ {SCRIPT} fastcgi_pass {FPM}; }}\n",
        "sites-available/campus.conf": f"server {{\n {NAMED}\n {ROOTED}\n {FRONT}\n include snippets/php.conf;\n}}\n"
        "server { listen 80; server_name other.example.org; root /var/www/html; include snippets/php.conf; }\n",
    },
    "redirect by a condition": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n listen 443 ssl;\n"
        " ssl_certificate /etc/ssl/testbed/fullchain.pem;\n ssl_certificate_key /etc/ssl/testbed/privkey.pem;\n"
        f" if ($scheme = http) {{ return 301 https://$host$request_uri; }}\n {BODY}\n}}\n",
    },
    "a rewrite of everything that is no file": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n {ROOTED}\n if (!-e $request_filename) {{\n"
        f"  rewrite ^/(.*)$ /index.php?q=$1 last;\n }}\n location ~ \\.php$ {{ {SCRIPT} fastcgi_pass {FPM}; }}\n}}\n",
    },
    "settings of TLS for all sites": {
        "snippets/ssl.conf": "ssl_certificate /etc/ssl/testbed/fullchain.pem;\nssl_protocols TLSv1.2 TLSv1.3;\n"
        "ssl_certificate_key /etc/ssl/testbed/privkey.pem;\nssl_session_cache shared:SSL:10m;\n"
        "add_header Strict-Transport-Security max-age=63072000 always;\nadd_header X-Frame-Options DENY;\n",
        "sites-available/campus.conf": f"server {{\n listen 443 ssl;\n {NAMED}\n include snippets/ssl.conf;\n {BODY}\n"
        "}\nserver { listen 443 ssl; server_name other.example.org; root /var/www/html; include snippets/ssl.conf; }\n",
    },
    "a program between nginx and nginx": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n location / {{ proxy_pass http://127.0.0.1:6081; }}\n}}\n"
        f"server {{\n listen 8082;\n server_name campus.example.org;\n {BODY}\n}}\n",
    },
    "two portals in a file": {
        "sites-available/campus.conf": f"server {{\n {NAMED}\n {BODY}\n}}\nserver {{\n listen 80;\n"
        " server_name school.example.org;\n root /var/www/html;\n add_header X-Frame-Options DENY;\n}\n",
    },
}


@pytest.mark.wire
@pytest.mark.cells("trixie-nginx")
def test_the_owners_server_block_stays_and_ours_works_in_it(fresh: Host) -> None:
    world(fresh, "on_host_vhosts_nginx.py", ODD)
