"""Which session tokens are believed, and which answer the others get."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from core.call import Claims
from core.errors import Unauthenticated, Unavailable
from core.identity.keys import PemKey
from core.identity.tokens import MAX_TOKEN_BYTES, TokenVerifier
from fakes.keys import SigningKey
from skillforge.v1 import identity_pb2

NOW = 1_800_000_000
ISSUER = "https://clerk.example.com"
PARTY = "https://app.example.com"
GOOD = {
    "iss": ISSUER, "sub": "user_1", "sid": "sess_1", "azp": PARTY, "iat": NOW - 1, "nbf": NOW - 10, "exp": NOW + 60,
    "sts": "active", "metadata": {"role": "instructor"},
}  # fmt: skip
KEY, OTHER_KEY = SigningKey.generate(), SigningKey.generate()


class Ring:
    """Keys by id, and how often one was asked for."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = {key.kid: key.private.public_key() for key in keys}
        self.asked = 0
        self.away = False

    async def find(self, key_id: str) -> RSAPublicKey | None:
        self.asked += 1
        if self.away:
            raise Unavailable("UNAVAILABLE", "away")
        return self.keys.get(key_id)


class Wall:
    """A clock on the wall that the test moves."""

    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ring() -> Ring:
    return Ring(KEY)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def verifier(ring: Ring, wall: Wall) -> TokenVerifier:
    return TokenVerifier(ring, issuer=ISSUER, authorized_parties=frozenset({PARTY}), wall_clock=wall)


def token(key: SigningKey = KEY, kid: str | None = None, **changes: Any) -> str:
    """A good token but for the changes; None leaves a claim out."""
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return key.sign(claims, kid)


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def resigned(header: dict[str, Any], **changes: Any) -> str:
    """A token with a header of our own, signed rightly by the key."""
    start = f"{part(header)}.{part({**GOOD, **changes})}"
    return f"{start}.{part(jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(start.encode(), KEY.private))}"


async def refusal(verifier: TokenVerifier, text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(text)
    assert text not in caught.value.detail
    return caught.value.reason


async def test_a_good_token_says_who_and_until_when(verifier: TokenVerifier) -> None:
    assert await verifier.verify(token()) == Claims("user_1", "sess_1", NOW + 60.0, identity_pb2.ROLE_INSTRUCTOR)


@pytest.mark.parametrize(
    ("metadata", "role"),
    [
        ({"metadata": {"role": "ROLE_PARENT"}}, identity_pb2.ROLE_PARENT),
        ({"metadata": None, "public_metadata": {"role": " admin "}}, identity_pb2.ROLE_ADMIN),
        ({"metadata": {"role": "pope"}}, 0),
        ({"metadata": {"role": ["ADMIN"]}}, 0),
        ({"metadata": {"role": "UNSPECIFIED"}}, 0),
        ({"metadata": ["ADMIN"]}, 0),
        ({"metadata": None}, 0),
    ],
)
async def test_the_role_is_the_signed_metadata_s(verifier: TokenVerifier, metadata: dict[str, Any], role: int) -> None:
    assert (await verifier.verify(token(**metadata))).role == role


def unsigned() -> str:
    return f"{part({'alg': 'none', 'kid': KEY.kid})}.{part(GOOD)}."


def signed_with_the_public_key() -> str:
    start = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': KEY.kid})}.{part(GOOD)}"
    return f"{start}.{part(hmac.new(KEY.public_pem.encode(), start.encode(), hashlib.sha256).digest())}"


FORGED = {
    "alg none": unsigned(),
    "HS256 with the public key": signed_with_the_public_key(),
    "another key under our id": token(OTHER_KEY, kid=KEY.kid),
    "another key": token(OTHER_KEY),
    "unknown kid": token(kid="ins_unknown"),
    "no kid": resigned({"alg": "RS256"}),
    "kid no text": resigned({"alg": "RS256", "kid": 7}),
    "alg in small letters": resigned({"alg": "rs256", "kid": KEY.kid}),
    "RS512": resigned({"alg": "RS512", "kid": KEY.kid}),
    "alg no text": resigned({"alg": ["RS256"], "kid": KEY.kid}),
    "crit": resigned({"alg": "RS256", "kid": KEY.kid, "crit": ["unheard-of"]}),
    "b64": resigned({"alg": "RS256", "kid": KEY.kid, "b64": False}),
    "signature changed": token()[:-2] + ("AA" if not token().endswith("AA") else "BB"),
    "an empty part": token().replace(".", "..", 1),
    "scheme twice": "Bearer " + token(),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_only_what_the_issuer_signed_with_rs256(verifier: TokenVerifier, forged: str) -> None:
    assert await refusal(verifier, forged) == "TOKEN_INVALID"
    assert verifier.recall(forged) is None


async def test_a_changed_payload_is_refused(verifier: TokenVerifier) -> None:
    head, _, signature = token().split(".")
    assert await refusal(verifier, f"{head}.{part({**GOOD, 'sub': 'user_2'})}.{signature}") == "TOKEN_INVALID"


@pytest.mark.parametrize(("exp", "good"), [(NOW - 4, True), (NOW - 5, False), (NOW - 4.5, True), (NOW - 3600, False)])
async def test_five_seconds_of_skew_at_the_end(verifier: TokenVerifier, exp: float, good: bool) -> None:
    if good:
        await verifier.verify(token(exp=exp))
    else:
        assert await refusal(verifier, token(exp=exp)) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(("nbf", "good"), [(NOW + 5, True), (NOW + 6, False), (None, True), (NOW - 10**6, True)])
async def test_five_seconds_of_skew_at_the_beginning(verifier: TokenVerifier, nbf: int | None, good: bool) -> None:
    if good:
        await verifier.verify(token(nbf=nbf))
    else:
        assert await refusal(verifier, token(nbf=nbf)) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "changes",
    [
        {"sts": "pending"},
        {"azp": "https://evil.example.com"},
        {"azp": None},
        {"azp": [PARTY]},
        {"iss": "https://clerk.example.com.evil.example.com"},
        {"iss": None},
        {"sid": None},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"sid": ""},
        {"sub": ""},
        {"sid": "s" * 129},
        {"sub": "u" * 65},
        {"sub": "usér"},
        {"sid": "sess\n1"},
        {"sub": 7},
        {"sid": ["sess_1"]},
        {"exp": "soon"},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": [NOW]},
        {"exp": -1},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": "now"},
        {"nbf": {}},
    ],
    ids=str,
)
async def test_every_claim_must_be_usable(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    assert await refusal(verifier, token(**changes)) == "TOKEN_INVALID"


async def test_without_an_issuer_or_an_allow_list_neither_is_checked(ring: Ring, wall: Wall) -> None:
    verifier = TokenVerifier(ring, issuer="", authorized_parties=frozenset(), wall_clock=wall)
    await verifier.verify(token(iss=None, azp=None))
    await verifier.verify(token(iss="https://elsewhere.example.com", azp="https://elsewhere.example.com"))


async def test_a_token_too_long_is_not_even_read(verifier: TokenVerifier, ring: Ring) -> None:
    assert await refusal(verifier, token(padding="x" * MAX_TOKEN_BYTES)) == "TOKEN_INVALID"
    assert ring.asked == 0


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text("eyJhbGciOiJSUzI1NiJ9._-=", max_size=200))
async def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    verifier = TokenVerifier(Ring(KEY), issuer=ISSUER, authorized_parties=frozenset())
    assert await refusal(verifier, text + "¤") == "TOKEN_INVALID"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(header=JSON, payload=JSON, signature=st.binary(max_size=20))
