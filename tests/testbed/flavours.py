"""The application in a later version: what is imitated of it, and on which fact each part rests.

A flavour is put over the application of a host when that starts: the images stay as they are. ``EDITS`` are changes of
single places; each must fit exactly once, so that a change of the application that it does not fit is noticed. Whole
files lie in ``app/flavours/<version>/tree``, what becomes of the database in ``changes.sql`` beside it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.app import build

APP = Path(__file__).resolve().parent / "app"
VERSIONS = ("2.0", "3.0")  # the first one is the application itself
PHP = {"3.0": "8.3"}  # the least that a version runs with

# What is imitated: the fact, with what it was read in, and the files (below tree, or of EDITS) that imitate it.
FACTS = {
    "3.0": {
        "the version is in the root file, and the installer's file includes that one (version.php at 3.0.1)": (
            "version.php",
            "public/main/install/version.php",
        ),
        "PHP 8.3 and Symfony 7.4 (composer.json of August 2026); the libraries here stay 6.4, which Debian 13 has": (
            "composer.json",
            "composer.lock",
        ),
        "migrations V300, the last one Version20260903150000; their history is in the table version": (
            "src/CoreBundle/Migrations/Schema/V300/Version20260727000000.php",
            "src/CoreBundle/Migrations/Schema/V300/Version20260903150000.php",
            "src/CoreBundle/Command/MigrateCommand.php",
            "src/CoreBundle/Command/MigrationsStatusCommand.php",
            "changes.sql",
        ),
        "user.roles is a JSON column (V300/Version20260727000000)": ("src/CoreBundle/Entity/User.php", "changes.sql"),
        "settings of category security that 3.0 added; rows of migrations without a portal": (
            "src/CoreBundle/Settings/Schemas.php",
            "changes.sql",
        ),
        "the installer opens where the database is away, .env cannot be read or APP_INSTALLED is not 1; an upgrade "
        "needs UPGRADE_ENABLED; migrate.php is refused with 409 (InstallerGate). How index.php refuses is not known": (
            "src/CoreBundle/Helpers/InstallerGate.php",
            "public/main/install/index.php",
            "public/main/install/migrate.php",
        ),
        "without a database every page leads to the installer (InstallDbGuardSubscriber)": (
            "src/CoreBundle/EventSubscriber/InstallDbGuardSubscriber.php",
        ),
        "/mcp: 404 when off, 401 with where OAuth is described, 429 above 120 in a minute (security.yaml, "
        "framework.yaml of July 2026)": (
            "src/CoreBundle/Controller/McpController.php",
            "config/packages/security.yaml",
            "config/packages/framework.yaml",
        ),
        "/oauth/* and /.well-known/oauth-*: public, tokens 60 in a minute, registrations 5 in an hour; off unless "
        "asked for. That they answer 404 then is a guess": ("src/CoreBundle/Controller/OAuthController.php",),
        "keys of external programs on /api, by Authorization: Bearer; a JSON web token has three parts "
        "(ExternalApiKeyAuthenticator)": (
            "src/CoreBundle/Security/ExternalApiKeyAuthenticator.php",
            "src/CoreBundle/Security/JwtAuthenticator.php",
        ),
        "since 3.0.2 the second factor applies to /api/authentication_token; with which answer is not known": (
            "src/CoreBundle/Security/JwtLoginHandler.php",
        ),
        "app:file-integrity:baseline and :scan, which always ends with 0 (FileIntegrityChecker)": (
            "src/CoreBundle/Helpers/FileIntegrityChecker.php",
            "src/CoreBundle/Command/FileIntegrityBaselineCommand.php",
            "src/CoreBundle/Command/FileIntegrityScanCommand.php",
        ),
        "the web updater leaves PHP of releases below var/update (UpdateFileApplier)": (
            "var/update/staging/chamilo-3.0.2/public/main/new.php",
            "var/update/backups/3.0.1-20261103T100000Z-4f2a/files/public/main/old.php",
        ),
        "plug-ins with entry points that need no login; big-upload.php answers 403 since it was mended. The tables of "
        "plug-ins are a guess": (
            "public/plugin/CStudio/editor/import-project/inc/big-upload.php",
            "public/plugin/Onlyoffice/callback.php",
            "public/plugin/LtiProvider/tool/jwks.php",
            "public/plugin/XApi/cron/send_statements.php",
            "public/plugin/Bbb/webhook.php",
            "changes.sql",
        ),
    }
}


@dataclass(frozen=True)
class Edit:
    """One place of a file of the application, and what stands there in a later version."""

    path: str
    before: str
    after: str


EDITS = {
    "3.0": (
        Edit("composer.json", '">=8.2"', '"^8.3"'),
        Edit("composer.json", '"symfony/framework-bundle": "6.4.*"', '"symfony/framework-bundle": "7.4.*"'),
        Edit("composer.json", '"symfony/security-bundle": "6.4.*"', '"symfony/security-bundle": "7.4.*"'),
        Edit(
            "composer.lock",
            '{"packages": []}',
            '{\n    "packages": [\n        {\n            "name": "symfony/framework-bundle",\n'
            '            "version": "v7.4.1"\n        }\n    ]\n}',
        ),
        Edit(
            "src/CoreBundle/Entity/User.php",
            "unserialize($this->row['roles'], ['allowed_classes' => false])",
            "json_decode($this->row['roles'], true)",
        ),
        Edit(
            "src/CoreBundle/Settings/Schemas.php",
            "            'proxy_settings' => '',\n",
            "            'proxy_settings' => '',\n"
            "            'file_integrity_check_notify_admins' => '',\n"
            "            'session_expiration_warning_enabled' => 'false',\n"
            "            'session_expiration_warning_seconds' => '180',\n"
            "            'mcp_enabled' => 'false',\n"
            "            'mcp_allowed_roles' => '',\n"
            "            'oauth_server_enabled' => 'false',\n"
            "            'external_api_enabled' => 'false',\n",
        ),
        Edit("src/CoreBundle/Settings/Schemas.php", "            'chamilo_database_version' => '2.0.0',\n", ""),
        Edit(
            "src/CoreBundle/Command/MigrateCommand.php",
            "    private const VERSIONS = [\n",
            "    public const VERSIONS = [\n"
            "        'V300\\Version20260727000000' => ['ALTER TABLE user MODIFY roles JSON NOT NULL'],\n"
            "        'V300\\Version20260903150000' => ['DO 0'],\n",
        ),
        Edit(
            "src/CoreBundle/Command/MigrateCommand.php",
            "'Chamilo\\CoreBundle\\Migrations\\Schema\\V200\\\\'.$version",
            "'Chamilo\\CoreBundle\\Migrations\\Schema\\\\'.(str_contains($version, '\\\\') ? '' : 'V200\\\\').$version",
        ),
        Edit(
            "config/packages/framework.yaml",
            "    http_method_override: true\n",
            "    http_method_override: false\n"
            "    rate_limiter:\n"
            "        mcp_authentication: {policy: sliding_window, limit: 120, interval: '1 minute'}\n"
            "        oauth_token: {policy: sliding_window, limit: 60, interval: '1 minute'}\n"
            "        oauth_register: {policy: sliding_window, limit: 5, interval: '1 hour'}\n",
        ),
        Edit(
            "config/packages/security.yaml",
            "        main:\n            pattern: ^/\n",
            "        mcp: {pattern: ^/mcp$, security: false}\n"
            "        oauth_server: {pattern: '^/(oauth/|\\.well-known/oauth-)', security: false}\n"
            "        main:\n            pattern: ^/\n",
        ),
        Edit(
            "config/packages/security.yaml",
            "            custom_authenticators: [Chamilo\\CoreBundle\\Security\\JwtAuthenticator]\n",
            "            custom_authenticators:\n"
            "                - Chamilo\\CoreBundle\\Security\\JwtAuthenticator\n"
            "                - Chamilo\\CoreBundle\\Security\\ExternalApiKeyAuthenticator\n",
        ),
        Edit(
            "src/CoreBundle/Security/JwtAuthenticator.php",
            "        return str_starts_with((string) $request->headers->get('Authorization'), 'Bearer ');\n",
            "        $header = (string) $request->headers->get('Authorization');\n\n"
            "        return str_starts_with($header, 'Bearer ') && 2 === substr_count($header, '.');\n",
        ),
        Edit(
            "src/CoreBundle/Security/JwtLoginHandler.php",
            "        return new JsonResponse(['token' =>",
            "        if ($token->getUser()?->get('mfa_enabled')) {\n"
            "            return JwtAuthenticator::refuse('Two-factor authentication is required.');\n"
            "        }\n\n"
            "        return new JsonResponse(['token' =>",
        ),
    )
}


class FlavourError(Exception):
    """The application is no longer what a flavour changes."""


def edited(version: str) -> dict[str, str]:
    """The files of the application that a version changes in places, as they are in it."""
    found: dict[str, str] = {}
    for edit in EDITS[version]:
        text = found.get(edit.path) or (APP / "tree" / edit.path).read_text(encoding="utf-8")
        if text.count(edit.before) != 1:
            raise FlavourError(f"{edit.path} has not exactly once: {edit.before}")
        found[edit.path] = text.replace(edit.before, edit.after)
    return found


@contextmanager
def overlay(version: str) -> Iterator[Path]:
    """A directory with all files that a version puts over the application.

    What belongs to the release has its date, as the application's own files have; what it writes later has today's.
    """
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        shutil.copytree(APP / "flavours" / version / "tree", top, dirs_exist_ok=True)
        for path, text in edited(version).items():
            target = top / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for file in top.rglob("*"):
            if not file.is_relative_to(top / "var"):
                os.utime(file, (build.DATE, build.DATE))
        yield top


def changes(version: str) -> str:
    """What becomes of the database, as SQL."""
    return (APP / "flavours" / version / "changes.sql").read_text(encoding="utf-8")
