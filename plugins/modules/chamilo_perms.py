#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_perms
short_description: Set owner, group and mode of a whole Chamilo tree in one pass
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Gives every entry of a Chamilo tree the owner, group and mode that the security guide asks for, in one pass. A tree
    of 100,000 files that needs no change takes about as long as reading the status of each once.
  - Is safe against a user who exchanges files, directories and links while it runs, as an attacker who has taken over a
    page can. It works on open descriptors, follows no link below the start, crosses no mount that is not in O(roots),
    and leaves a file alone that has a name outside the tree as well. Nothing outside the tree changes.
  - Every entry is inspected in each run. Nothing is remembered between runs.
attributes:
  check_mode:
    support: full
    description: Predicts what would change and touches nothing.
  diff_mode:
    support: full
    description: Shows owner, group and mode of up to 20 entries before and after, and how many there are.
  idempotent:
    support: full
    description: A second run changes nothing, unless the tree was changed in between.
options:
  path:
    description:
      - The project directory of Chamilo, the one with C(public/), C(var/) and C(.env).
      - May be a link, such as C(current), or lie behind one, where the link and the directory it lies in are root's.
    type: str
    required: true
  owner:
    description: Name or number of the user who owns the program and its configuration, root or the one who deploys.
    type: str
    default: root
  group:
    description:
      - Name or number of the group of everything.
      - The group of the user PHP runs as, so that PHP can read its configuration. It is found, if you do not set it.
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
      - For how many minutes a profile other than V(production) is active. Then the tree closes by itself, also when the
        host was restarted in between, or earlier by C(chamilo-hardening window close).
      - While a window is open, O(profile=production) leaves the tree as it is, and a second task with O(until) leaves
        the deadline as it is. RV(window) reports so.
      - Refused while what the web updater of Chamilo 3.0 downloaded or unpacked below C(var/update) is not what a
        signature with the key of Chamilo's releases vouches for.
      - Needs systemd, and the program that M(chamilo.hardening.host_program) installs.
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
          - A glob below O(path), such as V(public/custom), V(var/log/*.log) or V(**/*.sh). It applies to what it
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
      - Parts of the tree that may be a file system of their own, or behind a link, such as V(var).
      - A link is followed where the link and the directory it lies in are root's. One that another user could have made
        ends the run.
      - A file system of its own on which the web user's data lies, as a disk or an NFS share for V(var/upload), is
        discovered and need not be named. Where root may do nothing there (C(root_squash)), it is worked on as the web
        user. What that may not change either is in RV(refused).
    type: list
    elements: str
    default: []
  acknowledged:
    description:
      - Globs, as in O(policy[].path), of files that the administrator has reviewed.
      - With O(profile=production), a file of the program that can run code, or that steers what runs, and that the web
        user could have written since the release was laid, may be a back door. What counts is its content and not its
        name. PHP under any name, C(.user.ini) and a C(.htaccess) that has data run are what it is about, and so are
        templates, YAML, C(bin/console), Composer's own files and everything else that is not plain data. It came later
        than the release when its change time or its own date is later than those of nearly all of the release's files,
        or when it is the web user's in a release that is not.
      - In C(public/) PHP and C(.user.ini) become root's with mode V(0600), so that they cannot run, and RV(quarantined)
        names them, until they are removed or listed here. So does PHP that lies where Chamilo has none and that the web
        user can write, whatever its age.
      - PHP outside C(public/), and such a C(.htaccess), become root's with mode V(0200) and another name,
        C(.quarantined) at its end, so that nothing loads it either. RV(quarantined) has its old name.
      - Not so what the portal may be down without. That is C(public/index.php), C(public/main/inc/global.inc.php), a
        template or configuration, and PHP outside C(public/) that Composer's map
        (C(vendor/composer/autoload_classmap.php)) has, or that was laid with nearly all of C(src/) or C(vendor/).
        RV(doubtful) names it, and it runs on. So does each class where that map does not have the classes of that part.
        The same goes for PHP of the program of which only the change time is later than the release, as after C(chmod),
        unless its file system records that it was made later, or it runs what a request names.
      - What Git has in its index as it is is in RV(doubtful) too, where the web user can change neither the index nor
        the directories it lies in.
      - A plugin in C(public/plugin/), or theme, that came in one go and describes itself (C(plugin.php),
        C(composer.json)) has a history of its own. Suspect is what came into it later, and a page in it that calls,
        includes or evaluates what a request names.
      - A C(.git) directory in which Git would run what the web user could have set (C(core.fsmonitor), an active hook
        and the like) becomes or stays the web user's with mode V(0700), so that Git refuses to work there as root.
        RV(refused) names the settings.
    type: list
    elements: str
    default: []
  console:
    description:
      - A command, word by word, that compiles the cache of the application as the web user, such as
        C(bin/console cache:warmup).
      - When files of the program got another owner, what is in C(var/cache/) is put away, this command runs, and the
        old cache is removed, so that no code that was planted there runs on. Where the command fails the old cache
        comes back, and RV(refused) has the reason.
      - Without it C(var/cache/) stays as it is.
    type: list
    elements: str
    default: []
    version_added: 1.1.0
  package:
    description:
      - The package of the release that the tree contains, a zip or tar file on the host in which only root can write.
      - Each file of the program that the web user can write is compared with it, and times count no longer. What
        differs, or is not in it and can run code, is quarantined or doubtful as described for O(acknowledged).
      - Its checksums are kept on the host. In check mode it is not read.
    type: path
    version_added: 1.1.0
  package_sha256:
    description: The SHA-256 checksum of O(package). Another one ends the task before anything changes.
    type: str
    version_added: 1.1.0
  probe:
    description:
      - Pages of the portal, which are asked for before anything changes and after. So is the first stylesheet or script
        that one of them names.
      - Where a page that worked is not answered with the same status and target any more, the owners, groups, modes and
        names that the task changed are rolled back and the task fails. It reports which files it had quarantined. What
        the web user owns by then, and was root's before, stays the web user's.
      - Pages that did not work before cannot do that. An open profile, and the end of one, asks for none.
    type: list
    elements: dict
    default: []
    version_added: 1.1.0
    suboptions:
      url:
        description: The URL.
        type: str
        required: true
      address:
        description: The address to connect to, if it is not the one of the host in O(probe[].url).
        type: str
      send:
        description: Names and values of headers that go with the request.
        type: dict
        default: {}
  service:
    description:
      - The service that PHP runs in. It is reloaded where files are quarantined or the cache was renewed, so that PHP
        forgets what it compiled of them.
    type: str
    version_added: 1.1.0
