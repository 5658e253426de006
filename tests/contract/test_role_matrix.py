"""Every RPC × every kind of caller, generated from the descriptors: nobody gets in who is not declared."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.protobuf.message import Message

from contract.methods import Method, load_methods
from skillforge.options.v1 import options_pb2 as options
from skillforge.v1 import identity_pb2
from tests.support.doors import Door
from tests.support.world import Person, World

METHODS = load_methods()
ROLES = {
    "ADMIN": options.ACCESS_ADMIN,
    "INSTRUCTOR": options.ACCESS_INSTRUCTOR,
    "STUDENT": options.ACCESS_STUDENT,
    "PARENT": options.ACCESS_PARENT,
}
OPEN = {options.ACCESS_PUBLIC, options.ACCESS_SIGNED}
REFUSALS = {"TOKEN_MISSING", "TOKEN_INVALID", "ACCOUNT_MISSING", "ACCOUNT_SUSPENDED", "ROLE_NOT_ALLOWED"}


@pytest.fixture(scope="module")
async def people(world: World) -> dict[str, Person]:
    return {role: await world.person(role) for role in ROLES}


@pytest.fixture(scope="module")
async def suspended(world: World) -> Person:
    person = await world.person("ADMIN")
    await world.person("ADMIN")
    row = identity_pb2.UpdateUserRequest(user_id=person.id, status=identity_pb2.USER_STATUS_SUSPENDED)
    await world.call("UpdateUser", row, await world.person("ADMIN"))
    return person


def some_request(method: Method) -> Message:
    """A request that the input rules mostly accept: ids that exist nowhere."""
    request = method.request_type()
    for field in request.DESCRIPTOR.fields:
        if field.name.endswith("_id") and field.type == field.TYPE_STRING and not field.is_repeated:
            setattr(request, field.name, str(uuid.uuid4()))
    return request


def allowed(method: Method, role: str) -> bool:
    return bool(method.access & (OPEN | {options.ACCESS_TOKEN, options.ACCESS_ANY, ROLES[role]}))


def door_to(world: World, method: Method, name: str) -> Door:
    """A door by its name; what has no route goes through gRPC."""
    return world.doors[name if method.routes else "grpc"]


def by_name(method: Any) -> str:
    return str(method.name)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("door", ["grpc", "rest"])
@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_a_role_gets_in_only_where_it_is_declared(
    world: World, people: dict[str, Person], method: Method, role: str, door: str
) -> None:
    # A sign-out would end the person's session for the other cases.
    person = await world.person(role) if method.name == "SignOut" else people[role]
    outcome = await door_to(world, method, door).call(method.name, some_request(method), person.token)
    assert outcome.code not in ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED"), outcome
    if allowed(method, role):
        assert outcome.reason not in REFUSALS, outcome
    else:
        assert (outcome.code, outcome.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"), outcome


@pytest.mark.parametrize("door", ["grpc", "rest"])
@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_nobody_gets_in_only_where_it_is_open(world: World, method: Method, door: str) -> None:
    outcome = await door_to(world, method, door).call(method.name, some_request(method))
    if method.access & OPEN:
        assert outcome.reason not in REFUSALS, outcome
    else:
        assert (outcome.code, outcome.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING"), outcome


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_a_forged_token_gets_in_nowhere(world: World, method: Method) -> None:
    outcome = await door_to(world, method, "rest").call(method.name, some_request(method), "eyJhbGciOiJub25lIn0.e30.")
    assert (outcome.code, outcome.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID"), outcome


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_a_token_without_an_account_may_only_make_one(world: World, method: Method) -> None:
    token = world.fakes.clerk.mint("user_nobody_made_yet")
    outcome = await door_to(world, method, "rest").call(method.name, some_request(method), token)
    if method.access & (OPEN | {options.ACCESS_TOKEN}):
        assert outcome.reason not in REFUSALS - {"TOKEN_INVALID"}, outcome
    else:
        assert (outcome.code, outcome.reason) == ("PERMISSION_DENIED", "ACCOUNT_MISSING"), outcome


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_a_suspended_account_gets_in_nowhere(world: World, suspended: Person, method: Method) -> None:
    outcome = await door_to(world, method, "rest").call(method.name, some_request(method), suspended.token)
    assert (outcome.code, outcome.reason) == ("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"), outcome
