# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section database: an account of Chamilo's own, and a server that listens only where its clients are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._transaction.job import Load
from ...module_utils._transaction.probe import Probe
from .. import _answers
from .portal import Portal
from .shapes import File, Plan, PlanError, Transaction

CERTIFICATE = "/etc/mysql/chamilo-hardening.pem"
_CALLED = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]*\Z")
AUTHORITY = "/usr/local/share/chamilo-hardening/database.pem"


@dataclass(frozen=True)
class Database(Plan):
    domain: str
    account: bool  # the application gets an account of its own
    split: bool  # and another one for upgrades
    backup: bool  # and backups get one
    bind: bool  # where the server listens is enforced
    addresses: Sequence[str]  # on which it listens
    serves: bool  # this host is there for the database alone
    server: str  # the host of the inventory that may run the database of this web node
    retire: bool  # no other node needs the old account there any more
    subject: str  # the names for which the certificate of this host is, where it serves the database
    main: Transaction
    tls: Transaction | None  # of a web node, as soon as the certificate of that host was fetched
    probe: Sequence[Probe]


def plan(portal: Portal, given: Mapping[str, Any]) -> Database:
    web, present = portal.is_web, given["chamilo_database_state"] == "present"
    # A host in chamilo_db alone has no Chamilo, so no account of it either.
    account = web and portal.enforced("database_account") and portal.enforced("database_privileges")
    stores = portal.node["database"] if web else []
    backups = present and portal.leads and given["chamilo_backups_state"] == "present"
    bind = portal.enforced("database_bind")
    asked = given["chamilo_level"] == "consider" or boolean(given["chamilo_database_audit_log"])
    audit = asked and portal.enforced("database_audit_log", "consider")
    address = _address(portal, given) if bind else ""
    addresses = [one.strip() for one in address.split(",")] if address else []
    probe = [portal.front] if web else []
    # Read after all others in the directory. A host that is there for the database speaks TLS, with a certificate for
    # the names by which it is called. It does so without chamilo_database_tls as well: a web node that was configured
    # to insist on it would be cut off.
    file = "/etc/mysql/mariadb.conf.d/zz-chamilo-hardening.cnf"
    desired = present and (bind or audit or not web)
    return Database(
        domain=portal.domain,
        account=account,
        split=account and boolean(given["chamilo_database_split"]),
        # Without backups here there is no account for them.
        backup=web and backups and (account or bool(stores)),
        bind=bind,
        addresses=addresses,
        serves=not web,
        server=stores[0] if present and stores else "",
        retire=all(_moved(portal, given, node) for node in portal.node["web"] if node != given["inventory_hostname"]),
        subject=_subject(portal, given) if not web else "",
        main=Transaction(
            "database",
            [File(file, "mariadb.cnf.j2") if desired else File(file, absent=True)],
            [["mariadbd", "--verbose", "--help"]],
            Load("mariadb", "restart"),
            probe,
            # Tried before anything is changed: a database that cannot listen there would not start.
            listen=[f"[{one}]:3306" if ":" in one else f"{one}:3306" for one in addresses] if present else [],
        ),
        tls=_tls(portal, given, probe),
        probe=probe,
        values={
            "address": address,
            "bind": bind,
            "audit": audit,
            "serves": not web,
            "certificate": CERTIFICATE,
            "authority": AUTHORITY,
        },
    )


def _moved(portal: Portal, given: Mapping[str, Any], node: str) -> bool:
    """Whether another web node has an account of its own by now, as it answered in this run."""
    known = given["hostvars"].get(node, {})
    answers = [known.get(f"__chamilo_database_{name}") or {} for name in ("account_there", "account")]
    names = [str((answer.get("accounts") or {}).get("application", "")) for answer in answers]
    return any(name.startswith(f"chamilo_{portal.word}@") for name in names)


def _subject(portal: Portal, given: Mapping[str, Any]) -> str:
    """The names by which the web nodes call this host, as they answered them, and its own."""
    names = [given["inventory_hostname"]]
    for node in portal.node["web"]:
        answered = given["hostvars"].get(node, {}).get("__chamilo_common_info") or {}
        called = (answered.get("site") or {}).get("database", {}).get("host")
        names += [called] if called and _CALLED.match(called) else []
    known = [f"IP:{name}" if _is_address(name) else f"DNS:{name}" for name in dict.fromkeys(names)]
    return f"subjectAltName={','.join(known)}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _address(portal: Portal, given: Mapping[str, Any]) -> str:
    address = given["chamilo_database_bind_address"] or ("127.0.0.1" if portal.is_web else "")
    if not address:  # with loopback alone, a host that is there for the database would serve no client
        raise PlanError(
            f"Set chamilo_database_bind_address to the private address on which {given['inventory_hostname']} is to "
            "serve the database to the web nodes."
        )
    return str(address)


def _tls(portal: Portal, given: Mapping[str, Any], probe: Sequence[Probe]) -> Transaction | None:
    """Chamilo insists on the certificate of its database, which another host answered."""
    fetched = given.get("__chamilo_database_certificate", {}).get("content")
    if fetched is None:
        return None
    path = f"{portal.root}/config/packages/prod/zz_chamilo_hardening_database.yaml"
    return Transaction(
        f"database:{portal.word}.application",
        [
            File(AUTHORITY, content=_answers.KINDS["certificate"](fetched)),
            portal.configuration(path, "application.yaml.j2"),
        ],
        portal.rebuild,
        probe=probe,
    )
