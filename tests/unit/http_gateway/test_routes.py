"""The route table: what wins, what is refused, what is missing."""

from __future__ import annotations

import pytest

from contract.methods import load_methods
from http_gateway.path_templates import parse_template
from http_gateway.routes import Entry, Match, NoRoute, RouteError, RouteTable


def table(*routes: str) -> RouteTable[str]:
    pairs = [route.split(" ", 1) for route in routes]
    return RouteTable(Entry(verb, parse_template(path), f"{verb} {path}", path) for verb, path in pairs)


TABLE = table(
    "GET /users", "GET /users/{id}", "GET /users/me", "POST /users/me", "DELETE /users/{id}", "GET /users/{id}/courses",
    "PATCH /users/me/settings", "GET /files/{name=**}", "GET /files/special", "POST /jobs/{id}:cancel", "GET /jobs/{id}",
    "* /any",
)  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "path", "route"),
    [
        ("GET", "/users", "GET /users"),
        ("HEAD", "/users", "GET /users"),
        ("GET", "/users/7", "GET /users/{id}"),
        ("GET", "/users/me", "GET /users/me"),
        ("GET", "/%75sers/m%65", "GET /users/me"),
        ("DELETE", "/users/me", "DELETE /users/{id}"),
        ("GET", "/users/me/courses", "GET /users/{id}/courses"),
        ("PATCH", "/users/me/settings", "PATCH /users/me/settings"),
        ("GET", "/users/a%2Fb", "GET /users/{id}"),
        ("GET", "/files/special", "GET /files/special"),
        ("GET", "/files/special/more", "GET /files/{name=**}"),
        ("GET", "/files", "GET /files/{name=**}"),
        ("POST", "/jobs/7:cancel", "POST /jobs/{id}:cancel"),
        ("GET", "/jobs/7:cancel", "GET /jobs/{id}"),
        ("GET", "/jobs/7:other", "GET /jobs/{id}"),
        ("PURGE", "/any", "* /any"),
    ],
)
def test_finds(verb: str, path: str, route: str) -> None:
    found = TABLE.find(verb, path)
    assert isinstance(found, Match)
    assert found.target == route


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("POST", "/users", ("GET", "HEAD", "OPTIONS")),
        ("PUT", "/users/me", ("DELETE", "GET", "HEAD", "OPTIONS", "POST")),
        ("OPTIONS", "/users/7", ("DELETE", "GET", "HEAD", "OPTIONS")),
        ("HEAD", "/users/me/settings", ("OPTIONS", "PATCH")),
        ("GET", "/nothing", ()),
        ("GET", "/users/", ()),
        ("GET", "//users", ()),
        ("GET", "/users//courses", ()),
        ("GET", "/", ()),
        ("GET", "", ()),
    ],
)
def test_misses(verb: str, path: str, allowed: tuple[str, ...]) -> None:
    assert TABLE.find(verb, path) == NoRoute(allowed)


def test_reads_variables_of_the_route_found() -> None:
    found = TABLE.find("POST", "/jobs/a%2Fb:cancel")
    assert isinstance(found, Match)
    assert [(item.field, item.read(found.segments)) for item in found.variables] == [("id", "a/b")]


def test_refuses_routes_of_the_same_shape_and_names_every_pair() -> None:
    with pytest.raises(RouteError) as refusal:
        table("GET /a/{x}", "GET /a/{y}", "POST /a/{y}", "GET /b/{x=c/*}", "GET /b/c/{z}")
    assert str(refusal.value).count("both serve GET") == 2


def test_every_route_of_the_contract_finds_its_method() -> None:
    # What produces another media type shares the binding of a method that answers in JSON.
    bindings = [(method, route) for method in load_methods() if not method.produces for route in method.routes]
    contract = RouteTable(Entry(route.verb, parse_template(route.template), method, method.path) for method, route in bindings)
    for method, route in bindings:
        path = "/" + "/".join("x" if part == "*" else part for part in parse_template(route.template).segments)
        found = contract.find(route.verb, path)
        assert isinstance(found, Match)
        assert found.target is method
