# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the web server and PHP run of a portal, how long an upload may be, and who scans it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.tools.plans import discovered, planned, waived

FACES = ["/etc/php/8.4/cli", "/etc/php/8.4/fpm"]


def site(host: Any, server: str = "nginx", **changes: Any) -> dict[str, Any]:
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    found = discovered(host, php_folders=FACES, memory=4 << 30)
    php = {"version": "8.4", "sapi": "fpm", "service": "php8.4-fpm", "user": "www-data", "group": "www-data"}
    return {"site": {**found, "php": {**found["php"], **php}, **changes}}


def files(plan: dict[str, Any], transaction: str) -> dict[str, str]:
    return {file["path"]: file.get("content", "") for file in plan[transaction]["files"]}


def drop_in(plan: dict[str, Any]) -> str:
    (text,) = [text for path, text in files(plan, "web").items() if path.endswith(".d/uploads.conf")]
    return text


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("waivers", "exec_", "override"),
    [((), True, True), (("uploads_no_exec",), False, True), (("uploads_no_override",), True, False)],
)
def test_a_waiver_leaves_what_it_names(host, server, waivers, exec_, override):
    plan = planned(host, "uploads", __chamilo_common_info=site(host, server), chamilo_waivers=waived(*waivers))
    texts = files(plan, "web") | files(plan, "php")
    assert ("certificates" in drop_in(plan)) is exec_
    assert ("user\\.ini" in drop_in(plan)) is override
    assert ("/usr/local/share/chamilo-hardening/prepend.d/uploads.php" in texts) is exec_
    assert ("user_ini.filename =" in texts["/etc/php/8.4/fpm/conf.d/91-chamilo-campus_test-uploads.ini"]) is override
    assert ("AllowOverride None" in str(texts)) is (override and server == "apache")


@pytest.mark.parametrize(
    ("found", "declared", "programs"),
    [
        ([], [], None),
        (["/forum/"], [], "forum"),
        (["/forum", "/a b"], ["/old.wiki/"], r"forum|old\.wiki"),
        (["/forum"], ["/Zoo", "/apps/", "/Forum"], "apps|Forum|forum|Zoo"),
        (["/forum", "/phpmyadmin"], ["!/phpmyadmin/"], "forum"),
        (["/forum"], ["!/forum"], None),
    ],
)
def test_another_program_runs_as_before(host, found, declared, programs):
    info = site(host)
    info["site"]["in_place"]["programs"] = [{"file": "/x", "line": 1, "path": path, "what": "x"} for path in found]
    text = drop_in(planned(host, "uploads", __chamilo_common_info=info, chamilo_uploads_other_programs=declared))
    named = re.search(r"\\\.php\(\?:/\|\$\)\|\(\?:(.+?)\)\(\?:/\|\$\)\)", text)
    assert (named and named[1]) == programs


def test_an_owners_limit_stays(host):
    info = site(host)
    info["site"]["answering"] = [{**info["site"]["answering"][0], "body_limit_own": True}]
    given = {"__chamilo_common_info": info, "chamilo_uploads_maximum_size": "100M", "chamilo_https_vhost": "include"}
    assert not any(path.endswith("/limits.conf") for path in files(planned(host, "uploads", **given), "web"))


def test_where_php_is_a_module_of_apache_the_guard_goes_with_it(host):
    faces = ["/etc/php/8.4/apache2", "/etc/php/8.4/cli"]
    info = site(host, "apache", php_folders=faces)
    info["site"]["php"]["sapi"] = "mod_php"
    plan = planned(host, "uploads", __chamilo_common_info=info)
    paths = [file["path"] for file in plan["web"]["files"]]
    assert len(paths) == len(set(paths)) and "/usr/local/share/chamilo-hardening/prepend.d/uploads.php" in paths
    assert "/etc/apache2/conf-enabled/chamilo-campus_test-prepend.conf" in paths
    assert plan["php"]["files"] == [] and plan["php"]["test"] == [["apache2ctl", "configtest"]]


