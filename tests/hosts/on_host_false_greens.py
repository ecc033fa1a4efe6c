"""What tests/hosts/test_false_greens.py runs on a host: plants each state, audits its control, and takes it back.

From standard input: the directory of the collection, the request of the audit, and the states. Prints a line for each.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))


def audit(request: Mapping[str, Any], *sections: str) -> dict[str, tuple[str, str]]:
    """By a process of its own: nothing that one audit remembers is there in the next."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            found = observed(request, sections)
        except BaseException as problem:
            found = {"error": ("error", repr(problem))}
        with os.fdopen(write, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer: dict[str, tuple[str, str]] = json.load(pipe)
    os.waitpid(child, 0)
    return answer


def observed(request: Mapping[str, Any], sections: Sequence[str]) -> dict[str, tuple[str, str]]:
    from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import DEFAULTS
    from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
    from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
    from ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine import audit as audited

    options = {**DEFAULTS, **request}
    observer = Observer(discover(options["domain"], site=options["site"]), options)
    findings = audited(options["site"], observer, sections).findings
    return {name: (found.status, found.evidence) for name, found in findings.items()}


def shell(commands: str) -> str:
    """What went wrong, or nothing."""
    script = f". {HERE}/host.sh\n{commands}"
    log = f"{HERE}/log"
    with open(log, "wb") as out:  # a file, which a service that goes on does not keep this waiting for
        done = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if not done.returncode:
        return ""
    with open(log, encoding="utf-8", errors="replace") as out_of:
        return out_of.read()[-2000:] or "it failed"


def attempt(request: Mapping[str, Any], state: Mapping[str, str]) -> dict[str, Any]:
    began = time.monotonic()
    problem = shell(state["plant"])
    planted = time.monotonic()
    status, evidence = ("", "")
    if not problem:
        found = audit(request, state["section"])
        status, evidence = found.get(state["control"], ("missing", str(found)))
    judged = time.monotonic()
    problem = problem or shell("back")
    if problem:
        shell("back")
    times = [round(one, 1) for one in (planted - began, judged - planted, time.monotonic() - judged)]
    return {"name": state["name"], "status": status, "evidence": evidence, "problem": problem, "seconds": times}


def main() -> None:
    given = json.load(sys.stdin)
    sys.path.insert(0, given["collection"])
    sys.dont_write_bytecode = True
    # Once, and not in each child.
    importlib.import_module("ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine")

    request = given["request"]
    print(json.dumps({"before": audit(request)}), flush=True)
    for state in given["states"]:
        print(json.dumps(attempt(request, state)), flush=True)
    print(json.dumps({"after": audit(request)}), flush=True)


if __name__ == "__main__":
    main()
