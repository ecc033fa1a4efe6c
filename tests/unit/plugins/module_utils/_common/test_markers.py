# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our lines in an owner's file come and go, and nothing else of it changes."""

from __future__ import annotations

import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import markers
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
    two = [Mark(BLOCK.index("root"), ("y;",)), Mark(8, ("x;",))]
    assert apply(BLOCK, two, "campus") == apply(BLOCK, two[::-1], "campus"), "in whatever order they come"
    for marks in ([Mark(0, ("x;",), 9), Mark(4, ("x;",))], [Mark(-1)], [Mark(0, (), 9999)]):
        with pytest.raises(MarkerError, match="out of place"):
            apply(BLOCK, marks, "campus")


def test_what_was_changed_between_the_marks_is_never_lost() -> None:
    marked = apply(BLOCK, [Mark(8, ("x;",))], "campus")
    begin, end = (
        "    # BEGIN chamilo.hardening campus\n",
        marked[marked.index("    # END") : marked.index("    listen")],
    )
    for damaged, line in (
        (marked.replace("    x;\n", "    x;\n    deny all;\n"), 2),
        (marked.replace(begin, ""), 3),
        (marked.replace(end, ""), 2),
    ):
        with pytest.raises(MarkerError, match=f"line {line}: lines of chamilo.hardening .* chamilo-hardening repair"):
            strip(damaged, "campus")


LIKE_OURS = "a\n  # set aside:\nb c\n"


def test_no_mark_is_set_that_cannot_be_taken_out() -> None:
    with pytest.raises(MarkerError, match="could not be undone"):
        apply(LIKE_OURS, [Mark(0, ((2, 19),))], "campus")


def test_what_was_set_aside_comes_back_where_that_is_due_and_no_other() -> None:
    text = "a;\nb;\nc;\n"
    # Nothing stands in the place of "b;", and "x;" in that of "c;".
    marked = apply(text, [Mark(3, (), 6), Mark(6, ("x;",), 9)], "one")
    assert markers.released(marked, "one", lambda line: False) == marked
    assert markers.released(marked, "one", lambda line: line == "b;\n") == apply(text, [Mark(6, ("x;",), 9)], "one")
    assert markers.released(marked, "one", lambda line: line == "c;\n") == marked, "something is in its place"
    assert markers.released(marked, "two", lambda line: True) == marked
    changed = marked.replace("# b;", "# b2;")
    assert markers.released(changed, "one", lambda line: True) == changed, "it was changed"


def test_a_line_that_ours_is_without_comes_back_where_that_is_due() -> None:
    text = "a;\n"
    marked = apply(text, [Mark(0, (markers.without("b;"), markers.without("c;")))], "one")
    found = markers.released(marked, "one", lambda line: line == "c;")
    assert [line.strip() for line in found.splitlines()][1:3] == [markers.without("b;").strip(), "c;"]
    assert strip(found, "one") == text
    assert markers.released(marked, "one", lambda line: False) == marked


def test_the_marks_in_a_text_are_known_by_site() -> None:
    marked = apply(BLOCK, [Mark(8, ("x;",)), Mark(BLOCK.index("root"), ("y;",))], "b")
    assert (markers.sites(BLOCK), markers.sums(BLOCK, "b")) == ([], [])
    both = apply(marked, [Mark(0, ("z;",))], "a")
    assert markers.sites(both) == ["a", "b"]
    assert markers.sums(both, "b") == markers.sums(marked, "b") and len(set(markers.sums(both, "b"))) == 2
    assert len(markers.sums(both, "a")) == 1 and markers.sums(both, "c") == []
