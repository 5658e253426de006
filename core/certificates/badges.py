"""Badges, the issuer, and the public keys that all signatures are checked with."""

from __future__ import annotations

import asyncio
from functools import cached_property

import orjson
from google.api.httpbody_pb2 import HttpBody

from core.call import Call
from core.certificates import messages, open_badges, queries, rules
from core.certificates.keys import SigningKeys
from core.certificates.queries import CertificateRow
from core.db import Database
from core.errors import FailedPrecondition, Unavailable, missing
from skillforge.v1 import certificates_pb2

JWT_TYPE = "application/vc+jwt"  # IANA's for credentials secured with JOSE
PROFILE_TYPE = "application/ld+json"


class CertificateBadges:
    """Credentials for wallets, and what their validators ask for."""

    _db: Database
    _links: messages.Links
    _keys: SigningKeys

    async def get_badge(self, call: Call, request: certificates_pb2.GetBadgeRequest) -> HttpBody:
        """The certificate as an Open Badges 3.0 credential.

        Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound, FailedPrecondition (CERTIFICATE_REVOKED).
        """
        row = await self._public(request.certificate_id)
        if row.status != certificates_pb2.CERTIFICATE_STATUS_VALID:
            raise FailedPrecondition("CERTIFICATE_REVOKED", "The certificate was revoked, so there is no badge of it any more.")
        return await self._signed(open_badges.credential(row, self._links))

    async def get_badge_status(self, call: Call, request: certificates_pb2.GetBadgeStatusRequest) -> HttpBody:
        """Whether the badge is revoked. Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound."""
        row = await self._public(request.certificate_id)
        return await self._signed(open_badges.status_list(row, self._links, call.now))

    async def get_issuer(self, call: Call, request: certificates_pb2.GetIssuerRequest) -> HttpBody:
        """Who issues the certificates."""
        profile = {"@context": [open_badges.CREDENTIALS_CONTEXT, open_badges.BADGES_CONTEXT]}
        return HttpBody(content_type=PROFILE_TYPE, data=orjson.dumps(profile | open_badges.issuer_profile(self._links)))

    async def get_signing_keys(
        self, call: Call, request: certificates_pb2.GetSigningKeysRequest
    ) -> certificates_pb2.JsonWebKeySet:
        """Every key whose signatures are accepted, the one in use first."""
        call.shared_reply = True
        return self._key_set

    async def get_signing_key(self, call: Call, request: certificates_pb2.GetSigningKeyRequest) -> certificates_pb2.JsonWebKey:
        """One key. Raises NotFound."""
        kid = self._links.key(request.key_id)
        found = next((key for key in self._key_set.keys if key.kid == kid), None)
        if found is None:
            raise missing("key")
        call.shared_reply = True
        return found

    @cached_property
    def _key_set(self) -> certificates_pb2.JsonWebKeySet:
        """The keys; each one's `kid` is its address, as Open Badges wants it."""
        keys = [certificates_pb2.JsonWebKey(**{**key.jwk, "kid": self._links.key(key.kid)}) for key in self._keys.trusted]
        return certificates_pb2.JsonWebKeySet(keys=keys)

    async def _public(self, certificate_id: str) -> CertificateRow:
        row = await queries.by_id(self._db, rules.read_certificate_id(certificate_id))
        if row is None:
            raise missing("certificate")
        return row

    async def _signed(self, payload: open_badges.Json) -> HttpBody:
        key = self._keys.current
        if key is None:
            raise Unavailable("UNAVAILABLE", "There is no key to sign with at the moment.", retry_after=60.0)
        return HttpBody(content_type=JWT_TYPE, data=await asyncio.to_thread(open_badges.sign, payload, key, self._links))
