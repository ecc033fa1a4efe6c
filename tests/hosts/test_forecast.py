"""What the audit reports about last week's logins."""

from __future__ import annotations

import json

from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host


def test_the_report_names_whom_bans_would_have_met(fresh: Host, playbook: Playbook) -> None:
    fresh.run(
        'mariadb chamilo -e "INSERT INTO track_e_login_record (username, login_date, user_ip, success) VALUES '
        + ", ".join(
            [f"('pupil{n}', NOW() - INTERVAL {90 - n} MINUTE, '10.77.0.1', 0)" for n in range(9)]
            + [f"('pupil{n}', NOW() - INTERVAL 5 MINUTE, '10.77.0.1', 1)" for n in range(3)]
            + [f"('pupil{n}', NOW() - INTERVAL 9 DAY, '10.77.0.2', 0)" for n in range(9)]
        )
        + '"'
    )
    playbook.run("audit", fresh, chamilo_friends=[])
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    reported = " ".join(entry["forecast"]["said"])
    assert "10.77.0.1 once (9 failed and 3 good logins, 3 accounts)" in reported and "10.77.0.2" not in reported
    page = (playbook.directory / "report/report.html").read_text()
    assert "Several people log in from 10.77.0.1" in page
    assert page.index("Several people log in") < page.index("Keep Chamilo Updated")
