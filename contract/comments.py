"""The comments of the .proto files, by the full names of what they stand at. `scripts/generate.py` writes them beside the
stubs, which know no comments."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


def comment_of(full_name: str) -> str:
    """The comment of a service, method ("skillforge.v1.CoursesService.GetCourse"), message, field, oneof, enum or enum
    value, as Markdown; "" where there is none."""
    return _comments().get(full_name, "")


@cache
def _comments() -> dict[str, str]:
    found: dict[str, str] = json.loads(resources.files("skillforge").joinpath("comments.json").read_bytes())
    return found