def test_file_types_are_blocked_unless_that_is_waived(host):
    info = site(host)
    settings = planned(host, "uploads", __chamilo_common_info=info)["settings"]
    assert settings["state"] == "present" and "phar" in settings["settings"]["document.upload_extensions_blacklist"]
    beside = {"groups": {"all": ["web0", "campus.test"]}, "hostvars": {"web0": {"chamilo_domain": "campus.test"}}}
    beside["groups"]["chamilo"] = beside["groups"]["all"]
    assert planned(host, "uploads", __chamilo_common_info=info, **beside)["settings"] is None, "its leader does"
    given = {"__chamilo_common_info": info, "chamilo_waivers": waived("uploads_extensions")}
    assert planned(host, "uploads", **given)["settings"] is None
    info["settings_kept"] = ["uploads:campus_test"]
    assert planned(host, "uploads", **given)["settings"]["state"] == "absent"


@pytest.mark.parametrize(
    ("given", "memory", "scanned", "refused"),
    [
        ({}, 4, False, False),
        ({"chamilo_uploads_antivirus": True}, 4, True, False),
        ({"chamilo_uploads_antivirus": "yes"}, 3, True, False),
        ({"chamilo_uploads_antivirus": True}, 2, True, True),
        ({"chamilo_level": "consider"}, 4, True, False),
        ({"chamilo_level": "consider"}, 2, False, False),
        ({"chamilo_uploads_antivirus": True, "chamilo_waivers": waived("uploads_antivirus")}, 4, False, False),
        ({"chamilo_uploads_antivirus": True, "chamilo_uploads_state": "absent"}, 4, False, False),
    ],
)
def test_the_scanner_needs_memory(host, given, memory, scanned, refused):
    info = site(host, memory=memory << 30, missing_packages=["clamav-daemon"])
    plan = planned(host, "uploads", __chamilo_common_info=info, **given)
    assert (plan["scanner"] is not None, bool(plan["refused"])) == (scanned, refused)
    assert plan["packages"] == (["clamav-daemon"] if scanned and not refused else [])
    assert not refused or "this host has 2.0 GiB of memory" in plan["refused"]


def test_the_scanner_of_the_owner_keeps_its_configuration(host):
    given = {"chamilo_uploads_antivirus": True}
    info = site(host)
    for own in (False, True):
        info["site"]["clamd_own"] = own
        paths = files(planned(host, "uploads", __chamilo_common_info=info, **given), "scanner")
        assert ("/etc/clamav/clamd.conf" in paths) is not own


@pytest.mark.parametrize(
    ("plugins", "path", "runs"),
    [
        ([], "/plugin/Onlyoffice/callback.php", True),
        (["BuyCourses"], "/plugin/Bbb/webhook.php", True),  # the application has it enabled
        (["BuyCourses", "ims-lti"], "/plugin/BuyCourses/src/course_catalog.php", True),
        (["BuyCourses", "ims-lti"], "/plugin/ims-lti/start.php/x", True),
        (["BuyCourses"], "/plugin/Onlyoffice/callback.php", False),
        (["BuyCourses"], "/plugin/BuyCoursesOther/index.php", False),
        (["BuyCourses"], "/plugin/index.php", False),
        (["BuyCourses"], "/main/auth/lostPassword.php", True),
        (["BuyCourses"], "/index.php/login", True),
        (["BuyCourses"], "/certificates/index.php", True),
    ],
)
@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_php_of_plugins_that_are_not_declared_is_refused(host, server, plugins, path, runs):
    info = site(host, server)
    info["site"]["plugins"] = ["Bbb"]
    text = drop_in(planned(host, "uploads", __chamilo_common_info=info, chamilo_uploads_plugins=plugins))
    (found,) = set(re.findall(r"\(\?:\(\?:main\|.+?\(\?:/\|\$\)", text))
    assert bool(re.match(f"/{found}", path)) is runs
