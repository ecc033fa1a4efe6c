"""Attacks with files: have the portal take a program, lay one where a web address leads, have a virus pass.

The programs only print a word that is not in their text.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Endpoint, Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from tests.attacks.visitors import Visitor, here, test_account

# By which the portal is asked to take it.
_OFFERED = (
    *("a.exe", "a.bat", "a.sh", "a.php", "a.phtml", "a.cgi", "a.phps", "a.pht", "a.phar", "a.PHP", "a.php5"),
    *("a.php7", "a.php.jpg", "a.PhAr", "a.shtml", "a.EXE", "a.x.sh"),
)
# By which it lies in a directory of a web root, and by which it is asked for.
_LAID = (
    *(
        "a.php",
        "a.PHP",
        "a.pHp",
        "a.php3",
        "a.php4",
        "a.php5",
        "a.php6",
        "a.php7",
        "a.php8",
        "a.phtml",
        "a.PHTML",
        "a.phtm",
    ),
    *("a.pht", "a.phar", "a.PHAR", "a.phps", "a.inc", "a.php.", "a.php.jpg", "a.jpg.php", "a.jpg", "a", "index.php"),
    *("a.cgi", "a.shtml"),
)
_ASKED = ("", "/", "/b", "/b.php", "/index.php", "?b.php", "%20", ".", "%00.php", ";b.php")
_WAYS = ("", *(f"{name}{behind}" for name in _LAID for behind in _ASKED))  # the first: index.php, by its directory
_DIRECTORIES = 3  # that are tried under each web root
_ENTRIES = 20_000  # that are read to find them
_EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_SCANNED_AFTER = 330.0  # seconds


def _send(visitor: Visitor, target: Target, name: str, content: bytes) -> Answer:
    """Upload a file as a browser does."""
    edge = secrets.token_hex(12)
    head = f'--{edge}\r\nContent-Disposition: form-data; name="uploadFile"; filename="{name}"\r\n\r\n'
    headers = {
        "Content-Type": f"multipart/form-data; boundary={edge}",
        "Cookie": "; ".join(f"{key}={value}" for key, value in visitor.cookies.items()),
    }
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    answer = target.get("/documents/upload", method="POST", body=body, headers=headers)
    if not answer.status:
        raise OSError(f"{answer.url} gave no answer: {answer.error}")
    return answer


def _stored(answer: Answer) -> dict[str, object]:
    reported = json.loads(answer.body)
    return reported if isinstance(reported, dict) else {}


def _remove(visitor: Visitor, target: Target, answer: Answer) -> None:
    cookies = "; ".join(f"{key}={value}" for key, value in visitor.cookies.items())
    target.get(f"/documents/{_stored(answer)['id']}", method="DELETE", headers={"Cookie": cookies})


@attack("uploads_extensions", insider=True)
def offer(insider: Insider) -> Finding:
    target = here(insider)
    taken = []
    with test_account(insider) as (user, password):
        visitor = Visitor(target)
        visitor.login(user, password)
        answer = _send(visitor, target, "a.txt", b"harmless")
        if answer.status != 201:
            raise OSError(f"not even a text file is taken: {answer.status}")
        _remove(visitor, target, answer)
        for name in _OFFERED:
            answer = _send(visitor, target, name, b"harmless")
            if answer.status == 201:
                taken.append(f"{name} (as {_stored(answer).get('title')})")
                _remove(visitor, target, answer)
    if taken:
        return failed(f"The portal takes {first_of(taken, 3)}.")
    return passed(f"The portal was offered {len(_OFFERED)} dangerous files under different names, and took none.")


# ------------------------------------------------------------------------------------------- files in a web root


def _writable(root: str) -> list[str]:
    """The topmost directories below a web root that the current user can write to, through links too."""
    found: list[str] = []
    pending, entries = [(root, frozenset([os.path.realpath(root)]))], 0
    while pending and entries < _ENTRIES and len(found) < _DIRECTORIES:
        directory, behind = pending.pop(0)
        if os.access(directory, os.W_OK | os.X_OK):
            found.append(directory)
            continue
        try:
            with os.scandir(directory) as listed:
                below = sorted(entry.path for entry in listed if os.path.isdir(entry.path))
        except OSError:
            continue
        entries += len(below)
        for path in below:
            targets = frozenset([os.path.realpath(path)] if os.path.islink(path) else ())
            if not targets & behind:  # else a circle
                pending.append((path, behind | targets))
    return found


def _places(insider: Insider) -> Iterator[tuple[str, list[Endpoint], str, str]]:
    """Directories that the web user can write to: where, by which endpoints, which path and virtual host."""
    observer = Observer(insider.site, {})
    for host in insider.site.virtual_hosts:
        root = os.path.realpath(host.root) if host.root else ""
        endpoints = observer.doors_of(host)
        if not os.path.isdir(root) or not endpoints:
            continue
        tried = insider.as_user(insider.web_user, functools.partial(_writable, root))
        if tried.error:
            raise OSError(f"{root} could not be searched as {insider.web_user}: {tried.error}")
        for directory in tried.value:
            below = os.path.relpath(directory, root)
            yield directory, endpoints, "/" if below == "." else f"/{below}/", f"{host.file}:{host.line}"


@contextlib.contextmanager
def _directory(insider: Insider, above: str) -> Iterator[str]:
    """A new directory of the web user, removed after the attack; the time of the one above does not show it."""
    status = os.stat(above)
    path = os.path.join(above, f"chamilo-hardening-{secrets.token_hex(6)}")

    tried = insider.as_user(insider.web_user, lambda: os.mkdir(path, 0o755))
    if tried.error:
        raise OSError(f"no directory could be made in {above}: {tried.error}")
    try:
        yield path
    finally:
        shutil.rmtree(path)
        os.utime(above, ns=(status.st_atime_ns, status.st_mtime_ns))


def _lay(insider: Insider, directory: str, files: dict[str, str]) -> None:
    def write() -> None:
        for name, text in files.items():
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)

    tried = insider.as_user(insider.web_user, write)
    if tried.error:
        raise OSError(f"no file could be laid in {directory}: {tried.error}")


def _program(name: str, word: str) -> str:
    """A program that prints the word, which is not in its text."""
    back = word[::-1]
    if name.endswith(".cgi"):
        return f"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\necho {back} | rev\n"
    if name.endswith(".shtml"):
        return f'<!--#set var="a" value="{word[:8]}" --><!--#echo var="a" -->{word[8:]}'
    return f"<?php echo strrev('{back}');"


@attack("uploads_no_exec", insider=True)
def lay_programs(insider: Insider) -> Finding:
    observer = Observer(insider.site, {})
    ran: list[str] = []
    asked = places = 0
    for above, endpoints, path, where in _places(insider):
        places += 1
        word = secrets.token_hex(12)
        with _directory(insider, above) as directory:
            _lay(insider, directory, {name: _program(name, word) for name in _LAID})
            start = f"{path}{os.path.basename(directory)}/"
            for endpoint in endpoints:
                for way in _WAYS:
                    answer = observer.ask(endpoint, f"{start}{way}")
                    asked += 1
                    if word.encode() in answer.body:
                        ran.append(f"{way or 'index.php, by its directory,'} in {above} (virtual host at {where})")
    if ran:
        return failed(f"What the web user could write was run: {first_of(ran, 2)}.")
    if not places:
        return passed("The web user can write to no directory that a web address leads to.")
    return passed(f"Programs in {places} directories of the web user's were requested {asked} times; none ran.")


@attack("uploads_no_override", insider=True)
def lay_rules(insider: Insider) -> Finding:
    observer = Observer(insider.site, {})
    obeyed: list[str] = []
    places = 0
    for above, endpoints, path, where in _places(insider):
        places += 1
        word = secrets.token_hex(12)
        with _directory(insider, above) as directory:
            start = f"{path}{os.path.basename(directory)}/"
            _lay(insider, directory, {"plain.txt": "plain", "a.jpg": _program("a.jpg", word), "b.php": "<?php "})
            before = [observer.ask(endpoint, f"{start}plain.txt").status for endpoint in endpoints]
            rules = "Require all denied\n"
            php = f"auto_prepend_file = {directory}/a.jpg\n"
            _lay(insider, directory, {".htaccess": rules, ".user.ini": php})
            for endpoint, was in zip(endpoints, before):
                # Another address for the same file: the same question is asked once only.
                if was == 200 and observer.ask(endpoint, f"{start}plain.txt?again").status == 403:
                    obeyed.append(f".htaccess in {above} (virtual host at {where})")
                if word.encode() in observer.ask(endpoint, f"{start}b.php").body:
                    obeyed.append(f".user.ini in {above} (virtual host at {where})")
    if obeyed:
        return failed(f"The server obeyed what the web user had written: {', '.join(obeyed[:2])}.")
    if not places:
        return passed("The web user can write to no directory that a web address leads to.")
    return passed(f"Neither .htaccess nor .user.ini had an effect in {places} directories of the web user.")


# ------------------------------------------------------------------------------------------------------- a virus


@attack("uploads_antivirus", insider=True)
def send_virus(insider: Insider) -> Finding:
    return _virus(insider, time.monotonic, time.sleep)


def _virus(insider: Insider, clock: Callable[[], float], sleep: Callable[[float], None]) -> Finding:
    target = here(insider)
    with test_account(insider) as (user, password):
        visitor = Visitor(target)
        visitor.login(user, password)
        answer = _send(visitor, target, "essay.txt", _EICAR.encode())
        if answer.status != 201:
            return passed(f"The test virus was refused at once: {answer.status}.")
        address = str(_stored(answer)["url"])
        try:
            if not _scanner_runs():
                return failed("The test virus was uploaded, and no scanner runs that could find it.")
            began = clock()
            while clock() - began < _SCANNED_AFTER:
                if _EICAR.encode() not in visitor.ask(address).body:
                    return passed(f"The test virus was taken away {clock() - began:.0f} seconds after its upload.")
                sleep(2)
            return failed(f"The test virus can still be downloaded {_SCANNED_AFTER:.0f} seconds after its upload.")
        finally:
            _remove(visitor, target, answer)


def _scanner_runs() -> bool:
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{number}/comm", encoding="ascii", errors="replace") as file:
            if file.read().strip() in ("clamd", "clamscan", "clamonacc"):
                return True
    return False
