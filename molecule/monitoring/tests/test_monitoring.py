"""What the role monitoring alone leaves behind, on nginx and Apache, on both releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://monitoring"]

LOG = "/var/www/chamilo/var/log/prod.log"
STATE = "/var/lib/chamilo-hardening"


def site(host: Any) -> str:
    return str(host.ansible.get_variables()["inventory_hostname"]).replace(".", "_").replace("-", "__")


def test_errors_of_chamilo_are_in_a_file_as_soon_as_it_runs_in_production_mode(host: Any) -> None:
    """Production mode itself is the work of the role permissions; without it, the record says what is missing."""
    known = json.loads(host.check_output(f"cat {STATE}/monitoring.json"))["app_log"]
    assert not known["ok"] and "APP_ENV=prod" in known["detail"]
    console = "runuser -u www-data -- env APP_ENV=prod /var/www/chamilo/bin/console"
    assert host.run(f"{console} no:such:command --no-interaction").rc != 0
    assert "no:such:command" in host.file(LOG).content_string


def test_the_log_is_rotated(host: Any) -> None:
    output = host.run(f"logrotate --debug /etc/logrotate.d/chamilo-{site(host)}")
    assert output.rc == 0 and f"considering log {LOG}" in output.stdout + output.stderr


def test_monit_watches_and_asks(host: Any) -> None:
    assert host.service("monit").is_running
    assert host.run("monit -t").rc == 0
    age = "import json, time; print(time.time() - json.load(open('/run/chamilo-hardening/watch-{}.json'))['at'])"
    assert 0 <= float(host.check_output(f'python3 -c "{age.format(site(host))}"')) < 300


def test_accounts_and_files_were_looked_through(host: Any) -> None:
    assert "Administrators: admin, second.admin" in host.check_output(f"cat {STATE}/accounts-{site(host)}.txt")
    known = json.loads(host.check_output(f"cat {STATE}/monitoring.json"))
    assert known["integrity"]["ok"] and "files are as listed" in known["integrity"]["detail"]
    assert site(host) in json.loads(host.check_output(f"cat {STATE}/left_behind.json"))
    # No address is configured, and that is reported.
    assert not known["delivery"]["ok"] and "chamilo_alert_mail" in known["delivery"]["detail"]


def test_a_copy_of_the_list_of_files_is_on_the_controller(host: Any) -> None:
    here = host.check_output(f"cat {STATE}/integrity-{site(host)}.json")
    copies = Path(ROOT, ".cache/molecule/report/integrity").glob(f"*-{site(host)}-*.json")
    assert here.strip() in {copy.read_text().strip() for copy in copies}


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    assert portal.http("http://shop.test/").status == 200
