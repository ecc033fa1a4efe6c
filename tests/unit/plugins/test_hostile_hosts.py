# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a compromised host can do to the machine that hardens it: nothing.

No host is needed. A connection answers each module as the test defines: see tests/tools/connection/hostile.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers, _controls
from tests.conftest import PACKED_ONCE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
# One has a test of its own: it connects to no host.
PLAYBOOKS = sorted({path.stem for path in (ROOT / "playbooks").glob("*.yml")} - {"report"})
# Where a run may write: reports with the copies of the lists of files, keys, and the cache of facts.
WRITTEN = ("work/chamilo-report/", "work/chamilo-keys/", "work/facts/")
DIGEST = "5f" * 32


class World:
    """A controller with a home, a working directory and temporary files of its own.

    With ``inline``, tasks run in the process of the playbook: where what comes of an answer is asked for, not whether
    the playbook survives it.
    With ``details``, it prints tasks that change nothing, too.
    """

    def __init__(self, directory: Path, inline: bool = False, details: bool = False) -> None:
        self.directory = directory
        self.details = details
        own = [sys.executable, "-m", "tests.tools.inline_playbook"]
        self.command = own if inline else [str(Path(sys.executable).with_name("ansible-playbook"))]
        for name in ("home", "work", "work/facts", "work/group_vars", "answers"):
            (directory / name).mkdir()
        (directory / "home/.profile").write_text("# mine\n")
        (directory / "work/ansible.cfg").write_text("[defaults]\n")
        (directory / "work/group_vars/all.yml").write_text("mine: true\n")
        self.executed = directory / "executed"
        self.temporary = tempfile.TemporaryDirectory(prefix="w-")  # short: the path of a socket has 107 characters

    @property
    def words(self) -> str:
        """What would be executed, obeyed or shown, wherever it is not taken for what it is."""
        touch = f"touch {self.executed}"
        return (
            f"../../../home/x{{{{ lookup('ansible.builtin.pipe', '{touch}') }}}}{{% if lookup('pipe', '{touch}') %}}x"
            f"{{% endif %}}$({touch})`{touch}`;{touch}|\"'></dd></p><script>alert(1)</script><img src=x "
            "onerror=alert(1)>\x1b[2J\x1b]0;mine\x07\x9b31m\r\u202e\u0085"
        )

    def play(
        self,
        playbook: str,
        hosts: dict[str, dict[str, Any]],
        *options: str,
        groups: Any = None,
        of_hosts: dict[str, dict[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """Run one of ours, or a file, over hosts, given as what they answer to each module. Returns what it printed.

        ``variables`` are those of all hosts, ``of_hosts`` those of each.
        """
        inventory: dict[str, Any] = {}
        for name, answers in hosts.items():
            path = self.directory / "answers" / f"{name}.json"
            path.write_text(json.dumps(answers))
            inventory[name] = {"hostile_answers": str(path), "chamilo_restore_confirm": name, **variables}
            inventory[name] |= (of_hosts or {}).get(name, {})
        shared = {"ansible_connection": "hostile", "ansible_python_interpreter": "/usr/bin/python3"}
        shared["chamilo_backups_key_folder"] = str(self.directory / "work/chamilo-keys")  # this may be a container
        path = self.directory / "work/hosts.json"
        children = {group: {"hosts": {name: None}} for group, name in (groups or {}).items()}
        path.write_text(json.dumps({"chamilo": {"hosts": inventory, "vars": shared, "children": children}}))
        name = playbook if playbook.endswith(".yml") else f"chamilo.hardening.{playbook}"
        return self.run("-i", "hosts.json", name, *options)

    def run(self, *arguments: str) -> str:
        """Run ansible-playbook. Nothing of the controller is another one afterwards."""
        before = self.seen()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "HOME": str(self.directory / "home"),
            "TMPDIR": self.temporary.name,
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.collections'}:{ROOT / '.cache/collections'}",
            "ANSIBLE_CONFIG": "ansible.cfg",
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.directory / "work/facts"),
            "ANSIBLE_CONNECTION_PLUGINS": str(ROOT / "tests/tools/connection"),
            "ANSIBLE_FORKS": "10",
            **PACKED_ONCE,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_DISPLAY_OK_HOSTS": str(self.details),
        }
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=self.directory / "work",
            env=environment,
            capture_output=True,
            timeout=900,
            check=False,
        )
        output = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
        assert done.returncode in (0, 2, 4, 6), output[-3000:]
        assert not self.executed.exists(), "something was executed on the controller"
        assert self.seen() == before, "a file of the controller is another one"
        return output

    def seen(self) -> dict[str, str]:
        """Each file and its content, but those that a run may write."""
        found = {}
        for path in sorted([*self.directory.rglob("*"), *Path(self.temporary.name).rglob("*")]):
            name = str(path).removeprefix(f"{self.directory}/")
            if path.is_dir() or name.startswith(WRITTEN):
                continue
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else os.readlink(path)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "world").mkdir()
    return World(tmp_path / "world")


