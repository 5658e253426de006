"""Verifying: what a certificate's number stands for, and whether a PDF is a certificate as it was issued."""

from __future__ import annotations

import asyncio
import hashlib

from google.api.httpbody_pb2 import HttpBody

from core.call import Call
from core.certificates import messages, queries, rules
from core.certificates.checking import Evidence, judge
from core.certificates.inspection import NO_PDF, Findings, looks_like_pdf
from core.certificates.inspector import Inspector
from core.certificates.keys import SigningKeys
from core.db import Database
from core.errors import InvalidArgument, missing
from skillforge.v1 import certificates_pb2

MAX_FILE_BYTES = 5 * 1024 * 1024


class CertificateVerification:
    """What anybody may ask."""

    _db: Database
    _links: messages.Links
    _keys: SigningKeys
    _inspector: Inspector

    async def verify_certificate(
        self, call: Call, request: certificates_pb2.VerifyCertificateRequest
    ) -> certificates_pb2.VerifyCertificateResponse:
        """Whether the certificate is genuine and in force. Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound."""
        row = await queries.by_id(self._db, rules.read_certificate_id(request.certificate_id))
        if row is None:
            raise missing("certificate")
        key_id = await queries.last_key_id(self._db, row.certificate_id)
        return messages.verification(row, key_id or (self._keys.current.kid if self._keys.current else ""), self._links)

    async def check_certificate_file(self, call: Call, request: HttpBody) -> certificates_pb2.CheckCertificateFileResponse:
        """Whether a PDF is a certificate as it was issued: equal to the file that was given out, and signed by us.

        Raises InvalidArgument (BODY_TOO_LARGE) and Unavailable; a file that cannot be read is an answer, no error.
        """
        pdf = request.data
        if len(pdf) > MAX_FILE_BYTES:
            raise InvalidArgument("BODY_TOO_LARGE", f"A certificate's file has at most {MAX_FILE_BYTES} bytes.")
        findings = await self._inspector.inspect(pdf) if looks_like_pdf(pdf) else Findings(NO_PDF)
        return messages.file_check(judge(await self._evidence(pdf, findings), findings), findings, self._links)

    async def _evidence(self, pdf: bytes, findings: Findings) -> Evidence:
        """What our records say of the file."""
        digest = (await asyncio.to_thread(hashlib.sha256, pdf)).digest()
        covered = [bytes.fromhex(signature.covers) for signature in findings.ours if signature.covers]
        files = await queries.by_digests(self._db, {digest, *covered})
        signed = next((files[item] for item in covered if item in files), None)
        ids = [item for item in findings.named if rules.is_certificate_id(item)]
        named = await queries.first_known(self._db, ids) if ids and signed is None else None
        return Evidence(files.get(digest), signed, named)
