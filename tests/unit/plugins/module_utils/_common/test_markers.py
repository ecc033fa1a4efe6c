# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our lines in an owner's file come and go, and nothing else of it changes."""

from __future__ import annotations

import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import Mark, MarkerError, apply, strip

BLOCK = """server {
    listen 80;
    add_header X-Frame-Options DENY;
    root /var/www/chamilo/public;
}
"""


def test_lines_are_added_between_two_comments() -> None:
    marked = apply(BLOCK, [Mark(BLOCK.index("{") + 1, ("include /a/*.conf;",))], "campus")
    assert marked.split("\n")[:4] == [
        "server {",
        "    # BEGIN chamilo.hardening campus",
        "    include /a/*.conf;",
        "    # END chamilo.hardening campus 74675f0f",
    ]
    assert strip(marked, "campus") == BLOCK


@pytest.mark.parametrize(
    ("text", "before", "indent"),
    [
        ("a {\n    b;\n}\n", "}", "    "),  # as the line above a brace
        ("a {\n    b;\n  </c>\n", "  </c>", "    "),
        ("a {\n    b;\n  c;\n", "  c;", "  "),
        ("}\n", "}", ""),
    ],
)
def test_our_lines_have_the_indent_of_those_around_them(text: str, before: str, indent: str) -> None:
    ours = apply(text, [Mark(text.index(before), ("x;",))], "campus").splitlines()
    assert f"{indent}x;" in ours and f"{indent}# BEGIN chamilo.hardening campus" in ours


def test_what_is_set_aside_is_a_comment() -> None:
    at = BLOCK.index("add_header")
    marked = apply(BLOCK, [Mark(at, ("more;",), BLOCK.index("DENY;") + 5)], "campus")
    assert "\n    more;\n    # set aside:\n#     add_header X-Frame-Options DENY;\n    # END" in marked
    assert strip(marked, "campus") == BLOCK


@pytest.mark.parametrize(
    "text",
    ["server{listen 80;root /x;}", "server{listen 80;root /x;}\n", "a\r\nb;\r\n", "a;\n\n  b;", "#\n;", ""],
    ids=["one line", "one line with its end", "CRLF", "blank", "comment", "empty"],
)
def test_undo_ends_with_the_same_bytes_wherever_marks_are(text: str) -> None:
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            for lines in ((), ("one", "two"), ("copy", (0, len(text)))):
                marked = apply(text, [Mark(start, lines, end)], "campus")
                assert strip(marked, "campus") == text
                assert strip(marked, "camp") == marked


def test_undo_of_many_marks_at_random_places() -> None:
    chance = random.Random(28)
    for _round in range(500):
        text = "".join(chance.choice(["a", ";", "{", "}", "\n", "\r\n", " ", "# ", "\udcff"]) for _ in range(60))
        places = sorted(chance.sample(range(len(text) + 1), 6))
        marks = [Mark(at, ("x",) * chance.randrange(3), until) for at, until in zip(places[::2], places[1::2])]
        try:
            first = apply(text, marks, "campus")
        except MarkerError:
            continue  # on whole lines, two of them may meet
        both = apply(first, [Mark(0, ("y",))], "campus-2")
        assert strip(strip(both, "campus"), "campus-2") == text
        assert strip(strip(both, "campus-2"), "campus") == text


def test_what_the_owner_edits_around_marks_stays() -> None:
    marked = apply(BLOCK, [Mark(BLOCK.index("root"), ("include /a/*.conf;",))], "campus")
    edited = marked.replace("listen 80;", "listen 8080;\n    gzip on;")
    assert strip(edited, "campus") == BLOCK.replace("listen 80;", "listen 8080;\n    gzip on;")


def test_marks_are_not_set_twice_and_not_out_of_place() -> None:
    marked = apply(BLOCK, [Mark(8, ("x;",))], "campus")
    with pytest.raises(MarkerError, match="already"):
        apply(marked, [Mark(8, ("x;",))], "campus")
    for marks in ([Mark(0, ("x;",), 9), Mark(4, ("x;",))], [Mark(-1)], [Mark(0, (), 9999)]):
        with pytest.raises(MarkerError, match="out of place"):
            apply(BLOCK, marks, "campus")


def test_what_was_changed_between_the_marks_is_never_lost() -> None:
    marked = apply(BLOCK, [Mark(8, ("x;",))], "campus")
    with pytest.raises(MarkerError, match="line 2: what stands between"):
        strip(marked.replace("    x;\n", "    x;\n    deny all;\n"), "campus")
    with pytest.raises(MarkerError, match="line 3: one of the two marks"):
        strip(marked.replace("    # BEGIN chamilo.hardening campus\n", ""), "campus")
    with pytest.raises(MarkerError, match="line 2: one of the two marks"):
        strip(marked.split("    # END")[0], "campus")


LIKE_OURS = "a\n  # set aside:\nb c\n"


def test_a_line_like_ours_is_set_aside_like_any_other() -> None:
    assert strip(apply(LIKE_OURS, [Mark(0, ("end",), 19)], "campus"), "campus") == LIKE_OURS


def test_no_mark_is_set_that_cannot_be_taken_out() -> None:
    with pytest.raises(MarkerError, match="could not be undone"):
        apply(LIKE_OURS, [Mark(0, ((2, 19),))], "campus")
