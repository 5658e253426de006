"""Messages to JSON bytes and back: the canonical proto3 JSON mapping, fast.

Encoders and the fast decoders are compiled from the descriptors once. What the fast decoder does not take as it
stands goes to `json_format`, so that the meaning is exactly the mapping's. Stricter than `json_format` on purpose:
an empty list or text is no object, JSON nests at most MAX_DEPTH deep, and NaN is no token. Lists longer than their input
rules allow come out with one item too many: whoever decodes a message must hold it to its rules.
Source: https://protobuf.dev/programming-guides/json/, RFC 8259.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.rpc import code_pb2

from contract.errors import CallError, Violation
from http_gateway.descriptors import descriptor_of, is_recursive
from http_gateway.json_decoders import Decoder, Unusual, compile_decoders
from http_gateway.json_encoders import Encoder, compile_encoders
from http_gateway.json_faults import UNKNOWN_FIELD, find_faults
from http_gateway.json_limits import cut

MAX_DEPTH = 64

Encode = Callable[[Message], bytes]


class JsonDecoder:
    """Decodes JSON bytes into messages of one type."""

    __slots__ = ("_fill", "_nests", "_type")

    def __init__(self, message_type: type[Message], fill: Decoder) -> None:
        self._type = message_type
        self._fill = fill
        # Only a type that contains itself can nest deeper than its descriptor does.
        self._nests = is_recursive(descriptor_of(message_type))

    def decode(self, body: bytes) -> Message:
        """The message. Raises CallError INVALID_ARGUMENT: reason MALFORMED_JSON for what is no JSON, UNKNOWN_FIELD
        or INVALID_ARGUMENT with a violation for every field at fault."""
        message = self.fast(body)
        return message if message is not None else self.exact(body)

    def fast(self, body: bytes) -> Message | None:
        """The message, if the body is in canonical form; None says nothing about whether it is valid."""
        message = self._type()
        try:
            value = orjson.loads(body)
            if self._nests and _depth(value) > MAX_DEPTH:
                return None
            keys = self._fill(value, message)
        except (Unusual, ValueError, TypeError, OverflowError):
            return None
        # Every key is followed by a colon, and a repeated key is counted once: as many colons as keys means no
        # key twice. More colons may stand in texts, so the exact look decides. What was cut is refused in any case.
        if keys >= 0 and body.count(b":") != keys and _repeated_key(body):
            return None
        return message

    def part(self, value: Any, body: bytes, around: int) -> Message:
        """The message from `value`, which orjson read as a part of `body`, where `around` keys stand outside of it.
        Raises as `decode`."""
        message = self._type()
        try:
            if self._nests and _depth(value) > MAX_DEPTH:
                return self.exact(orjson.dumps(value))
            keys = self._fill(value, message)
        except (Unusual, ValueError, TypeError, OverflowError):
            keys = -1
        if (keys < 0 or body.count(b":") != keys + around) and _repeated_key(body):
            raise _malformed("The frame has a key twice in one object.")
        return message if keys >= 0 else self.exact(orjson.dumps(value))

    def exact(self, body: bytes) -> Message:
        """The message, by `json_format`: takes every form the mapping allows, slowly. Raises as `decode`."""
        value = cut(descriptor_of(self._type), _parse(body))
        message = self._type()
        faults = find_faults(descriptor_of(self._type), value, probe=False)
        if not faults:
            try:
                return json_format.ParseDict(value, message)
            except Exception:  # json_format lets TypeError and OverflowError through beside its own error
                faults = find_faults(descriptor_of(self._type), value, probe=True)
        raise _refusal(faults)


class JsonCodec:
    """Encoders and decoders of the given message types and all they contain."""

    def __init__(self, types: Iterable[Descriptor]) -> None:
        self._encoders, self._decoders = _compiled(tuple(types))

    def encoder(self, message_type: type[Message]) -> Encode:
        """A function from a message to its JSON bytes; it raises ValueError for a time outside the years 1 to 9999."""
        plain = self._encoders[message_type.DESCRIPTOR.full_name]
        dumps = orjson.dumps
        return lambda message: dumps(plain(message))

    def plain_encoder(self, message_type: type[Message]) -> Encoder:
        """A function from a message to its JSON value, as `json_format.MessageToDict` gives it."""
        return self._encoders[message_type.DESCRIPTOR.full_name]

    def decoder(self, message_type: type[Message]) -> JsonDecoder:
        """The decoder for one message type."""
        return JsonDecoder(message_type, self._decoders[message_type.DESCRIPTOR.full_name])


@lru_cache(maxsize=16)
def _compiled(types: tuple[Descriptor, ...]) -> tuple[dict[str, Encoder], dict[str, Decoder]]:
    """Compiling all of the contract takes a tenth of a second, and the gateways of one process speak the same."""
    return compile_encoders(types), compile_decoders(types)


class _RepeatedKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise _RepeatedKeyError(max(times, key=times.__getitem__))
    return result


_EXACT = json.JSONDecoder(object_pairs_hook=_unique)


def _repeated_key(body: bytes) -> bool:
    """Whether a JSON text that orjson takes has a key twice in one object."""
    try:
        _EXACT.decode(body.decode())
    except _RepeatedKeyError:
        return True
    return False


def _parse(body: bytes) -> Any:
    """The JSON value with whole numbers exact; raises CallError MALFORMED_JSON."""
    try:
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(orjson.loads(body)) > MAX_DEPTH:
            raise _malformed(f"The body nests deeper than {MAX_DEPTH} levels.")
        # orjson refuses what RFC 8259 and I-JSON do not allow (NaN, half a surrogate pair, invalid UTF-8)...
        orjson.loads(body)
        # ...and json sees keys given twice and whole numbers beyond 64 bits.
        return json.loads(body, object_pairs_hook=_unique)
    except orjson.JSONDecodeError as error:
        raise _malformed(f"The body is not valid JSON: {error}.") from None
    except _RepeatedKeyError as error:
        raise _malformed(f"The body has the key {str(error)[:100]!r} twice in one object.") from None
    except (ValueError, RecursionError):
        raise _malformed("The body is not valid JSON.") from None


def _depth(value: Any) -> int:
    """How deep objects and lists nest, without recursion; stops counting beyond MAX_DEPTH."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        inner: list[Any] = []
        for item in level:
            inner.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        depth += any(isinstance(item, (dict, list)) for item in level)
        level = inner
    return depth


def _malformed(detail: str) -> CallError:
    return CallError.build(code_pb2.INVALID_ARGUMENT, "MALFORMED_JSON", detail)


def _refusal(faults: list[Violation]) -> CallError:
    if any(fault.rule == UNKNOWN_FIELD for fault in faults):
        unknown = next(fault for fault in faults if fault.rule == UNKNOWN_FIELD)
        return CallError.build(code_pb2.INVALID_ARGUMENT, "UNKNOWN_FIELD", f'There is no field "{unknown.field}".', faults)
    detail = "The body has fields that cannot be read." if faults else "The body does not fit the request."
    return CallError.build(code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT", detail, faults)