@pytest.fixture
def inline(tmp_path: Path) -> World:
    (tmp_path / "world").mkdir()
    return World(tmp_path / "world", inline=True)


def empty(shape: Any) -> Any:
    """The least that is of that shape."""
    if isinstance(shape, _answers.Table):
        return {name: empty(entry) for name, entry in shape.entries.items()}
    of: dict[type, Any] = {_answers.Text: "", _answers.Flag: False, _answers.Number: 0, _answers.List: []}
    return of.get(type(shape), {})


@pytest.fixture
def good(host: Any) -> dict[str, Any]:
    """What an honest host answers, as far as a run needs it to come to its end."""
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    site = json.loads(json.dumps(asdict(discover("campus.test", site="campus_test", tree=host.tree, hosted=Planned()))))
    site["web"]["version"], site["php"]["version"] = "1.26.3", "8.4"
    daily = {"ran": [], "lists": {"campus_test": {"digest": DIGEST, "copied": False}}}
    done: dict[str, Any] = {"changed": False}
    found = {**empty(_answers.shape("chamilo_site_info")), "active": True}
    return {
        "*": done,
        "command": {**done, "rc": 0, "stdout": json.dumps(daily), "stderr": "", "cmd": [], "stdout_lines": [""]},
        "chamilo_site_info": {**found, **done, "site": site},
        "config_transaction": {**done, "generation": "5f", "loaded": False, "recovered": [], "notes": []},
        "host_program": {**done, "version": "1.0.0"},
        "fetch": "[]",
        "slurp": {**done, "content": "W10=", "encoding": "base64"},
        "stat": {**done, "stat": {"exists": True, "isreg": True, "checksum": hashlib.sha1(b"[]").hexdigest()}},
    }


def test_a_digest_names_no_file_of_the_controller(inline: World, good: dict[str, Any]) -> None:
    """Of the list of files a copy is kept here, in a file with a part of its digest in the name."""
    assert "failed=0" in inline.play("harden", {"campus.test": good}, "--tags", "monitoring")
    kept = sorted(path.name for path in (inline.directory / "work/chamilo-report/integrity").iterdir())
    assert kept == [f"campus.test-campus_test-{DIGEST[:16]}.json"]
    daily = {"ran": [], "lists": {"campus_test": {"digest": "/../../../hosts", "copied": False}}}
    lying = {**good, "command": {**good["command"], "stdout": json.dumps(daily)}, "fetch": "mine"}
    output = inline.play("harden", {"campus.test": lying}, "--tags", "monitoring")
    words = " ".join(output.split())  # ansible-core 2.19 has them in a value that it wraps
    assert "Invalid answer of the host to chamilo-hardening daily: lists.campus_test.digest is" in words


