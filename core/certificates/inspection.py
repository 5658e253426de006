"""What signatures a PDF from outside bears: a pure function from its bytes.

It reads whatever anybody sends, so it runs in a process that may use little and live shortly (see inspector.py). pyHanko
is imported inside the functions: the process that only sends files to be read never pays for it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection
from itertools import islice
from typing import Any, NamedTuple

MAX_SIGNATURES = 16
MAX_NAMED = 8
MAX_INFO = 20
_ID = re.compile(rb"SF-[0-9A-HJKMNP-TV-Z]{27}")


class FoundSignature(NamedTuple):
    """One signature. `kid`: the thumbprint of its key; `covers`: the SHA-256, in hex, of the file as it was when this was
    signed, where nothing of that is altered or left out; else empty."""

    kid: str
    intact: bool
    covers: str


class Findings(NamedTuple):
    """What was found. `fault`: why the file cannot be read, "" for none; `signature_count`: ours and others'; `ours`: those by
    trusted keys; `named`: the certificate ids that stand in it, as its information or in plain text."""

    fault: str = ""
    signature_count: int = 0
    ours: tuple[FoundSignature, ...] = ()
    named: tuple[str, ...] = ()


NO_PDF, DAMAGED, ENCRYPTED, TOO_COMPLEX = "no PDF", "damaged", "encrypted", "too complex"


def looks_like_pdf(data: bytes) -> bool:
    """Whether the data begins as a PDF does (readers take some bytes before the header; ISO 32000-1, Annex H)."""
    return b"%PDF-" in data[:1024]


def inspect(pdf: bytes, trusted: Collection[str]) -> Findings:
    """The signatures of a PDF; `trusted` are the thumbprints of our keys. Whatever the file is, this raises nothing but
    MemoryError."""
    fault, found, info = "", list[FoundSignature](), b""
    try:
        found, info = _read(pdf)
    except MemoryError:
        raise
    except RecursionError:
        fault = TOO_COMPLEX
    except _Encrypted:
        fault = ENCRYPTED
    except Exception:  # pyHanko lets out many kinds for broken files, AttributeErrors and AssertionErrors among them
        fault = DAMAGED
    named = tuple(dict.fromkeys(item.decode() for item in _ID.findall(info + b" " + pdf)))[:MAX_NAMED]
    ours = tuple(signature for signature in found if signature.kid in trusted)
    return Findings(fault, len(found), ours, named)


class _Encrypted(Exception):
    """The file is encrypted."""


def _read(pdf: bytes) -> tuple[list[FoundSignature], bytes]:
    """The signatures, and the document's information (ISO 32000-1, 14.3.3) as one text."""
    from pyhanko.pdf_utils.reader import PdfFileReader

    reader = PdfFileReader(io.BytesIO(pdf), strict=False)
    if reader.encrypted:
        raise _Encrypted
    signatures = list(islice(reader.embedded_signatures, MAX_SIGNATURES + 1))
    if len(signatures) > MAX_SIGNATURES:
        raise RecursionError
    return [_signature(item, pdf) for item in signatures], _information(reader)


def _information(reader: Any) -> bytes:
    """What the document says of itself; empty where that cannot be read, for nothing depends on it."""
    try:
        info = reader.trailer_view["/Info"]
        return " ".join(str(info[key]) for key in list(info)[:MAX_INFO]).encode("utf-8", "replace")
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return b""


def _signature(signature: Any, pdf: bytes) -> FoundSignature:
    from pyhanko.sign.validation.generic_cms import validate_sig_integrity
    from pyhanko.sign.validation.status import SignatureCoverageLevel

    try:
        certificate = signature.signer_cert
        kid = thumbprint(certificate.public_key)
        kind = "data" if signature.sig_object_type == "/Sig" else "tst_info"
        digest = signature.compute_digest()
        intact, valid = validate_sig_integrity(signature.signer_info, certificate, kind, digest)
        whole = signature.evaluate_signature_coverage() >= SignatureCoverageLevel.ENTIRE_REVISION
    except (MemoryError, RecursionError):
        raise
    except Exception:  # a signature that cannot be read is nobody's
        return FoundSignature("", False, "")
    if not valid:  # anybody may put our certificate beside a signature that its key never made
        return FoundSignature("", False, "")
    if not (intact and whole):
        return FoundSignature(kid, False, "")
    _, _, start, length = signature.byte_range
    return FoundSignature(kid, True, hashlib.sha256(pdf[: start + length]).hexdigest())


def thumbprint(public_key: Any) -> str:
    """The RFC 7638 thumbprint of a key as asn1crypto has it; "" for keys that are not RSA."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from core.certificates import keys

    key = load_der_public_key(public_key.dump())
    return keys.thumbprint(key) if isinstance(key, RSAPublicKey) else ""
