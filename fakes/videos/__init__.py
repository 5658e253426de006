"""A video host for the demo school: every name below `/dev/videos/` is the same short film, so that players have something
real to play without a network."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from fakes.web import Problem

PREFIX = "/dev/videos/"
FILM = Path(__file__).parent / "lecture.webm"


async def handle_videos(request: web.BaseRequest) -> web.StreamResponse:
    """Answers GET and HEAD, whole or in ranges."""
    if request.method not in ("GET", "HEAD"):
        return Problem(405, "Videos are only read.", allow="GET, HEAD").response()
    return web.FileResponse(FILM, headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"})


def video_url(base: str, name: str) -> str:
    """Where the film is found under a name, at a host that serves it."""
    return f"{base}{PREFIX}{name}.webm"
