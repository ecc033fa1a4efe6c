# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import socket
import struct

from ansible_collections.chamilo.hardening.plugins.module_utils._host import host as portal_host

STATUS = """Package: nginx
Status: install ok installed
Priority: optional
Description: web server
 Version: not this one
Version: 1.26.3-3+deb13u1

Package: apache2
Status: deinstall ok config-files
Version: 2.4.71-1

Package: openssl
Status: deinstall ok config-files
Architecture: i386
Version: 3.5.1-1

Package: openssl
Essential: no
Status: hold ok installed
Version: 3.5.1-1
"""

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {127.0.0.1}:0CEA {0.0.0.0}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: {0.0.0.0}:0050 {0.0.0.0}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: {127.0.0.1}:C350 {127.0.0.1}:0CEA 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: {::}:01BB {::}:0000 0A 00000000:00000000
   1: {::1}:0050 {::}:0000 0A 00000000:00000000
"""


def native(text):
    """Addresses in braces as the kernel of this machine would print them."""

    def digits(found):
        packed = socket.inet_pton(socket.AF_INET6 if ":" in found[1] else socket.AF_INET, found[1])
        return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))

    return re.sub(r"\{([^}]+)\}", digits, text)


TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 169.254.3.4
           /32 host LOCAL
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
"""


def test_packages(host):
    host.write("/var/lib/dpkg/status", STATUS)
    names = ["nginx", "apache2", "openssl", "fail2ban", "+"]
    assert portal_host.packages(host.tree, names) == {"nginx": "1.26.3-3+deb13u1", "openssl": "3.5.1-1"}


def test_listening_sockets(host):
    host.write("/proc/net/tcp", native(TCP))
    host.write("/proc/net/tcp6", native(TCP6))
    assert portal_host.listening(host.tree) == ("0.0.0.0:80", "[::1]:80", "[::]:443", "127.0.0.1:3306")


def test_addresses(host):
    host.write("/proc/net/fib_trie", TRIE)
    host.write("/proc/net/if_inet6", INET6)
    assert portal_host.addresses(host.tree) == ("192.0.2.7", "2001:db8::7")


def test_a_process_counts_only_under_its_name(host):
    assert not portal_host.is_running(host.tree, "/run/nginx.pid", "nginx")
    host.write("/run/nginx.pid", "17\n")
    assert not portal_host.is_running(host.tree, "/run/nginx.pid", "nginx")
    host.write("/proc/17/comm", "bash\n")
    assert not portal_host.is_running(host.tree, "/run/nginx.pid", "nginx")
    host.write("/proc/17/comm", "nginx\n")
    assert portal_host.is_running(host.tree, "/run/nginx.pid", "nginx")


def test_from_where_it_is_managed_although_sudo_forgets_it(host):
    """The client of ssh is found in a process above, or not at all."""

    def process(number, parent, environment="A=1\0"):
        host.write(f"/proc/{number}/environ", environment)
        host.write(f"/proc/{number}/status", f"Name:\tx\nPPid:\t{parent}\n" if parent else "Name:\tx\n")
        return portal_host.managed_from(host.tree)

    assert process("self", "30", "PATH=/bin\0SUDO_USER=ada\0") == "", "gone, or another user's"
    process("10", "1", "SSH_CONNECTION=203.0.113.9 1 192.0.2.7 22\0")
    process("20", "10", "USER=ada\0SSH_CONNECTION=2001:db8::9 40000 2001:db8::1 22\0")
    assert process("30", "20", "X=SSH_CONNECTION=198.51.100.1 \0") == "2001:db8::9"
    assert process("20", "10", "SSH_CONNECTION=nonsense\0") == "203.0.113.9"
    assert process("10", "1", "") == "", "the end is not there"
    for parent in ("", "0"):
        assert process("20", parent) == ""
    assert process("20", "30") == "", "in a circle"
