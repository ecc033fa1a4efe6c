"""An attack on sessions by the cookie that a browser keeps: whoever uses the device next comes back with it."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from tests.attacks.visitors import Visitor, here, test_account


@attack("sessions_remember_me", insider=True)
def come_back_later(insider: Insider) -> Finding:
    portal = here(insider)
    if portal.scheme != "https":
        raise OSError(f"{portal.domain} does not speak https, and without it Chamilo gives no cookie to keep")
    with test_account(insider) as (name, password):
        owner = Visitor(portal)
        owner.login(name, password, _remember_me=True)
        kept = {cookie: value for cookie, value in owner.cookies.items() if "remember" in cookie}
        finder = Visitor(portal)
        finder.cookies = dict(kept)
        known = b'"isAuthenticated":true' in finder.ask("/check-session").body
    if known:
        return failed(f"A later user of the device is logged in by the cookie {', '.join(kept)} alone.")
    return passed(f"A kept cookie ({', '.join(kept) or 'none is given'}) logs no user in.")
