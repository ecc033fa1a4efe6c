#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_transaction
short_description: Change a set of configuration files in one step that undoes itself
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Replaces a set of files, tests the configuration, loads it into the service, verifies that the service really uses
    it, and only then commits. When a step fails, all files are restored as they were and the old configuration
    is loaded again.
  - What was there before is written to disk first, so a process that is killed or a host that restarts half way ends
    with the old configuration too. A timer of systemd, a unit that runs before the web server at boot (both are of the
    host program, which the role chamilo.hardening.common installs) and the next run of this module put it back.
  - What was there before the first transaction of a section is kept. C(chamilo-hardening undo SECTION) on the host
    brings it back.
  - When no file differs, nothing is tested, loaded or probed, unless an earlier load is still owed.
  - Only one transaction runs on a host at a time. A second one waits for up to three minutes.
attributes:
  check_mode:
    support: full
    description: Predicts what would change, and writes nothing.
  diff_mode:
    support: full
    description:
      - Shows each file, but no O(files[].secret_content), and no old content of a file that is not world-readable,
        unless this module wrote it as O(files[].content). Of a file with O(files[].marks), only the lines around them.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  name:
    description:
      - The section this belongs to, such as V(headers), with a site where a host has several, such as V(https:campus).
      - Each section and service has one name. C(chamilo-hardening undo headers) undoes V(headers) and every name
        that begins with V(headers:).
    type: str
    required: true
  state:
    description:
      - With V(absent), the state before the first transaction of this name is restored, as C(chamilo-hardening undo)
        does. The other options are ignored, and there is no diff.
    type: str
    choices: [present, absent]
    default: present
  files:
    description:
      - The files, needed with O(state=present). Parent directories that do not exist are made (owner root, mode
        V(0755)) and go again with their last file.
      - The text V(@generation@) in a content is replaced by RV(generation).
      - A file or link that an earlier transaction of this name wrote and that is not listed any more is undone. Its
        state before the first transaction is restored. It stays where another transaction lists it, too, or where it
        was edited by other means. What an earlier one removed stays removed. See O(complete).
    type: list
    elements: dict
    suboptions:
      path:
        description: The absolute path. A link there that this collection did not make is not replaced by a file.
        type: str
        required: true
      state:
        description: What should be there.
        type: str
        choices: [file, link, absent]
        default: file
      content:
        description: The whole content of the file.
        type: str
      secret_content:
        description: The whole content of a file that contains a secret. It is in no diff and no log.
        type: str
      target:
        description: Where the link leads, with O(files[].state=link).
        type: str
      marks:
        description:
          - Lines that are added to a file that is there already and stays its owner's. The rest of it, its owner and
            its mode stay as they are. The lines stand between two comments, which carry the site in O(name).
          - The file has to belong to root, and no other user may be able to write to it. A link of root's is followed.
          - Undo, and a later transaction that does not list the file any more, remove these lines and nothing else.
            What an owner added between the two comments stays. Comments or lines of ours that were damaged are
            recognised by a copy of the file as it was written.
        type: list
        elements: dict
        version_added: 2.0.0
        suboptions:
          at:
            description: Where, as a number of characters of the file without lines of this site.
            type: int
            required: true
          lines:
            description:
              - What is added there. Each is a line, or a list of two numbers, which stand for the file's own characters
                from the first up to the second.
            type: list
            elements: raw
            default: []
          until:
            description: Up to where the file's own text, from O(files[].marks[].at) on, is set aside as a comment.
            type: int
            default: -1
      digest:
        description: The SHA-256 checksum of the file without lines of this site for which O(files[].marks) were made.
        type: str
      owner:
        description: Name or number of the owner.
        type: str
        default: root
      group:
        description: Name or number of the group.
        type: str
        default: root
      mode:
        description: The mode of the file as an octal number in quotes.
        type: raw
        default: '0644'
  secrets:
    description:
      - Each O(files[].secret_content) by its path. Made by the collection on the controller; it cannot be given.
    type: dict
    default: {}
    version_added: 2.0.0
  complete:
    description:
      - Whether O(files) names all files of this transaction. With V(false), files of an earlier one that are not listed
        are left alone.
    type: bool
    default: true
  test:
    description:
      - Commands that must succeed once the files are in place and before anything is loaded, each as a list of words,
        without a shell.
    type: list
    elements: list
    default: []
  load:
    description:
      - The service that reads the files. Without one, files that are undone are tested and loaded as they were when
        they were written.
      - A service that does not run is not started. The files are put in place and tested, and RV(notes) reports so.
    type: dict
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      action:
        description: How it is made to read the files.
        type: str
        choices: [reload, restart]
        default: reload
  listen:
    description:
      - Addresses with port on which the service must be able to listen with the new files, such as V(0.0.0.0:443) and
        V([::]:443).
      - Before anything changes, each is tried. One that another program occupies ends the run. One that the service
        itself has already is no fault.
    type: list
    elements: str
    default: []
  probe:
    description:
      - Requests to send before and after.
      - Status, and each header, count for themselves. What was right before and is not right after the load (without
        one, after the tests) puts all files back. What was wrong before cannot.
      - A probe with V(@generation@) in a header cannot have been right before. It must be right after, and is repeated
        for ten seconds until it is. It distinguishes a new worker from an old one.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: The URL.
        type: str
        required: true
      was:
        description: The URL that gave this answer before the change, if it is another one, such as one of http.
        type: str
        default: ''
      address:
        description: The address to connect to, if it is not the one of the host in O(probe[].url).
        type: str
        default: ''
      host:
        description: The name to ask for, over TLS as well, if it is not the host in O(probe[].url).
        type: str
        default: ''
      status:
        description: The status codes that are right.
        type: list
        elements: int
        default: [200]
      headers:
        description: Names and values of headers that must come exactly once and with exactly this value.
        type: dict
        default: {}
      send:
        description: Names and values of headers that go with the request.
        type: dict
        default: {}
      same:
        description:
          - The page that visitors get has to be the same before and after, whatever it is. O(probe[].status) and
            O(probe[].headers) are not compared.
          - The same is the status, and where a redirect leads. A page that was answered by plain http may be answered
            by https afterwards, behind a redirect to the same path. A page with status 500 or above, with no answer, or
            not the same twice before the change, is not compared.
        type: bool
        default: false
        version_added: 2.0.0
      ca:
        description: File with the authority that must have signed the certificate. Without it any certificate is taken.
        type: path
        default: ''
