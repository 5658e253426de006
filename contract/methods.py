"""Every RPC of the contract with what its descriptor says: types, HTTP routes and our method options."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from functools import cache

from google.api import annotations_pb2, http_pb2
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

import skillforge.v1
from skillforge.options.v1 import options_pb2


class ContractError(Exception):
    """The contract itself is wrong; lists every fault found."""


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One `google.api.http` binding. `body` is "" for none, "*" for the whole request, or a field's name."""

    verb: str
    template: str
    body: str


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One RPC. `path` is the gRPC path; `handler` the method's name in Python; `access` and `limit` are
    numbers of `skillforge.options.v1.Access` and `Limit`; `produces` the media type of the answer, "" for JSON; a
    `lasting` stream has no deadline; `max_body_bytes` of an HTTP request, 0 for the door's usual limit; `cache_seconds` a
    public answer may be kept. The rest is as in `skillforge.options.v1.MethodOptions`."""

    path: str
    service: str
    name: str
    handler: str
    request_type: type[Message]
    reply_type: type[Message]
    server_streaming: bool
    routes: tuple[HttpRoute, ...]
    access: frozenset[int]
    success_status: int
    limit: int
    idempotency_key: bool
    audit: str
    frame: str
    produces: str = ""
    lasting: bool = False
    max_body_bytes: int = 0
    cache_seconds: int = 0
    other_status: tuple[int, ...] = ()
    if_match: bool = False
    consumes: tuple[str, ...] = ()
    signature_headers: tuple[str, ...] = ()
    ranges: bool = False


@cache
def load_methods() -> tuple[Method, ...]:
    """Every method of every service in `skillforge.v1`, in the order of files and declarations.

    Raises ContractError when a method declares no access rule, repeats a frame name, streams from the client, or says
    that it produces something else than JSON and does not return raw bytes.
    """
    methods = tuple(_method(item) for service in _services() for item in service.methods)
    faults = [f"{item.path} declares no access rule" for item in methods if not item.access]
    faults += [f"{item.path} lists an unspecified access" for item in methods if options_pb2.ACCESS_UNSPECIFIED in item.access]
    raw = HttpBody.DESCRIPTOR.full_name
    faults += [
        f"{item.path} says what it produces but returns no {raw}"
        for item in methods
        if item.produces and item.reply_type.DESCRIPTOR.full_name != raw
    ]
    frames = [item.frame for item in methods if item.frame]
    faults += [f"the frame {frame!r} names more than one method" for frame in sorted({f for f in frames if frames.count(f) > 1})]
    if faults:
        raise ContractError("; ".join(faults))
    return methods


def _services() -> list[ServiceDescriptor]:
    found: list[ServiceDescriptor] = []
    for module_info in sorted(pkgutil.iter_modules(skillforge.v1.__path__), key=lambda item: item.name):
        if module_info.name.endswith("_pb2"):
            importlib.import_module(f"skillforge.v1.{module_info.name}")
            file = descriptor_pool.Default().FindFileByName(f"skillforge/v1/{module_info.name.removesuffix('_pb2')}.proto")
            found += file.services_by_name.values()
    return found


def _method(descriptor: MethodDescriptor) -> Method:
    if descriptor.client_streaming:
        raise ContractError(f"{descriptor.full_name} streams from the client; no door carries that")
    options = descriptor.GetOptions()
    rule = options.Extensions[options_pb2.method]
    service = descriptor.containing_service.full_name
    return Method(
        path=f"/{service}/{descriptor.name}",
        service=service,
        name=descriptor.name,
        handler=re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", descriptor.name).lower(),
        request_type=message_factory.GetMessageClass(descriptor.input_type),
        reply_type=message_factory.GetMessageClass(descriptor.output_type),
        server_streaming=descriptor.server_streaming,
        routes=_routes(options.Extensions[annotations_pb2.http]),
        access=frozenset(rule.access),
        success_status=rule.success_status or 200,
        limit=rule.limit,
        idempotency_key=rule.idempotency_key,
        audit=rule.audit,
        frame=rule.frame,
        produces=rule.produces,
        lasting=rule.lasting,
        max_body_bytes=rule.max_body_bytes,
        cache_seconds=rule.cache_seconds,
        other_status=tuple(rule.other_status),
        if_match=rule.if_match,
        consumes=tuple(rule.consumes),
        signature_headers=tuple(rule.signature_headers),
        ranges=rule.ranges,
    )


def _routes(rule: http_pb2.HttpRule) -> tuple[HttpRoute, ...]:
    bindings = [rule, *rule.additional_bindings]
    found = []
    for binding in bindings:
        kind = binding.WhichOneof("pattern")
        if kind == "custom":
            found.append(HttpRoute(binding.custom.kind.upper(), binding.custom.path, binding.body))
        elif kind:
            found.append(HttpRoute(kind.upper(), getattr(binding, kind), binding.body))
    return tuple(found)
