"""The door itself: every HTTP request comes in here and leaves as a response with the headers all answers share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web
from google.api.httpbody_pb2 import HttpBody
from multidict import istr

from contract.client import CoreClient
from contract.errors import CallError
from contract.metadata import IF_MATCH
from contract.methods import HttpRoute, Method, load_methods
from http_gateway.answers import Answer, Response
from http_gateway.cors import Cors, preflight
from http_gateway.descriptors import descriptor_of
from http_gateway.encoded_cache import EncodedCache
from http_gateway.event_streams import StreamHandler
from http_gateway.handlers import BindingError, CallHandler, Handler, RequestReader
from http_gateway.incoming import Headers, Incoming, request_id_of
from http_gateway.json_codec import JsonCodec
from http_gateway.negotiation import negotiated
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import problem_answer, simple_answer
from http_gateway.pages.index import RouteLine
from http_gateway.pages.verify import VerifyPage
from http_gateway.path_templates import TemplateError, parse_template
from http_gateway.problems import bad_request, method_not_allowed, problem_for, route_not_found, unexpected
from http_gateway.raw_streams import RawStreamHandler
from http_gateway.routes import Entry, NoRoute, RouteError, RouteTable
from http_gateway.system import SystemPages
from skillforge.options.v1 import options_pb2

_IF_MATCH = istr(IF_MATCH)
_VERIFY = "/skillforge.v1.CertificatesService/VerifyCertificate"


class Target(NamedTuple):
    """What a route leads to, and its name for the log."""

    handler: Handler
    name: str


class Door:
    """Answers every request of a gateway."""

    def __init__(self, client: CoreClient, options: GatewayOptions) -> None:
        """Raises RouteError when the contract's bindings cannot be served; it lists every fault."""
        methods = load_methods()
        self._options = options
        self._cors = Cors(options.allowed_origins)
        self.system = SystemPages(options, _route_lines(methods))
        self._prefixes = tuple(options.extra_handlers)
        self._table = RouteTable([*_entries(methods, client, options, self._cors), *_system_entries(self.system)])

    async def handle(self, request: web.BaseRequest) -> Response:
        """Answer one request. Only a lost connection and a cancellation come out as exceptions."""
        headers = request.headers
        request_id = request_id_of(headers)
        response: Response
        try:
            response = await self._answer(request, headers, request_id)
        except CallError as error:
            response = problem_answer(problem_for(error, request_id, _IF_MATCH in headers), request_id)
            response.close = not request.content.is_eof()  # what is left of the body is not worth reading
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            failure = unexpected(request_id, request.method, error)
            response = problem_answer(problem_for(failure, request_id), request_id)
        if self._cors.active or self.system.draining:
            self._finish(response, headers)
        return response

    async def _answer(self, request: web.BaseRequest, headers: Headers, request_id: str) -> Response:
        path, _, query = _target(request).partition("?")
        if self._prefixes and path.startswith(self._prefixes):
            extra = await self._extra(request, path, request_id)
            if extra is not None:
                return extra
        try:
            found = self._table.find(request.method, path)
        except UnicodeDecodeError:
            raise bad_request("The path is not UTF-8.") from None
        if isinstance(found, NoRoute):
            return self._no_route(request, found, request_id)
        return await found.target.handler(Incoming(request, headers, request_id, found.segments, query))

    def _finish(self, response: Response, headers: Headers) -> None:
        """What concerns every answer that has not begun."""
        lines = self._cors.lines(headers)
        if isinstance(response, Answer):
            for name, value in lines:
                response.add(name, value)
            response.close = response.close or self.system.draining
        elif not response.prepared:
            response.headers.extend(lines)
            if self.system.draining:
                response.force_close()

    async def _extra(self, request: web.BaseRequest, path: str, request_id: str) -> web.StreamResponse | None:
        """The answer of another room's handler, where one has the path's prefix."""
        for prefix, handler in self._options.extra_handlers.items():
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                response = await handler(request)
                if not response.prepared:
                    response.headers.setdefault("X-Request-Id", request_id)
                return response
        return None

    def _no_route(self, request: web.BaseRequest, missed: NoRoute, request_id: str) -> Answer:
        if not missed.allowed:
            raise route_not_found()
        if request.method != "OPTIONS":
            raise method_not_allowed(missed.allowed)
        answer = simple_answer(204, b"", "", request_id)
        answer.add("Allow", ", ".join(missed.allowed))
        if "Access-Control-Request-Method" in request.headers and self._cors.allows(request.headers):
            for name, value in preflight(missed.allowed):
                answer.add(name, value)
        return answer


def _target(request: web.BaseRequest) -> str:
    """The request's raw path and query, from either form of request target (RFC 9112, 3.2)."""
    target = request.raw_path
    if target.startswith("/") and "#" not in target:
        return target
    url = request.rel_url
    return f"{url.raw_path}?{url.raw_query_string}"


def _entries(methods: tuple[Method, ...], client: CoreClient, options: GatewayOptions, cors: Cors) -> list[Entry[Target]]:
    """One route for each binding; raises RouteError listing every binding that cannot be served."""
    codec = JsonCodec(descriptor_of(item) for method in methods for item in (method.request_type, method.reply_type))
    cache = EncodedCache(options.encoded_cache_bytes)
    found: list[tuple[str, Entry[Handler]]] = []
    faults: list[str] = []
    for method in methods:
        for route in method.routes:
            try:
                found.append((method.produces, _entry(method, route, codec, client, options, cors, cache)))
            except (BindingError, TemplateError) as error:
                faults.append(str(error))
    if faults:
        raise RouteError("; ".join(faults))
    return [Entry(item.verb, item.template, Target(item.target, item.name), item.name) for item in negotiated(found)]


def _entry(
    method: Method,
    route: HttpRoute,
    codec: JsonCodec,
    client: CoreClient,
    options: GatewayOptions,
    cors: Cors,
    cache: EncodedCache,
) -> Entry[Handler]:
    template = parse_template(route.template)
    reader = RequestReader(method, route, template, codec, options)
    handler: Handler
    if method.server_streaming and method.reply_type is HttpBody:
        handler = RawStreamHandler(method, template, reader, client, options, cors)
    elif method.server_streaming:
        handler = StreamHandler(method, reader, codec, client, options, cors)
    else:
        unary = CallHandler(method, route, reader, codec, client, options, cache)
        handler = VerifyPage(unary) if method.path == _VERIFY and route.verb == "GET" else unary
    return Entry(route.verb, template, handler, method.path)


def _system_entries(system: SystemPages) -> list[Entry[Target]]:
    pages: Mapping[str, Handler] = {"/healthz": system.healthz, "/readyz": system.readyz}
    found = [Entry("GET", parse_template(path), Target(page, path), path) for path, page in pages.items()]
    # The grammar has no template for the root: its one segment is empty.
    root = parse_template("/x")._replace(segments=("",))
    return [*found, Entry("GET", root, Target(system.index, "/"), "/")]


def _route_lines(methods: tuple[Method, ...]) -> list[RouteLine]:
    return [
        RouteLine(route.verb, route.template, f"{method.service.rpartition('.')[2]}.{method.name}", _access_names(method))
        for method in methods
        for route in method.routes
    ]


def _access_names(method: Method) -> tuple[str, ...]:
    names = options_pb2.Access.DESCRIPTOR.values_by_number
    return tuple(names[number].name.removeprefix("ACCESS_").lower() for number in sorted(method.access))
