"""Several methods behind one verb and path: which one answers is what the caller's Accept header prefers (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiohttp import hdrs

from http_gateway.answers import Answer, Response
from http_gateway.handlers import Handler
from http_gateway.incoming import Incoming
from http_gateway.outgoing import prefers
from http_gateway.path_templates import Template
from http_gateway.routes import Entry


class Negotiated:
    """Answers with `usual` unless the caller prefers one of the media types that others produce to JSON."""

    def __init__(self, usual: Handler, others: Mapping[str, Handler]) -> None:
        self._usual = usual
        self._others = tuple(others.items())

    async def __call__(self, call: Incoming) -> Response:
        accept = call.headers.get(hdrs.ACCEPT, "")
        chosen = (
            next((handler for kind, handler in self._others if prefers(accept, kind)), self._usual) if accept else self._usual
        )
        response = await chosen(call)
        if isinstance(response, Answer):
            response.add("Vary", "Accept")
        return response


class Offer:
    """What is served under one verb and shape of path, by the media type ("" for JSON)."""

    def __init__(self) -> None:
        self.by_type: dict[str, list[Entry[Handler]]] = {}

    def entries(self) -> Iterable[Entry[Handler]]:
        """One entry where each media type is served once; else all, for the route table to refuse."""
        found = [entry for entries in self.by_type.values() for entry in entries]
        if len(found) == 1 or "" not in self.by_type or any(len(entries) > 1 for entries in self.by_type.values()):
            return found
        usual, others = self.by_type[""][0], {kind: entries[0].target for kind, entries in self.by_type.items() if kind}
        return [usual._replace(target=Negotiated(usual.target, others))]


def negotiated(served: Iterable[tuple[str, Entry[Handler]]]) -> list[Entry[Handler]]:
    """One entry for each verb and shape of path, of entries with the media types they produce ("" for JSON)."""
    offers: dict[tuple[str, tuple[str, ...], str], Offer] = {}
    for kind, entry in served:
        offer = offers.setdefault((entry.verb, *_shape(entry.template)), Offer())
        offer.by_type.setdefault(kind, []).append(entry)
    return [entry for offer in offers.values() for entry in offer.entries()]


def _shape(template: Template) -> tuple[tuple[str, ...], str]:
    return tuple(template.segments), template.verb
