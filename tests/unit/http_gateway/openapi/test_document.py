"""The OpenAPI document: valid, whole, and true to the descriptors."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf import json_format
from openapi_spec_validator import validate

from contract.comments import comment_of
from contract.methods import load_methods
from core.rpc.validate import check_rules
from http_gateway.openapi.document import build_document
from http_gateway.openapi.operations import full_name, public_path, summary_of
from http_gateway.openapi.patterns import portable
from http_gateway.pages import verify
from skillforge.v1 import errors_pb2

METHODS = load_methods()
BOUND = [(method, route) for method in METHODS for route in method.routes]
PAGES = {verify.VERIFY, verify.CHECK_FILE}
DOCUMENT = build_document(METHODS, PAGES, {"/healthz", verify.START_PATH})
SCHEMAS = DOCUMENT["components"]["schemas"]


def operation(name: str) -> dict[str, Any]:
    [found] = [item for verbs in DOCUMENT["paths"].values() for item in verbs.values() if item["operationId"] == name]
    return found  # type: ignore[no-any-return]


def valid(schema: dict[str, Any], value: object) -> bool:
    whole = {**schema, "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid(value))


def contents() -> list[Any]:
    """Every body with an example, as a parameter named by its place."""
    found = []
    for verbs in DOCUMENT["paths"].values():
        for item in verbs.values():
            bodies = {"request": item.get("requestBody", {}), **item["responses"]}
            for place, body in bodies.items():
                for content in body.get("content", {}).values():
                    if "example" in content:
                        found.append(pytest.param(content, id=f"{item['operationId']}-{place}"))
    return found


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_every_route_is_in_it() -> None:
    for method, route in BOUND:
        described = DOCUMENT["paths"][public_path(route.template)][route.verb.lower()]
        assert str(method.success_status) in described["responses"]
    names = [item["operationId"] for verbs in DOCUMENT["paths"].values() for item in verbs.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("content", contents())
def test_an_example_is_valid_by_its_schema(content: dict[str, Any]) -> None:
    assert valid(content["schema"], content["example"]), content["example"]


@pytest.mark.parametrize("method", [method for method, route in BOUND if route.body], ids=lambda method: str(method.name))
def test_an_example_is_valid_by_the_input_rules(method: Any) -> None:
    name = method.name[0].lower() + method.name[1:]
    body = operation(name).get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in body:
        ids = dict.fromkeys(re.findall(r"\{(\w+)\}", method.routes[0].template), "0198f7a2-6d3c-7b1e-9a54-2f8c1d0e4b67")
        check_rules(json_format.ParseDict({**body["example"], **ids}, method.request_type()))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_every_method_says_what_it_does(method: Any) -> None:
    assert comment_of(full_name(method))
    assert 5 < len(summary_of(method)) < 200


def test_every_reason_has_a_comment() -> None:
    reasons = errors_pb2.ErrorReason.DESCRIPTOR
    missing = [value.name for value in reasons.values if value.number and not comment_of(f"{reasons.full_name}.{value.name}")]
    assert missing == []


def test_input_rules_become_constraints() -> None:
    course = SCHEMAS["CreateCourseRequest"]
    assert course["required"] == ["title"]
    assert course["additionalProperties"] is False
    fields = course["properties"]
    assert (fields["title"]["maxLength"], fields["description"]["maxLength"]) == (200, 20000)
    assert {name: fields["tags"][name] for name in ("maxItems", "uniqueItems")} == {"maxItems": 20, "uniqueItems": True}
    assert fields["tags"]["items"]["maxLength"] == 50
    assert fields["price"]["$ref"].endswith("/MoneyInput")
    assert "Must be an http or https URL." in SCHEMAS["VideoInput"]["properties"]["url"]["description"]
    assert SCHEMAS["EraseMeRequest"]["properties"]["confirm"]["enum"] == ["ERASE"]
    assert SCHEMAS["RefundPaymentRequest"]["properties"]["amountMinor"]["exclusiveMinimum"] == 0
    assert SCHEMAS["MarkReadRequest"]["properties"]["seq"]["pattern"] == "^[1-9][0-9]{0,17}$"
    assert "REVOKE_REASON_SUPERSEDED" not in SCHEMAS["RevokeCertificateRequest"]["properties"]["reason"]["enum"]


def test_one_of_several_fields() -> None:
    schema = {"$ref": "#/components/schemas/RequestFriendRequest"}
    uuid = "0198f7a2-6d3c-7b1e-9a54-2f8c1d0e4b67"
    assert valid(schema, {"userId": uuid})
    assert valid(schema, {"email": "ada@example.com"})
    assert not valid(schema, {})
    assert not valid(schema, {"userId": uuid, "email": "ada@example.com"})


def test_what_an_answer_always_holds_is_required() -> None:
    assert set(SCHEMAS["Attempt"]["properties"]) - set(SCHEMAS["Attempt"]["required"]) == {"startTime", "deadline", "submitTime"}
    assert "quizAveragePercent" not in SCHEMAS["Grade"]["required"]


def test_who_may_call() -> None:
    assert operation("createCourse")["security"] == [{"bearer": []}]
    assert operation("listCourses")["security"] == [{}, {"bearer": []}]
    assert operation("receivePaymentWebhook")["security"] == [{"SkillForge-Signature": []}, {"Stripe-Signature": []}]
    assert "**Who:** admins and instructors." in operation("createCourse")["description"]


def test_headers_and_statuses() -> None:
    def told(name: str) -> tuple[set[str], set[str]]:
        found = operation(name)
        names = {item["$ref"].rpartition("/")[2] for item in found.get("parameters", ()) if "$ref" in item}
        return names, set(found["responses"])

    assert told("createCourse")[0] == {"IdempotencyKey"}
    assert {"201", "409", "413", "415", "422"} <= told("createCourse")[1]
    assert told("updateCourse")[0] == {"IfMatch"}
    assert "412" in told("updateCourse")[1]
    assert told("getCourse") == ({"IfNoneMatch"}, told("getCourse")[1] | {"304"})
    assert told("downloadCertificate")[0] == {"IfNoneMatch", "Range"}
    assert {"200", "206", "304", "416"} <= told("downloadCertificate")[1]
    assert {"200", "201"} <= told("createPayment")[1]
    assert {"201", "202"} <= told("refundPayment")[1]


def test_media_types() -> None:
    def types(name: str) -> list[str]:
        return [*operation(name)["responses"]["200"]["content"]]

    assert types("listGrades") == ["application/json", "text/csv"]
    assert types("downloadCertificate") == ["application/pdf"]
    assert types("getBadge") == ["application/vc+jwt"]
    assert types("verifyCertificate") == ["application/json"]
    assert "`Accept: text/html`" in operation("verifyCertificate")["description"]
    assert types("streamSummary") == ["text/event-stream"]
    assert [*operation("checkCertificateFile")["requestBody"]["content"]] == ["application/pdf"]


@pytest.mark.parametrize(
    ("text", "fits"), [("Ångström", True), ("  ", False), ("\u200b", False), ("a\nb", False), ("\u00a0x", True), ("", False)]
)
def test_patterns_mean_the_same_everywhere(text: str, fits: bool) -> None:
    pattern = portable(r"^[^\p{Cc}]*[^\p{Z}\p{Cc}\p{Cf}][^\p{Cc}]*$")
    assert (re.search(pattern, text) is not None) is fits
    assert bool(jsonschema_rs.is_valid({"type": "string", "pattern": pattern}, text)) is fits


def test_a_text_of_several_lines() -> None:
    pattern = portable(r"^[\t\n\r\P{Cc}]*$")
    assert re.search(pattern, "a\n\tb\r\n") is not None
    assert re.search(pattern, "a\x07b") is None
    with pytest.raises(KeyError):
        portable(r"\p{Lu}")
