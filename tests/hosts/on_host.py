"""What tests/hosts/test_transaction.py runs on a host: the engine out of the installed program, whole or killed.

on_host.py apply PLAN              apply a plan (JSON) as the module does; a "set" in it is for tests that must not wait
on_host.py sweep ETC PLAN STEP OFFSET    kill the plan before each STEP-th system call that changes something
on_host.py digest ETC              every path below ETC: owner, mode, content
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from typing import Any

PROGRAM = "/usr/local/sbin/chamilo-hardening"
STATE = "/var/lib/chamilo-hardening"
# What changes files, the state or the lock, what starts and awaits test and load, what asks the server.
CALLS = (
    "rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat symlink symlinkat link linkat fsync fdatasync write "
    "pwrite64 ftruncate fchmod fchmodat chmod fchown fchownat lchown setxattr fsetxattr utimensat openat flock connect "
    "clone clone3 vfork wait4 waitid"
).split()


def apply(path: str) -> dict[str, Any]:
    sys.path.insert(0, PROGRAM)
    from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
    from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import engine
    from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
    from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan as planned

    with open(path, encoding="utf-8") as stream:
        plan = json.load(stream)
    changed = plan.pop("set", {})
    services.TIMER_SECONDS = changed.get("timer", 3600)
    engine.LOCK_SECONDS = changed.get("lock", 60.0)
    outcome, failure = Outcome(), ""
    try:
        engine.Engine().apply(planned(plan), outcome)
    except (HardeningError, OSError) as problem:
        failure = str(problem)
    return {**vars(outcome), "failure": failure}


def digest(etc: str) -> list[str]:
    found = []
    for directory, directories, names in os.walk(etc):
        for path in (os.path.join(directory, name) for name in [".", *directories, *names]):
            info = os.lstat(path)
            what: object = ""
            if stat.S_ISLNK(info.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as stream:
                    what = (hashlib.sha256(stream.read()).hexdigest(), info.st_mtime_ns)
            found.append(f"{path} {info.st_uid}:{info.st_gid} {info.st_mode:o} {what}")
    return sorted(found)


class Sweep:
    def __init__(self, etc: str, plan: str) -> None:
        self.etc = etc
        self.apply = ["/usr/bin/python3", "-I", "-B", __file__, "apply", plan]
        self.old = digest(etc)

    def points(self) -> list[tuple[str, int]]:
        """What a run does that is not stopped: each call that counts, by name and number."""
        shutil.rmtree(STATE, ignore_errors=True)
        trace = ",".join(f"?{call}" for call in CALLS)
        self.well(["strace", "-y", "-o", "/tmp/calls", "-e", f"trace={trace}", *self.apply], "traced")
        if digest(self.etc) == self.old:
            raise SystemExit("the transaction changed nothing")
        self.back("after the traced run")
        found, seen = [], dict.fromkeys(CALLS, 0)
        with open("/tmp/calls", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                call, _bracket, rest = line.partition("(")
                if call not in seen:
                    continue
                seen[call] += 1
                reads = call == "openat" and "O_CREAT" not in rest
                text = call == "write" and re.match("[12]<", rest)
                if not reads and not text:
                    found.append((call, seen[call]))
        return found

    def kill(self, call: str, number: int) -> bool:
        # As on a host where nothing ever ran: making the state is part of it.
        shutil.rmtree(STATE, ignore_errors=True)
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        done = subprocess.run(["strace", "-o", "/dev/null", *inject, *self.apply], stdout=subprocess.PIPE, timeout=120)
        return done.returncode in (-9, 137)

    def well(self, argv: list[str], where: str) -> str:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode:
            raise SystemExit(f"{where}: {' '.join(argv)} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def back(self, where: str) -> None:
        self.well([PROGRAM, "undo", "headers", "--yes"], where)
        self.same(where)

    def same(self, where: str) -> None:
        different = sorted(set(digest(self.etc)) ^ set(self.old))
        if different:
            raise SystemExit(f"{where}: not as before:\n" + "\n".join(different))

    def run(self, step: int, offset: int) -> dict[str, Any]:
        points = self.points()
        count = {"points": len(points), "tried": 0, "committed": 0, "recovered": 0}
        survived = []
        for call, number in points[offset::step]:
            where = f"killed before {call} number {number}"
            count["tried"] += 1
            if not self.kill(call, number):
                survived.append(f"{call} {number}")
            if count["tried"] % 4 == 0:
                # The next run finds it by itself, succeeds, and reports so.
                count["recovered"] += "did not finish" in self.well(self.apply, where)
                self.back(where)
                continue
            count["recovered"] += "did not finish" in self.well([PROGRAM, "recover"], where)
            if json.loads(self.well([PROGRAM, "status", "--json"], where))["sections"]:
                count["committed"] += 1
                self.back(where)
            self.same(where)
        self.well(self.apply, "the next run")
        self.back("at the end")
        left = [name for _directory, _directories, names in os.walk(STATE) for name in names]
        return {**count, "survived": survived, "left": sorted(left)}


def main() -> int:
    command, *words = sys.argv[1:]
    if command == "apply":
        result = apply(words[0])
        print(json.dumps(result))
        return 1 if result["failure"] else 0
    if command == "digest":
        print("\n".join(digest(words[0])))
        return 0
    print(json.dumps(Sweep(*words[:2]).run(*map(int, words[2:]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
