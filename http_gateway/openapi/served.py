"""What the door serves of the documentation: `/openapi.json`, `/docs` and the guide to the WebSocket."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

import orjson

from contract.methods import Method
from http_gateway.kept import KeptDocument
from http_gateway.openapi.document import build_document
from http_gateway.outgoing import HTML, JSON
from http_gateway.pages.docs import docs_page, realtime_page
from http_gateway.pages.docs_style import DOCS_POLICY


class Documentation:
    """Handlers of the documentation's paths. `pages`, `served`: as for `build_document`."""

    def __init__(self, methods: Iterable[Method], pages: Collection[str], served: Collection[str]) -> None:
        self._methods = tuple(methods)
        self._pages = pages
        self._served = served
        self.openapi = KeptDocument(lambda: orjson.dumps(self.document), JSON)
        self.docs = KeptDocument(lambda: docs_page(self.document, self._methods).encode(), HTML, DOCS_POLICY)
        self.realtime = KeptDocument(lambda: realtime_page().encode(), HTML, DOCS_POLICY)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return build_document(self._methods, self._pages, self._served)
