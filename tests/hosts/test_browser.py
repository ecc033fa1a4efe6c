"""What the policy does in a real browser: nothing that a user misses, and it stops what it is there for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook
from tests.testbed import browser as browsers
from tests.testbed.browser import Browser
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

# (address, what is true once the scripts of the page have run)
PAGES = (
    ("/login", "document.getElementById('app').dataset.inline === 'ran'"),
    ("/editor", "document.body.dataset.editor === 'ready'"),
    ("/main/document/create_document.php", "document.body.dataset.editor === 'ready'"),
    ("/main/lp/lp_controller.php", "document.body.dataset.scorm === 'initialized'"),
)
# What somebody managed to put into a page of the portal, and into a learning package.
INJECTED = "/injected.html"
PACKAGED = "/assets/scorm/demo/injected.html"
RAN = "document.documentElement.dataset.evil === 'ran'"


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,headers")


@pytest.fixture
def browser(fresh: Host) -> Iterator[Browser]:
    with browsers.browser(fresh.network) as made:
        yield made


def sees(browser: Browser, url: str) -> tuple[bool, list[str]]:
    """Whether the script from elsewhere ran in a page, and what the browser said about policies."""
    browser.open(url)
    return browser.run(f"return {RAN}"), browser.violations()


def framed(browser: Browser, url: str) -> bool:
    """Whether a page of another site can show this one in a frame."""
    browser.open(browser.serve("frame.html", f"<!DOCTYPE html><title>x</title><iframe src='{url}'></iframe>"))
    browser.frame()
    shown = browser.run("return document.getElementById('login') !== null")
    browser.console()
    return bool(shown)


def test_the_policy_lets_the_portal_work_and_keeps_strangers_out(
    fresh: Host, browser: Browser, playbook: Playbook
) -> None:
    base = f"https://{fresh.domain}"
    evil = browser.serve("evil.js", "document.documentElement.dataset.evil = 'ran';")
    page = f"<!DOCTYPE html><title>x</title><script src='{evil}'></script>"
    fresh.put(f"/var/www/chamilo/public{INJECTED}", page)
    fresh.put(f"/var/www/chamilo/var/upload/assets/scorm/demo{PACKAGED[PACKAGED.rindex('/') :]}", page)
    assert sees(browser, f"http://{fresh.domain}{INJECTED}") == (True, [])

    playbook.harden(fresh, chamilo_headers_csp_report_uri=f"https://{browsers.ELSEWHERE}/csp")
    for path, works in PAGES:
        browser.open(f"{base}{path}")
        assert browser.until(works), path
        assert browser.violations() == [], path
    ran, said = sees(browser, f"{base}{INJECTED}")
    assert ran and len(said) == 1 and "script-src" in said[0], "it only reports"
    (report,) = browser.posted("/csp")
    assert report["csp-report"]["document-uri"] == f"{base}{INJECTED}" and report["csp-report"]["blocked-uri"] == evil
    assert sees(browser, f"{base}{PACKAGED}") == (True, [])
    assert not framed(browser, f"{base}/login")

    playbook.harden(fresh, chamilo_headers_csp="enforce", chamilo_headers_frame_ancestors=["https://elsewhere.test"])
    for path, works in PAGES:
        browser.open(f"{base}{path}")
        assert browser.until(works), path
        assert browser.violations() == [], path
    ran, said = sees(browser, f"{base}{INJECTED}")
    assert not ran and len(said) == 1 and "script-src" in said[0]
    assert sees(browser, f"{base}{PACKAGED}") == (True, [])
    assert framed(browser, f"{base}/login"), "a declared partner may show it"
