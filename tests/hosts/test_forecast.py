"""What the audit reports about last week's log, beside what the real fail2ban does with the same lines."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.forecast import Rules, forecast
from tests.hosts.hardening import Playbook
from tests.hosts.test_brute_force import ATTEMPTS, BAN, JAIL, prepare, until
from tests.testbed.hosts import Host

LOGS = {"nginx": "/var/log/nginx/access.log", "apache": "/var/log/apache2/other_vhosts_access.log"}
# Runs on the host: the lines of a small attack, written while it happens.
REPLAY = r"""
import sys, time
log, front = sys.argv[1:]
def write(address, times, user="-", target="/login_json", agent="curl", status=401):
    for _ in range(times):
        date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        with open(log, "a") as file:
            file.write(f'{front}{address} - {user} [{date}] "POST {target} HTTP/1.1" {status} 43 "-" "{agent}"\n')
victim = '203.0.113.99 - - [25/Nov/2026:10:00:00 +0000] \\"POST /login_json HTTP/1.1\\" 401 43'
write("203.0.113.1", 5)
write("203.0.113.2", 4)
write("203.0.113.3", 4)
write("203.0.113.4", 9, user=victim)
write("203.0.113.5", 5, target="/%6cogin_json", status=403)
write("203.0.113.6", 9, status=200)
write("::ffff:203.0.113.8", 3, agent=victim)
write("203.0.113.8", 2, target="/api/authentication_token")
write("2001:db8::7", 5, target="/index.php/login/ldap/check?x=1")
time.sleep(3)
write("203.0.113.3", 1)
time.sleep(PAUSE)
write("203.0.113.1", 6)
write("203.0.113.3", 4)
time.sleep(PAUSE)
write("203.0.113.1", 5)
"""


def real_bans(host: Host) -> Counter[str]:
    output = host.run("cat /var/log/fail2ban.log").stdout
    return Counter(re.findall(rf"\[{JAIL}\] Ban (\S+)", output))


def test_it_foretells_the_bans_that_fail2ban_then_gives(
    stage: Callable[..., Host], playbook: Playbook, tmp_path: Path
) -> None:
    host = stage("brute_force", lambda fresh: prepare(playbook, fresh))
    assert until(lambda: JAIL in host.run("fail2ban-client status", check=False).stdout, 30)
    log, front = LOGS[host.web], "campus.test:80 " if host.web == "apache" else ""
    host.put("/root/replay.py", REPLAY.replace("PAUSE", str(BAN + 4)))
    host.run(["python3", "/root/replay.py", log, front])
    assert until(lambda: real_bans(host)["203.0.113.1"] == 3, 10), real_bans(host)
    time.sleep(1)
    given = real_bans(host)

    lines = host.get(log).splitlines(keepends=True)
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress("".join(lines[:20]).encode()))
    (tmp_path / "access.log").write_text("".join(lines[20:]))
    rules = Rules(ATTEMPTS, 600, BAN, names=("campus.test",))
    form = "vhost_combined" if host.web == "apache" else ""
    reported = forecast({str(tmp_path / "access.log"): form}, rules, time.time())
    total = f"would have met {len(given)} addresses, {sum(given.values())} times: "
    assert total in reported[0]
    met = re.findall(r"([0-9a-f.:]+) (?:once|(\d+) times) \(\d+ failed", reported[0])  # the first few
    assert met and {address: int(times or 1) for address, times in met}.items() <= given.items(), reported
    assert given["203.0.113.3"] == 1 and "203.0.113.99" not in given and "There is more" not in " ".join(reported)


def test_the_report_names_whom_bans_would_have_met(fresh: Host, playbook: Playbook) -> None:
    log, front = LOGS[fresh.web], "campus.test:80 " if fresh.web == "apache" else ""
    now = time.time() - 3600

    def line(number: int, request: str, status: int) -> str:
        date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now + number))
        return f'{front}10.77.0.1 - - [{date}] "{request} HTTP/1.1" {status} 43 "-" "browser {number % 6}"\n'

    failed = "".join(line(number, "POST /login_json", 401) for number in range(6))
    fresh.put(f"{log}.2.gz", "")
    fresh.run(f"gzip -c >{log}.2.gz <<'END'\n{failed}END")
    answered = [line(1000 + number, "POST /login_json", 200) for number in range(3)]
    fresh.put(log, "".join(answered))
    playbook.run("audit", fresh, chamilo_friends=[])
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    reported = " ".join(entry["forecast"]["said"])
    assert "10.77.0.1 once (6 failed and 3 good logins, 6 browsers)" in reported
    page = (playbook.directory / "report/report.html").read_text()
    assert "Several people log in from 10.77.0.1" in page
    assert page.index("Several people log in") < page.index("Keep Chamilo Updated")
    assert f"{log}.2.gz" in reported and "There is more" not in reported

    fresh.run(f"rm {log}.2.gz; rm {log}; mkfifo {log}")
    playbook.run("audit", fresh, chamilo_friends=[])
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    assert f"{log} cannot be read: no regular file." in entry["forecast"]["said"]
