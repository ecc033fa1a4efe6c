"""An attack on the database with the application's own password, as an injected query would."""

from __future__ import annotations

import secrets
from dataclasses import replace

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Reader,
    authority,
    writing,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed

_ANYWHERE = "/etc/passwd"
_THEIRS = ("information_schema", "performance_schema")


@attack("database_privileges", insider=True)
def misuse(insider: Insider) -> Finding:
    """As an attacker who can inject a query into the application."""
    site = insider.site
    account = Reader.of(site.installation).account
    unrelated_client = f"'chamilo_hardening_{secrets.token_hex(6)}'@'localhost'"
    worked = []
    if _answers(account, f"SELECT LOAD_FILE('{_ANYWHERE}') AS found"):
        worked.append(f"read {_ANYWHERE} of the database's host (FILE)")
    names = "', '".join((*_THEIRS, account.name.replace("'", "''")))
    if _answers(
        account, f"SELECT MIN(TABLE_NAME) AS found FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('{names}')"
    ):
        worked.append("read other databases")
    if _works(account, f"CREATE USER {unrelated_client} ACCOUNT LOCK", f"DROP USER {unrelated_client}"):
        worked.append("make accounts (CREATE USER)")
    # No such account: the server reports that only where it is allowed.
    own = f"`{account.name.replace('`', '``')}`.*"
    if _works(
        account,
        f"GRANT SELECT ON {own} TO {unrelated_client}",
        f"DROP USER {unrelated_client}",
        "find any matching row",
    ):
        worked.append("pass its rights on (GRANT OPTION)")
    view = f"{own[:-2]}.`chamilo_hardening_{secrets.token_hex(6)}`"
    planted = f"CREATE DEFINER='root'@'localhost' SQL SECURITY DEFINER VIEW {view} AS SELECT 1 AS found"
    if _works(account, planted, f"DROP VIEW {view}"):
        worked.append("plant a view that runs with root's rights (SET USER)")
    stronger = [address for address in ("127.0.0.1", *site.addresses) if _is_stronger(account, address)]
    if stronger:
        worked.append(f"log in at {stronger[0]} with the same password, and power over the whole server")
    if _works(account, "SET GLOBAL max_error_count = @@GLOBAL.max_error_count"):
        worked.append("change the server's settings")
    if worked:
        return failed(f"With the application's account, an injected query could {', '.join(worked)}.")
    return passed(
        f"As {account.user}, files of the server, other databases, new accounts, grants, views of others, logins from "
        "elsewhere and settings were all refused."
    )


def _answers(account: Account, question: str) -> bool:
    """Whether a question is answered with something."""
    try:
        return any(row["found"] for row in Reader(account).query(question))
    except DatabaseError as problem:
        return _allowed(problem)


def _is_stronger(account: Account, address: str) -> bool:
    """Whether the same name and password, sent to another address, are those of an account with more rights."""
    try:
        rows = Reader(replace(account, host=address, socket="", authority=authority(address))).query("SHOW GRANTS")
    except DatabaseError:  # no server listens there, or it rejects all
        return False
    lines = [next(iter(row.values())) or "" for row in rows]
    return any(" ON *.* TO " in line and not line.startswith("GRANT USAGE ON") for line in lines)


def _works(account: Account, statement: str, undo: str = "", proof: str = "") -> bool:
    """Whether a statement is carried out, or fails for another reason (``proof``) than a missing right."""
    try:
        with writing(account) as ask:
            ask("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_CREATE_USER'", ())
            ask(statement, ())
            if undo:
                ask(undo, ())
        return True
    except DatabaseError as problem:
        return _allowed(problem) or bool(proof and proof in str(problem))


def _allowed(problem: DatabaseError) -> bool:
    """A refusal is expected; anything else is inconclusive."""
    words = str(problem).lower()
    if "denied" in words or "find any matching row" in words:
        return False
    raise OSError(str(problem)) from problem
