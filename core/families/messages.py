"""Rows of families as messages of the contract."""

from __future__ import annotations

from core.families.queries import LinkRow
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import families_pb2


def link(row: LinkRow) -> families_pb2.FamilyLink:
    """A link as both of its sides see it."""
    return families_pb2.FamilyLink(
        child_id=to_text(row.child_id),
        child_name=row.child_name,
        child_image_url=row.child_image_url,
        parent_id=to_text(row.parent_id),
        parent_name=row.parent_name,
        parent_image_url=row.parent_image_url,
        create_time=to_timestamp(row.create_time),
    )