notes:
  - Needs root, and nothing on the host but Python and what O(test) and O(load) name.
"""

EXAMPLES = r"""
- name: Send the security headers
  chamilo.hardening.config_transaction:
    name: headers
    files:
      - path: /etc/nginx/conf.d/chamilo-headers.conf
        content: "{{ lookup('ansible.builtin.template', 'nginx/headers.conf.j2') }}"
      - path: /etc/nginx/sites-available/chamilo-campus.d/headers.conf
        content: |
          add_header X-Content-Type-Options nosniff always;
          location = /.well-known/chamilo-hardening/headers {
            if ($remote_addr != 127.0.0.1) {
              return 404;
            }
            add_header X-Chamilo-Generation @generation@;
            return 204;
          }
    test:
      - [nginx, -t]
    load:
      service: nginx
    probe:
      - url: http://127.0.0.1/.well-known/chamilo-hardening/headers
        host: campus.example.org
        status: [204]
        headers:
          X-Chamilo-Generation: "@generation@"

- name: Take the site of the distribution out of service
  chamilo.hardening.config_transaction:
    name: https:campus
    files:
      - path: /etc/nginx/sites-enabled/default
        state: absent
      - path: /etc/nginx/sites-enabled/chamilo-campus.conf
        state: link
        target: ../sites-available/chamilo-campus.conf
    test:
      - [nginx, -t]
    load:
      service: nginx
    listen:
      - 0.0.0.0:443
      - "[::]:443"

- name: Add one line to a virtual host that stays its owner's
  chamilo.hardening.config_transaction:
    name: https:campus
    files:
      - path: /etc/nginx/sites-enabled/campus
        digest: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
        marks:
          - at: 9
            lines: ['include /etc/nginx/sites-available/chamilo-campus.d/*.conf;']
    test:
      - [nginx, -t]
    load:
      service: nginx
    probe:
      - url: http://127.0.0.1/course/
        host: campus.example.org
        same: true

- name: Restore the state before the section
  chamilo.hardening.config_transaction:
    name: headers
    state: absent
"""

RETURN = r"""
generation:
  description: A short mark of the files that were asked for. The same files have the same mark.
  returned: always
  type: str
  sample: 5f2b9c0d1e3a4b68
loaded:
  description: Was the service made to read its files, and did it.
  returned: always
  type: bool
rolled_back:
  description: Why the files were restored.
  returned: when files had been changed and were restored
  type: str
  sample: "http://127.0.0.1/ as campus.example.org answers 500 instead of 200"
recovered:
  description: What was restored or loaded first, because an earlier run did not finish.
  returned: always
  type: list
  elements: str
notes:
  description: What a person should know, such as a service that does not run. These are warnings as well.
  returned: always
  type: list
  elements: str
diff:
  description: Each file before and after.
  returned: with C(--diff)
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import specification
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Transaction, plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing


class Module(AnsibleModule):
    """Logs nothing of a call that is refused below: a secret within files would stand in the line."""

    def log(self, msg: str, log_args: dict[str, Any] | None = None) -> None:
        if not within_files(self.params):
            super().log(msg, log_args=log_args)


def within_files(params: dict[str, Any]) -> bool:
    return any(file["secret_content"] is not None for file in params["files"] or ())


def main() -> None:
    module = Module(
        argument_spec={**specification(Transaction), "secrets": {"type": "dict", "default": {}, "no_log": True}},
        required_if=[("state", "present", ("files",))],
        supports_check_mode=True,
    )
    if within_files(module.params):
        module.fail_json(msg="config_transaction takes files with a secret_content through its action plugin only.")
    given = {name: value for name, value in module.params.items() if name != "secrets"}
    secrets = {path: str(content) for path, content in module.params["secrets"].items()}
    given["files"] = [{**file, "secret_content": secrets.get(file["path"])} for file in given["files"] or ()]
    outcome = Outcome()
    failure = {}
    try:
        if module.params["state"] == "present":
            Repairing().apply(plan(given), outcome, check=module.check_mode)
        else:
            Repairing().withdraw(module.params["name"], outcome, check=module.check_mode)
    except (HardeningError, OSError) as problem:
        rolled_back = getattr(problem, "rolled_back", "")
        failure = {"msg": str(problem), **({"rolled_back": rolled_back} if rolled_back else {})}
    for note in [*outcome.recovered, *outcome.notes]:
        module.warn(note)
    result = {
        "changed": outcome.changed,
        "generation": outcome.generation,
        "loaded": outcome.loaded,
        "recovered": outcome.recovered,
        "notes": outcome.notes,
    }
    if module._diff:
        result["diff"] = outcome.diff
    if failure:
        module.fail_json(**{**result, **failure})
    module.exit_json(**result)


if __name__ == "__main__":
    main()
