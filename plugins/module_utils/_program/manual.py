# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
"""The man page of the host program and the completion of its commands, made of its parser: they know what it knows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

_BASH = """\
_chamilo_hardening() {{
  local words
  case $COMP_CWORD-${{COMP_WORDS[1]}} in
    1-*) words="{commands}" ;;
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -F _chamilo_hardening chamilo-hardening
"""
# As a file that zsh loads by itself, and for eval.
_ZSH = """\
#compdef chamilo-hardening
_chamilo-hardening() {{
  local -a found
  case $CURRENT-$words[2] in
    2-*) found=({commands}) ;;
{cases}
  esac
  compadd -- $found
}}
if (( $funcstack[(I)_chamilo-hardening] ))
then _chamilo-hardening
else compdef _chamilo-hardening chamilo-hardening
fi
"""


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Those with a help, which are for people: name, help, parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                yield choice.dest, str(choice.help), action.choices[choice.dest]


def bash(parser: argparse.ArgumentParser) -> str:
    cases = [f'    *-{name}) words="{" ".join(_words(one))}" ;;' for name, _help, one in commands(parser)]
    return _BASH.format(commands=_names(parser), cases="\n".join(cases))


def zsh(parser: argparse.ArgumentParser) -> str:
    cases = [f"    *-{name}) found=({' '.join(_words(one))}) ;;" for name, _help, one in commands(parser)]
    return _ZSH.format(commands=_names(parser), cases="\n".join(cases))


def _names(parser: argparse.ArgumentParser) -> str:
    return " ".join(name for name, _help, _parser in commands(parser))


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Commands below it, and all options, long where there is a long form."""
    below = list(commands(parser))
    words = [name for name, _help, _one in below]
    for one in (parser, *(one for _name, _help, one in below)):
        for action in one._actions:
            words += action.option_strings[-1:]
            words += [] if action.option_strings else [str(choice) for choice in action.choices or ()]
    return list(dict.fromkeys(words))


def man(parser: argparse.ArgumentParser, version: str) -> str:
    """For ``man -l -``."""
    lines = [f'.TH CHAMILO-HARDENING 8 "" "chamilo.hardening {version}"', ".SH NAME"]
    lines += [r"chamilo\-hardening \- manage the hardening of a Chamilo portal"]
    lines += [".SH SYNOPSIS", ".B chamilo-hardening", ".I COMMAND", ".SH DESCRIPTION", _roff(str(parser.description))]
    lines.append(".SH COMMANDS")
    for _name, short, one in commands(parser):
        lines += [".SS " + _roff(" ".join(one.format_usage().split()).removeprefix("usage: "))]
        lines += [_roff(" ".join(str(one.description or short).split()))]
        for action in one._actions:
            if action.help and action.help != argparse.SUPPRESS and "help" not in action.dest:
                names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
                lines += [".TP", f".B {_roff(names)}", _roff(str(action.help) % {"default": action.default})]
    lines += [".SH EXAMPLES", ".nf", *map(_roff, str(parser.epilog).splitlines()), ".fi"]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())
