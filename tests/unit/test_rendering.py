# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbooks send to recorded sites: each module, each file with its mode, each test, reload and probe.

A connection stands in for the host: it takes down what each module is asked for, and answers as an honest host would.
Before what it sends stands each task that is carried out, with its keywords. What came of it lies in
tests/unit/rendered/, whole for nginx, a host of the database and the playbooks other than harden, for Apache as what
differs from nginx, and for each other site as what differs from that of its web server. After a change that is meant,
write it anew and review the difference:

    UPDATE=1 bin/env pytest tests/unit/test_rendering.py
"""

from __future__ import annotations

import datetime
import difflib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import desired
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan as parsed
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import DESIRED
from tests.tools.plans import in_force
from tests.tools.recorded import CERTIFICATE, PLAYS, SITES, USUAL, Recorded, daily
from tests.unit.plugins.conftest import Files
from tests.unit.plugins.test_hostile_hosts import World, empty

MEANT = "read the difference; if it is meant, run UPDATE=1 bin/env pytest tests/unit/test_rendering.py"
RENDERED = Path(__file__).parent / "rendered"
ROOT = Path(__file__).resolve().parents[2]
Once = Callable[[str, Callable[[], Any]], Any]
# What differs from run to run, and the actions that do something of their own besides what they send.
LEFT_OUT = {
    "host_program": ("content",),
    "chamilo_site_info": ("controller_time", "facts", "key_salt"),
    "backup_key": ("elsewhere", "folder", "salt"),
    "chamilo_database_account": ("installation", "installation_salt"),
    "chamilo_env": ("installation",),
    "chamilo_remembered": ("installation",),
    "chamilo_settings": ("installation",),
    "chamilo_hsts": ("configuration",),  # the file of the section has it
    "chamilo.hardening.chamilo_hsts": ("configuration",),
    "fail2ban_filter": ("samples",),  # lines that prove the filter: the plan's own test
    "guide_audit_info": ("advisories", "facts", "key_copy", "key_holder", "key_proof"),
    "copy": ("src",),  # a temporary file; the task beside it has the content
    "guide_prove": ("token",),
    "ansible.builtin.set_fact": ("__chamilo_database_password",),
    "ansible.builtin.validate_argument_spec": ("argument_spec", "provided_arguments", "validate_args_context"),
}
OWN_WORK = ("chamilo.hardening.guide_audit_info", "chamilo.hardening.guide_prove")


def answers(host: Files, tls: bool, recorded: Recorded) -> dict[str, Any]:
    """What an honest host answers to each module."""
    site = json.loads(
        json.dumps(asdict(discover("campus.test", site="campus_test", tree=host.tree, hosted=Planned(tls=tls))))
    )
    site["web"]["version"], site["memory"], site["systemd"] = "1.26.3", 4 << 30, True
    done: dict[str, Any] = {"changed": False}
    own = {path.stem: {**empty(_answers.shape(path.stem)), **done} for path in (ROOT / "plugins/modules").glob("*.py")}
    site |= {name: {**site[name], **new} if isinstance(new, dict) else new for name, new in recorded.site.items()}
    known = {
        **own,
        "*": done,
        "chamilo_site_info": {**own["chamilo_site_info"], "site": site, "active": True},
        "command": {**done, "rc": 0, "stdout": daily(copied=True), "stderr": "", "cmd": [], "stdout_lines": [""]},
        "chamilo_database_account": {**own["chamilo_database_account"], "server_here": True},
        "config_transaction": {**done, "generation": "5f", "loaded": False, "recovered": [], "notes": []},
        "host_program": {**done, "version": "1.0.0"},
        "backup_key": {**own["backup_key"], "key": "k" * 43},
        "async_wrapper": {**done, "started": 1, "finished": 0, "ansible_job_id": "1.2", "results_file": "/r"},
        "async_status": {**done, "started": 1, "finished": 1, "rc": 0, "stdout": "", "stdout_lines": ["Done."]},
        "fetch": "[]",
        "slurp": {**done, "content": "W10=", "encoding": "base64"},
        "stat": {**done, "stat": {"exists": True, "isreg": True, "checksum": "0" * 40}},
    }
    return known | {module: known.get(module, {}) | answer for module, answer in recorded.answers.items()}


# What means nothing to who reads a file on the host: remarks, and empty lines.
REMARK = re.compile(r"\s*(?:#(?!!)|//|;|$)")


def filled(asked: dict[str, Any]) -> dict[str, Any]:
    """Without options, and parts of a probe, that are empty."""

    def known(options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if value not in ("", None, [], {})}

    lists = {name: value for name, value in asked.items() if isinstance(value, list)}
    probes = {name: [known(one) if isinstance(one, dict) else one for one in value] for name, value in lists.items()}
    return known({**asked, **probes})


def shown(module: str, arguments: dict[str, Any]) -> Iterator[str]:
    """A module's call as text: what it is asked for, then each file as it is to be."""
    asked = filled(
        {
            name: value
            for name, value in arguments.items()
            if not name.startswith("_") and name not in LEFT_OUT.get(module, ()) and name != "files"
        }
    )
    yield f"=== {module} {asked.pop('name', '')}".rstrip()
    if asked:
        text = yaml.safe_dump(asked, sort_keys=True, width=120, allow_unicode=True, default_flow_style=None)
        yield from (line for line in text.splitlines() if not REMARK.match(line))
    for file in arguments.get("files") or ():
        content = file.get("content", file.get("secret_content"))
        facts = {name: value for name, value in file.items() if name not in ("path", "content", "secret_content")}
        yield f"--- {file['path']} {' '.join(f'{name}={value}' for name, value in sorted(facts.items()))}".rstrip()
        yield from (line for line in str(content or "").splitlines() if not REMARK.match(line))


