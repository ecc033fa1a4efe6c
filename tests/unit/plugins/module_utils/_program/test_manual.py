# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._program import main, manual

PARSER = main._parser("1.2.3")
NAMES = [name for name, _help, _parser in manual.commands(PARSER)]


def complete(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    quoted = " ".join(f"'{word}'" for word in ("chamilo-hardening", *words))
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _chamilo_hardening; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", manual.bash(PARSER) + ask], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_and_their_options() -> None:
    assert complete("") == NAMES and {"status", "undo", "restore"} <= set(NAMES)
    assert "recover" not in NAMES, "timers alone call it"
    assert complete("wi") == ["window"]
    assert complete("status", "--j") == ["--json"]
    assert set(complete("window", "")) >= {"open", "close", "--from"}
    assert complete("manual", "b") == ["bash"]


def test_zsh_has_the_same() -> None:
    text = manual.zsh(PARSER)
    assert text.startswith("#compdef chamilo-hardening\n") and f"2-*) found=({' '.join(NAMES)}) ;;" in text
    for word in ("--json", "open", "close", "--from"):
        assert word in text


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_zsh_completes_it() -> None:
    """As zsh loads the installed file, and as eval reads it."""
    loaded = f"words=(chamilo-hardening window ''); CURRENT=3; _chamilo-hardening() {{ {manual.zsh(PARSER)} }}"
    for start in (loaded, f"compdef() {{ }}; words=(chamilo-hardening window ''); CURRENT=3; {manual.zsh(PARSER)}"):
        script = f"compadd() {{ shift; print -l -- $@ }}\n{start}\n_chamilo-hardening\n"
        done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=True)
        assert {"open", "close", "--from"} <= set(done.stdout.split()) and not done.stderr


def test_the_man_page_has_each_command_with_its_options() -> None:
    page = manual.man(PARSER, "1.2.3")
    for name in NAMES:
        assert f"\n.SS chamilo\\-hardening {name}" in page
    assert ".B \\-\\-json" in page and "\n.B USER|ADDRESS\n" in page and "%(default)s" not in page
    assert not [line for line in page.splitlines() if line.startswith("'")]


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man")
def test_man_renders_it_without_a_warning() -> None:
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-"]
    done = subprocess.run(command, input=manual.man(PARSER, "1.2.3"), capture_output=True, text=True, check=True)
    assert "chamilo-hardening undo SECTION" in done.stdout and not done.stderr
