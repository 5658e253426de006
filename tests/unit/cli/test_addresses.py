"""Listening, and saying what to do when that is not possible."""

from __future__ import annotations

import socket

import click
import pytest

from cli.addresses import listen, require_free

HOST = "127.0.0.1"


def test_a_taken_port_is_told_in_words() -> None:
    with listen(HOST, 0, reuse_port=False) as taken:
        port = taken.getsockname()[1]
        for attempt in (lambda: listen(HOST, port, reuse_port=False), lambda: require_free(HOST, port)):
            with pytest.raises(click.ClickException, match=rf"cannot listen at 127\.0\.0\.1:{port}: .* choose another port"):
                attempt()
    require_free(HOST, port)


def test_any_free_port_needs_no_look() -> None:
    require_free(HOST, 0)


def test_siblings_share_a_port() -> None:
    with listen(HOST, 0, reuse_port=True) as first, listen(HOST, first.getsockname()[1], reuse_port=True) as second:
        assert first.getsockname() == second.getsockname()


def test_a_host_that_is_none() -> None:
    with pytest.raises(click.ClickException, match=r"cannot listen at no\.such\.host\.invalid:8080"):
        listen("no.such.host.invalid", 8080, reuse_port=False)


def test_ipv6() -> None:
    try:
        listener = listen("::1", 0, reuse_port=False)
    except click.ClickException:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert listener.family == socket.AF_INET6
