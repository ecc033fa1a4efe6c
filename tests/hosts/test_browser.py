"""What the policy does in a real browser: nothing that a user misses, and it stops what it is there for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook
from tests.testbed import authority
from tests.testbed import browser as browsers
from tests.testbed.app.selfcheck import PASSWORDS
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
# What an attacker managed to put into a page of the portal, and into a learning package.
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
    """Whether the script from elsewhere ran in a page, and what the browser logged about policies."""
    browser.open(url)
    return browser.run(f"return {RAN}"), browser.violations()


def framed(browser: Browser, url: str) -> bool:
    """Whether a page of another site can show this one in a frame."""
    browser.open(browser.serve("frame.html", f"<!DOCTYPE html><title>x</title><iframe src='{url}'></iframe>"))
    browser.frame()
    shown = browser.run("return document.getElementById('login') !== null")
    browser.console()
    return bool(shown)


def test_the_policy_lets_the_portal_work_and_blocks_foreign_scripts(
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
    ran, output = sees(browser, f"{base}{INJECTED}")
    assert ran and len(output) == 1 and "script-src" in output[0], "it only reports"
    (report,) = browser.posted("/csp")
    assert report["csp-report"]["document-uri"] == f"{base}{INJECTED}" and report["csp-report"]["blocked-uri"] == evil
    assert sees(browser, f"{base}{PACKAGED}") == (True, [])
    assert not framed(browser, f"{base}/login")

    playbook.harden(fresh, chamilo_headers_csp="enforce", chamilo_headers_frame_ancestors=["https://elsewhere.test"])
    for path, works in PAGES:
        browser.open(f"{base}{path}")
        assert browser.until(works), path
        assert browser.violations() == [], path
    ran, output = sees(browser, f"{base}{INJECTED}")
    assert not ran and len(output) == 1 and "script-src" in output[0]
    assert sees(browser, f"{base}{PACKAGED}") == (True, [])
    assert framed(browser, f"{base}/login"), "a declared partner may show it"


THERE = f"https://{browsers.ELSEWHERE}"
# What another service serves: api.js of ONLYOFFICE Docs makes the frame of its editor, the other sizes frames of H5P.
API = """
window.DocsAPI = {DocEditor: function (id) {
    window.addEventListener('message', function (event) { document.body.dataset.editor = event.data; });
    document.getElementById(id).innerHTML = '<iframe name="frameEditor" src="THERE/office.html"></iframe>';
}};
""".replace("THERE", THERE)
RESIZER = "window.addEventListener('message', function (event) { document.body.dataset.sized = event.data; });"
CONTENT = "<!DOCTYPE html><title>x</title><script>parent.postMessage('ready', '*');</script>"
# Pages of the portal's plugins, as Chamilo's own are made.
OFFICE = f"""<!DOCTYPE html><title>x</title><body><div id="iframeEditor"></div><script src="{THERE}/api.js"></script>
<script>window.addEventListener('load', function () {{ new DocsAPI.DocEditor('iframeEditor'); }});</script></body>"""
H5P = f"""<!DOCTYPE html><title>x</title><body><script src="{THERE}/h5p-resizer.js"></script>
<iframe src="{THERE}/content.html"></iframe></body>"""
PACKAGE = f"""<?php ?><!DOCTYPE html><title>x</title><body><script src="{THERE}/evil.js"></script>
<script>fetch('{THERE}/statements', {{method: 'POST', mode: 'no-cors', body: '{{"verb": "passed"}}'}});</script>"""
# The editor of CStudio: inline handlers and styles, templates that are compiled, a canvas in a frame, an image in an
# address. It fetches what shows formulas from elsewhere, and so does what it publishes, a learning package.
STUDIO = f"""<!DOCTYPE html><title>x</title><body style="background-color: #d8d8d8">
<style>.cell {{ padding: 9px; }}</style><div id="tool" class="cell" onclick="document.body.dataset.tool = 'used'"></div>
<script src="{THERE}/mathjax.js"></script><script>
document.getElementById('tool').click();
var canvas = document.body.appendChild(document.createElement('iframe'));
canvas.contentDocument.write('<style>b {{ top: 0 }}</style><b onclick="parent.document.body.dataset.canvas = 1">x</b>');
canvas.contentDocument.close();
canvas.contentDocument.querySelector('b').click();
var image = new Image();
image.onload = new Function("var seen = document.body.dataset; if (seen.tool && seen.canvas) seen.studio = 'ready';");
image.src = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';
</script></body>"""
FORMULAS = "document.documentElement.dataset.formulas = 'shown';"
PUBLISHED = "/assets/scorm/studio/teachdoc-1.html"
SERVED = {
    "/plugin/CStudio/editor/index.html": STUDIO,
    "/plugin/Onlyoffice/editor.html": OFFICE,
    "/main/embedded.html": H5P,
    "/plugin/XApi/package_asset.php": PACKAGE,
}
LOGIN = f"""return fetch('/login_json', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
body: JSON.stringify({{username: 'student01', password: '{PASSWORDS["student01"]}'}})}}).then(said => said.status)"""
WHO = "return fetch('/check-session').then(answer => answer.text())"


def test_declared_services_work_under_an_enforced_policy_and_no_others(
    fresh: Host, browser: Browser, playbook: Playbook
) -> None:
    playbook.sections = "https,headers,sessions"
    base = f"https://{fresh.domain}"
    for path, text in SERVED.items():
        fresh.put(f"/var/www/chamilo/public{path}", text)
    fresh.put(f"/var/www/chamilo/var/upload{PUBLISHED}", STUDIO)
    scripts = {"api.js": API, "h5p-resizer.js": RESIZER, "mathjax.js": FORMULAS, "evil.js": ""}
    for name, text in {**scripts, "frame.html": ""}.items():
        browser.serve(name, text)
    for name in ("office.html", "content.html"):
        browser.serve(name, CONTENT)

    def cookie(path: str) -> str:
        secure = {"ca_file": str(authority.certificate()), "verify": True}
        (line,) = fresh.http(f"{base}{path}", **secure).values("Set-Cookie")
        return line.lower()

    platform = {"partner": "lti", "direction": "embeds", "origin": THERE}
    services = [platform, *({"partner": partner, "origin": THERE} for partner in ("onlyoffice", "h5p"))]
    given = {"chamilo_headers_csp": "enforce", "chamilo_integrations": services}
    playbook.harden(fresh, **given)
    assert playbook.harden(fresh, **given) == 0
    browser.open(f"{base}/plugin/Onlyoffice/editor.html")
    assert browser.until("document.body.dataset.editor === 'ready'") and browser.violations() == []
    browser.open(f"{base}/main/embedded.html")
    assert browser.until("document.body.dataset.sized === 'ready'") and browser.violations() == []
    assert framed(browser, f"{base}/login")
    assert browser.run(LOGIN) == 200
    assert '"isAuthenticated":true' in browser.run(WHO), "the session goes along in the frame of another site"
    for path in ("/login", "/main/lp/aicc_hacp.php"):
        assert "samesite=none" in cookie(path) and "secure" in cookie(path)

    others = [{"partner": "onlyoffice", "origin": "https://docs.test"}]
    playbook.harden(fresh, chamilo_headers_csp="enforce", chamilo_integrations=others)
    browser.start()
    for path, unseen in (("/plugin/Onlyoffice/editor.html", "editor"), ("/main/embedded.html", "sized")):
        browser.open(f"{base}{path}")
        output = browser.violations()
        assert len(output) == 1 and "script-src" in output[0], output
        assert not browser.run(f"return document.body.dataset.{unseen}")
    assert not framed(browser, f"{base}/login")
    assert "samesite=lax" in cookie("/login") and "samesite=lax" in cookie("/main/lp/aicc_hacp.php")
    for path, shown in (("/plugin/CStudio/editor/index.html", False), (PUBLISHED, True)):
        browser.open(f"{base}{path}")
        assert browser.until("document.body.dataset.studio === 'ready'"), path
        assert browser.run("return document.documentElement.dataset.formulas === 'shown'") is shown, path
        output = browser.violations()
        assert len(output) == (not shown) and all("mathjax.js" in one for one in output), output
    # A course in xAPI is made by others, and reports to where it is configured to.
    browser.open(f"{base}/plugin/XApi/package_asset.php?path=course/index.html")
    assert browser.posted("/statements") == [{"verb": "passed"}] and browser.violations() == []
