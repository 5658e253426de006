"""The JSON codec equals json_format: by property over every message of the contract and one with every kind of field."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import orjson
import pytest
from google.protobuf import json_format, struct_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.errors import CallError
from contract.methods import load_methods
from http_gateway.descriptors import descriptor_of, json_fields, reachable
from http_gateway.json_codec import JsonCodec
from tests.unit.http_gateway.everything import Everything
from tests.unit.http_gateway.random_messages import damage, random_message

CONTRACT = {item.DESCRIPTOR.full_name: item for method in load_methods() for item in (method.request_type, method.reply_type)}
DESCRIPTORS = reachable(descriptor_of(item) for item in [*CONTRACT.values(), Everything])
TYPES = sorted(
    (item for item in DESCRIPTORS if not item.file.name.startswith("google/protobuf/")), key=lambda item: item.full_name
)
CODEC = JsonCodec(DESCRIPTORS)
PROFILE = settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
# A seed instead of a drawn message: the property costs milliseconds a type, and a failure names its seed.
SEEDS = st.integers(0, 2**32)


def by_json_format(body: bytes, message_type: type[Message]) -> Message:
    return json_format.Parse(body, message_type())


def wire(message: Message) -> bytes:
    """Equal for equal messages, also where they hold NaN."""
    return message.SerializeToString(deterministic=True)


def keeps_everything(descriptor: Descriptor) -> bool:
    """An unset Value in a list or a field comes back as null: the mapping cannot say unset."""
    return struct_pb2.Value.DESCRIPTOR not in reachable([descriptor])


@pytest.mark.parametrize("descriptor", TYPES, ids=lambda item: item.full_name)
@PROFILE
@given(seed=SEEDS)
def test_encodes_as_json_format_and_decodes_back(descriptor: Descriptor, seed: int) -> None:
    message = random_message(Random(seed), descriptor)
    expected = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert CODEC.plain_encoder(type(message))(message) == expected
    body = CODEC.encoder(type(message))(message)
    assert json.loads(body) == json.loads(json.dumps(expected))
    decoder = CODEC.decoder(type(message))
    again = wire(by_json_format(body, type(message)))
    assert wire(decoder.decode(body)) == again
    assert wire(decoder.exact(body)) == again
    if keeps_everything(descriptor):
        assert again == wire(message)


def verdict(parse: Callable[[bytes], Message], body: bytes) -> bytes | None:
    """The message read, or None when refused; any other exception is a fault."""
    try:
        return wire(parse(body))
    except (CallError, json_format.ParseError, UnicodeDecodeError):
        return None


@pytest.mark.parametrize("descriptor", TYPES, ids=lambda item: item.full_name)
@PROFILE
@given(seed=SEEDS)
def test_judges_damaged_json_as_json_format(descriptor: Descriptor, seed: int) -> None:
    rng = Random(seed)
    message = random_message(rng, descriptor)
    value: Any = json.loads(CODEC.encoder(type(message))(message))
    for _ in range(rng.randint(1, 3)):
        value = damage(rng, value, [*json_fields(descriptor)])
    body = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()
    decode = CODEC.decoder(type(message)).decode
    ours, theirs = verdict(decode, body), verdict(lambda text: by_json_format(text, type(message)), body)
    assert ours == theirs or (ours is None and takes_empty_for_object(decode, body))


def takes_empty_for_object(decode: Callable[[bytes], Message], body: bytes) -> bool:
    """json_format reads an empty list or text as an empty message; we refuse it."""
    with pytest.raises(CallError) as refusal:
        decode(body)
    return {item.description for item in refusal.value.violations} == {"must be an object"} and (b"[]" in body or b'""' in body)


@settings(PROFILE, max_examples=1000)
@given(body=st.binary(max_size=40) | st.text(alphabet='{}[]":,\\u0d8aEe+-.1 truefalsnN', max_size=40).map(str.encode))
def test_random_bytes_are_read_as_json_format_or_refused(body: bytes) -> None:
    ours = verdict(CODEC.decoder(Everything).decode, body)
    theirs = verdict(lambda text: by_json_format(text, Everything), body)
    assert ours == theirs or (ours is None and not is_object(body))


def is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False
