"""Database addresses: `mysql://user:password@host:port/name?unix_socket=/path&ssl=verify&ssl_ca=/path`."""

from __future__ import annotations

import re
import ssl as tls
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 3306
_OPTIONS = frozenset({"unix_socket", "charset", "ssl", "ssl_ca"})
_SSL_MODES = frozenset({"off", "on", "verify"})
_NAME = re.compile(r"[0-9A-Za-z$_\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and who asks. `ssl`: "off", "on" (encrypted, the server's name unchecked) or "verify"."""

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    name: str
    unix_socket: str | None
    ssl: str
    ssl_ca: str | None

    def ssl_context(self) -> tls.SSLContext | None:
        """The TLS settings to connect with; None for a plain connection."""
        if self.ssl == "off":
            return None
        context = tls.create_default_context(cafile=self.ssl_ca)
        if self.ssl == "on":
            context.check_hostname = False
            context.verify_mode = tls.CERT_NONE
        return context


def parse_url(url: str) -> Address:
    """Read a database address. Raises ValueError that says what is wrong with it, never showing the password."""
    parts = urlsplit(url)
    if parts.scheme != "mysql":
        raise ValueError("a database address starts with mysql:// : mysql://user:password@host:port/name")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_options(options)
    name = unquote(parts.path.removeprefix("/"))
    if not _NAME.fullmatch(name):
        raise ValueError("a database address ends with the database's name (letters, digits, _ $ -): mysql://host/name")
    if not parts.username:
        raise ValueError("a database address names its user: mysql://user:password@host/name")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise ValueError("the port of a database address is a number from 1 to 65535") from None
    if not parts.hostname and "unix_socket" not in options:
        raise ValueError("a database address names a host, or ?unix_socket=/path")
    mode = options.get("ssl", "verify" if "ssl_ca" in options else "off")
    return Address(
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        host=parts.hostname or "localhost",
        port=port,
        name=name,
        unix_socket=options.get("unix_socket"),
        ssl={"true": "verify", "1": "verify", "false": "off", "0": "off"}.get(mode, mode),
        ssl_ca=options.get("ssl_ca"),
    )


def _check_options(options: dict[str, str]) -> None:
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} in the database address; known are {', '.join(sorted(_OPTIONS))}")
    if options.get("charset", "utf8mb4") != "utf8mb4":
        raise ValueError("the only charset of the database address is utf8mb4")
    if options.get("ssl", "off") not in _SSL_MODES | {"true", "false", "1", "0"}:
        raise ValueError("ssl in the database address is off, on or verify")
    if "unix_socket" in options and not options["unix_socket"].startswith("/"):
        raise ValueError("unix_socket in the database address is an absolute path")