def keywords(how: dict[str, Any]) -> Iterator[str]:
    """Those of a task that are not as usual here: as root, with nothing else."""
    for name, value in how.items():
        if name == "register" and value:  # a text until ansible-core 2.20
            value = [value] if isinstance(value, str) else list(value)
        if name == "poll" or bool(value) != (name == "become"):
            yield f"{name.removesuffix('_val')}={json.dumps(sorted(value) if name == 'tags' else value)}"


def carried_out(task: dict[str, Any], sent: str) -> Iterator[str]:
    """A task as text, with its arguments where no module is sent that has them all."""
    action, asked = task["action"], task["args"]
    yield " ".join([f"### {task['name']}", *keywords(task["how"])])
    if action in OWN_WORK or sent not in (action.rpartition(".")[2], *asked):
        if "sections" in asked:
            asked = {**asked, "sections": sorted(asked["sections"])}
        yield from shown(action, asked)


@dataclass(frozen=True)
class Run:
    """What a playbook did to a site. The output is that of all sites."""

    output: str
    events: list[tuple[str, dict[str, Any]]]  # each task, and what it sends
    day: datetime.date = field(default_factory=datetime.date.today)

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [(module, asked) for module, asked in self.events if module != "TASK"]

    @property
    def text(self) -> str:
        written: list[str] = []
        for (module, asked), (sent, _arguments) in zip(self.events, [*self.events[1:], ("", {})]):
            lines = list(carried_out(asked, sent) if module == "TASK" else shown(module, asked))
            if module != "setup" and not (module == "TASK" and written[-len(lines) :] == lines):
                written += lines
        text = "\n".join(written).replace(str(ROOT), "ROOT")
        text = re.sub(r"[^\s=]+/world/work(?=/)", "HERE", text)
        return re.sub(r"(?<=password: )\w{32}$", "RANDOM", text, flags=re.MULTILINE) + "\n"


