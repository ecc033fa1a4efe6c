# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import rotation

LOG = "/var/log/nginx/access.log"
DEBIAN = """/var/log/nginx/*.log {
	daily
	missingok
	rotate 52
	create 0640 www-data adm
	sharedscripts
	prerotate
		if [ -d /etc/logrotate.d/httpd-prerotate ]; then \\
			run-parts /etc/logrotate.d/httpd-prerotate; \\
		fi \\
	endscript
	postrotate
		invoke-rc.d nginx rotate >/dev/null 2>&1
	endscript
}
"""
APACHE = """/var/log/apache2/*.log {
	daily
	create 640 root adm
	postrotate
		if pgrep -f ^/usr/sbin/apache2 > /dev/null; then
			invoke-rc.d apache2 reload 2>&1 | logger -t apache2.logrotate
		fi
	endscript
}
"""


@pytest.fixture
def given(tmp_path):
    directory = tmp_path / "etc/logrotate.d"
    directory.mkdir(parents=True)

    def files(*logs: str, **texts: str) -> rotation.Rotation:
        for name, text in texts.items():
            (directory / name.replace("__", ".")).write_text(text)
        return rotation.rotation(Tree(str(tmp_path)), "www-data", logs or (LOG,))

    return files


def test_debians_own_is_taken_over_with_what_its_owner_set(given):
    found = given(nginx=DEBIAN, zz="/var/log/x.log {\n daily\n}\n")
    assert found.files == {LOG: rotation.FILE}
    assert "\n# /etc/logrotate.d/nginx\n/var/log/nginx/*.log {\n\tignoreduplicates\n\tdaily\n" in found.content
    assert "\tcreate 0640 root adm\n" in found.content and "\trotate 52\n" in found.content
    assert "\t\tsystemctl try-reload-or-restart nginx >/dev/null 2>&1\n\tendscript\n}\n" in found.content
    assert "run-parts /etc/logrotate.d/httpd-prerotate" in found.content
    assert "www-data" not in found.content and "x.log" not in found.content
    assert found.content.startswith("# Managed by Ansible: chamilo.hardening, section brute_force.")


def test_what_it_reports_does_not_count_as_somebodys_own(given, tmp_path):
    found = given(nginx=DEBIAN)
    (tmp_path / rotation.FILE.lstrip("/")).write_text(found.content)
    assert given() == found
    given(nginx=APACHE)
    assert given() == rotation.Rotation("", {})


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("invoke-rc.d nginx rotate", "systemctl try-reload-or-restart nginx"),
        (
            "[ ! -f /run/nginx.pid ] || kill -USR1 `cat /run/nginx.pid`",
            "[ ! -f /run/nginx.pid ] || kill -HUP `cat /run/nginx.pid`",
        ),
        ("systemctl kill --signal=USR1 nginx", "systemctl kill --signal=HUP nginx"),
        ("/usr/sbin/nginx -s reopen", "/usr/sbin/nginx -s reload"),
    ],
)
def test_every_way_to_have_nginx_reopen_its_logs(given, command, instead):
    """All of its logs change their owner with it, so the rotation of other ones counts as well."""
    found = given(
        shop=f'"/srv/my shop/*.log" /srv/y.log\n{{\n create 600 shop shop\n postrotate\n  {command}\n endscript\n}}\n'
    )
    assert f"\n  {instead}\n" in found.content
    assert '"/srv/my shop/*.log" /srv/y.log {\n' in found.content and " create 600 shop shop\n" in found.content
    assert found.files == {}


def test_a_brace_of_a_script_ends_no_stanza(given):
    found = given(
        x=f"{LOG} {{\n postrotate\n  reopen() {{\n   invoke-rc.d nginx rotate\n  }}\n  reopen\n endscript\n}}\n"
    )
    assert "  }\n  reopen\n endscript\n}\n" in found.content


def test_a_reload_is_right_and_its_owner_may_still_be_wrong(given):
    log = "/var/log/apache2/other_vhosts_access.log"
    assert given(log, apache2=APACHE) == rotation.Rotation("", {log: "/etc/logrotate.d/apache2"})
    found = given(log, apache2=APACHE.replace("640 root adm", "664 www-data www-data"))
    assert "\tcreate 0644 root adm\n" in found.content and found.files == {log: rotation.FILE}
    assert "invoke-rc.d apache2 reload 2>&1" in found.content


def test_a_file_that_logrotate_does_not_understand(given):
    found = given(nginx='"' + DEBIAN)
    assert found.files == {} and LOG not in found.content


def test_a_block_that_is_commented_out_hides_no_other(given):
    off = "".join(f"#{line}\n" for line in DEBIAN.splitlines())
    found = given(nginx=off + DEBIAN)
    assert found.files == {LOG: rotation.FILE} and found.content.count("ignoreduplicates") == 1


def test_directives_for_all_are_no_part_of_a_block(given):
    """A block may name several files, in lines of their own and in quotes."""
    block = DEBIAN.replace("/var/log/nginx/*.log {", f'"/var/log/b c.log"\n{LOG} {{')
    found = given(nginx=f"weekly\n# {{\n/var/log/x.log\n{block}/x {{\n}}\n")
    assert found.files == {LOG: rotation.FILE}


@pytest.mark.parametrize(
    "texts",
    [
        {"nginx__dpkg-old": DEBIAN, "nginx__bak": DEBIAN},  # logrotate does not read these
        # another program that takes the same signal
        {"x": "/var/log/x.log {\n postrotate\n  kill -USR1 `cat /run/x.pid`\n endscript\n}\n"},
    ],
)
def test_what_rotates_no_log_of_the_portal_is_left_alone(given, texts):
    assert given(**texts) == rotation.Rotation("", {})
