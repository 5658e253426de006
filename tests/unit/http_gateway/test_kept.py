"""Documents that are made once: for many who ask at once, in the coding each takes."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from http_gateway.answers import Answer
from http_gateway.incoming import Incoming, Place
from http_gateway.kept import KeptDocument

TEXT = b"a document " * 50


class Press:
    """Makes the document, and counts how often."""

    made = 0

    def __call__(self) -> bytes:
        self.made += 1
        return TEXT


def asked(**headers: str) -> Incoming:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Incoming(cast(Any, None), CIMultiDictProxy(named), "r1", Place([], ""))


def body_of(answer: Answer) -> bytes:
    return answer._body


async def test_it_is_made_once_also_for_those_who_go_away() -> None:
    press = Press()
    document = KeptDocument(press, "text/plain")
    leaving = asyncio.create_task(document(asked()))
    await asyncio.sleep(0)
    leaving.cancel()
    answers = await asyncio.gather(*(document(asked()) for _ in range(5)))
    assert press.made == 1
    assert {body_of(answer) for answer in answers} == {TEXT}


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False), ("br", False),
     ("", False), ("gzipped", False)],
)  # fmt: skip
async def test_the_coding_asked_for(accepted: str, zipped: bool) -> None:
    answer = await KeptDocument(Press(), "text/plain")(asked(Accept_Encoding=accepted))
    assert (gzip.decompress(body_of(answer)) if zipped else body_of(answer)) == TEXT
    assert ("Content-Encoding: gzip" in answer._added) is zipped


async def test_whoever_has_it_gets_304() -> None:
    document = KeptDocument(Press(), "text/plain")
    first = await document(asked())
    tag = first._added.split("ETag: ")[1].split("\r\n")[0]
    assert (await document(asked(If_None_Match=tag))).status == 304
    assert (await document(asked(If_None_Match=tag, Accept_Encoding="gzip"))).status == 200
