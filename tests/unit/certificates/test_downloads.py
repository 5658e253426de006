"""What is kept in memory of files and of who may read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.api.httpbody_pb2 import HttpBody

from core.certificates.downloads import READING_SECONDS, Kept, PdfCache
from core.certificates.queries import CertificateRow, Reading
from skillforge.v1 import certificates_pb2

MADE = datetime(2026, 11, 22, tzinfo=UTC)


def reading(certificate_id: str) -> Reading:
    status, reason = certificates_pb2.CERTIFICATE_STATUS_VALID, certificates_pb2.REVOKE_REASON_UNSPECIFIED
    row = CertificateRow(certificate_id, b"s", b"c", "S", "C", "I", 100.0, MADE, status, MADE, None, reason, "", None)
    return Reading(row, None, MADE)


def kept(size: int, etag: str) -> Kept:
    return Kept(HttpBody(data=bytes(size)), etag, size)


def test_the_files_asked_for_longest_ago_make_room() -> None:
    cache = PdfCache(max_bytes=10)
    for name in "abc":
        cache.put(name, MADE, kept(4, name))
        assert cache.get("a", MADE) is not None, "it was asked for again and again"
    assert cache.get("b", MADE) is None
    assert cache.get("c", MADE) == kept(4, "c")
    cache.put("a", MADE, kept(8, "a2"))
    assert cache.get("c", MADE) is None
    assert cache.get("a", MADE) == kept(8, "a2")
    cache.put("huge", MADE, kept(11, "h"))
    assert cache.get("huge", MADE) is None


def test_a_file_made_anew_is_another() -> None:
    cache = PdfCache()
    cache.put("a", MADE, kept(3, "1"))
    assert cache.get("a", MADE + timedelta(seconds=1)) is None


def test_who_may_read_is_remembered_for_a_second() -> None:
    now = 0.0
    cache, found = PdfCache(monotonic=lambda: now), reading("a")
    cache.put_reading(b"reader", found)
    assert cache.reading("a", b"reader") is found
    assert cache.reading("a", b"another") is cache.reading("b", b"reader") is None
    now = READING_SECONDS
    assert cache.reading("a", b"reader") is None
    cache.put_reading(b"reader", found)
    cache.forget_readings()
    assert cache.reading("a", b"reader") is None
    for number in range(1500):
        cache.put_reading(str(number).encode(), found)
    assert cache.reading("a", b"0") is None
    assert cache.reading("a", b"1499") is found
