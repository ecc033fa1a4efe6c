# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host around the site: distribution, packages, addresses, sockets. Read from files; no command is run."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Collection, Iterable

from .._common.tree import Tree

_ANCESTORS = 30
_LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp


def release(tree: Tree) -> dict[str, str]:
    """The values of /etc/os-release; empty when it is missing."""
    if not tree.exists("/etc/os-release"):
        return {}
    text = tree.read("/etc/os-release")
    return {found[1]: found[2].strip("\"'") for found in re.finditer(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def packages(tree: Tree, names: Iterable[str]) -> dict[str, str]:
    """Those of the Debian packages that are installed, with their versions."""
    if not tree.exists("/var/lib/dpkg/status"):
        return {}
    status = "\n" + tree.read("/var/lib/dpkg/status")
    result = {}
    for name in names:
        # The first is not always the one: another architecture's may stand before it.
        for found in re.finditer(rf"\nPackage: {re.escape(name)}\n(?:.+\n)*", status):
            version = re.search(r"^Version: (\S+)$", found[0], re.MULTILINE)
            if version and re.search(r"^Status: \w+ \w+ installed$", found[0], re.MULTILINE):
                result[name] = version[1]
    return result


def listening(tree: Tree, sockets: Collection[str] | None = None) -> tuple[str, ...]:
    """TCP addresses in LISTEN state: ``0.0.0.0:80``, ``[::]:443``. With ``sockets``, of these alone (inode numbers)."""
    result = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if tree.exists(path):
            for line in tree.read(path).splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and (sockets is None or fields[9] in sockets):
                    address, _colon, port = fields[1].partition(":")
                    result.add((int(port, 16), _address(address)))
    return tuple(f"{address}:{port}" for port, address in sorted(result))


def _address(digits: str) -> str:
    """The kernel prints addresses as 32-bit numbers in the byte order of the machine."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(words) == 1:
        return socket.inet_ntop(socket.AF_INET, packed)
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]"


def addresses(tree: Tree) -> tuple[str, ...]:
    """The addresses others can reach this host by: neither loopback nor link-local ones."""
    result = []
    if tree.exists("/proc/net/fib_trie"):
        found = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", tree.read("/proc/net/fib_trie"))
        result += [address for address in dict.fromkeys(found) if not address.startswith(("127.", "169.254."))]
    if tree.exists("/proc/net/if_inet6"):
        for line in tree.read("/proc/net/if_inet6").splitlines():
            digits, _index, _length, scope, _flags, _name = line.split()
            if scope == "00":
                result.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)))
    return tuple(result)


def memory(tree: Tree) -> int:
    """Bytes of memory; 0 when it cannot be seen."""
    if not tree.exists("/proc/meminfo"):
        return 0
    found = re.search(r"^MemTotal:\s+(\d+) kB", tree.read("/proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def managed_from(tree: Tree) -> str:
    """The address of the ssh client that started this: in the environment of a process above; sudo hides ours."""
    process = "self"
    for _above in range(_ANCESTORS):
        try:
            environment = tree.read(f"/proc/{process}/environ")
            status = tree.read(f"/proc/{process}/status")
        except OSError:  # gone, or another user's
            return ""
        found = re.search(r"(?:^|\0)SSH_CONNECTION=([0-9A-Fa-f:.]+)(?:%\w+)? ", environment)
        if found:
            return found[1]
        parent = re.search(r"^PPid:\s*(\d+)$", status, re.MULTILINE)
        if not parent or parent[1] == "0":
            return ""
        process = parent[1]
    return ""


def is_running(tree: Tree, pid_file: str, name: str) -> bool:
    """Whether the process that the file names is there and is what it should be."""
    if not tree.exists(pid_file):
        return False
    pid = tree.read(pid_file).strip()
    comm = f"/proc/{pid}/comm"
    return pid.isdigit() and tree.exists(comm) and tree.read(comm).strip() == name
