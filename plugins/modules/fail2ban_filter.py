#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban_filter
short_description: Install a filter of fail2ban that was proved first
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Installs a filter of fail2ban, the file that defines which lines of a log are failures and whose. Before it writes
    anything, fail2ban itself reads the very text and tries it on lines that you give.
  - A wrong filter bans no client, or, worse, the ones an attacker wants banned. So the module plants the address of a
    victim in each part of each of your lines that an attacker controls (user name, path, referer, ...). When it is
    extracted, the filter is refused.
  - Which parts these are is known for access logs. In other lines it is whatever is quoted, follows a word such as
    C(user) or a key, as in C(id=x), or begins with a slash, else the end of the line. Where a client controls another
    word of it, have the program quote that, or see to it yourself.
  - A pattern that takes too long on some line lets an attacker stop fail2ban by it. So the module derives the slowest
    lines it can from yours, and refuses the filter when they take longer than O(time_budget).
  - The filter alone bans no client. A jail has to name it, in a file below C(/etc/fail2ban/jail.d).
attributes:
  check_mode:
    support: full
    description: Proves the filter as well. Where fail2ban is not installed yet, RV(reason) says so.
  diff_mode:
    support: full
    description: Shows each file before and after.
  idempotent:
    support: full
    description: The filter is proved in each run, its file is written only when it differs.