def play_all(
    directory: Path, playbook: str = "harden", *options: str, **recorded_sites: Recorded
) -> tuple[str, dict[str, list[Any]]]:
    """One play over all sites: what it printed, and the calls of each. It is less work than a play for each."""
    hosts, variables = {}, {}
    for site, recorded in recorded_sites.items():
        host = Files(directory / site)
        host.install(recorded.server)
        host.chamilo()
        host.testbed_site(recorded.server, recorded.vhost)
        recorded.php(host)
        hosts[site] = answers(host, not recorded.variables.get("chamilo_https_terminated_elsewhere"), recorded)
        own = {
            "chamilo_domain": "campus.test",
            **({"chamilo_portal": site} if playbook == "harden" else {}),
            **dict.fromkeys(("hostile_calls", "hostile_tasks"), str(directory / f"{site}.calls")),
        }
        variables[site] = {**CERTIFICATE, **own, **recorded.variables}
    (directory / "world").mkdir()
    output = World(directory / "world", inline=True, details=True).play(playbook, hosts, *options, of_hosts=variables)
    written = {site: (directory / f"{site}.calls").read_text().splitlines() for site in recorded_sites}
    calls = {site: [json.loads(line) for line in lines] for site, lines in written.items()}
    return output, {site: [(module, unpacked(module, asked)) for module, asked in of] for site, of in calls.items()}


