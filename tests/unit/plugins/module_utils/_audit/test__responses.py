# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The classes of responses that are inspected. What is required of their headers: test_headers.py."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit._responses import (
    API,
    responses,
    static_path,
    unseen,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, VirtualHost


def pages(**bodies):
    """A server that knows the pages home and login, if they are given; anything else is 404."""

    def answer(endpoint, path, request):
        body = bodies.get({"/": "home", "/login": "login"}.get(path, ""))
        return (404, {}, b"") if body is None else (200, {}, body)

    return answer


def always(status):
    return lambda endpoint, path, request: (status, {}, b"")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'<link rel="stylesheet" href="/build/app.1a2b.css?v=3">', "/build/app.1a2b.css"),
        (b"<script src='/a(1);b/x.js'>", "/a(1);b/x.js"),
        (b'<script src="//elsewhere.test/x.js">', ""),
        (b'<script src="https://elsewhere.test/x.js">', ""),
        (b'<a href="/page">', ""),
        (b'<a href="/\xe9.css"><a href="/\x1b[2J.css"><a href="/a b.css"><a href="/good.css">', "/good.css"),
        (b"\xff" * 10_000, ""),
    ],
)
def test_without_a_file_on_disk_the_page_names_one(look_at, body, path):
    assert static_path(look_at(pages(home=body))) == path


def test_an_answer_counts_only_for_what_it_is(look_at):
    """A portal that answers 200 to everything shows no error."""
    observer = look_at(lambda endpoint, path, request: (200, {}, b'<a href="/app.css">'))
    found = responses(observer)
    assert sorted(found) == ["200 file", "200 page"]
    assert unseen(observer, found) == " Not seen here: 301, 401, 403, 404, 413."
    plain = look_at(hosts=(VirtualHost("f", 1, ("campus.test",), (Listen("*", 80, tls=False),), "/srv"),))
    assert unseen(plain, found) == " Not seen here: 401, 403, 404, 413."


def test_what_a_proxy_answers_by_itself_is_not_the_portal_s(look_at):
    def answer(endpoint, path, request):
        if endpoint.scheme == "http":
            return 301, {}, b""
        return (413 if request.get("method") == "POST" else 404 if "looks-for" in path else 200), {}, b""

    assert {"301", "413"} <= set(responses(look_at(answer)))
    behind = look_at(answer, options={"terminated_elsewhere": True})
    found = responses(behind)
    assert not {"301", "413"} & set(found) and "404" in found
    assert unseen(behind, found) == " Not seen here: 200 file, 301, 401, 403, 413."


def test_a_further_name_has_its_own_page_and_what_fails_a_class_of_its_own(look_at):
    """Where a further name only leads to another one, it is none of the class; http is not asked under it."""

    def answer(endpoint, path, request):
        leads = endpoint.name == "old.test" or endpoint.scheme == "http"
        return 301 if leads else 500 if path == API else 403 if path == "/build/" else 200, {}, b""

    names = ("campus.test", "library.test", "old.test", "*.wild.test")
    observer = look_at(answer, portal_names=names, answered=names)
    found = responses(observer)
    assert found["200 library.test"].url == "https://library.test/"
    assert [label for label in found if label.endswith(".test")] == ["200 library.test"]
    assert found["500"].url == f"https://campus.test{API}" and "401" not in found
    assert found["403"].url == "https://campus.test/build/"
    assert unseen(observer, found) == " Not seen here: 200 file, 401, 404, 413."


def test_nothing_is_uploaded_to_see_what_is_too_large(look_at):
    observer = look_at(pages(home=b""))
    responses(observer)
    (sent,) = [request for _door, _path, request in observer.asked if request.get("method") == "POST"]
    assert int(sent["headers"]["Content-Length"]) > 10**9 and "body" not in sent


def test_a_portal_that_is_down_has_one_class(look_at):
    assert list(responses(look_at(always(502)))) == ["502"]


def test_an_answer_of_no_class_is_reported(look_at):
    with pytest.raises(Unseen, match="answered 418; no page, file or error"):
        responses(look_at(always(418)))
