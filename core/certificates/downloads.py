"""The PDF of a certificate: made once, kept, and given to whoever may have it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeAlias

from google.api.httpbody_pb2 import HttpBody

from contract.metadata import CONTENT_DISPOSITION, ETAG
from core.call import Call
from core.certificates import messages, queries, rules
from core.certificates.keys import SigningKeys
from core.certificates.pdf import Look
from core.certificates.queries import CertificateRow, Reading
from core.certificates.templates import Press
from core.db import Database, DuplicateKey
from core.errors import FailedPrecondition, Unavailable, missing
from core.families.access import parent_id
from skillforge.v1 import certificates_pb2

log = logging.getLogger("skillforge.certificates")

CACHE_BYTES = 16 * 1024 * 1024
READING_SECONDS = 1.0
MAX_READINGS = 1000


# A PDF and when it was made, in a while.
Making: TypeAlias = asyncio.Task[tuple[bytes, datetime]]


class Kept(NamedTuple):
    """A PDF as an answer that nobody changes, its entity tag and its size."""

    answer: HttpBody
    etag: str
    size: int


class PdfCache:
    """The PDFs asked for last, up to so many bytes together; a file made anew has another time, so none goes stale. And who
    was let read which certificate a moment ago: viewers that read a file in parts ask many times in a row."""

    def __init__(self, max_bytes: int = CACHE_BYTES, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, datetime], Kept] = OrderedDict()
        self._readings: OrderedDict[tuple[str, bytes], tuple[float, Reading]] = OrderedDict()

    def reading(self, certificate_id: str, reader_id: bytes) -> Reading | None:
        """What the reader was let read within the last second, unless that was forgotten since."""
        until, found = self._readings.get((certificate_id, reader_id), (0.0, None))
        return found if self._monotonic() < until else None

    def put_reading(self, reader_id: bytes, found: Reading) -> None:
        """Remember for a second that the reader may read a certificate whose file was made."""
        self._readings[found.row.certificate_id, reader_id] = (self._monotonic() + READING_SECONDS, found)
        if len(self._readings) > MAX_READINGS:
            self._readings.popitem(last=False)

    def forget_readings(self) -> None:
        """What may be read has changed here; other processes notice within the second."""
        self._readings.clear()

    def get(self, certificate_id: str, made: datetime) -> Kept | None:
        """The PDF that was made at a time."""
        found = self._kept.get((certificate_id, made))
        if found is not None:
            self._kept.move_to_end((certificate_id, made))
        return found

    def put(self, certificate_id: str, made: datetime, kept: Kept) -> None:
        """Keep a PDF; those asked for longest ago make room."""
        before = self._kept.pop((certificate_id, made), None)
        self._bytes += kept.size - (before.size if before else 0)
        self._kept[certificate_id, made] = kept
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size


class CertificateDownloads:
    """Downloading."""

    _db: Database
    _renderer: Press
    _cache: PdfCache
    # The files being made, by their certificate's id; no more than the press takes at once.
    _making: dict[str, Making]
    _keys: SigningKeys
    _links: messages.Links

    async def download_certificate(self, call: Call, request: certificates_pb2.DownloadCertificateRequest) -> HttpBody:
        """The PDF: for the student, a linked parent, the course's instructor and admins. It is made once and the same ever after.

        Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound, FailedPrecondition (CERTIFICATE_REVOKED), Unavailable.
        """
        found = await self._readable(call, request.certificate_id)
        if found.row.status != certificates_pb2.CERTIFICATE_STATUS_VALID:
            raise FailedPrecondition("CERTIFICATE_REVOKED", "The certificate was revoked, so there is no copy of it any more.")
        kept = await self._file(found, call.now)
        call.reply_metadata[CONTENT_DISPOSITION] = f'attachment; filename="{rules.file_name(found.row.certificate_id)}"'
        call.reply_metadata[ETAG] = kept.etag
        call.shared_reply = True
        return kept.answer

    async def _readable(self, call: Call, typed_id: str) -> Reading:
        user = call.user
        known = self._cache.reading(typed_id, user.user_id)
        if known is not None:
            return known
        certificate_id, parent = rules.read_certificate_id(typed_id), parent_id(call)
        found = await queries.readable(self._db, certificate_id, user.user_id, is_admin=user.is_admin, parent_id=parent)
        if found is None:
            raise missing("certificate")
        # Parents may read until the moment of unlinking, so they are asked about every time.
        if found.file_time is not None and not parent:
            self._cache.put_reading(user.user_id, found)
        return found

    async def _file(self, found: Reading, now: datetime) -> Kept:
        """The PDF: from the cache, from the database, or made now."""
        certificate_id, made = found.row.certificate_id, found.file_time
        if made is not None and (known := self._cache.get(certificate_id, made)) is not None:
            return known
        file = await queries.file(self._db, certificate_id) if made is not None else None
        pdf, made = file or await self._made(found, now)
        kept = Kept(HttpBody(content_type="application/pdf", data=pdf), await asyncio.to_thread(_etag, pdf), len(pdf))
        self._cache.put(certificate_id, made, kept)
        return kept

    async def _made(self, found: Reading, now: datetime) -> tuple[bytes, datetime]:
        """`_make`, once for all who wait for it, and to its end when nobody waits any more: then the next gets it at once."""
        certificate_id = found.row.certificate_id
        task = self._making.get(certificate_id)
        if task is None:
            task = self._making[certificate_id] = asyncio.create_task(self._make(found, now))
            task.add_done_callback(lambda ended: self._end_making(certificate_id, ended))
        return await asyncio.shield(task)

    def _end_making(self, certificate_id: str, ended: Making) -> None:
        del self._making[certificate_id]
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.debug("a certificate was not made: %r", error)

    async def _make(self, found: Reading, now: datetime) -> tuple[bytes, datetime]:
        """Make the PDF and keep it; whoever was first has made the one that everybody gets."""
        row: CertificateRow = found.row
        look = await queries.look(self._db, found.template_id) if found.template_id is not None else Look()
        pdf = await self._renderer.render(messages.document(row, look, self._links))
        key_id = self._keys.current.kid if self._keys.current else ""
        try:
            unchanged = await self._db.transact(lambda tx: queries.keep_file(tx, row, pdf, key_id, now))
        except DuplicateKey:
            file = await queries.file(self._db, row.certificate_id)
            unchanged = file is not None
            pdf, now = file or (pdf, now)
        if not unchanged:
            raise Unavailable("UNAVAILABLE", "The certificate was changed just now. Try again.")
        return pdf, now


def _etag(pdf: bytes) -> str:
    return hashlib.sha256(pdf).hexdigest()[:32]