def test_a_web_node_has_nothing_executed_on_the_host_of_its_database(inline: World, good: dict[str, Any]) -> None:
    """From where it comes stands in a statement that root of the database executes there."""
    account = {"changed": False, "server_here": False, "needs_admin": False, "accounts": {}, "moved": {}, "notes": []}
    sent = inline.directory.parent / "sent"
    groups = {"chamilo_web": "web.test", "chamilo_db": "store.test"}
    for source in ("203.0.113.7", "x'; GRANT ALL ON *.* TO mine; -- ", "%"):
        sent.unlink(missing_ok=True)
        hosts = {"web.test": {**good, "chamilo_database_account": {**account, "source": source}}, "store.test": good}
        options = ("--tags", "database", "--limit", "web.test")
        output = inline.play(
            "harden", hosts, *options, groups=groups, chamilo_database_tls=False, hostile_sent=str(sent)
        )
        asked = sent.read_text(errors="replace")
        assert ("Drop the account" in output) is (source == "203.0.113.7")
        assert ("DROP USER IF EXISTS" in asked) is (source == "203.0.113.7")
        assert "GRANT ALL" not in asked


def test_a_proof_is_asked_for_at_the_portal_and_nowhere_else(world: World, good: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.1)
        path = f"@127.0.0.1:{other.getsockname()[1]}/latest/meta-data"
        answers = {**good, "guide_prove": {"changed": False, "path": path}}
        output = world.play("prove", {"campus.invalid": answers})
        with pytest.raises(TimeoutError):
            other.accept()
    assert "Invalid answer of the host to guide_prove: path is a text" in output


def filled(shape: Any, words: str) -> Any:
    """An answer of that shape with these words wherever it takes any."""
    if isinstance(shape, _answers.Table):
        return {name: filled(entry, words) for name, entry in shape.entries.items()}
    if isinstance(shape, _answers.Each):
        return {words: filled(shape.of, words), "campus_test": filled(shape.of, words)}
    if isinstance(shape, _answers.List):
        return [filled(shape.of, words)] * 2
    if isinstance(shape, _answers.Text):
        valid = ("fail", "nginx", "5f" * 32, "/chamilo-hardening-5f.txt", "203.0.113.7", "2026-11-25", "backup", "")
        return next((one for one in valid if re.fullmatch(shape.form, one)), None) if shape.form else words
    return {_answers.Flag: True, _answers.Number: 7}.get(type(shape), words)


def everywhere(words: str) -> dict[str, Any]:
    """Answers of the types that are documented, with these words in each of their texts."""
    answers: dict[str, Any] = {"*": {"changed": True, "msg": words, "rc": 0, "stdout": words, "stdout_lines": [words]}}
    for module in _answers.MODULES.glob("*.py"):
        shape = _answers.shape(module.stem)
        answers[module.stem] = {"changed": True, "msg": words, **filled(shape, words)}
    for answer in answers.values():
        answer.update(warnings=[words], deprecations=[{"msg": words, "version": "9"}], diff=[{"before": words}])
    observed = {control.id: {"status": "fail", "evidence": words} for control in _controls.load().controls}
    answers["guide_audit_info"]["observed"] = observed
    answers["setup"] = {"ansible_facts": {"ansible_service_mgr": words, "chamilo_report_dir": "/nowhere", "x": words}}
    answers["async_wrapper"] = {"started": 1, "finished": 0, "ansible_job_id": words, "results_file": words}
    return answers


def mangled(value: Any, chance: random.Random, words: str) -> Any:
    """The same, with something of another type here and there."""
    if chance.random() < 0.15:
        wrong: list[Any] = [None, [], {}, 7, -1e308, True, words, [[words]], {words: words}, "x" * 2_000_000]
        return chance.choice(wrong)
    if isinstance(value, dict):
        return {key: mangled(item, chance, words) for key, item in value.items()}
    return [mangled(item, chance, words) for item in value] if isinstance(value, list) else value


