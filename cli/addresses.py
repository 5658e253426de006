"""Addresses that a command listens at."""

from __future__ import annotations

import socket

import click

from http_gateway.server import open_socket


def listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """A listening TCP socket. `reuse_port` lets sibling workers listen at the same port.

    Raises click.ClickException with what to do when the port is taken.
    """
    try:
        return open_socket(host, port, reuse_port)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen at {host}:{port}: {error.strerror}. Stop what uses it, or choose another port."
        ) from error


def require_free(host: str, port: int) -> None:
    """Raise click.ClickException when somebody listens at the port already."""
    if port:
        listen(host, port, reuse_port=False).close()
