"""Portals that were laid in odd orders: each address answers after harden as before, and no file is disabled.

Times, owners and names are those that administrators leave: none of them says who wrote a file.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.testbed import authority
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
KEPT = "/srv/as-it-was.tar"
SECTION = ("--tags", "https,permissions")
SCHOOL = "public/plugin/School"
# What harden closes to visitors on purpose, what waits, and what fails on purpose.
CLOSED = r"/documentation/|/main/install/|/custompages/|/check\.php|/additional_webservices\.php|/Pens/|composer\.json$"
LEFT_OUT = rf"{CLOSED}|/main/(slow|crash)\.php|\.(tpl|sql|md|dist)$|/\."
ROUTES = ("/", "/login", "/account/home", "/courses", "/nothing-here", "/main/nothing-here.php", "/plugin/None/x.php")


def composer(host: Host) -> None:
    """Composer keeps the times that a package has: vendor is years older than the program."""
    host.run(f"cd {ROOT} && find vendor -exec touch -h -d 2019-03-01 {{}} + && find src public -exec touch {{}} +")


def hotfix(host: Host) -> None:
    """A person followed an announcement yesterday, through PHP's account."""
    pages = "public/main/admin/index.php public/main/auth/inscription.php src/Kernel.php config/services.yaml"
    host.run(f"cd {ROOT} && find . -path ./var -prune -o -exec touch -h -d 2024-02-01 {{}} +")
    host.run(f"cd {ROOT} && for page in {pages}; do touch -d yesterday $page; chown www-data $page; done")


def archive(host: Host) -> None:
    """Each file has the time of the day on which somebody wrote it, and root unpacked part of it."""
    dates = (
        'find public src -type f | sort | while read -r file; do touch -d "2015-01-01 + $((n += 37)) days" $file; done'
    )
    host.run(
        f"cd {ROOT} && n=0; {dates}; chown -R root:root public/main public/build && chown www-data public/main/*/*"
    )


def copied(host: Host) -> None:
    """Moved to another disk with cp -a while people worked on it."""
    host.run(f"cp -a {ROOT} {ROOT}.new && rm -r {ROOT} && mv {ROOT}.new {ROOT}")
    host.run(f"cd {ROOT} && ln public/main/auth/lostPassword.php public/main/auth/lost.php && chmod -R g+w public/main")


def school(host: Host) -> None:
    """A plugin of the school's own, which grew over the years, and files that another account put there."""
    host.run("useradd --create-home teacher")
    for number in range(20):
        host.put(f"{ROOT}/{SCHOOL}/page{number}.php", f"<?php echo 'page {number}', (int) ($_GET['week'] ?? 1);")
        host.run(f"touch -d '2021-05-01 + {number * 40} days' {ROOT}/{SCHOOL}/page{number}.php")
    host.put(f"{ROOT}/public/img/timetable.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", owner="teacher:teacher")
    host.put(f"{ROOT}/public/main/admin/report.php", "<?php echo 'report';", owner="teacher:www-data")
    host.run(f"chown -R teacher:www-data {ROOT}/{SCHOOL}; chown www-data {ROOT}/{SCHOOL}/page1*.php")


ORDERS = (composer, hotfix, archive, copied, school)


def addresses(host: Host) -> list[str]:
    """Each file that a visitor can ask for, static or PHP, and routes of the application."""
    files = host.run(f"cd {ROOT}/public && find . -type f | cut -c2- | grep -vE '{LEFT_OUT}' | sort").stdout.split()
    return [*ROUTES, *files]


def answers(host: Host, scheme: str, paths: list[str]) -> dict[str, tuple[int, str]]:
    found = {}
    for path in paths:
        answer = host.http(f"{scheme}://{host.domain}{path}", ca_file=str(authority.certificate()), timeout=60)
        target = dict(answer.headers).get("Location", "")
        found[path] = (answer.status, target.replace(f"https://{host.domain}", "").replace(f"http://{host.domain}", ""))
    return found


def names(host: Host) -> set[str]:
    """The files of the program, but for those of the collection itself, and dumps, which the section backups moves."""
    kept = r"grep -vE 'chamilo_hardening|\.sql$'"
    found = host.run(f"cd {ROOT} && find . -path ./var -prune -o -type f -print | {kept}")
    return set(found.stdout.splitlines())


