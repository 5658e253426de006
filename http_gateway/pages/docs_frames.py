"""The frames of the WebSocket, from the descriptors: requests with their replies, and what is pushed."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from google.protobuf.descriptor import Descriptor

from contract.comments import comment_of
from contract.methods import Method
from http_gateway.descriptors import descriptor_of, message_of
from http_gateway.openapi.operations import full_name
from http_gateway.openapi.schemas import Schemas
from http_gateway.pages.docs_types import Schema, properties_table, type_section
from http_gateway.pages.markdown import inline_html
from skillforge.v1 import realtime_pb2

_EVENT = descriptor_of(realtime_pb2.Event)
# Frames of the door's own, which are no pushes.
_OWN = ("connected", "closing")


def frames_part(methods: Iterable[Method], shown: Iterable[str]) -> str:
    """All frames, and the types that they hold but for those that are `shown` already."""
    calls = [method for method in methods if method.frame]
    topics = [field for field in _EVENT.oneofs_by_name["data"].fields if field.name not in _OWN]
    pushed = [message_of(field) for field in topics]
    schemas = Schemas([*(descriptor_of(method.reply_type) for method in calls), *pushed])
    requests = "".join(_call(schemas, method) for method in calls)
    pushes = "".join(_push(schemas, field.name.replace("_", ".", 1), message_of(field)) for field in topics)
    fresh = {name: schema for name, schema in sorted(schemas.components.items()) if name not in set(shown)}
    return (
        f"<h3>Requests and their replies</h3>{requests}<h3>Pushes</h3>{pushes}"
        f"<h3>Types of frames alone</h3>{''.join(type_section(*item) for item in fresh.items())}"
    )


def _call(schemas: Schemas, method: Method) -> str:
    sent = _link(schemas.request(descriptor_of(method.request_type)))
    replied = "" if method.server_streaming else _link(schemas.answer(descriptor_of(method.reply_type)))
    if method.server_streaming:
        replied = _link(schemas.answer(descriptor_of(realtime_pb2.Connected)))
    about = inline_html(comment_of(full_name(method)))
    return _frame(method.frame, f"{about}<br>{sent} → {replied}")


def _push(schemas: Schemas, topic: str, descriptor: Descriptor) -> str:
    reference = schemas.answer(descriptor)
    schema = schemas.components[descriptor.name]
    fields = properties_table("Field", schema) if schema["properties"] else ""
    return _frame(topic, f"{inline_html(schema.get('description', ''))} {_link(reference)}{fields}")


def _frame(name: str, about: str) -> str:
    known = escape(name)
    return (
        f'<details class="op"><summary><code class="path">{known}</code></summary><div id="frame-{known}">{about}</div></details>'
    )


def _link(reference: Schema | None) -> str:
    if reference is None or reference["$ref"].endswith("/Empty"):
        return "<code>{}</code>"
    name = escape(reference["$ref"].rpartition("/")[2])
    return f'<a href="#type-{name}"><code>{name}</code></a>'
