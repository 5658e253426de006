"""Requests that hypothesis makes of our OpenAPI document, sent as every kind of caller; each answer is held to the document.

Half of the ids are real ones, so that requests come further than to "there is no such thing".
"""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning, Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.sides import new_side
from tests.support.world import World

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NOBODY = ""
CALLERS = ("STUDENT", "INSTRUCTOR", "ADMIN", "PARENT", NOBODY)
# What ends the caller's session or account is called by somebody who is not needed any more.
LAST_CALLS = ("signOut", "eraseMe")
# They are no answers in one piece.
LEFT_OUT = ("connect",)
# Rules that the document has to know: the door's, and those of buf.validate for single fields. What else is wrong with a
# request depends on who asks, and on what is there.
DOOR_RULES = ("type", "unknown_field")
FIELD_RULES = ("string.", "bytes.", "enum.", "int32.", "int64.", "double.", "repeated.")
TIMEOUT_SECONDS = 30.0
SPARE = 4

schemathesis.serializer.alias("application/pdf", "application/octet-stream")


@dataclass
class Fuzzer:
    """`url`: where the service is; `tokens`: of each caller; `spare`: of people who are not needed any more; `ids`: real ids
    by the names of the parameters and fields that take them."""

    url: str
    tokens: dict[str, str]
    spare: dict[str, list[str]]
    ids: dict[str, list[str]]
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def run(self, examples: int, number: int) -> None:
        """So many requests of each operation as the document allows them, and as many others, by a seed."""
        warnings.simplefilter("ignore", HypothesisDeprecationWarning)  # schemathesis's own
        with requests.Session() as session:
            for operation, mode in itertools.product(self._operations(session), GenerationMode):
                self._try(session, operation, mode, examples, number)

    def _operations(self, session: requests.Session) -> list[Any]:
        document = session.get(f"{self.url}/openapi.json", timeout=TIMEOUT_SECONDS).json()
        schema = schemathesis.openapi.from_dict(document)
        operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
        named = {item.definition.raw["operationId"]: item for item in operations}
        assert len(named) == len(operations)
        first = [item for name, item in named.items() if name not in (*LAST_CALLS, *LEFT_OUT)]
        return [*first, *(named[name] for name in LAST_CALLS)]

    def _try(self, session: requests.Session, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        name = operation.definition.raw["operationId"]

        @seed(number)
        @settings(
            max_examples=examples, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(
            case=operation.as_strategy(generation_mode=mode),
            caller=st.sampled_from(CALLERS),
            choices=st.lists(st.integers(0, 99), min_size=6, max_size=6),
        )
        def send(case: Any, caller: str, choices: list[int]) -> None:
            self._put_ids(case, choices)
            response = case.call(
                base_url=self.url, headers=self._headers(name, caller), session=session, timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )  # fmt: skip
            self.statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)
            if mode is GenerationMode.POSITIVE and response.status_code == 400:
                rules = [item["rule"] for item in response.json()["violations"]]
                known = [rule for rule in rules if rule in DOOR_RULES or rule.startswith(FIELD_RULES)]
                assert not known, f"the document allows {case.body!r} {case.query!r}: {response.text}"

        try:
            send()
        except Unsatisfiable:
            pass  # nothing can be wrong with a request without parameters
        except (FailureGroup, Exception) as error:
            self.failures.append(f"{name}, {mode.value}: {type(error).__name__}: {error}")

    def _headers(self, name: str, caller: str) -> dict[str, str]:
        spare = self.spare.get(caller) if name in LAST_CALLS else None
        token = spare.pop() if spare else self.tokens.get(caller, "")
        return {"X-Request-Id": f"fuzz-{name}", **({"Authorization": f"Bearer {token}"} if token else {})}

    def _put_ids(self, case: Any, choices: list[int]) -> None:
        """Put real ids in the places of some that are made up."""
        body = case.body if isinstance(case.body, dict) else {}
        holders = [holder for holder in (case.path_parameters, case.query, body) if holder]
        places = [(holder, name) for holder in holders for name in holder if name in self.ids]
        for (holder, name), choice in zip(places, choices, strict=False):
            if choice < 60:
                holder[name] = self.ids[name][choice % len(self.ids[name])]


def run(fuzzer: Fuzzer, examples: int, number: int) -> Fuzzer:
    """Run a fuzzer; it comes back with what it saw."""
    fuzzer.run(examples, number)
    return fuzzer


async def run_apart(fuzzer: Fuzzer, examples: int, number: int) -> Fuzzer:
    """Run a fuzzer in a process of its own: making requests takes more of the processor than answering them."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, run, fuzzer, examples, number)


async def new_fuzzer(world: World) -> Fuzzer:
    """A fuzzer of a world in which everything has happened."""
    sides = [await new_side(world) for _ in range(2)]
    spare = {role: [(await world.person(role)).token for _ in range(SPARE)] for role in sides[0].people}
    names = {name: _json_name(name) for name in sides[0].things.ids}
    ids = {json_name: [side.things.ids[name] for side in sides] for name, json_name in names.items()}
    ids["courseId"] += [item for side in sides for item in (side.things.paid_course_id, side.things.draft_course_id)]
    ids["to"] = ids["userId"] = [side.people[role].id for side in sides[1:] for role in ("STUDENT", "INSTRUCTOR")]
    ids["code"] = [side.things.code for side in sides]
    return Fuzzer(world.url, {role: person.token for role, person in sides[0].people.items()}, spare, ids)


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
