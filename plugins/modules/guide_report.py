# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_report
short_description: Write the report of an audit on the controller
version_added: 1.0.0
description:
  - Writes what M(chamilo.hardening.guide_audit_info) found on any number of hosts as C(report.html), C(report.json) and
    C(junit.xml). Run it once, after the audit of all hosts.
  - C(report.html) has no scripts and needs no network.
  - In C(junit.xml) a control that is not met is a failure, and one that could not be assessed an error, because what
    was not seen must not count as success. Controls that are waived, advice, not applicable or for people are skipped.
  - C(report.json) contains C(collection) (the version), C(generated) and C(hosts); each host its C(name),
    C(reachable), C(chamilo_version), C(names), C(controls), C(summary), C(signs) (indicators of compromise),
    C(forecast) (the clients that rules not active yet would have blocked last week), and C(error) when the audit did
    not run on it. Each control has C(id), C(section), C(level), C(title), C(status), C(evidence), C(fix), and C(waiver)
    when it is or was waived.
  - Each control has C(since), the time since when it has its status. An open one has C(severity) (C(critical), C(high),
    C(medium), C(low)) and C(next), what closes it, with C(kind) and C(text). The kind is C(role) (the playbook harden
    enforces it), C(variable) (one is missing), C(hand), C(waiting) or C(unseen) (it could not be assessed).
  - Each host has C(causes), its open controls by what closes them, the most severe first, and C(changes), what became
    better and worse since the audit before; C(attacks) when the playbook prove has run.
  - The directory C(history) beside the report keeps the statuses of the last 50 audits.
  - Above 20 hosts each has a page of its own in the directory C(hosts), to which C(report.html) leads.
  - What is open on a host is a custom statistic of the run, C(guide_report_HOST), with an underscore for a dot in its
    name and two for a dash. AWX and ansible-runner keep it as an artifact of the job, that of all slices.
  - Hosts that were not reached, or on which the audit did not run, are in it with all controls not assessed. The last
    good result in the C(report.json) that is there already stays with them, in C(last), with the day it is of
    (C(generated)).
  - Fails, with the report written, when the audit could not run on a host that was reached.
  - The files are readable by their owner alone. They are written in check mode too, because they lie on the controller.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.controller
  - chamilo.hardening.attributes.python
options:
  hosts:
    description: The names of the hosts, usually C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  register:
    description:
      - The variable under which the result of M(chamilo.hardening.guide_audit_info) is registered on each host.
    type: str
    required: true
  directory:
    description:
      - The directory for the report, made when it is missing.
      - A relative path begins where C(ansible-playbook) was called.
    type: path
    default: chamilo-report
  attacks:
    description:
      - O(register) is what M(chamilo.hardening.guide_prove) registered.
      - What the attacks came to is written into the report of the last audit, and stays in it until they are run again.
    type: bool
    default: false
    version_added: 1.1.0
  fail_on:
    description:
      - Fail when a control of this level, or a higher one, is not met or could not be assessed on any host.
      - A waived control does not count. Empty means that the outcome does not matter.
    type: str
    choices: ["", must, should]
    default: ""
"""

EXAMPLES = r"""
- name: Write the report
  chamilo.hardening.guide_report:
    hosts: "{{ ansible_play_hosts_all }}"
    register: audit
    directory: /srv/reports/chamilo
    fail_on: must
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description:
    - One line for each host, and where the report is.
    - On failure a text with what is not met, and where the report is.
  returned: always
  type: raw
report:
  description: The path of C(report.html).
  returned: always
  type: str
  sample: /home/anna/chamilo-report/report.html
lines:
  description: One line for each host.
  returned: always
  type: list
  elements: str
  sample: ["campus.example.org: 7 not met, 2 for people, 54 met (3 better than on 2026-11-28)"]
causes:
  description: For each host its open controls by what closes them, the most severe first.
  returned: always
  type: dict
  sample:
    campus.example.org:
      - kind: variable
        severity: high
        text: "Set chamilo_alert_mail or chamilo_alert_webhook, for example chamilo_alert_mail: admin@school.example"
        controls: [monitoring_auth, monitoring_delivery]
"""