def crowd(world: World, good: dict[str, Any], seed: int) -> dict[str, dict[str, Any]]:
    """Hosts that lie, each in its own way, by name."""
    chance = random.Random(seed)
    words, long = world.words, "A" * 10_000_000
    honest = {name: answer for name, answer in everywhere("x").items() if isinstance(answer, dict)}
    honest["guide_audit_info"]["observed"] = {"https_hsts": {"status": "fail", "evidence": long}}
    raw = base64.b64encode(words.encode() + b"\xff\x00").decode()
    sentence = {"changed": False, "failed": True, "msg": words, "exception": words, "ansible_facts": {"x": words}}
    discovered = {**everywhere(words), "chamilo_site_info": good["chamilo_site_info"], "command": good["command"]}
    return {
        "words.test": everywhere(words),
        "discovered.test": discovered,
        "long.test": {**honest, "*": {"failed": True, "msg": long}},
        "types.test": {name: mangled(answer, chance, words) for name, answer in everywhere("x").items()},
        "mangled.test": {
            name: answer if name == "chamilo_site_info" else mangled(answer, chance, words)
            for name, answer in discovered.items()
        },
        "null.test": {"*": None},
        "list.test": {"*": [words]},
        "text.test": {"*": words},
        "raw.test": {"*": f"raw:{raw}"},
        "failed.test": {"*": sentence},
        "unreachable.test": {"*": {"unreachable": True, "msg": words}},
        "deep.test": {"*": f"raw:{base64.b64encode(b'[' * 100_000).decode()}"},
    }


