# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes PHP run the parts of several sections before each script of a portal.

PHP has one place for a file that it runs before each script. prepend.php runs whatever sections put into prepend.d,
then what PHP ran before. It is set for the scripts of the portals alone: another site may forbid its PHP to read
anything but its own directory, and would fail.
"""

from __future__ import annotations

from ...module_utils._application.site import Site
from .shapes import File

PATH = "/usr/local/share/chamilo-hardening/prepend.php"
MANAGED = "Managed by Ansible: chamilo.hardening. Changes here are lost."
PHP = r"""<?php
// Managed by Ansible: chamilo.hardening. Changes here are lost.
// PHP runs this before each script of a portal: the parts of the active sections, then what it ran before.
foreach (['uploads', 'permissions', 'sessions'] as $chamilo_hardening) {
    // PHP remembers what it resolves; it would ask the file system anew, in each request, whether a file is there.
    if ($chamilo_hardening = stream_resolve_include_path(__DIR__ . "/prepend.d/$chamilo_hardening.php")) {
        require $chamilo_hardening;
    }
}
$chamilo_hardening = (static function (): string {
    $script = (string) realpath($_SERVER['SCRIPT_FILENAME'] ?? '');
    $before = (array) get_cfg_var('chamilo_hardening.before');
    foreach ((array) get_cfg_var('chamilo_hardening.root') as $site => $root) {
        if (isset($before[$site]) && fnmatch("$root/*", $script)) {
            return $before[$site];
        }
    }
    return 'cli' === PHP_SAPI ? $before['cli'] ?? '' : (string) get_cfg_var('auto_prepend_file');
})();
if ('' !== $chamilo_hardening && is_string($chamilo_hardening = stream_resolve_include_path($chamilo_hardening))) {
    require $chamilo_hardening;
}
unset($chamilo_hardening);
"""


def files(site: Site, word: str) -> list[File]:
    """For every version of PHP: another virtual host may hand the portal's files to another one."""
    text = _ini(site, word)
    faces = [face for face in site.php_folders if face.endswith(("/fpm", "/cgi", "/apache2"))]
    return [
        File(PATH, content=PHP),
        *(File(f"{face}/conf.d/99-chamilo-{word}-prepend.ini", content=text) for face in faces),
        *(apache(site, word) if site.php.sapi == "mod_php" else []),
    ]


def apache(site: Site, word: str) -> list[File]:
    """Where PHP is a module of Apache, for every virtual host, managed or not."""
    lines = [f"# {MANAGED}", "# For every virtual host, managed or not.", "<IfModule php_module>"]
    for directory in site.spellings:
        lines += [
            f'    <Directory "{directory}">',
            f"        php_admin_value auto_prepend_file {PATH}",
            "    </Directory>",
        ]
    text = "\n".join([*lines, "</IfModule>", ""])
    return [File(f"/etc/apache2/conf-enabled/chamilo-{word}-prepend.conf", content=text)]


def _ini(site: Site, word: str) -> str:
    lines = [f"; {MANAGED}", f'chamilo_hardening.root[{word}] = "{site.real_root}"']
    if site.php.prepended:
        lines += [
            "; The owner's auto_prepend_file. It still runs before each script, after ours.",
            f'chamilo_hardening.before[{word}] = "{site.php.prepended}"',
        ]
    for directory in site.spellings:
        lines += [f"[PATH={directory}]", f"auto_prepend_file = {PATH}"]
    return "\n".join([*lines, ""])