def unreadable(host: Host) -> str:
    """What PHP cannot read of the program."""
    words = f"cd {ROOT} && find . -path ./var -prune -o -type f ! -readable -print"
    return host.run(words, user="www-data").stdout


def lay(host: Host, order: Callable[[Host], None]) -> None:
    host.run(f"rm -rf {ROOT} && tar --same-owner --xattrs -xpf {KEPT} -C / && chown -R www-data:www-data {ROOT}")
    order(host)
    host.run("systemctl restart 'php*-fpm.service'")


@pytest.mark.long
def test_each_address_answers_as_before_and_no_file_is_disabled(fresh: Host, playbook: Playbook) -> None:
    """By the section that sets owners and modes, and the last one by all of them."""
    fresh.run(f"tar -cpf {KEPT} {ROOT}")
    wrong: list[str] = []
    for number, order in enumerate(ORDERS):
        lay(fresh, order)
        scheme = "https" if number else "http"
        there, paths = names(fresh), addresses(fresh)
        before = answers(fresh, scheme, paths)
        assert len(paths) >= 40 and len([one for one in before.values() if one[0] == 200]) >= 20, before
        playbook.harden(fresh, *(() if order is ORDERS[-1] else SECTION))
        after = answers(fresh, "https", paths)
        wrong += [
            f"{order.__name__}: {path}: {before[path]}, then {after[path]}"
            for path in paths
            if before[path] != after[path]
        ]
        wrong += [f"{order.__name__}: {path} is gone" for path in sorted(there - names(fresh))]
        wrong += [f"{order.__name__}: {path} is new" for path in sorted(names(fresh) - there)]
        wrong += [f"{order.__name__}: {path} cannot be read" for path in unreadable(fresh).split()]
    assert wrong == [], "\n".join(wrong)
    assert missing_from_the_portal(fresh, "https") == []


def test_what_differs_is_listed_and_what_an_earlier_version_disabled_is_given_back(
    fresh: Host, playbook: Playbook, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    school(fresh)
    page, own = "public/main/admin/index.php", f"{SCHOOL}/page1.php"
    hidden = "config/authentication.dist.yaml"
    fresh.run(f"cd {ROOT} && chown root:root {page} {own} {hidden} && chmod 600 {page} {own} && chmod 200 {hidden}")
    fresh.run(f"cd {ROOT} && mv {hidden} {hidden}.quarantined && install -d -m 700 /var/lib/chamilo-hardening")
    fresh.put("/var/lib/chamilo-hardening/planted-var-www-chamilo.txt", f"quarantined {page}\nquarantined {own}\n")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no connection leads to the official package
    first = " ".join(playbook.run("harden", fresh, *SECTION, chamilo_release_archive="auto").output.split())
    assert "was not compared with the package of its release" in first and f"{SCHOOL}: 1 files" in first
    assert fresh.run(f"stat -c %a {ROOT}/{page} {ROOT}/{own} {ROOT}/{hidden}.quarantined").stdout.split() == [
        "600",
        "600",
        "200",
    ]
    output = " ".join(playbook.run("harden", fresh, *SECTION, chamilo_release_archive=release).output.split())
    assert (
        f"{SCHOOL}: 20 files are in no package" in output and "2 files that an earlier version had disabled" in output
    )
    assert fresh.run(f"stat -c '%U %a' {ROOT}/{page} {ROOT}/{hidden}").stdout.split() == ["root", "644", "root", "640"]
    assert missing_from_the_portal(fresh, "https") == []
    listed = fresh.run(["ls", "/var/lib/chamilo-hardening"]).stdout
    assert "release-" in listed and ".archive" not in listed and "planted" in listed, "checksums alone"
    assert playbook.harden(fresh, *SECTION, chamilo_release_archive=release) == 0
    # What no package has waits for a person.
    assert fresh.run(f"stat -c %a {ROOT}/{own}").stdout == "600\n"
    fresh.run(["chmod", "-R", "u=rwX,go=rX", f"{ROOT}/{SCHOOL}"])
    playbook.run("harden", fresh, *SECTION, chamilo_release_archive=release)
    address = f"https://{fresh.domain}/{own.removeprefix('public/')}"
    assert fresh.http(address, ca_file=str(authority.certificate())).body.startswith(b"page 1")
    assert "planted" not in fresh.run(["ls", "/var/lib/chamilo-hardening"]).stdout
    assert playbook.harden(fresh, *SECTION) == 0