options:
  name:
    description: The name of the filter, without path and C(.conf), to which a jail refers by C(filter = name).
    type: str
    required: true
  state:
    description:
      - With V(present) the filter is proved and installed.
      - With V(absent) its file is removed. A jail that still names it would keep fail2ban from starting.
    type: str
    choices: [present, absent]
    default: present
  failregex:
    description:
      - The patterns that make a line a failure, each a regular expression of Python with the tags of fail2ban, such as
        C(<ADDR>) for the address to ban. One of them has to match.
      - The date of the line is cut out before they are tried. In C([25/Nov/2026:10:00:00 +0000]) only C([]) is left.
      - Each must be anchored, that is begin with C(^), and so must each of its alternatives.
      - They are written as they stand here. C(%) needs no doubling, and no other file is included.
      - Required with O(state=present).
    type: list
    elements: str
    default: []
  ignoreregex:
    description: Patterns of lines that are no failure although O(failregex) matches.
    type: list
    elements: str
    default: []
  prefregex:
    description:
      - A pattern, anchored too, that every line has to match first. What it has in C(<F-CONTENT>) is all that
        O(failregex) sees.
    type: str
    default: ""
  datepattern:
    description:
      - How to find the date in a line, in the way of fail2ban, such as V(\\[(%d/%b/%Y:%H:%M:%S %z\)\\] ").
      - Without it fail2ban tries all formats it knows, in all places of the line, also in those that an attacker
        controls. A pattern with what stands around the date makes sure that it is the right one.
    type: str
    default: ""
  journalmatch:
    description: Which entries of the journal the filter is for, for jails that read the journal instead of a file.
    type: str
    default: ""
  samples:
    description:
      - Lines to prove the filter with. Take them from a real log, one for each way in which the failure shows, with
        IPv6 if the host speaks it, and one for each kind of line that comes close and is harmless.
    type: dict
    suboptions:
      match:
        description: Lines in which the filter must find exactly this one address. At least one is needed.
        type: list
        elements: dict
        default: []
        suboptions:
          line:
            description: The line, with its date.
            type: str
            required: true
          address:
            description: The address that must come out, IPv4 or IPv6.
            type: str
            required: true
      no_match:
        description: Lines in which the filter must match no client.
        type: list
        elements: str
        default: []
  line_breaks:
    description:
      - What happens to a line break that an attacker sends, as part of a user name for example.
      - With V(escaped) the program that writes the log makes harmless text of it. Web servers, syslog and the journal
        do that.
      - With V(raw) it ends the line, so that an attacker can write whole lines. No filter can distinguish those from
        real ones; the module refuses each filter for such a log whose failures it can imitate.
      - With V(auto), lines in the form of an access log or of syslog count as V(escaped), and so do all with
        O(journalmatch). Other lines count as V(raw).
    type: str
    choices: [auto, escaped, raw]
    default: auto
  time_budget:
    description:
      - The seconds of processor time that fail2ban may take for the lines made out of one sample, of which a sound
        filter takes less than a tenth.
    type: float
    default: 1
  directory:
    description: Where filters lie.
    type: path
    default: /etc/fail2ban/filter.d
requirements:
  - fail2ban 1.0 or newer on the host, as Debian packages it. Its own Python runs the proof.
seealso:
  - module: chamilo.hardening.config_transaction
  - name: Manual of fail2ban's jails and filters
    description: What the options of a filter mean.
    link: https://manpages.debian.org/stable/fail2ban/jail.conf.5.en.html
notes:
  - fail2ban reads a changed filter when it is reloaded. This module does not do that.
  - A file O(name).local beside the filter would change what was proved. The module refuses to go on then.
  - Needs root to write below C(/etc).
"""

EXAMPLES = r"""
- name: Install a filter for failed logins in the log of nginx
  chamilo.hardening.fail2ban_filter:
    name: campus-login
    failregex:
      - '^<ADDR> \S+ (?:[^"\\]|\\.)*"POST /login_json(?:\?\S*)? HTTP/[\d.]+" (?:401|403|429)\b'
    datepattern: '\[(%d/%b/%Y:%H:%M:%S %z)\] "'
    samples:
      match:
        - line: '203.0.113.7 - - [25/Nov/2026:10:00:00 +0000] "POST /login_json HTTP/1.1" 401 31 "-" "curl/8.14"'
          address: 203.0.113.7
        - line: '2001:db8::7 - - [25/Nov/2026:10:00:00 +0000] "POST /login_json HTTP/2.0" 401 31 "-" "Mozilla/5.0"'
          address: 2001:db8::7
      no_match:
        - '203.0.113.7 - - [25/Nov/2026:10:00:00 +0000] "POST /login_json HTTP/1.1" 200 31 "-" "curl/8.14"'
  notify: Reload fail2ban

# The filter alone bans no client.
- name: Have a jail use it
  ansible.builtin.copy:
    dest: /etc/fail2ban/jail.d/campus-login.conf
    content: |
      [campus-login]
      enabled = true
      filter = campus-login
      backend = auto
      logpath = /var/log/nginx/access.log
      port = http,https
      maxretry = 5
      findtime = 600
      bantime = 900
      usedns = no
    owner: root
    group: root
    mode: "0644"
  notify: Reload fail2ban

- name: Install a filter for what a service writes into the journal
  chamilo.hardening.fail2ban_filter:
    name: campus-sftp
    failregex:
      - '^\s*\S+ sshd(?:-session)?\[\d+\]: Failed password for .* from <ADDR> port \d+ ssh2$'
    journalmatch: _SYSTEMD_UNIT=ssh.service + _COMM=sshd
    samples:
      match:
        - line: 'Nov 25 10:00:00 campus sshd[812]: Failed password for invalid user ada from 203.0.113.7 port 4022 ssh2'
          address: 203.0.113.7
        - line: 'Nov 25 10:00:00 campus sshd[812]: Failed password for root from 2001:db8::7 port 40022 ssh2'
          address: 2001:db8::7
      no_match:
        - 'Nov 25 10:00:00 campus sshd[812]: Accepted password for ada from 203.0.113.7 port 40022 ssh2'
  notify: Reload fail2ban

- name: Remove a filter
  chamilo.hardening.fail2ban_filter:
    name: campus-login
    state: absent
"""

RETURN = r"""
path:
  description: The file of the filter.
  returned: always
  type: str
  sample: /etc/fail2ban/filter.d/campus-login.conf
content:
  description: The whole text of the file.
  returned: with O(state=present)
  type: str
proof:
  description: What was tried.
  returned: with O(state=present), unless fail2ban is missing
  type: dict
  contains:
    matched:
      description: The number of lines that had to match, and did.
      type: int
      sample: 2
    refused:
      description: The number of lines, yours and planted ones, from which no client, or no victim, was to be extracted.
      type: int
      sample: 613
    slowest_ms:
      description: The processor time of the slowest line, in thousandths of a second.
      type: float
      sample: 3.4
reason:
  description: Why nothing was proved.
  returned: in check mode, on a host without fail2ban
  type: str
  sample: needs fail2ban
msg:
  description: What is wrong with the filter, with the line that shows it and what came out of that.
  returned: failure
  type: str
  sample: "The filter cannot be proved: fail2ban is not installed. Install it first."
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import is_installed
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_attacks import Sample
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import (
    DIRECTORY,
    Definition,
    File,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_proof import check, prove
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError

MATCH = {"line": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
SAMPLES = {
    "match": {"type": "list", "elements": "dict", "default": [], "options": MATCH},
    "no_match": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "failregex": {"type": "list", "elements": "str", "default": []},
            "ignoreregex": {"type": "list", "elements": "str", "default": []},
            "prefregex": {"type": "str", "default": ""},
            "datepattern": {"type": "str", "default": ""},
            "journalmatch": {"type": "str", "default": ""},
            "samples": {"type": "dict", "options": SAMPLES},
            "line_breaks": {"type": "str", "choices": ["auto", "escaped", "raw"], "default": "auto"},
            "time_budget": {"type": "float", "default": 1},
            "directory": {"type": "path", "default": DIRECTORY},
        },
        supports_check_mode=True,
    )
    given = module.params
    definition = Definition(
        given["name"],
        tuple(given["failregex"]),
        tuple(given["ignoreregex"]),
        given["prefregex"],
        given["datepattern"],
        given["journalmatch"],
    )
    samples = given["samples"] or {"match": [], "no_match": []}
    lines = [Sample(each["line"], each["address"]) for each in samples["match"]]
    lines += [Sample(line) for line in samples["no_match"]]
    result: dict[str, Any] = {}
    try:
        file = File(given["directory"], given["name"])
        text = definition.text() if given["state"] == "present" else None
        result["path"] = file.path
        if text is not None:
            check(definition, lines)
            result["content"] = text
            if is_installed():
                file.alone()
                result["proof"] = prove(definition, lines, given["time_budget"], given["line_breaks"]).to_dict()
            elif module.check_mode:
                result["reason"] = "needs fail2ban"
            else:
                module.fail_json(msg="The filter cannot be proved: fail2ban is not installed. Install it first.")
        before = file.read()
        result["changed"] = before != text
        if module._diff:
            result["diff"] = file.diff(before, text)
        if result["changed"] and not module.check_mode:
            file.write(text)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