async def test_any_json_in_the_parts_is_refused(header: object, payload: object, signature: bytes) -> None:
    verifier = TokenVerifier(Ring(KEY), issuer=ISSUER, authorized_parties=frozenset())
    forged = f"{part(header)}.{part(payload)}.{part(signature)}"
    assert await refusal(verifier, forged) == "TOKEN_INVALID"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON, max_size=4))
async def test_any_signed_claims_are_believed_or_refused(changes: dict[str, Any]) -> None:
    verifier = TokenVerifier(Ring(KEY), issuer=ISSUER, authorized_parties=frozenset({PARTY}), wall_clock=lambda: NOW)
    with contextlib.suppress(Unauthenticated):
        claims = await verifier.verify(resigned({"alg": "RS256", "kid": KEY.kid}, **changes))
        assert 0 < len(claims.subject) <= 64
        assert claims.expires_at > NOW - 5


async def test_deeply_nested_json_is_refused(verifier: TokenVerifier) -> None:
    assert await refusal(verifier, f"{part(b'[' * 5000)}.{part({})}.{part(b'')}") == "TOKEN_INVALID"


async def test_a_verified_token_is_remembered_until_it_expires(verifier: TokenVerifier, ring: Ring, wall: Wall) -> None:
    text = token()
    assert verifier.recall(text) is None
    claims = await verifier.verify(text)
    ring.away = True
    wall.now = NOW + 64.9
    assert verifier.recall(text) is claims
    wall.now = NOW + 65
    assert verifier.recall(text) is None
    ring.away = False
    assert await refusal(verifier, text) == "TOKEN_EXPIRED"


async def test_a_token_like_a_remembered_one_is_not_it(verifier: TokenVerifier) -> None:
    text = token()
    await verifier.verify(text)
    assert verifier.recall(text + "=") is None
    assert verifier.recall(text[:-1]) is None
    assert verifier.recall("\ud800") is None


async def test_no_key_to_be_had_is_no_refusal(verifier: TokenVerifier, ring: Ring) -> None:
    ring.away = True
    with pytest.raises(Unavailable):
        await verifier.verify(token())


async def test_a_pem_needs_no_key_id(wall: Wall) -> None:
    verifier = TokenVerifier(PemKey(KEY.public_pem), issuer=ISSUER, authorized_parties=frozenset(), wall_clock=wall)
    assert (await verifier.verify(resigned({"alg": "RS256"}))).subject == "user_1"
    assert await refusal(verifier, token(OTHER_KEY)) == "TOKEN_INVALID"


def test_a_pem_of_another_kind_is_none() -> None:
    for pem in ("", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", KEY.pem.decode()):
        with pytest.raises(ValueError):  # noqa: PT011 (the settings say it in words)
            PemKey(pem)
