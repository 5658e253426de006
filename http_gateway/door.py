"""The door itself: every HTTP request comes in here and leaves as a response with the headers all answers share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

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
from http_gateway.forms import FileReader
from http_gateway.handlers import BindingError, CallHandler, Handler, RequestReader
from http_gateway.incoming import Headers, Incoming, Place, request_id_of
from http_gateway.json_codec import JsonCodec
from http_gateway.negotiation import negotiated
from http_gateway.openapi.served import Documentation
from http_gateway.options import GatewayOptions, RawHandler
from http_gateway.outgoing import problem_answer, simple_answer
from http_gateway.pages import verify
from http_gateway.path_templates import TemplateError, parse_template
from http_gateway.problems import bad_request, method_not_allowed, problem_for, route_not_found, unexpected
from http_gateway.raw_streams import RawStreamHandler
from http_gateway.routes import Entry, NoRoute, RouteError, RouteTable
from http_gateway.system import RouteLine, SystemPages
from skillforge.options.v1 import options_pb2
from telemetry.figures import Figure

# How many targets are kept with what answers them, and up to what length: together a few MiB.
MAX_TARGETS = 2048
MAX_TARGET_LENGTH = 512
_IF_MATCH = istr(IF_MATCH)
# Methods whose answers browsers get as a page.
_PAGES = {verify.VERIFY: verify.verify_page, verify.CHECK_FILE: verify.check_page}


class Door:
    """Answers every request of a gateway."""

    def __init__(self, client: CoreClient, options: GatewayOptions) -> None:
        """Raises RouteError when the contract's bindings cannot be served; it lists every fault."""
        methods = load_methods()
        self._options = options
        self._problems: Counter[int] = Counter()
        self._cors = Cors(options.allowed_origins)
        self.system = SystemPages(options, _route_lines(methods))
        own = _system_entries(self.system, methods, options)
        self._table = RouteTable([*_entries(methods, client, options, self._cors), *own])
        self._recall = lru_cache(MAX_TARGETS)(self._find)

    async def handle(self, request: web.BaseRequest) -> Response:
        """Answer one request. Only a lost connection and a cancellation come out as exceptions."""
        headers = request.headers
        request_id = request_id_of(headers)
        response: Response
        try:
            target = _target(request)
            find = self._recall if len(target) <= MAX_TARGET_LENGTH else self._find
            handler, place = find(request.method, target)
            response = await handler(Incoming(request, headers, request_id, place))
        except CallError as error:
            response = problem_answer(problem_for(error, request_id, _IF_MATCH in headers), request_id)
            self._problems[response.status] += 1
            response.close = not request.content.is_eof()  # what is left of the body is not worth reading
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            failure = unexpected(request_id, request.method, error)
            response = problem_answer(problem_for(failure, request_id), request_id)
            self._problems[response.status] += 1
        if self._cors.active or self.system.draining:
            self._finish(response, headers)
        return response

    def figures(self) -> Iterator[Figure]:
        """What was refused or failed here, also what never became a call."""
        for status, count in self._problems.items():
            text = "Problem answers over HTTP, by status."
            yield Figure("skillforge_http_problems_total", text, count, (("status", str(status)),))

    def _find(self, verb: str, target: str) -> tuple[Handler, Place]:
        """What answers a verb and a raw target. It says nothing of a single request, so it can be kept."""
        path, _, query = target.partition("?")
        for prefix, handler in self._options.extra_handlers.items():
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                return _Extra(handler), Place([], query)
        try:
            found = self._table.find(verb, path)
        except UnicodeDecodeError:
            raise bad_request("The path is not UTF-8.") from None
        if isinstance(found, NoRoute):
            return _Missing(found.allowed, self._cors), Place([], query)
        return found.target, Place(found.segments, query)

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


class _Extra:
    """Leads to another room's handler."""

    def __init__(self, handler: RawHandler) -> None:
        self._handler = handler

    async def __call__(self, call: Incoming) -> web.StreamResponse:
        response = await self._handler(call.request)
        if not response.prepared:
            response.headers.setdefault("X-Request-Id", call.request_id)
        return response


class _Missing:
    """Answers where no route serves the verb: `allowed` are those that are served, none where the path is unknown."""

    def __init__(self, allowed: tuple[str, ...], cors: Cors) -> None:
        self._allowed = allowed
        self._cors = cors

    async def __call__(self, call: Incoming) -> Answer:
        if not self._allowed:
            raise route_not_found()
        if call.request.method != "OPTIONS":
            raise method_not_allowed(self._allowed)
        answer = simple_answer(204, b"", "", call.request_id)
        answer.add("Allow", ", ".join(self._allowed))
        if "Access-Control-Request-Method" in call.headers and self._cors.allows(call.headers):
            for name, value in preflight(self._allowed):
                answer.add(name, value)
        return answer


def _target(request: web.BaseRequest) -> str:
    """The request's raw path and query, from either form of request target (RFC 9112, 3.2)."""
    target = request.raw_path
    if target.startswith("/") and "#" not in target:
        return target
    url = request.rel_url
    return f"{url.raw_path}?{url.raw_query_string}"


def _entries(methods: tuple[Method, ...], client: CoreClient, options: GatewayOptions, cors: Cors) -> list[Entry[Handler]]:
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
    return negotiated(found)


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
    make = FileReader if method.path == verify.CHECK_FILE else RequestReader
    reader = make(method, route, template, codec, options)
    handler: Handler
    if method.server_streaming and method.reply_type is HttpBody:
        handler = RawStreamHandler(method, template, reader, client, options, cors)
    elif method.server_streaming:
        handler = StreamHandler(method, reader, codec, client, options, cors)
    else:
        unary = CallHandler(method, route, reader, codec, client, options, cache)
        page = _PAGES.get(method.path)
        handler = page(unary) if page is not None else unary
    return Entry(route.verb, template, handler, method.path)


def _system_entries(system: SystemPages, methods: tuple[Method, ...], options: GatewayOptions) -> list[Entry[Handler]]:
    files = system.files
    served: set[str] = set()
    documents = Documentation(methods, _PAGES, served)
    pages: Mapping[str, Handler] = {
        "/healthz": system.healthz, "/readyz": system.readyz, "/metrics": system.metrics, verify.START_PATH: verify.start,
        "/static/{name}": files.newest, "/static/{version}/{name}": files.versioned,
        "/static/console/{name}": files.newest, "/static/{version}/console/{name}": files.versioned,
        "/openapi.json": documents.openapi, "/docs": documents.docs, "/docs/realtime": documents.realtime,
    }  # fmt: skip
    served |= {"/", *pages, *options.extra_handlers}
    found = [Entry("GET", parse_template(path), page, path) for path, page in pages.items()]
    # The grammar has no template for the root: its one segment is empty.
    root = parse_template("/x")._replace(segments=("",))
    return [*found, Entry("GET", root, system.index, "/")]


def _route_lines(methods: tuple[Method, ...]) -> list[RouteLine]:
    return [
        RouteLine(route.verb, route.template, f"{method.service.rpartition('.')[2]}.{method.name}", _access_names(method))
        for method in methods
        for route in method.routes
    ]


def _access_names(method: Method) -> tuple[str, ...]:
    names = options_pb2.Access.DESCRIPTOR.values_by_number
    return tuple(names[number].name.removeprefix("ACCESS_").lower() for number in sorted(method.access))
