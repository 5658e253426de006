"""The template grammar of google.api.http."""

from __future__ import annotations

import pytest

from http_gateway.path_templates import TemplateError, Variable, parse_template


@pytest.mark.parametrize(
    ("text", "segments", "variables", "verb"),
    [
        ("/courses", ("courses",), (), ""),
        ("/courses/{course_id}", ("courses", "*"), (Variable("course_id", 1, 2, True),), ""),
        ("/courses/{course_id}/publish", ("courses", "*", "publish"), (Variable("course_id", 1, 2, True),), ""),
        ("/v1/{name=shelves/*/books/*}", ("v1", "shelves", "*", "books", "*"), (Variable("name", 1, 5, False),), ""),
        ("/v1/{name=**}", ("v1", "**"), (Variable("name", 1, None, False),), ""),
        ("/v1/{name=files/**}:read", ("v1", "files", "**"), (Variable("name", 1, None, False),), "read"),
        ("/v1/*/x", ("v1", "*", "x"), (), ""),
        ("/a/{b.c}/{d=*}", ("a", "*", "*"), (Variable("b.c", 1, 2, True), Variable("d", 2, 3, True)), ""),
        ("/a:cancel", ("a",), (), "cancel"),
        ("/.well-known/jwks.json", (".well-known", "jwks.json"), (), ""),
        ("/a%20b", ("a b",), (), ""),
    ],
)
def test_parses(text: str, segments: tuple[str, ...], variables: tuple[Variable, ...], verb: str) -> None:
    assert parse_template(text) == (segments, variables, verb)


@pytest.mark.parametrize(
    "text",
    ["", "courses", "/", "/a/", "//a", "/{", "/{}", "/{a", "/{a=}", "/{a={b}}", "/{1a}", "/{a.}", "/a:", "/a:b:c", "/**/a",
     "/{a=**}/b", "/a b", "/{a}/{a}", "/a?b", "/{a}b", "/***"],
)  # fmt: skip
def test_refuses(text: str) -> None:
    with pytest.raises(TemplateError):
        parse_template(text)


@pytest.mark.parametrize(
    ("variable", "segments", "value"),
    [
        (Variable("v", 1, 2, True), ["a", "x%2Fy%20z"], "x/y z"),
        (Variable("v", 1, 2, True), ["a", "%D0%9E"], "О"),
        (Variable("v", 1, 2, True), ["a", "100%"], "100%"),
        (Variable("v", 0, 2, False), ["a%20b", "x%2Fy%2fz"], "a b/x%2Fy%2fz"),
        (Variable("v", 1, None, False), ["a", "b", "c"], "b/c"),
        (Variable("v", 1, None, False), ["a"], ""),
    ],
)
def test_reads_variables(variable: Variable, segments: list[str], value: str) -> None:
    assert variable.read(segments) == value


def test_a_variable_that_is_no_utf8_is_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        Variable("v", 0, 1, True).read(["%FF"])
