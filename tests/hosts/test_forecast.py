"""What the audit reports about last week's log."""

from __future__ import annotations

import json
import time

from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host

LOGS = {"nginx": "/var/log/nginx/access.log", "apache": "/var/log/apache2/other_vhosts_access.log"}


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
