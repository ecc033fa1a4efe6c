#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_perms
short_description: Set owner, group and mode of a whole Chamilo tree in one pass
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal.probe
description:
  - Gives every entry of a Chamilo tree the owner, group and mode that the security guide asks for. Each run inspects
    every entry, in one pass.
  - Is safe against a user who exchanges files, directories and links while it runs, as an attacker who has taken over a
    page can. It follows no link below the start, crosses no mount that is not in O(roots), and leaves a file alone that
    has a name outside the tree as well. Nothing outside the tree changes.
attributes:
  check_mode:
    support: full
    description: Predicts what would change, and writes nothing.
  diff_mode:
    support: full
    description: Shows owner, group and mode of up to 20 entries before and after, and how many there are.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  root:
    description:
      - The project directory of Chamilo, the one with C(public/), C(var/) and C(.env).
      - May be a link, such as C(current), or lie behind one, where the link and the directory it lies in are root's.
    type: str
    required: true
    aliases: [path]
  owner:
    description: Name or number of the user who owns the program and its configuration, root or the one who deploys.
    type: str
    default: root
  group:
    description: Name or number of the group of everything, by default that of the user PHP runs as.
    type: str
  web_user:
    description: The user PHP runs as. C(var/) belongs to it; everything else it can only read.
    type: str
    required: true
  profile:
    description:
      - What the tree is used for.
      - "V(production): the program is V(0755) and V(0644), C(var/) is the web user's with V(0770) and V(0660),
        V(0600) in C(var/sessions/) and V(0750) for C(var/security/), C(config/) is V(0750) and V(0640), each C(.env*)
        is V(0640). A file that can be executed stays so in C(bin/), in C(vendor/bin/) and in the C(bin/) of a package
        in C(vendor/). Setuid and setgid bits go."
      - "V(install): as V(production), but PHP can write C(config/) and C(.env*), as the installation wizard wants."
      - "V(upgrade): PHP can write the program as well, as an updater that runs in the browser wants."
    type: str
    choices: [production, upgrade, install]
    default: production
  until:
    description:
      - For how many minutes a profile other than V(production) is active. Then the tree closes by itself, also after a
        restart of the host, or earlier by C(chamilo-hardening window close).
      - Until then O(profile=production) leaves the tree as it is, and another O(until) leaves the deadline as it is.
        RV(window) reports so.
      - Needs systemd, and the host program, which the role chamilo.hardening.common installs.
      - Without it an open profile stays active until a task with O(profile=production) runs.
    type: int
  policy:
    description:
      - Rules that come before those of O(profile). The first one that matches counts for each of owner, group and the
        two modes. What it leaves open is left to the rules after it.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - A glob below O(root), such as V(public/custom), V(var/log/*.log) or V(**/*.sh). It applies to what it
            matches and to everything below that.
          - V(*) and V(?) stay within one name, V(**) is any number of directories.
        type: str
        required: true
      owner:
        description: Name or number of the owner.
        type: str
      group:
        description: Name or number of the group.
        type: str
      directory_mode:
        description: Mode of directories, an octal number in quotes.
        type: raw
      file_mode:
        description: Mode of files, an octal number in quotes.
        type: raw
  exclude:
    description: Globs, as in O(policy[].path), of what is not even inspected.
    type: list
    elements: str
    default: []
  roots:
    description:
      - Parts of the tree that may be a file system of their own, or behind a link, such as V(var). A link that another
        user than root could have made ends the run.
      - A file system with the web user's data, as a disk or an NFS share for V(var/upload), need not be named. Where
        root may do nothing there (C(root_squash)), it is worked on as the web user.
    type: list
    elements: str
    default: []
  package:
    description:
      - The package of the release, with which the tree is compared. V(auto) is the official one of the installed
        version, which the controller fetches from Chamilo's releases on GitHub; V(off) is none. Otherwise a zip or tar
        file on the controller, or an C(https://) address.
      - The controller reads it once for each release, but not in check mode. The host keeps a manifest of its
        checksums. What cannot be fetched is not tried again for a day, and RV(package_problem) has the reason.
      - What differs from it, or is in no package, is in RV(unlike) of the run that gets the manifest. Nothing is done
        about it. What an earlier version of this collection disabled is used again where the package has the same file.
    type: str
    default: 'off'
    version_added: 2.0.0
  package_sha256:
    description: The SHA-256 checksum of O(package). Another one ends the task before anything changes.
    type: str
    version_added: 2.0.0
notes:
  - Needs root on the host.
  - After a failed O(probe) owners, groups, modes and names are rolled back and the task fails, but what the web user
    owns by then, and was root's before, stays the web user's. The first stylesheet or script that a page names is asked
    for, too. Pages that did not work before do not count. An open profile, and the end of one, asks for none.
  - An ACL in the program and its configuration that gives more than the mode is removed, the one that new files inherit
    too, in whatever belongs to another than O(web_user).
  - A C(.git) directory into which the web user could write becomes or stays that user's with mode V(0700), so that Git
    refuses to run its hooks and settings as root. RV(refused) names it; what it contains is not read.
  - Files that an earlier version of this collection disabled are in RV(disabled) until they are given another mode, or
    removed.
  - ACLs in C(var/) that may let others in, devices, FIFOs and sockets are left as they are, and RV(refused) names them.
  - The role chamilo.hardening.permissions makes the whole section of the guide true with this module.
"""

EXAMPLES = r"""
- name: Give the tree to root, and var/ to PHP
  chamilo.hardening.chamilo_perms:
    root: /var/www/chamilo
    web_user: www-data

- name: The same where a deploy user owns the program, and uploads lie on a disk of their own
  chamilo.hardening.chamilo_perms:
    root: /srv/campus/current
    owner: deploy
    web_user: campus
    roots: [var]

- name: Let a theme be changed by its designers
  chamilo.hardening.chamilo_perms:
    root: /var/www/chamilo
    web_user: www-data
    policy:
      - path: public/build/our-theme
        group: designers
        directory_mode: '0775'
        file_mode: '0664'

- name: Let an updater in the browser write the program for an hour
  chamilo.hardening.chamilo_perms:
    root: /var/www/chamilo
    web_user: www-data
    profile: upgrade
    until: 60

- name: List what differs from the official package of the installed release
  chamilo.hardening.chamilo_perms:
    root: /var/www/chamilo
    web_user: www-data
    package: auto
  register: tree
"""

RETURN = r"""
entries:
  description: How many entries were inspected, the tree itself included.
  returned: always
  type: int
  sample: 108543
fixed:
  description: How many got another V(owner), V(group) or V(mode), or lost a V(setuid) or setgid bit, or an V(acl).
  returned: always
  type: dict
  sample: {"owner": 32542, "group": 0, "mode": 33667, "setuid": 0, "acl": 0}
samples:
  description: Up to 20 of the entries that were changed.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Relative to O(root). What could harm a terminal is escaped.
      type: str
      sample: public/index.php
    before:
      description: Owner, group and mode.
      type: str
      sample: www-data:www-data 0777
    after:
      description: Owner, group and mode.
      type: str
      sample: root:www-data 0644
refused:
  description: Up to 20 of the entries that were left as they are, or need a person.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Relative to O(root). What could harm a terminal is escaped.
      type: str
      sample: var/upload/shadow
    why:
      description: The reason.
      type: str
      sample: has 2 names, and 1 of them not in this tree
refused_total:
  description: How many entries were refused.
  returned: always
  type: int
  sample: 1
disabled:
  description:
    - Directories of files that an earlier version of this collection disabled, and that are no part of the release as
      they are. Each has its number of files.
  returned: always
  type: list
  elements: str
  sample: ["public/plugin/OurPlugin: 3 files"]
given_back:
  description: How many of such files the package of the release has as they are, which are used again.
  returned: always
  type: int
  sample: 0
package:
  description: What the program was compared with, in this run or in one before. Empty when with nothing.
  returned: always
  type: str
  sample: the package chamilo-3.0.2.zip (sha256 5f...)
package_problem:
  description: Why there is no package to compare with. Empty where there is one, or none is asked for.
  returned: always
  type: str
  sample: no answer within 15 seconds
package_needed:
  description: The installed version, where the host has no manifest of its package. The action plugin goes by it.
  returned: always
  type: str
  sample: ''
version:
  description: The installed version. Empty where none is asked for, or the files of the program do not name it.
  returned: always
  type: str
  sample: 3.0.2
unlike:
  description:
    - What differs from the package, or is in no package, by directory. Empty but in the run that gets its manifest.
  returned: always
  type: list
  elements: str
  sample: ["public/plugin/OurPlugin: 34 files are in no package (owner www-data, newest 2026-05-04)"]
msg:
  description: What is wrong, and what to do.
  returned: failure
  type: str
  sample: "owner is 'www-data', as whom PHP runs: it could change the program."
window:
  description: What is open on this tree, and until when. Empty when nothing is.
  returned: always
  type: str
  sample: /var/www/chamilo is open (upgrade) until 2026-05-04 13:00:00 UTC
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.apply import NOTHING, TREE, apply, package
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.found import Found, diff
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PROFILES, order

PROBE = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str"},
    "send": {"type": "dict", "default": {}},
}