def unpacked(module: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, be it in a request or not."""
    if module == "TASK":
        return {**asked, "args": unpacked("", asked["args"])}
    if not isinstance(asked.get("request"), dict):
        return asked
    more = {name: value for name, value in asked.items() if name not in ("request", "secrets")}
    return {**more, **asked["request"], **asked.get("secrets", {})}


@pytest.fixture(scope="session")
def runs(once: Once, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Run]:
    """Of all sites, or where the slow tests are left out of the usual ones."""
    whole = any(item.path == Path(__file__) and item.get_closest_marker("slow") for item in request.session.items)
    chosen = {site: SITES[site] for site in (SITES if whole else USUAL)}
    day, (output, calls) = once(
        "rendered",
        lambda: (datetime.date.today().isoformat(), play_all(tmp_path_factory.mktemp("sites"), **chosen)),
    )
    then = datetime.date.fromisoformat(day)
    return {site: Run(output, [(module, asked) for module, asked in calls[site]], then) for site in chosen}


@pytest.fixture(params=[pytest.param(name, marks=[] if name in USUAL else pytest.mark.slow) for name in SITES])
def site(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(site: str, runs: dict[str, Run]) -> Run:
    return runs[site]


def test_a_run_comes_to_its_end(site: str, run: Run) -> None:
    assert re.search(rf"^{site} .* unreachable=0 +failed=0 ", run.output, re.MULTILINE), run.output[-3000:]


# Tasks that no recorded site carries out, and why.
UNREACHED = {
    "Prepare the host for the section": "only where a role runs without the playbook: tests/hosts/test_portals.py",
    "Refuse values that cannot work": "the same; a guard reads it",
    "Forget what was observed of another portal": "the same",
    "Install the packages of the section": "a role is included: what it installs is recorded",
    "Remember that they are installed": "only where some were: tests of the plan",
    "Ensure that a virtual host includes the drop-ins": "only where the role runs without https before it",
    "Create the account for backups": "only where the role backups runs without database before it",
    "Discover the host": "no host is touched by it",
    "Refuse to ban where only a proxy visits": "ends the run: test_obstacles",
    "Refuse to cut the web nodes off": "ends the run: tests/hosts/test_database.py",
    "Refuse a virtual host that cannot be written to": "ends the run: tests/hosts/test_access_rules.py",
    "Refuse to install the scanner on a host that is too small for it": "ends the run: the plan's own test",
    "Drop the account that an interrupted run left there": "only where there is nothing else to do",
    "Restore the trusted proxies of the application": "only what an earlier run set: tests/hosts/test_https.py",
    "Undo the cookie that is sent over https only": "only what an earlier run set: tests/hosts/test_https.py",
    "Report files that an administrator must check": "changes nothing: the plan's own test",
}


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    for task in value or ():
        if "block" not in task:
            yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


@pytest.mark.slow
def test_each_task_of_the_roles_is_carried_out_for_a_site_or_there_is_a_reason(runs: dict[str, Run]) -> None:
    """What no site reaches is never compared, so that a mistake in it goes unnoticed."""
    done, task = set(), ("", "")
    for line in runs["nginx"].output.splitlines():
        if found := re.match(r"(?:TASK|RUNNING HANDLER) \[(?:chamilo\.hardening\.(\w+) : )?(.*)\] \**$", line):
            task = (found[1], found[2])
        elif re.match("(?:ok|changed|included): ", line):
            done.add(task)
    written = {
        (path.parts[-3], task["name"])
        for path in (ROOT / "roles").glob("*/[th]a*/*.yml")
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8")))
    }
    missing = sorted(name for _role, name in written - done if name not in UNREACHED)
    assert missing == [], "add a site to SITES of tests/tools/recorded.py that needs it, or a reason to UNREACHED"
    assert {name for _role, name in written} >= set(UNREACHED)


# Lines of templates that no recorded site is sent, and why.
UNSENT = {
    "Protocols h2 http/1.1": "only where the owner's virtual host has it: tests of the plan",
}


@pytest.mark.slow
def test_each_line_of_a_template_is_sent_to_a_site_or_there_is_a_reason(runs: dict[str, Run]) -> None:
    """But comments. Values in it may be any text; HSTS has its files in a text of JSON."""
    text = "".join(run.text for run in runs.values())
    text = (text + text.replace("\\\\", "\\")).replace('\\"', '"')

    def is_sent(line: str) -> bool:
        parts = re.split(r"\{\{.*?\}\}", line)
        return line in text or (len(parts) > 1 and bool(re.search(".*".join(map(re.escape, parts)), text)))

    missing = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in (ROOT / "roles").glob("*/templates/**/*.j2")
        for line in map(str.strip, path.read_text(encoding="utf-8").splitlines())
        if not re.search(r"^(?:#|;|//)|\{[%#]|[%#]\}", line) and line not in UNSENT and not is_sent(line)
    ]
    assert missing == [], "add a site to SITES of tests/tools/recorded.py that is sent it, or a reason to UNSENT"


def parts(text: str) -> list[tuple[str, list[str]]]:
    """Each task, call and file of a text: the line that it begins with, and the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if re.match("(?:###|===|---) ", line):
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return found


def again(head: str, lines: list[str], known: dict[str, list[str]]) -> list[str]:
    """Where the same was sent before: what is different now."""
    before, known[head] = known.get(head, []), lines
    differs = ["  as above, but:", *changed(before, lines)] if lines != before else ["  as above"]
    return differs if before and len(differs) < len(lines) else lines


def whole(text: str) -> Iterator[str]:
    """What is sent again is not written again."""
    known: dict[str, list[str]] = {}
    for head, lines in parts(text):
        yield head
        yield from again(head, lines, known)


def changed(was: list[str], now: list[str]) -> list[str]:
    """The lines of a part that differ. Of those that are gone in a row, the first: the base has them."""
    found = []
    for what, begin, end, first, last in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if what != "equal":
            gone = [f"-{line}" for line in was[begin:end]]
            found += gone if len(gone) < 4 else [gone[0], f"- and {len(gone) - 1} more"]
            found += [f"+{line}" for line in now[first:last]]
    return found


def difference(before: str, after: str) -> Iterator[str]:
    """Tasks, calls and files that only one of both has, and those lines of the others that differ.

    What is only in the base is named, a task with all that it does. What comes again is not written again.
    """
    base, site = parts(before), parts(after)
    names = [[re.sub(r" \w+=.*", "", head) for head, _lines in one] for one in (base, site)]
    written: dict[tuple[str, ...], str] = {}
    known: dict[str, list[str]] = {}

    def once(name: str, lines: list[str]) -> Iterator[str]:
        first = written.get(tuple(lines))
        written.setdefault(tuple(lines), name)
        words = "  as above" if first == name else f"  as in {first}"
        yield from [words] if first and len(lines) > 1 else lines

    for what, begin, end, first, last in difflib.SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if what == "equal":
            for (old, was), (new, now), name in zip(base[begin:end], site[first:last], names[0][begin:end]):
                if lines := changed(was, now):
                    yield from [f"  {old}"] if old == new else [f"- {old}", f"+ {new}"]
                    yield from once(name, lines)
                elif old != new:
                    yield from (f"- {old}", f"+ {new}")
            continue
        within = False
        for head, _lines in base[begin:end]:
            if not within or head.startswith("###"):
                yield f"- {head}"
            within |= head.startswith("###")
        for head, lines in site[first:last]:
            yield f"+ {head}"
            there = (head, lines) in base and len(lines) > 1
            differs = again(head, lines, known)
            if there:
                yield "  as there"
            elif differs is lines:
                yield from once(head, [f"+{line}" for line in lines])
            else:
                yield from differs


def test_what_is_sent_is_what_was_reviewed(site: str, run: Run, runs: dict[str, Run]) -> None:
    golden, base = RENDERED / f"{site}.txt", SITES[site].base
    text = "".join(f"{line}\n" for line in (difference(runs[base].text, run.text) if base else whole(run.text)))
    if os.environ.get("UPDATE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), MEANT


# What a transaction does without, and why.
WITHOUT = {
    "updates.host": ({"test", "load", "probe"}, "apt reads its files at each start; its own settings need no test"),
    "ssh_jail": ({"test", "load", "probe"}, "fail2ban is started after it, and its own transaction tests all there is"),
    "brute_force": ({"probe"}, "the jail is asked by the filter's proof before, and by the task after it"),
    "sessions.application": ({"load"}, "its test builds the application's cache, which makes it active"),
    "uploads.antivirus": ({"load", "probe"}, "cron reads its file each minute, and the scan asks the scanner"),
    "database.application": ({"load"}, "its test builds the application's cache, which makes it active"),
    "backups": ({"test", "load", "probe"}, "cron reads its files each minute; a backup and a restore test follow"),
    "monitoring": ({"probe"}, "what monit reports is seen by the daily work, which follows"),
}


def test_each_transaction_is_tested_loaded_and_probed_or_there_is_a_reason(site: str, run: Run) -> None:
    variables = SITES[site].variables
    # Nothing answers before the owner's line is there, and a host that is there for the database serves no page.
    silent = variables.get("chamilo_https_vhost") == "include" or variables.get("chamilo_node") == ["database"]
    for module, asked in run.calls:
        if module == "config_transaction" and asked.get("state", "present") == "present":
            name = asked["name"].replace(":campus_test", "")
            missing = {step for step in ("test", "load", "probe") if not asked.get(step)} - (
                {"probe"} if silent else set()
            )
            assert missing <= WITHOUT.get(name, (set(), ""))[0], name


@pytest.fixture
def state_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """What discovery reports of files there names them as they are on a host."""
    monkeypatch.setattr(hsts, "STATE", "/var/lib/chamilo-hardening")


def settled(run: Run) -> dict[str, Any]:
    """What discovery reports of a host that a run was carried out on."""
    called = [(task["action"].rpartition(".")[2], task["args"]) for module, task in run.events if module == "TASK"]
    tasks = [next(iter(args.items())) if name == "planned" else (name, args) for name, args in called]
    asked = [given for module, given in tasks if module == "config_transaction" and "files" in given]
    (bound,) = [given["configuration"] for module, given in tasks if module == "chamilo_hsts"]
    step = hsts.decide(bound["hsts"]["mode"], [], hsts.Ramp(), run.day, str, str)
    asked.append(hsts._transaction(bound, step))
    settings = {
        given.get("section", ""): desired(**{name: given.get(name, default) for name, default in DESIRED.items()})
        for module, given in tasks
        if module == "chamilo_settings" and "settings" in given
    }
    return {
        "in_force": in_force(*map(parsed, asked)),
        "settings_in_force": {section: one.to_json() for section, one in settings.items()},
    }


@pytest.mark.usefixtures("state_of_a_host")
def test_on_a_host_with_nothing_to_do_only_these_tasks_are_carried_out(runs: dict[str, Run], tmp_path: Path) -> None:
    """A condition that is left out costs each host of each run a task."""
    held = {"chamilo_site_info": {**SITES["upgraded"].answers["chamilo_site_info"], **settled(runs["upgraded"])}}
    _output, calls = play_all(tmp_path, upgraded=replace(SITES["upgraded"], answers=held))
    assert [task["name"] for module, task in calls["upgraded"] if module == "TASK"] == [
        "Check every variable",
        "Prepare the host",
        "Discover Chamilo and what serves it",
        "Install the host program",
        "Validating arguments against arg spec 'main' - Discovery and shared defaults",
        "Run in production mode, with secrets of its own",
        "Set owner and mode of each file",
        "Configure a database account of Chamilo's own with the privileges it needs",
        "Let the database listen only where its clients are",
        "Keep a copy of the backup key on the controller",
        "Observe what is so now",
    ]


# What check mode leaves out of these sites: each needs what a run makes before, or would not end without it.
UNPREDICTED = {
    "bare": {
        "Keep a copy of the list of files off the host",
        "Start and enable fail2ban",  # which is not there yet
        "Record on the host where that copy is",
        "Check that what was configured is active",
        "Check that what was configured is active, and that the portal answers",
    },
    "database_node": {"Let only the database read its key"},
    "web_node": {
        "Fetch the certificate of the database",
        "Configure TLS between Chamilo and its database",
        "Install what creates an account there",
        "Generate a temporary password",
        "Let this web node change accounts",
        "Configure a database account of Chamilo's own there",
        "Revoke that privilege",
    },
}


@pytest.mark.slow
def test_check_mode_carries_out_all_but_what_needs_a_run_before(runs: dict[str, Run], tmp_path: Path) -> None:
    output, calls = play_all(tmp_path, "harden", "--check", **{site: SITES[site] for site in UNPREDICTED})
    assert output.count("failed=0") == len(UNPREDICTED), output[-3000:]
    for site, unpredicted in UNPREDICTED.items():
        real, checked = (
            {asked["name"] for module, asked in events if module == "TASK"}
            for events in (runs[site].events, calls[site])
        )
        assert (real - checked, checked - real) == ({*unpredicted, "Observe what is so now"}, set()), site


# Of a play, or set by World.play; and where the controller keeps a result, which no host is sent.
ELSE_READ = {"chamilo_hosts", "chamilo_domain", "chamilo_restore_confirm"}


@pytest.mark.slow
@pytest.mark.parametrize("playbook", PLAYS)
def test_what_a_playbook_does_to_a_host_is_what_was_reviewed(tmp_path: Path, playbook: str) -> None:
    text = (ROOT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8")
    read = set(re.findall(r"(?<!\.)\bchamilo_[a-z_]+(?=[^a-z_:.])", re.sub("#.*", "", text)))
    assert read - set(PLAYS[playbook]) - ELSE_READ == set(), "give it a value in PLAYS of tests/tools/recorded.py"
    absent = {"stat": {"stat": {"exists": False}}}
    output, calls = play_all(tmp_path, playbook, **{playbook: Recorded("nginx", PLAYS[playbook], answers=absent)})
    golden, lines = RENDERED / f"{playbook}.txt", whole(Run(output, calls[playbook]).text)
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("UPDATE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), MEANT


def test_nothing_is_restored_where_its_tools_cannot_be_installed(tmp_path: Path) -> None:
    refused = Recorded("nginx", answers={"apt": {"failed": True, "msg": "No such package."}})
    output, calls = play_all(tmp_path, "restore", refused=refused)
    assert "Nothing was restored: restic and mariadb-client could not be installed. No such package." in output
    assert "host_program" not in [module for module, _asked in calls["refused"]]
