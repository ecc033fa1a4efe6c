# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a module compile what it imports once.

Ansible sends a module and all that it imports as one zip archive. Python's importer of archives compiles a source file
of one twice: when it is asked for the file's name, and when it loads it.
"""

from __future__ import annotations

import sys
import zipimport


class _Importer(zipimport.zipimporter):
    """Knows the name of a source file without compiling it."""

    def get_filename(self, fullname: str) -> str:
        ending = "/__init__.py" if self.is_package(fullname) else ".py"
        return f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}{ending}"


def compile_once() -> None:
    """Load from archives by that importer from now on."""
    sys.path_hooks[:] = [_Importer if hook is zipimport.zipimporter else hook for hook in sys.path_hooks]
    for place, importer in list(sys.path_importer_cache.items()):
        if importer.__class__ is zipimport.zipimporter:
            del sys.path_importer_cache[place]