class Page(HTMLParser):
    """What stands in a page: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def check_report(directory: Path, hosts: Any) -> None:
    """The report contains what the hosts answered, and is a report all the same."""
    text = (directory / "report.html").read_text()
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "a:href"}
    assert page.attributes <= {
        *("charset", "name", "content", "lang", "http-equiv", "class", "id", "style", "href", "type", "checked", "for"),
        *("role", "tabindex", "title", "scope"),
        *(name for name in page.attributes if name.startswith("aria-")),
    }
    assert "<script>alert(1)</script>" in page.text
    assert len(text) < 20_000_000
    assert [host["name"] for host in json.loads((directory / "report.json").read_text())["hosts"]] == list(hosts)
    ET.parse(directory / "junit.xml")


# What a terminal obeys, or a reader is misled by.
OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]|\r")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_hosts_that_lie_harm_only_themselves(world: World, good: dict[str, Any], playbook: str) -> None:
    hosts = crowd(world, good, 1)
    variables = {"chamilo_inventory": "chamilo-report/found.json"} if playbook == "discover" else {}
    (world.directory / "work/chamilo-report").mkdir()
    if playbook == "prove":  # its attacks become part of the report that is there
        world.play("audit", hosts)
    output = world.play(playbook, hosts, chamilo_prove_address="127.0.0.1", **variables)
    assert "Traceback" not in output
    assert not OBEYED.search(output)
    if playbook in ("audit", "prove"):
        check_report(world.directory / "work/chamilo-report", hosts)


@pytest.mark.parametrize(
    ("field", "value", "refused"),
    [
        ("domain", "{{ lookup('pipe', 'touch EXECUTED') }}", True),
        ("domain", "a[1:99999999].test", True),
        ("domain", "campus.test\n  evil: {ansible_connection: local}", True),
        ("root", "/srv/{{ lookup('pipe', 'touch EXECUTED') }}", True),
        ("root", "/srv/{% if lookup('pipe', 'touch EXECUTED') %}", True),
        ("root", "/srv/x\nansible_connection: local", True),
        ("root", "/srv/!unsafe ' \" # $(touch EXECUTED) `touch EXECUTED`", False),
        ("database", "{{ lookup('pipe', 'touch EXECUTED') }}", False),
        ("obstacles", ["{{ lookup('pipe', 'touch EXECUTED') }}"], False),
    ],
)
def test_an_inventory_of_what_hosts_report_executes_nothing(
    inline: World, field: str, value: Any, refused: bool
) -> None:
    words = json.loads(json.dumps(value).replace("EXECUTED", str(inline.executed)))
    portal = {"domain": "campus.test", "names": ["campus.test"], "root": "/srv/campus", "obstacles": []}
    portal |= dict.fromkeys(("web_server", "php", "database", "version"), "")
    other = {**portal, "domain": "library.test", "names": ["library.test"]}
    answer = {"changed": False, "portals": [{**portal, field: words}, other]}  # of several each has its root written
    made = inline.directory / "work/chamilo-report/found.yml"
    made.parent.mkdir()
    output = inline.play("discover", {"srv.test": {"chamilo_portals_info": answer}}, chamilo_inventory=str(made))
    assert made.exists() is not refused, output
    assert ("Invalid answer of the host to chamilo_portals_info" in output) is refused
    if refused:
        return
    (inline.directory / "work/show.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{"debug": {"msg": "{{ chamilo_root }}"}}]}])
    )
    inline.details = True
    shown = inline.run("-i", str(made), "show.yml", "-e", "ansible_connection=local")
    assert "failed=0" in shown and sorted(re.findall(r"^(\w+\.test) +: ok=1", shown, re.MULTILINE)) == [
        "campus.test",
        "library.test",
    ]
    if field == "root":
        assert json.dumps(words)[1:-1].replace('\\"', '"')[:14] in shown


# What a host may return as facts: variables of ours that are names of files of the controller, in each way in which the
# controller might take them, and what ansible-core leaves of the variables of connections.
SECRET = "a file of the controller, which is nobody else's business"


def steering(world: World) -> dict[str, Any]:
    elsewhere, program = str(world.directory / "home/elsewhere"), str(world.directory / "home/program")
    Path(program).write_text(f"#!/bin/sh\ntouch {world.executed}\n")
    Path(program).chmod(0o755)
    (world.directory / "home/secret").write_text(SECRET)
    return {
        "chamilo_release_archive": str(world.directory / "home/secret"),
        "chamilo_report_dir": elsewhere,
        "chamilo_backups_key_folder": elsewhere,
        "chamilo_backups_environment": {"X": "{{ lookup('pipe', 'touch " + str(world.executed) + "') }}"},
        "_chamilo_each_once": True,
        "__chamilo_prove": {"attacks": []},
        "ansible_connection": "local",
        "ansible_python_interpreter": program,
        "ansible_sftp_executable": program,
        "ansible_scp_executable": program,
        "ansible_remote_tmp": elsewhere,
        "ansible_facts": {},
    }


# The modules that answer on a host, by what runs them.
ASKED = {
    ("audit",): ("guide_audit_info",),
    ("prove",): ("guide_prove",),
    ("restore",): ("backup_key", "apt", "host_program", "copy", "async_wrapper", "async_status", "file"),
    ("harden", "--tags", "permissions"): ("chamilo_site_info", "apt", "chamilo_env"),
    ("harden", "--tags", "monitoring"): ("config_transaction", "command"),
}


@pytest.fixture
def busy(good: dict[str, Any]) -> dict[str, Any]:
    """What a host answers on which the modules of ansible-core have work, that of a restore included."""
    site = good["chamilo_site_info"]["site"]
    site["missing_packages"], site["database"]["client"] = ["monit"], ""
    ours = {path.stem: {"changed": False, **empty(_answers.shape(path.stem))} for path in _answers.MODULES.glob("*.py")}
    return {
        **ours,
        **good,
        "backup_key": {"changed": True, "due": [], "held": True},
        "async_wrapper": {"changed": True, "started": True, "finished": False, "ansible_job_id": "j7.7"},
        "async_status": {"changed": True, "finished": True, "rc": 0, "stdout": "It is back."},
    }


@pytest.mark.parametrize(("run", "module"), [(run, module) for run in ASKED for module in ASKED[run]])
def test_facts_set_no_variable_of_the_controller(
    inline: World, busy: dict[str, Any], run: tuple[str, ...], module: str
) -> None:
    """Whichever answer carries them: files and connections of the controller stay as they are, and the run ends."""
    facts = steering(inline)
    if run[-1] != "monitoring":  # where a file is fetched
        busy["stat"] = {"changed": False, "stat": {"exists": False}}
    sent = inline.directory.parent / "sent"
    hosts = {"campus.test": {**busy, module: {**busy.get(module, busy["*"]), "ansible_facts": facts}}}
    output = inline.play(*run[:1], hosts, *run[1:], hostile_sent=str(sent), chamilo_backups_password="x")
    assert SECRET not in sent.read_text(errors="replace")
    asked = "command" if module.startswith("async_") else module
    assert f"Invalid answer of the host to {asked}: it sets variables of the controller as facts (" in output
    assert "(__chamilo_prove, _chamilo_each_once, chamilo_" in output


REFUSED = "Facts of this host are named like variables of the controller: "


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_no_fact_of_an_earlier_run_sets_a_variable_of_the_controller(
    request: pytest.FixtureRequest, busy: dict[str, Any], playbook: str
) -> None:
    """A cache contains what a host answered when the user's own play gathered facts."""
    # add_host speaks to another process than the one it runs in.
    world: World = request.getfixturevalue("world" if playbook == "setup" else "inline")
    names = ("chamilo_report_dir", "inventory_hostname", "ansible_hostile_sent")
    facts = {"ansible_distribution": "Debian", **dict.fromkeys(names, str(world.directory / "home/elsewhere"))}
    hosts = {"campus.test": {**busy, "setup": {"changed": False, "ansible_facts": facts}}}
    (world.directory / "work/site.yml").write_text(json.dumps([{"hosts": "all"}]))
    assert "failed=0" in world.play("site.yml", hosts)
    answers = dict.fromkeys(("sudo_password", "vault_password", "user"), "") | {"server": "campus.test"}
    given = {f"chamilo_setup_{name}": value for name, value in answers.items()}
    given |= dict.fromkeys(("chamilo_https_acme_email", "chamilo_alert_mail", "chamilo_backups_offsite_repository"), "")
    options = ("-e", json.dumps(given)) if playbook == "setup" else ()
    output = world.play(playbook, hosts, *options, chamilo_backups_password="x")
    assert f"{REFUSED}chamilo_report_dir, hostile_sent, inventory_hostname." in output, output[-2000:]


