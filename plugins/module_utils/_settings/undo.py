# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `chamilo-hardening undo` does with platform settings, and what it cannot restore."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Application, Host
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.undo_data import MEMORY

# Reported after a section was undone: what is not restored.
GONE = {
    "brute_force": ("Accounts that are locked stay locked. To unlock one: chamilo-hardening unlock USER",),
    "passwords": ("Passwords that people chose meanwhile stay as they are.",),
    "sessions": (
        'Logins that "Remember me" kept and that were deleted do not come back: those people log in once more.',
    ),
}


def undo(name: str, state: str) -> list[str]:
    """Bring the settings back. Returns a sentence for each."""
    memory = MEMORY.recall(state)[name]
    site = discover("", memory.root)
    application = Application(site.root, site.php.user, site.environment.get("APP_ENV", "prod"))
    output = Host(Reader.of_site(site).account, application, state).restore(memory.settings)
    MEMORY.forget(name, state)
    return output