notes:
  - Needs root on the host, and nothing else.
  - An ACL in the program and its configuration that gives more than the mode is removed, the one that new files inherit
    too, in whatever belongs to another than O(web_user).
  - ACLs in C(var/) that may let others in, devices, FIFOs and sockets are left as they are, and RV(refused) names them.
  - The role chamilo.hardening.permissions makes the whole section of the guide true with this module.
seealso:
  - module: chamilo.hardening.host_program
"""

EXAMPLES = r"""
- name: Give the tree to root, and var/ to PHP
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data

- name: The same where a deploy user owns the program, and uploads lie on a disk of their own
  chamilo.hardening.chamilo_perms:
    path: /srv/campus/current
    owner: deploy
    web_user: campus
    roots: [var]

- name: Let a theme be changed by its designers
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
    policy:
      - path: public/build/our-theme
        group: designers
        directory_mode: '0775'
        file_mode: '0664'

- name: Let an updater in the browser write the program for an hour
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
    profile: upgrade
    until: 60

- name: Let the installation wizard write the configuration until the window closes, or is closed by hand
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
    profile: install
    until: 30

- name: Leave alone what another program manages
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
    exclude:
      - var/upload/.snapshots
      - public/.well-known

- name: Let pages of your own run that were reviewed
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
    acknowledged:
      - public/build/check-in.php
      - public/plugin/OurPlugin/**
  register: tree

- name: Show what still has to be reviewed
  ansible.builtin.debug:
    msg: "{{ tree.quarantined_total + tree.doubtful_total }} files, all of them in {{ tree.listing }}"
  when: tree.listing != ''

- name: See what is not as it should be
  chamilo.hardening.chamilo_perms:
    path: /var/www/chamilo
    web_user: www-data
  check_mode: true
  diff: true
"""

RETURN = r"""
entries:
  description: How many entries were inspected, the tree itself included.
  returned: always
  type: int
  sample: 108543
fixed:
  description:
    - How many got another V(owner), V(group) or V(mode), and how many lost a V(setuid) or setgid bit, or an V(acl).
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
      description: Relative to O(path). What could harm a terminal is escaped.
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
      description: Relative to O(path). What could harm a terminal is escaped.
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
quarantined:
  description: Up to 20 files that cannot run any more, because the web user could have put them there.
  returned: always
  type: list
  elements: str
  sample: [public/build/shell.php]
quarantined_total:
  description: How many there are.
  returned: always
  type: int
  sample: 1
doubtful:
  description:
    - Up to 20 files outside C(var/) that steer what runs, that the web user could have written since the release was
      laid, and that the portal may need. They run on, root's and with mode V(0244) (V(0240) in C(config/)), by which
      each run knows them until they are acknowledged or replaced; in an open profile with V(0264) where the group may
      write.
  returned: always
  type: list
  elements: str
  sample: [src/CoreBundle/Controller/HelloController.php]
doubtful_total:
  description: How many there are.
  returned: always
  type: int
  sample: 1
listing:
  description:
    - The file on the host that names the files that are quarantined or doubtful, a line for each. Each is named
      there before its owner changes, and what could harm a terminal is escaped. It has up to 16 MB, and ends with how
      many more there are, RV(unnamed).
    - Empty when there is nothing to name, or nothing could be named, and in check mode, which writes nothing.
  returned: always
  type: str
  sample: /var/lib/chamilo-hardening/planted-var-www-chamilo.txt
unnamed:
  description:
    - How many of them are not in RV(listing), because it is full or could not be written. They are quarantined or
      marked like the others, and the next run that has room names them.
  returned: always
  type: int
  sample: 0
unnamed_why:
  description: Why. Empty when all are named.
  returned: always
  type: str
  sample: No space left on device
msg:
  description: What is wrong, and what to do.
  returned: failure
  type: str
  sample: "owner is 'www-data', as whom PHP runs: it could change the program."
cache_renewed:
  description: Whether what the application had compiled was put away, or in check mode would be.
  returned: always
  type: bool
  sample: false
window:
  description: What is open on this tree, and until when. Empty when nothing is.
  returned: always
  type: str
  sample: /var/www/chamilo is open (upgrade) until 2026-05-04 13:00:00 UTC
"""

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.found import diff
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PROFILES
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.window import TREE, apply

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
            "path": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str"},
            "web_user": {"type": "str", "required": True},
            "profile": {"type": "str", "choices": list(PROFILES), "default": "production"},
            "until": {"type": "int"},
            "policy": {"type": "list", "elements": "dict", "default": [], "options": rule},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "roots": {"type": "list", "elements": "str", "default": []},
            "acknowledged": {"type": "list", "elements": "str", "default": []},
            "console": {"type": "list", "elements": "str", "default": []},
            "package": {"type": "path"},
            "package_sha256": {"type": "str"},
            "probe": {"type": "list", "elements": "dict", "default": [], "options": PROBE},
            "service": {"type": "str"},
        },
        supports_check_mode=True,
    )
    tree = {name: module.params[name] for name in TREE}
    package = module.params["package"] or "", module.params["package_sha256"] or ""
    try:
        found, window = apply(
            tree,
            module.params["profile"],
            module.params["until"],
            module.check_mode,
            package,
            {name: module.params[name] for name in ("console", "probe", "service")},
        )
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    renewed = bool(module.params["console"]) and found.taken > 0
    result = {**found.result(), "cache_renewed": renewed, "window": window}
    if module._diff:
        result["diff"] = diff(module.params["path"], found)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
