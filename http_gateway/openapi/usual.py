"""What fields of the same name mean everywhere, said where a field has no comment of its own."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor

_TEXTS = {
    "create_time": "When it was made.",
    "update_time": "When it was changed last.",
    "etag": "Changes with every change of the resource: send it back as `If-Match`.",
    "page_size": "How many to return: 20 by default, at most 100.",
    "page_token": "The `nextPageToken` of the page before; empty for the first. It belongs to this query and caller.",
    "next_page_token": "Where the next page begins; empty on the last.",
}


def usual_text(field: FieldDescriptor) -> str:
    """The description of a field by its name; "" where the name says enough."""
    known = _TEXTS.get(field.name)
    if known is None and field.name.endswith("_id") and field.name != "client_message_id":
        noun = field.name.removesuffix("_id").replace("_", " ")
        known = f"The {noun}'s id."
    return known or ""
