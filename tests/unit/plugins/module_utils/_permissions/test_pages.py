# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A portal that does not work any more gets back what a run changed. Real files, as root; the web user is www-data."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import journal, policy, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import pages as permissions_pages
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.pages import Pages

WEB = pwd.getpwnam("www-data")
FRONT = "https://campus.example/"
FILES = (
    ".env",
    "config/services.yaml",
    "public/.htaccess",
    "public/build/app.css",
    "public/index.php",
    "public/main/inc/lib/api.lib.php",
    "src/Kernel.php",
    "var/log/prod.log",
    *(f"vendor/a/b/C{number}.php" for number in range(9)),
)


@pytest.fixture
def site(tmp_path):
    """The web user's own, as many are."""
    for name in FILES:
        path = tmp_path / "chamilo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<?php" if name.endswith(".php") else "")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    subprocess.run(["chown", "-R", "www-data:www-data", tmp_path / "chamilo"], check=True)
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", tmp_path / "chamilo"], check=True)
    return tmp_path / "chamilo"


def readable(path):
    status = os.stat(path)
    bits = stat.S_IMODE(status.st_mode)
    shift = 6 if status.st_uid == WEB.pw_uid else 3 if status.st_gid == WEB.pw_gid else 0
    return bool(bits >> shift & 4)


class Portal:
    """Answers as PHP would that runs as the web user and needs these files for its pages, and may be broken anyway."""

    def __init__(self, site: Path, needs=(".env", "public/index.php", "public/main/inc/lib/api.lib.php")):
        self.site, self.needs, self.asked, self.dead = site, needs, [], False

    def fetch(self, probe):
        self.asked.append(probe.url)
        if probe.url.endswith(".css"):
            return Answer(probe.url, 200 if readable(self.site / "public/build/app.css") else 403)
        works = not self.dead and all((self.site / name).exists() and readable(self.site / name) for name in self.needs)
        page = b'<link rel="stylesheet" href="/build/app.css?v=1"><a href="//other.example/x.css">'
        return Answer(probe.url, 200 if works else 500, (), page)

    def pages(self):
        return Pages([{"url": FRONT}, {"url": f"{FRONT}login"}], self.fetch)


def harden(site, portal, **given):
    tree = {"path": str(site), "owner": "root", "web_user": "www-data", **given}
    return walk.run(policy.order(tree, "production"), pages=portal.pages(), state=str(site.parent / "state"))


def picture(site):
    found = {}
    for path in [site, *site.rglob("*")]:
        status = path.lstat()
        found[str(path.relative_to(site))] = (status.st_uid, status.st_gid, oct(status.st_mode))
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(permissions_pages, "ANSWER_SECONDS", 0)


def test_pages_that_work_are_asked_for_before_and_after_and_with_them_what_they_name(site):
    portal = Portal(site)
    assert harden(site, portal).changed
    pages = [FRONT, f"{FRONT}login", f"{FRONT}build/app.css"]
    assert portal.asked == pages * 2
    assert not harden(site, portal).changed
    assert portal.asked == pages * 3, "nothing changed, so nothing can be broken"


def test_another_harmful_change_is_rolled_back_too(site):
    """Here a group in which PHP is not, so that it cannot read its .env."""
    before = picture(site)
    with pytest.raises(policy.PermsError) as failed:
        harden(site, Portal(site), group="games")
    assert picture(site) == before
    assert "Check web_user, group and policy" in str(failed.value) and "root:games" in str(failed.value)


@pytest.mark.parametrize("processes", [1, 3])
def test_all_that_several_processes_changed_is_rolled_back(site, monkeypatch, processes):
    monkeypatch.setattr(journal, "_FULL", 7)
    for number in range(300):
        (site / f"vendor/p{number}/src").mkdir(parents=True)
        (site / f"vendor/p{number}/src/X.php").write_text("<?php")
    shared = walk._share
    monkeypatch.setattr(walk, "_share", lambda running, jobs, _processes: shared(running, jobs, processes))
    before = picture(site)
    with pytest.raises(policy.PermsError, match=r"rolled back\. It had changed"):
        harden(site, Portal(site), group="games")
    assert picture(site) == before


def test_what_was_broken_before_is_no_reason(site):
    portal = Portal(site, ["no-such-file"])
    assert harden(site, portal).changed


def test_an_outage_for_another_reason_is_reported_as_such(site):
    portal = Portal(site)
    fetch = portal.fetch

    def dying(probe):
        answer = fetch(probe)
        portal.dead = portal.dead or probe.url.endswith(".css")
        return answer

    portal.fetch = dying
    with pytest.raises(policy.PermsError, match="Search for another cause as well"):
        harden(site, portal)


def test_each_page_that_is_slow_once_is_asked_again(site):
    """As with nothing compiled after the reload; the time of one page is not that of the others."""
    portal = Portal(site)
    fetch, slow = portal.fetch, set()

    def once(probe):
        answer = fetch(probe)
        if readable(site / "var/log/prod.log") and probe.url not in slow and site.stat().st_uid == 0:
            slow.add(probe.url)
            return Answer(probe.url, 0, (), b"", "timed out")
        return answer

    portal.fetch = once
    assert harden(site, portal).changed
    assert len(slow) == 3


def test_a_page_that_leads_elsewhere_is_not_answered_as_before(site):
    """As to the installer, where the configuration cannot be read."""
    portal = Portal(site)
    portal.fetch = lambda probe: Answer(
        probe.url, 302, (("Location", "/login" if readable(site / ".env") else "/main/install/index.php"),)
    )
    with pytest.raises(policy.PermsError, match="answers 302 to '/main/install/index.php'"):
        harden(site, portal, group="games")


def test_nothing_of_the_web_user_s_becomes_root_s_or_runs_as_another(site):
    (site / "var/log/root.log").write_text("")  # root's, and from then on the web user's to write
    program = site / "public/setuid"
    program.write_text("")
    program.chmod(0o4755)
    with pytest.raises(policy.PermsError):
        harden(site, Portal(site), group="games")
    assert (site / "var/log/root.log").stat().st_uid == WEB.pw_uid
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


def test_what_another_changed_since_stays_as_it_is(site):
    portal = Portal(site)
    fetch = portal.fetch

    def busy(probe):
        if not readable(site / ".env"):
            (site / "public/.htaccess").chmod(0o640)
            (site / "src/Kernel.php").unlink(missing_ok=True)
        return fetch(probe)

    portal.fetch = busy
    with pytest.raises(policy.PermsError, match=r"Could not be rolled back: src/Kernel\.php: No such file"):
        harden(site, portal, group="games")
    assert stat.S_IMODE((site / "public/.htaccess").stat().st_mode) == 0o640


def test_a_full_disk_keeps_no_file_as_it_was_and_is_reported_when_it_matters(site, monkeypatch):
    class Full:
        def write(self, _lines):
            raise OSError(28, "No space left on device")

        def close(self):
            """Nothing is open."""

        def fileno(self):
            return os.open("/dev/null", os.O_RDONLY)

    monkeypatch.setattr(journal.tempfile, "TemporaryFile", lambda **_options: Full())
    with pytest.raises(policy.PermsError, match="not all changes could be noted: No space left on device"):
        harden(site, Portal(site), group="games")
    assert harden(site, Portal(site)).changed
