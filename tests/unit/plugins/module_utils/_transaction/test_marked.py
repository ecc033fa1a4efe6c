# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of ours in files that stay their owner's: in, tested, rolled back, and out again, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import Mark, apply, strip, without
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import our_lines, repair
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import asks_for_nothing, plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import (
    apache,
    in_place_apache,
    in_place_nginx,
    nginx,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost, Unmarked
from tests.tools.mangled import mangled
from tests.unit.plugins.conftest import Files
from tests.unit.plugins.module_utils._common.test_acl import packed
from tests.unit.plugins.module_utils._transaction.conftest import World, interrupted, kill_points, nothing_to_do, one
from tests.vhosts import DOMAIN, ROOT, Case, cases

HOST = 'server {\n    server_name campus;\n    add_header X-Mine "1";\n    root /var/www/chamilo;\n}\n'
INSIDE = HOST.index("    server_name")
HEADER = HOST.index("    add_header")
MARKS = [
    {"at": INSIDE, "lines": ["include ours/*.conf;"]},
    {"at": HEADER, "until": HOST.index("\n    root"), "lines": []},
]
NAME = "https:campus"
INCLUDE = "    # BEGIN chamilo.hardening campus\n    include ours/*.conf;\n"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def owners(text: str = HOST, path: str = "enabled/campus", marks: Any = None) -> list[dict[str, Any]]:
    return [{"path": path, "marks": MARKS if marks is None else marks, "digest": digest(text)}]


def desired(text: str = HOST, **more: Any) -> dict[str, Any]:
    return {"name": NAME, "files": [*owners(text), *one("ours", "ours/https.conf")], **more}


def read(world: World, name: str = "campus.conf") -> str:
    return (world.etc / name).read_bytes().decode("utf-8", "surrogateescape")


@pytest.fixture
def host(world: World) -> World:
    """The owner's virtual host, active by a link as Debian has it."""
    world.write("campus.conf", HOST, 0o664)
    (world.etc / "enabled/campus").symlink_to("../campus.conf")
    return world


def test_a_file_gets_its_lines_and_loses_them(host: World) -> None:
    before = host.tree()
    predicted = host.apply(check=True, **desired())
    assert host.tree() == before and predicted.changed
    done = host.apply(**desired())
    assert done.changed and done.loaded and predicted.diff == done.diff
    assert INCLUDE in read(host) and "# # set aside" not in read(host) and '#     add_header X-Mine "1";' in read(host)
    assert host.tree()["campus.conf"][1:] == before["campus.conf"][1:], "owner and mode"
    assert host.tree()["enabled/campus"] == before["enabled/campus"], "the link stays"
    assert not host.apply(**desired()).changed and nothing_to_do(host, **desired())
    undone = host.undo(NAME)
    assert host.tree() == before and undone.loaded and not undone.notes and host.untouched()


ACL = "system.posix_acl_access"


def access(mask: int) -> bytes:
    """An access list that grants the account `nobody` that much."""
    none = 0xFFFFFFFF
    entries = [(1, 6, none), (2, mask, 65534), (4, 4, none), (16, mask, none), (32, 4, none)]
    return packed(entries)


def test_an_access_list_stays(host: World) -> None:
    path = host.etc / "campus.conf"
    path.chmod(0o644)
    os.setxattr(path, ACL, access(4))
    host.apply(**desired())
    assert os.getxattr(path, ACL) == access(4) and INCLUDE in read(host)
    host.undo(NAME)
    assert os.getxattr(path, ACL) == access(4) and read(host) == HOST
    os.setxattr(path, ACL, access(6))
    with pytest.raises(StateError, match="others than root can write to it"):
        host.apply(**desired())


def test_a_diff_shows_the_changed_lines_and_no_more(host: World) -> None:
    long = HOST.replace("    root", "    ssl_password secret;\n" * 9 + "    root")
    host.write("campus.conf", long)
    (shown,) = (each for each in host.apply(check=True, **desired(long)).diff if "prepared" in each)
    assert "+    include ours/*.conf;" in shown["prepared"] and '-    add_header X-Mine "1";' in shown["prepared"]
    assert shown["prepared"].count("secret") == 2, "two lines around"
    host.write("campus.conf", long, 0o640)
    (shown,) = (each for each in host.apply(**desired(long)).diff if "prepared" in each)
    assert "not shown" in shown["prepared"] and "secret" not in shown["prepared"]
    assert "server_name" not in json.dumps(host.journal()), "nor is the text written down"


def test_what_was_edited_around_our_lines_stays(host: World) -> None:
    host.apply(**desired())
    mine = HOST.replace("server_name campus;", "server_name campus www;").replace("}", "    # mine, ü\n}") + "# end\r\n"
    (host.etc / "campus.conf").write_bytes(apply(mine, _shifted(mine), "campus").encode())
    assert repair.edited(host.journal())[NAME] == our_lines.lost(host.journal())[NAME] == []
    assert not nothing_to_do(host, **desired(mine)), "the host is asked once"
    again = {**desired(mine), "files": [*owners(mine, marks=_data(_shifted(mine))), *desired()["files"][1:]]}
    done = host.apply(**again)
    assert not done.changed and not host.loads()
    assert nothing_to_do(host, **again)
    host.undo(NAME)
    assert read(host) == mine


def _shifted(text: str) -> list[Mark]:
    header = text.index("    add_header")
    return [
        Mark(text.index("    server_name"), ("include ours/*.conf;",)),
        Mark(header, (), text.index("\n    root")),
    ]


def _data(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    return [{"at": mark.at, "lines": [*mark.lines], "until": mark.until} for mark in marks]


def test_a_file_that_changed_since_it_was_read_is_not_touched(host: World) -> None:
    host.write("campus.conf", HOST + "# late\n")
    before = host.tree()
    with pytest.raises(TransactionError, match=r"campus.conf was changed since it was read\. No file was changed\."):
        host.apply(**desired())
    assert host.tree() == before
    (host.etc / "campus.conf").unlink()
    with pytest.raises(TransactionError, match="enabled/campus is not there any more"):
        host.apply(**desired())


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_others_can_write_is_refused(host: World, check: bool) -> None:
    (host.etc / "campus.conf").chmod(0o666)
    with pytest.raises(StateError, match="campus.conf is not changed: others than root can write to it"):
        host.apply(check=check, **desired())
    (host.etc / "campus.conf").chmod(0o664)
    os.chown(host.etc / "campus.conf", 0, 33)
    with pytest.raises(StateError, match="chmod go-w"):
        host.apply(check=check, **desired())
    os.chown(host.etc / "campus.conf", 33, 0)
    with pytest.raises(StateError, match="chown root"):
        host.apply(check=check, **desired())
    os.chown(host.etc / "campus.conf", 0, 0)
    os.chown(host.etc / "enabled/campus", 33, 33, follow_symlinks=False)
    with pytest.raises(StateError, match="an account other than root could have made"):
        host.apply(check=check, **desired())
    (host.etc / "enabled/campus").unlink()
    (host.etc / "enabled/campus").mkdir()
    with pytest.raises(StateError, match="neither a file"):
        host.apply(check=check, **desired())


def test_lines_out_of_place_are_refused_before_any_change(host: World) -> None:
    before = host.tree()
    with pytest.raises(TransactionError, match=r"campus.conf A change at character 9999 is out of place\. No file was"):
        host.apply(name=NAME, files=owners(marks=[{"at": 9999, "lines": ["x"]}]))
    with pytest.raises(TransactionError, match="lead to"):
        host.apply(name=NAME, files=[*owners(), *owners(path="campus.conf")])
    assert host.tree() == before


def test_a_file_that_we_wrote_as_a_whole_gets_no_lines(host: World) -> None:
    host.apply(name="headers:campus", files=one(HOST, "campus.conf"))
    with pytest.raises(TransactionError, match=r"Undo that first: chamilo-hardening undo headers:campus"):
        host.apply(**desired())


def test_a_file_with_our_lines_is_not_written_as_a_whole(host: World) -> None:
    host.apply(**desired())
    before = host.tree()
    for name in (NAME, "headers:school"):
        with pytest.raises(TransactionError, match="has lines of https:campus, so it is not written as a whole"):
            host.apply(name=name, files=one("whole", "campus.conf"))
    assert host.tree() == before


def test_what_is_listed_no_more_loses_its_lines(host: World) -> None:
    before = host.tree()
    host.apply(**desired())
    rest = {"name": NAME, "files": one("ours", "ours/https.conf")}
    assert not host.apply(**rest, complete=False).changed
    assert INCLUDE in read(host) and not nothing_to_do(host, **rest)
    done = host.apply(**rest, load=None, test=[], probe=[])
    assert done.changed and done.loaded, "as it was brought into force"
    assert host.tree()["campus.conf"] == before["campus.conf"]
    assert nothing_to_do(host, **rest)
    host.apply(**desired())
    host.apply(name=NAME, files=[])
    assert host.tree() == before and not host.journal()["records"]


def test_a_file_that_is_to_have_no_lines_is_remembered_no_more(host: World) -> None:
    before = host.tree()
    host.apply(**desired())
    without = {"name": NAME, "files": [*owners(marks=[]), *one("ours", "ours/https.conf")], "complete": False}
    assert host.apply(**without).changed and host.tree()["campus.conf"] == before["campus.conf"]
    assert not our_lines.of(host.journal()["records"][NAME])
    assert not host.apply(**without).changed
    host.undo(NAME)
    assert host.tree() == before


def test_a_file_that_its_owner_removed_is_no_error(host: World) -> None:
    host.apply(**desired())
    (host.etc / "campus.conf").unlink()
    (host.etc / "enabled/campus").unlink()
    assert our_lines.lost(host.journal())[NAME] == [f"{host.etc}/campus.conf is not there any more."]
    done = host.undo(NAME)
    assert done.notes == [f"{host.etc}/campus.conf is not there any more, and so are the lines of {NAME} in it."]
    assert "campus.conf" not in host.tree() and "ours" not in host.tree() and not host.journal()["records"]


def test_a_directory_in_its_place_is_none_either(host: World) -> None:
    host.apply(**desired())
    (host.etc / "campus.conf").unlink()
    (host.etc / "campus.conf").mkdir()
    assert "neither a file nor a link" in host.undo(NAME).notes[0]
    assert "ours" not in host.tree() and not host.journal()["records"]


@pytest.mark.parametrize("linked", [True, False], ids=["and its link", "alone"])
def test_a_file_that_its_owner_renamed_loses_its_lines_too(host: World, linked: bool) -> None:
    host.apply(**desired())
    (host.etc / "campus.conf").rename(host.etc / "school.conf")
    (host.etc / "enabled/campus").unlink()
    if linked:
        (host.etc / "enabled/campus").symlink_to("../school.conf")
    (host.etc / "stranger.conf").write_text(read(host, "school.conf"))
    os.chown(host.etc / "stranger.conf", 33, 33)
    assert our_lines.lost(host.journal())[NAME] == []
    assert not host.undo(NAME).notes
    assert read(host, "school.conf") == HOST and not host.journal()["records"]
    assert read(host, "stranger.conf") != HOST, "it is not root's"


def test_a_renamed_file_is_found_by_the_next_run(host: World) -> None:
    host.apply(**desired())
    (host.etc / "campus.conf").rename(host.etc / "school.conf")
    (host.etc / "enabled/campus").rename(host.etc / "enabled/school")
    (host.etc / "enabled/school").unlink()
    (host.etc / "enabled/school").symlink_to("../school.conf")
    renamed = {"name": NAME, "files": [*owners(path="enabled/school"), *desired()["files"][1:]]}
    done = host.apply(**renamed)
    assert not done.changed and not done.notes
    host.undo(NAME)
    assert read(host, "school.conf") == HOST


def test_damaged_marks_are_named_and_mended_by_the_next_run(host: World) -> None:
    host.apply(**desired())
    whole = read(host)
    damaged = whole.replace("include ours/*.conf;", "include theirs/*.conf;")
    host.write("campus.conf", damaged)
    (reported,) = our_lines.lost(host.journal())[NAME]
    assert reported.startswith(f"{host.etc}/campus.conf line 2: ") and reported.endswith("chamilo-hardening repair")
    mine = HOST.replace("    server_name", "include theirs/*.conf;\n    server_name")
    host.undo(NAME)
    assert read(host).replace("    include theirs", "include theirs") == mine, "what is not ours stays"
    assert "ours" not in host.tree() and not host.journal()["records"]


def test_damage_to_what_an_older_version_wrote_is_undone_as_a_whole_or_not_at_all(host: World) -> None:
    host.apply(**desired())
    for each in (host.state / "written").iterdir():
        each.unlink()
    assert not nothing_to_do(host, **desired()), "the next run keeps a copy"
    host.write("campus.conf", read(host).replace("include ours/*.conf;", "include theirs/*.conf;"))
    before = host.tree()
    for act in (lambda: host.undo(NAME), lambda: host.engine().ensure_undo([NAME]), lambda: host.apply(**desired())):
        with pytest.raises(TransactionError, match=r"campus.conf line 2: .* No file was changed\."):
            act()
    with pytest.raises(TransactionError, match=r"campus.conf line 2: .* kept no copy .* set aside"):
        host.engine().repair(Outcome())
    assert host.tree() == before


def test_a_line_that_was_removed_is_reported_and_one_that_was_moved_is_not(host: World) -> None:
    host.apply(**desired())
    text = read(host)
    block = text[text.index("    # BEGIN") : text.index("    server_name")]
    moved = text.replace(block, "").replace("    root", f"{block}    root")
    host.write("campus.conf", moved)
    assert our_lines.lost(host.journal())[NAME] == []
    removed = text.replace(block, "")
    host.write("campus.conf", removed)
    assert our_lines.lost(host.journal())[NAME] == [
        f"{host.etc}/campus.conf: lines of {NAME} are gone, in 1 of 2 places."
    ]
    assert host.apply(**desired()).changed and read(host) == text


def test_portals_that_were_read_at_the_same_time_do_not_stop_each_other(host: World) -> None:
    """Discovery reads all of them before the first is edited."""
    names = ("campus", "school", "museum")
    whole = "# café\n" + "".join(HOST.replace("campus", name) for name in names)
    host.write("campus.conf", whole)
    texts = {}
    for name in names:
        begin = whole.index(f"    server_name {name}")
        header, root = whole.index("    add_header", begin), whole.index("\n    root", begin)
        marks = [
            {"at": begin, "lines": [f"include {name}/*.conf;"]},
            {"at": header, "until": root, "lines": [[begin, header]]},
        ]
        texts[name] = {"name": f"https:{name}", "files": owners(whole, marks=marks)}
    for name in ("school", "campus", "museum"):
        assert host.apply(**texts[name]).changed
    text = read(host)
    for name in names:
        assert f"server_name {name};\n    # BEGIN" in text and text.count(f"    include {name}/*.conf;\n") == 1
    for name in names:
        text = strip(text, name)
    assert text == whole
    host.write("campus.conf", read(host) + "# late\n")
    with pytest.raises(TransactionError, match="was changed since it was read"):
        host.apply(**texts["campus"])
    for name in names:
        host.undo(f"https:{name}")
    assert read(host) == whole + "# late\n"


def test_what_another_portal_set_aside_since_is_not_edited(host: World) -> None:
    host.apply(**desired())
    before = read(host)
    within = [{"at": HEADER + 6, "until": HEADER + 9, "lines": []}]
    across = [{"at": INSIDE, "until": HOST.index("}"), "lines": []}]
    for marks in (within, across):
        with pytest.raises(TransactionError, match="was changed since it was read"):
            host.apply(name="https:school", files=owners(marks=marks))
    assert read(host) == before


def test_killed_while_the_second_portal_is_edited_the_first_keeps_its_lines(
    host: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply(**desired())
    first = host.tree()
    school = {"name": "https:school", "files": owners(read(host), marks=[{"at": 0, "lines": ["include x;"]}])}
    for number, _stopped in kill_points(host, monkeypatch, lambda: host.apply(**school)):
        host.engine().recover()
        if "https:school" in host.journal()["records"]:
            host.undo("https:school")
        assert host.tree() == first and not host.journal()["open"], number
    host.undo(NAME)
    assert read(host) == HOST


@pytest.mark.parametrize("step", ["test", "load", "probe", "page"])
def test_a_step_that_fails_restores_the_exact_bytes(host: World, step: str) -> None:
    odd = (HOST + "# \udcff no UTF-8, and no newline at its end").encode("utf-8", "surrogateescape")
    path = host.etc / "campus.conf"
    path.write_bytes(odd)
    text = odd.decode("utf-8", "surrogateescape")
    mtime = path.stat().st_mtime_ns
    host.texts = lambda: {"campus.conf": read(host)}  # type: ignore[method-assign] # others are no UTF-8
    host.loaded = host.texts()
    more: dict[str, Any] = {"files": owners(text)}
    host.reload_fails = int(step == "load")
    if step == "test":
        more["test"] = [["false"]]
        run = host.machine.run

        def refuse(argv: Sequence[str], seconds: float) -> tuple[int, str]:
            return (1, "no") if argv[0] == "false" and b"BEGIN" in path.read_bytes() else run(argv, seconds)

        host.machine.run = refuse
    else:
        host.site = lambda loaded: 404 if "BEGIN" in loaded["campus.conf"] and step != "load" else 200
        more["probe"] = [{"url": "http://host/course/", "same": step == "page"}]
    with pytest.raises(TransactionError) as caught:
        host.apply(name=NAME, **more)
    assert caught.value.rolled_back
    assert path.read_bytes() == odd and path.stat().st_mtime_ns == mtime and host.untouched()
    assert host.loaded == host.texts() and not host.journal()["records"]


def test_killed_at_any_change_the_owners_bytes_come_back(host: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host.tree()
    for number, _stopped in kill_points(host, monkeypatch, lambda: host.apply(**desired())):
        host.engine().recover()
        if host.journal()["records"]:
            assert strip(read(host), "campus") == HOST != read(host), number
            host.undo(NAME)
        assert host.tree() == before and host.untouched(), number


def test_killed_at_any_change_an_undo_keeps_what_its_owner_edited(host: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host.apply(**desired())
    host.write("campus.conf", read(host) + "# mine\n")
    hardened = host.tree()
    for number, _stopped in kill_points(host, monkeypatch, lambda: host.undo(NAME)):
        host.engine().recover()
        if host.journal()["records"]:
            assert host.tree() == hardened, number
            continue
        assert read(host) == HOST + "# mine\n" and host.untouched(), number
        break


def test_a_run_that_was_cut_off_does_not_count_as_edited(host: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host.apply(**desired())
    interrupted(host, monkeypatch)
    assert not nothing_to_do(host, **desired())
    assert host.apply(**desired(), check=True).changed and not host.apply(**desired()).diff


def test_what_an_older_version_wrote_down_knows_of_no_lines(world: World) -> None:
    world.apply()
    state = world.journal()
    assert "marked" not in state["records"]["headers"]
    assert our_lines.lost(state) == {"headers": []} and nothing_to_do(world)


def test_where_lines_stand_is_no_other_generation() -> None:
    def generation(marks: list[dict[str, Any]], text: str = HOST) -> str:
        return plan({"name": NAME, "files": owners(text, "/x", marks)}).generation

    assert generation(MARKS) == generation([{**MARKS[0], "at": 1}, MARKS[1]], "other")
    assert generation(MARKS) != generation([{**MARKS[0], "lines": ["other"]}, MARKS[1]])


CASES = [case for server in ("nginx", "apache") for case in cases(server) if not case.panel]


class Owner:
    """The host of a case."""

    def __init__(self, host: Files, case: Case) -> None:
        self.host, self.case = host, case
        host.install(case.server)
        case.lay(host.root)
        self.engine = Repairing(str(host.root / "state"), Machine(lambda argv, seconds: (0, ""), systemd=False))

    def texts(self) -> dict[str, bytes]:
        return {name: (self.host.root / name.lstrip("/")).read_bytes() for name in self.case.files}

    def edit(self) -> None:
        """A line of the owner's at both ends of each file."""
        for name, text in self.texts().items():
            (self.host.root / name.lstrip("/")).write_bytes(
                b"# first\n" + text + (b"" if text.endswith(b"\n") else b"\n") + b"# last\n"
            )

    def params(self) -> dict[str, Any]:
        tree = Unmarked(self.host.tree, "campus")
        names, roots = frozenset({DOMAIN}), frozenset({ROOT, f"{ROOT}/public"})
        headers = frozenset({"x-frame-options", "strict-transport-security"})
        directory = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}[self.case.server]
        tls = "behind" not in self.case.name
        desired = DesiredHost(
            "campus", DOMAIN, names, roots, f"{directory}/sites-available/chamilo-campus.d", headers, tls
        )
        if self.case.server == "nginx":
            found = in_place_nginx.plan(tree, nginx.parse(tree), desired)
        else:
            found = in_place_apache.plan(tree, apache.parse(tree, "2.4.62"), desired)
        assert not found.obstacles and found.files
        files = [{**asdict(one), "path": f"{self.host.root}{one.path}"} for one in found.files]
        return {"name": NAME, "files": files, "complete": False}

    def apply(self, params: dict[str, Any]) -> Outcome:
        outcome = Outcome()
        self.engine.apply(plan(params), outcome)
        return outcome

    def nothing_to_do(self, params: dict[str, Any]) -> bool:
        return asks_for_nothing(plan(params), self.engine.in_force()[NAME])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.server}-{case.name}")
def test_each_file_of_the_world_comes_back_as_its_owner_left_it(tmp_path: Path, case: Case) -> None:
    owner = Owner(Files(tmp_path), case)
    first = owner.params()
    assert owner.apply(first).changed
    assert owner.nothing_to_do(owner.params()) and owner.params() == first
    owner.edit()
    assert our_lines.lost(owner.engine.store.peek()) == {NAME: []}
    later = owner.params()
    assert not owner.nothing_to_do(later)
    done = owner.apply(later)
    assert not done.changed
    assert owner.nothing_to_do(later)
    owner.engine.undo(NAME, Outcome())
    now = owner.texts()
    again = Owner(Files(tmp_path / "fresh"), case)
    again.edit()
    assert now == again.texts()


@pytest.mark.parametrize("seed", range(100))
def test_random_damage_is_repaired_and_undone(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    case = CASES[seed % len(CASES)]
    owner = Owner(Files(tmp_path), case)
    originals = owner.texts()
    whole = [{"path": f"{tmp_path}/ours-{one}.conf", "content": one, "owner": "0", "group": "0"} for one in "ab"]
    first = owner.params()
    params = {**first, "files": [*first["files"], *whole]}
    owner.apply(params)
    marked = {name: text for name, text in owner.texts().items() if text != originals[name]}

    def damage() -> None:
        for name, text in marked.items():
            (owner.host.root / name.lstrip("/")).write_text(mangled(text.decode(), chance))
        path = tmp_path / f"ours-{chance.choice('ab')}.conf"
        {
            "truncated": lambda: path.write_text(""),
            "gone": path.unlink,
            "mode": lambda: path.chmod(0o600),
            "edited": lambda: path.write_text("# mine"),
        }[chance.choice(["truncated", "gone", "mode", "edited"])]()

    damage()
    outcome = Outcome()
    owner.engine.repair(outcome)
    assert outcome.changed
    now = owner.texts()
    assert {name: now[name] for name in marked} == {name: b"# first\n" + text for name, text in marked.items()}
    again = owner.params()
    assert not owner.apply({**again, "files": [*again["files"], *whole]}).changed, "all is as planned"
    marked = {name: owner.texts()[name] for name in marked}
    damage()
    owner.engine.undo(NAME, Outcome())
    edited = {name: b"# first\n# first\n" + originals[name] if name in marked else originals[name] for name in now}
    assert owner.texts() == edited and not [*tmp_path.glob("ours-*")]


SENT = "server {\n    add_header X-Frame-Options a;\n    add_header Referrer-Policy b;\n    include shared.conf;\n}\n"


def aside(what: str, *lines: str) -> dict[str, Any]:
    start = SENT.index(what)
    return {"at": start, "until": start + len(what), "lines": list(lines)}


@pytest.mark.parametrize("section", ["headers:campus", "uploads:campus"])  # before and behind https
@pytest.mark.parametrize("way", ["undo", "another plan"])
def test_what_was_set_aside_for_a_section_comes_back_with_what_it_reports(host: World, way: str, section: str) -> None:
    host.write("campus.conf", SENT)
    before = host.tree()
    shared = ["# shared.conf:", "gzip on;", without("add_header X-Frame-Options c;")]
    marks = [
        aside("add_header X-Frame-Options a;"),
        aside("add_header Referrer-Policy b;"),
        aside("include shared.conf;", *shared),
    ]
    files = {
        "https:campus": ("https.conf", "add_header Referrer-Policy ours;\n"),
        section: ("headers.conf", "add_header X-Frame-Options ours;\n"),
    }
    for name, (file, text) in files.items():
        drop_in = one(text, f"sites-available/chamilo-campus.d/location/{file}")
        host.apply(name=name, files=[*drop_in, *(owners(SENT, marks=marks) if name == NAME else [])])
    tracked = read(host)
    if way == "undo":
        done = host.undo(section)
    else:  # such as with a waiver
        plain = {"name": section, "files": one("", "sites-available/chamilo-campus.d/location/headers.conf")}
        predicted = host.apply(check=True, **plain)
        done = host.apply(**plain)
        assert done.changed and predicted.diff == done.diff and not host.apply(**plain).changed
    assert "\n    add_header X-Frame-Options a;\n" in read(host) and "#     add_header Referrer-Policy b;" in read(host)
    assert "\n    add_header X-Frame-Options c;\n" in read(host) and "#     include shared.conf;" in read(host)
    assert "add_header X-Frame-Options a;" in json.dumps(done.diff) and not done.notes
    assert our_lines.lost(host.engine().store.peek())[NAME] == []
    # The next run of the section asks for what it wants, whatever that is.
    again = {"name": NAME, "files": [*one(files[NAME][1], "sites-available/chamilo-campus.d/location/https.conf")]}
    again["files"] += owners(SENT, marks=marks)
    assert not nothing_to_do(host, **again)
    host.apply(**again)
    assert read(host) == tracked
    for name in host.engine().store.peek()["records"].copy():
        host.undo(name)
    assert host.tree() == before and host.untouched()