def test_gathered_facts_set_no_variable_of_the_controller(world: World, busy: dict[str, Any]) -> None:
    """In a play of the user's own, with the roles: Ansible gathers facts there."""
    roles = ["chamilo.hardening.permissions", "chamilo.hardening.monitoring"]
    (world.directory / "work/site.yml").write_text(json.dumps([{"hosts": "all", "become": True, "roles": roles}]))
    facts = {"ansible_distribution": "Debian", "ansible_service_mgr": "systemd"}
    honest = {**busy, "setup": {"changed": False, "ansible_facts": facts}}
    assert "failed=0" in world.play("site.yml", {"campus.test": honest})
    hostile = {**busy, "setup": {"changed": False, "ansible_facts": {**facts, **steering(world)}}}
    output = world.play("site.yml", {"campus.test": hostile}, "--flush-cache")
    assert f"{REFUSED}__chamilo_prove, _chamilo_each_once, chamilo_backups_environment, " in output, output[-2000:]


def test_what_a_restore_reports_is_safe_to_print(world: World) -> None:
    done = {"changed": True}
    messages = {**done, "finished": 1, "rc": 0, "stdout": world.words, "stdout_lines": [world.words, "It is back."]}
    answers = {
        "*": done,
        "host_program": {**done, "version": "1.0.0"},
        "backup_key": {**done, "due": [], "held": True},
        "stat": {**done, "stat": {"exists": False}},
        "async_wrapper": {"started": 1, "finished": 0, "ansible_job_id": "7.7", "results_file": "/nowhere"},
        "async_status": messages,
    }
    output = world.play("restore", {"campus.test": answers}, chamilo_backups_password="x")
    assert "failed=0" in output and "It is back." in output
    assert not OBEYED.search(output)
