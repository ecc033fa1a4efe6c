"""Uploads on real NFS, whose server gives root no rights there (root_squash).

The kernel of the machine may know no NFS. So one of Debian's runs as a process of the host (user-mode-linux), on the
host's own files, with an NFS server and its client.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.hosts.test_audit_data import DIRECTORY, PACKAGE, install
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

PACKAGES = "user-mode-linux nfs-kernel-server rpcbind kmod"
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
for module in sunrpc nfsd nfs nfsv4; do modprobe $module; done
ip link set lo up
mount -t nfsd nfsd /proc/fs/nfsd; mkdir -p /run/rpc_pipefs; mount -t rpc_pipefs rpc /run/rpc_pipefs
mkdir -p /tmp/nfs/v4recovery /tmp/export/upload/deep; mount --bind /tmp/nfs /var/lib/nfs; touch /var/lib/nfs/etab
for file in deep/lesson foreign; do echo x >/tmp/export/upload/$file; done
chown -R www-data:www-data /tmp/export; chown 12345 /tmp/export/upload/foreign; chmod -R 777 /tmp/export/upload
rpcbind -w; sleep 1
exportfs -o rw,root_squash,no_subtree_check,fsid=0,insecure 127.0.0.1:/tmp/export
rpc.nfsd -G 10 -L 10 2; rpc.mountd; sleep 1
mkdir -p /tmp/campus/var/upload /tmp/campus/config /tmp/campus/public
chown -R www-data /tmp/campus; chmod -R 777 /tmp/campus
mount -t nfs4 127.0.0.1:/upload /tmp/campus/var/upload
python3 /srv/inside.py 2>&1
poweroff -f
"""
INSIDE = f"""
import json, os, sys
sys.path.insert(0, "{DIRECTORY}")
sys.dont_write_bytecode = True
from {PACKAGE.replace("/", ".")}._monitoring import tree
from {PACKAGE.replace("/", ".")}._permissions import policy, walk
root, users = "/tmp/campus", (tree.identity("www-data"),)
answers = {{"file system": [line.split()[2] for line in open("/proc/mounts") if " /tmp/campus/var/upload " in line]}}
order = {{"path": root, "owner": "root", "group": None, "web_user": "www-data", "roots": ["var", "config"]}}
for time in ("first", "second"):
    found = walk.run(policy.order(order, "production"))
    answers[time] = [found.changed, {{one["path"]: one["why"] for one in found.refused}}]
at = "/tmp/export/upload"
answers["modes"] = [oct(os.lstat(at + name).st_mode & 0o777) for name in ("", "/deep", "/deep/lesson", "/foreign")]
seen = tree._Walk(root, users, users[0], frozenset({{0}})).go()
answers["open to all"], answers["unread"] = seen.every_address.samples, seen.unread.samples
print("ANSWERS " + json.dumps(answers))
"""
START = (
    "TMPDIR=/tmp timeout 120 linux.uml mem=256M root=/dev/root rootfstype=hostfs rootflags=/ rw init=/srv/init quiet"
)


def test_the_first_run_sets_what_it_may_and_the_audit_names_the_rest(make: Callable[..., Host]) -> None:
    host = install(make("nfs", state="virgin"))
    host.run(f"apt-get -qq update && apt-get -qq -y --no-install-recommends install {PACKAGES}")
    host.run("mkdir -p /lib/modules && ln -sfn /usr/lib/uml/modules/* /lib/modules/")
    host.put("/srv/init", INIT, "0755")
    host.put("/srv/inside.py", INSIDE)
    output = host.run(f"{START} con=null con0=fd:0,fd:1 </dev/null", check=False).stdout
    lines = [line.partition("ANSWERS ")[2] for line in output.splitlines() if "ANSWERS " in line]
    assert lines, output[-2000:]
    answers = json.loads(lines[0])
    refused = {"var/upload/foreign": "Operation not permitted"}
    assert answers["file system"] == ["nfs4"]
    assert answers["first"] == [True, refused] and answers["second"] == [False, refused]
    assert answers["modes"] == ["0o770", "0o770", "0o660", "0o777"]
    assert answers["open to all"] == ["var/upload/foreign"] and answers["unread"] == []
