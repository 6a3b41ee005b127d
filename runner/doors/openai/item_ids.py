"""Ids of the items of a response: each says of which turn it is."""

from __future__ import annotations

import re

ID = re.compile(r"(?:msg|rs|mcp|mcpr)_([0-9a-f]{32})_(.*)", re.DOTALL)


def parse_item_id(item_id: str) -> tuple[str | None, str]:
    """The turn of which the item is, and what of it: of a request, that one's own id.

    Where it is no id of an item, None and the same.
    """
    match = ID.fullmatch(item_id)
    return (None, item_id) if match is None else (match[1], match[2])