def main() -> None:
    rule = {
        "path": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "directory_mode": {"type": "raw"},
        "file_mode": {"type": "raw"},
    }
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True, "aliases": ["path"]},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str"},
            "web_user": {"type": "str", "required": True},
            "profile": {"type": "str", "choices": list(PROFILES), "default": "production"},
            "until": {"type": "int"},
            "policy": {"type": "list", "elements": "dict", "default": [], "options": rule},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "roots": {"type": "list", "elements": "str", "default": []},
            "package": {"type": "str", "default": "off"},
            "package_sha256": {"type": "str"},
            "probe": {"type": "list", "elements": "dict", "default": [], "options": PROBE},
        },
        supports_check_mode=True,
    )
    tree = {name: module.params["root" if name == "path" else name] for name in TREE}
    profile, wanted = module.params["profile"], module.params["package"]
    known, found, window = NOTHING, Found(), ""
    try:
        order(tree, profile)  # what does not fit is refused before a package is asked for
        if profile == "production" and wanted != "off" and not module.check_mode:
            known = package(tree, wanted, module.params["package_sha256"] or "")
        if not known["package_needed"]:  # else the action plugin brings it, and comes again
            found, window = apply(tree, profile, module.params["until"], module.check_mode, module.params["probe"])
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    result = {**found.result(), **known, "unlike": [], "window": window}
    if module._diff:
        result["diff"] = diff(module.params["root"], found)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
