"""The settings, and the only reader of the environment. Every fault is reported at once, a line each."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from core.db.url import parse_url
from core.identity.keys import PemKey
from core.identity.svix import signing_key
from core.redis import Redis

_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,5})", re.ASCII)
_MAX_RATE_SECONDS = 86400
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
    """What a door needs, also one without a core in its process."""

    allowed_origins: tuple[str, ...]
    trusted_proxy_hops: int
    gateway_token: str = field(repr=False)
    log_format: str
    log_level: str


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
    font_folder: str
    rate_ip: Rate
    rate_user: Rate
    rate_payments: Rate
    rate_certificates: Rate
    rate_ai: Rate
    rate_auth: Rate
    rate_guesses: Rate
    rate_personal_data: Rate
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

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        self.faults.append(f"{name} must be one of {', '.join(repr(item) for item in choices)}, not {value!r}")
        return default

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in self.text(name).split(",") if item.strip())

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
    provider = read.choice("PAYMENT_PROVIDER", "none", ("none", "fake"))
    if provider == "fake" and not read.text("FAKE_PAYMENTS_URL"):
        read.faults.append("FAKE_PAYMENTS_URL is not set; PAYMENT_PROVIDER=fake needs it, such as http://127.0.0.1:9000")
    secrets = read.items("PAYMENT_WEBHOOK_SECRETS")
    if provider != "none" and not secrets:
        read.faults.append("PAYMENT_WEBHOOK_SECRETS is not set; the payment provider's webhooks cannot be checked without")
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
        payment_webhook_secrets=secrets,
        fake_payments_url=read.url("FAKE_PAYMENTS_URL"),
        fake_payments_key=read.text("FAKE_PAYMENTS_KEY"),
        font_folder=read.folder("FONT_FOLDER"),
        rate_ip=read.rate("RATE_LIMIT_IP", "1200/60"),
        rate_user=read.rate("RATE_LIMIT_USER", "600/60"),
        rate_payments=read.rate("RATE_LIMIT_PAYMENTS", "20/60"),
        rate_certificates=read.rate("RATE_LIMIT_CERTIFICATES", "60/60"),
        rate_ai=read.rate("RATE_LIMIT_AI", "20/60"),
        rate_auth=read.rate("RATE_LIMIT_AUTH", "60/60"),
        rate_guesses=read.rate("RATE_LIMIT_GUESSES", "10/900"),
        rate_personal_data=read.rate("RATE_LIMIT_PERSONAL_DATA", "10/3600"),
        grpc_tls=read.certificate("GRPC_TLS_CERT", "GRPC_TLS_KEY"),
        door=_door(read),
    )
    if read.faults:
        raise SettingsError(read.faults)
    return settings


def _door(read: _Reader) -> DoorSettings:
    return DoorSettings(
        allowed_origins=read.origins("ALLOWED_ORIGINS"),
        trusted_proxy_hops=read.number("TRUSTED_PROXY_HOPS", 0, 0, 10),
        gateway_token=read.text("GATEWAY_TOKEN"),
        log_format=read.choice("LOG_FORMAT", "text", ("text", "json")),
        log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    )


def _derived(secret: str) -> bytes:
    """A key of our own from a secret of somebody else's, so that one never stands in for the other."""
    return hashlib.sha256(b"skillforge page tokens\0" + secret.encode()).digest()
