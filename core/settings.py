"""The settings, and the only reader of the environment. Every fault is reported at once, a line each."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from core.assistant.engines import AiSettings
from core.certificates.keys import check_validity, read_keys
from core.db.url import parse_url
from core.identity.keys import PemKey
from core.identity.svix import signing_key
from core.redis import Redis

_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,5})", re.ASCII)
_MAX_RATE_SECONDS = 86400
# The default of every RATE_LIMIT_ setting.
RATES = {
    "IP": "1200/60",
    "USER": "600/60",
    "PAYMENTS": "20/60",
    "CERTIFICATES": "60/60",
    "AI": "20/60",
    "AUTH": "60/60",
    "GUESSES": "10/900",
    "PERSONAL_DATA": "10/3600",
    "VERIFICATIONS": "60/60",
    "FILE_CHECKS": "10/60",
    "FRIENDS": "30/60",
    "FRAMES": "1200/60",
    "MESSAGES": "5/1",
    "INVITES": "6/60",
}
# RFC 7064, RFC 7065.
_ICE_URL = re.compile(r"(stuns?:[^\s/?#@]+|turns?:[^\s/?#@]+(\?transport=(udp|tcp))?)", re.ASCII)
# RFC 6454: scheme, host and port, and nothing behind them.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", re.IGNORECASE)


class SettingsError(Exception):
    """Settings are missing or wrong; `faults` has one line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` calls in `seconds`."""

    limit: int
    seconds: int


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """What a door needs, also one without a core in its process. `own_origins`: of the pages it serves itself."""

    allowed_origins: tuple[str, ...]
    own_origins: frozenset[str]
    trusted_proxy_hops: int
    gateway_token: str = field(repr=False)
    log_format: str
    log_level: str
    # Where figures can be scraped without a token; None: nowhere.
    metrics_address: tuple[str, int] | None
    metrics_token: str = field(repr=False)
    # The OTLP collector that traces go to ("": no traces), and the name they carry.
    otlp_endpoint: str
    otlp_service: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Durations in seconds, sizes in what their name says; secrets never appear in `repr`."""

    database_url: str
    redis_url: str
    database_pool_size: int
    clerk_secret_key: str
    clerk_api_url: str
    clerk_jwt_key: str
    clerk_issuer: str
    clerk_authorized_parties: frozenset[str]
    clerk_webhook_key: bytes | None
    public_url: str
    secret_key: bytes
    payment_provider: str
    payment_webhook_secrets: tuple[str, ...]
    fake_payments_url: str
    fake_payments_key: str
    stripe_secret_key: str
    stripe_webhook_secrets: tuple[str, ...]
    stripe_api_url: str
    # STUN and TURN servers for calls, and the secret shared with the TURN servers.
    turn_urls: tuple[str, ...]
    turn_secret: str
    ai: AiSettings
    font_folder: str
    certificate_signing_key: bytes
    certificate_retired_keys: bytes
    # By name: "IP", "USER", and every class of `skillforge.options.v1.Limit`.
    rates: Mapping[str, Rate]
    grpc_tls: tuple[bytes, bytes] | None
    door: DoorSettings

    def __repr__(self) -> str:
        return f"Settings(public_url={self.public_url!r}, ...)"


class _Reader:
    """Reads values and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "").strip() or default

    def required(self, name: str, example: str) -> str:
        value = self.text(name)
        if not value:
            self.faults.append(f"{name} is not set; for example {example}")
        return value

    def address(self, name: str, example: str, check: Callable[[str], object]) -> str:
        """A required address that `check` takes; its ValueError says what is wrong, without any password."""
        value = self.required(name, example)
        try:
            if value:
                check(value)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if value.isascii() and value.isdigit() and low <= int(value) <= high:
            return int(value)
        self.faults.append(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        return default

    def url(self, name: str, default: str = "") -> str:
        value = self.text(name, default)
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if value and not good:
            self.faults.append(f"{name} must be an http or https URL, not {value!r}")
        return value.rstrip("/")

    def host_and_port(self, name: str) -> tuple[str, int] | None:
        """An address to listen at, "127.0.0.1:9464" or "[::1]:9464"; None when it is not set."""
        value = self.text(name)
        host, _, port = value.rpartition(":")
        if not value:
            return None
        if host and port.isascii() and port.isdigit() and int(port) < 65536:
            return host.strip("[]"), int(port)
        self.faults.append(f"{name} must be an address such as 127.0.0.1:9464, not {value!r}")
        return None

    def origin_of(self, name: str, default: str) -> frozenset[str]:
        """The origin (RFC 6454) of pages at an address that `url` checks; nothing for a wrong one."""
        try:
            parts = urlsplit(self.text(name, default))
            own = {"http": 80, "https": 443}.get(parts.scheme) == parts.port
        except ValueError:
            return frozenset()
        return frozenset({f"{parts.scheme}://{parts.hostname if own else parts.netloc.rpartition('@')[2]}"})

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        self.faults.append(f"{name} must be one of {', '.join(repr(item) for item in choices)}, not {value!r}")
        return default

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in self.text(name).split(",") if item.strip())

    def ice_urls(self, name: str, secret_name: str) -> tuple[str, ...]:
        """STUN and TURN servers; those of TURN need a secret."""
        found = self.items(name)
        for item in found:
            if not _ICE_URL.fullmatch(item):
                self.faults.append(f"{name} must list servers such as turn:turn.example.com:3478?transport=udp, not {item!r}")
        if any(item.startswith("turn") for item in found) and not self.text(secret_name):
            self.faults.append(f"{secret_name} is not set; the TURN servers of {name} check credentials made with it")
        return found

    def origins(self, name: str) -> tuple[str, ...]:
        """Origins as browsers write them, "https://app.example.com"; "*" is any."""
        found = tuple(item.rstrip("/") for item in self.items(name))
        for item in found:
            if item != "*" and not _ORIGIN.fullmatch(item):
                self.faults.append(f"{name} must list origins such as https://app.example.com, not {item!r}")
        return found

    def rate(self, name: str, default: str) -> Rate:
        value = self.text(name, default)
        found = _RATE.fullmatch(value)
        limit, seconds = (int(found[1]), int(found[2])) if found else (0, 0)
        if limit == 0 or not 0 < seconds <= _MAX_RATE_SECONDS:
            self.faults.append(f"{name} must read CALLS/SECONDS, such as {default}, not {value!r}")
        return Rate(limit, seconds)

    def svix_key(self, name: str) -> bytes | None:
        value = self.text(name)
        try:
            return signing_key(value) if value else None
        except ValueError as error:
            self.faults.append(f"{name} {error}")
            return None

    def pem(self, name: str) -> bytes:
        """A PEM given itself, its line ends perhaps as `\\n`, or the path of a file that holds one.

        What stands there is never repeated in a fault: it may be a key that lacks its first line.
        """
        value = self.text(name)
        if not value:
            return b""
        if "-----BEGIN" in value:
            return value.replace("\\n", "\n").encode()
        try:
            content = Path(value).read_bytes()
        except (OSError, ValueError) as error:
            self.faults.append(f"{name} is neither a PEM nor a file that can be read: {getattr(error, 'strerror', error)}")
            return b""
        if b"-----BEGIN" not in content:
            self.faults.append(f"{name} names a file that holds no PEM")
        return content

    def certificate(self, name: str, key_name: str) -> tuple[bytes, bytes] | None:
        """A certificate chain and its private key; None when neither is set."""
        if bool(self.text(name)) != bool(self.text(key_name)):
            self.faults.append(f"{name} and {key_name} go together; one of them is not set")
        chain, key = self.pem(name), self.pem(key_name)
        if not (chain and key):
            return None
        try:
            matching = load_pem_x509_certificate(chain).public_key() == load_pem_private_key(key, None).public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            matching = False
        if not matching:
            self.faults.append(f"{name} must be a PEM certificate, and {key_name} its private key without a password")
        return chain, key

    def signing_keys(self, name: str, retired_name: str) -> tuple[bytes, bytes]:
        """The PEMs of the key that signs, which is required, and of earlier ones."""
        if not self.text(name):
            self.faults.append(f"{name} is not set; make a key with `skillforge make-signing-key PATH`, and set it to the path")
        found = self.pem(name), self.pem(retired_name)
        for part, pems in ((name, (found[0], b"")), (retired_name, (b"", found[1]))):
            try:
                if (key := read_keys(*pems).current) is not None:
                    check_validity(key, datetime.now(UTC))
            except ValueError as error:
                self.faults.append(f"{part}: {error}")
        return found

    def folder(self, name: str) -> str:
        value = self.text(name)
        if value and not Path(value).is_dir():
            self.faults.append(f"{name} must be a folder, not {value!r}")
        return value

    def public_key(self, name: str) -> str:
        """An RSA public key as PEM, or the path of one; "" when it is not set."""
        value = self.pem(name).decode("utf-8", "replace")
        try:
            if "-----BEGIN" in value:
                PemKey(value)
        except ValueError:
            self.faults.append(f"{name} must be an RSA public key as PEM, as Clerk's dashboard shows it")
        return value


def load_settings(defaults: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment, over the defaults given. Raises SettingsError."""
    return read_settings({**(defaults or {}), **_environment()})


def load_door_settings() -> DoorSettings:
    """The settings of a door alone. Raises SettingsError."""
    read = _Reader(_environment())
    door = _door(read)
    if read.faults:
        raise SettingsError(read.faults)
    return door


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if value.strip()}


def read_settings(values: Mapping[str, str]) -> Settings:
    """The settings in `values`. Raises SettingsError with every fault."""
    read = _Reader(values)
    secret = read.required("CLERK_SECRET_KEY", "sk_live_... from Clerk's dashboard")
    provider = _payment_provider(read)
    signing_key, retired_keys = read.signing_keys("CERTIFICATE_SIGNING_KEY", "CERTIFICATE_RETIRED_KEYS")
    settings = Settings(
        database_url=read.address("DATABASE_URL", "mysql://user:password@host:3306/skillforge", parse_url),
        redis_url=read.address("REDIS_URL", "redis://host:6379/0", Redis),
        database_pool_size=read.number("DATABASE_POOL_SIZE", 16, 1, 500),
        clerk_secret_key=secret,
        clerk_api_url=read.url("CLERK_API_URL", "https://api.clerk.com"),
        clerk_jwt_key=read.public_key("CLERK_JWT_KEY"),
        clerk_issuer=read.url("CLERK_ISSUER"),
        clerk_authorized_parties=frozenset(read.origins("CLERK_AUTHORIZED_PARTIES")),
        clerk_webhook_key=read.svix_key("CLERK_WEBHOOK_SIGNING_SECRET"),
        public_url=read.url("PUBLIC_URL", "http://localhost:8080"),
        secret_key=_derived(read.text("SECRET_KEY", secret)),
        payment_provider=provider,
        payment_webhook_secrets=read.items("PAYMENT_WEBHOOK_SECRETS"),
        fake_payments_url=read.url("FAKE_PAYMENTS_URL"),
        fake_payments_key=read.text("FAKE_PAYMENTS_KEY"),
        stripe_secret_key=read.text("STRIPE_SECRET_KEY"),
        stripe_webhook_secrets=read.items("STRIPE_WEBHOOK_SECRETS"),
        stripe_api_url=read.url("STRIPE_API_URL", "https://api.stripe.com"),
        turn_urls=read.ice_urls("TURN_URLS", "TURN_SECRET"),
        turn_secret=read.text("TURN_SECRET"),
        ai=_ai(read),
        font_folder=read.folder("FONT_FOLDER"),
        certificate_signing_key=signing_key,
        certificate_retired_keys=retired_keys,
        rates={name: read.rate(f"RATE_LIMIT_{name}", default) for name, default in RATES.items()},
        grpc_tls=read.certificate("GRPC_TLS_CERT", "GRPC_TLS_KEY"),
        door=_door(read),
    )
    if read.faults:
        raise SettingsError(read.faults)
    return settings


def _payment_provider(read: _Reader) -> str:
    """The provider of new payments, which needs settings of its own; one that has them already still has its webhooks
    taken and its refunds made when another one is chosen."""
    provider = read.choice("PAYMENT_PROVIDER", "none", ("none", "fake", "stripe"))
    if provider == "fake" and not read.text("FAKE_PAYMENTS_URL"):
        read.faults.append("FAKE_PAYMENTS_URL is not set; PAYMENT_PROVIDER=fake needs it, such as http://127.0.0.1:9000")
    if provider == "fake" and not read.items("PAYMENT_WEBHOOK_SECRETS"):
        read.faults.append("PAYMENT_WEBHOOK_SECRETS is not set; the payment provider's webhooks cannot be checked without")
    stripe = {"STRIPE_SECRET_KEY": "sk_live_...", "STRIPE_WEBHOOK_SECRETS": "whsec_..."}
    if provider == "stripe" or any(read.items(name) for name in stripe):
        for name, example in stripe.items():
            if not read.items(name):
                read.faults.append(f"{name} is not set; payments by Stripe need it: {example} from Stripe's dashboard")
    return provider


def _ai(read: _Reader) -> AiSettings:
    key, model = read.text("AI_API_KEY"), read.text("AI_MODEL")
    if key and not model:
        read.faults.append("AI_MODEL is not set; AI_API_KEY needs it: the name of a model at AI_BASE_URL")
    if model and not key:
        read.faults.append("AI_API_KEY is not set; AI_MODEL needs it, and a server that checks no keys takes any")
    base_url = read.url("AI_BASE_URL", "https://api.openai.com/v1")
    return AiSettings(base_url, key, model, read.number("AI_DAILY_BUDGET", 100, 1, 1_000_000))


def _door(read: _Reader) -> DoorSettings:
    return DoorSettings(
        allowed_origins=read.origins("ALLOWED_ORIGINS"),
        own_origins=read.origin_of("PUBLIC_URL", "http://localhost:8080"),
        trusted_proxy_hops=read.number("TRUSTED_PROXY_HOPS", 0, 0, 10),
        gateway_token=read.text("GATEWAY_TOKEN"),
        log_format=read.choice("LOG_FORMAT", "text", ("text", "json")),
        log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        metrics_address=read.host_and_port("METRICS_ADDRESS"),
        metrics_token=read.text("METRICS_TOKEN"),
        otlp_endpoint=read.url("OTEL_EXPORTER_OTLP_ENDPOINT"),
        otlp_service=read.text("OTEL_SERVICE_NAME", "skillforge"),
    )


def _derived(secret: str) -> bytes:
    """A key of our own from a secret of somebody else's, so that one never stands in for the other."""
    return hashlib.sha256(b"skillforge page tokens\0" + secret.encode()).digest()
