"""Section 9: keyspace.json."""

import json
import re
from dataclasses import dataclass

from . import limits
from .errors import Corrupt, NewerFormat
from .header import FORMAT_VERSION


@dataclass(frozen=True)
class Keyspace:
    name: str
    id: str
    created_timestamp: int


def read_keyspace(data: bytes, name: str) -> Keyspace:
    if len(data) > limits.KEYSPACE_BYTES:
        raise Corrupt(f"keyspace.json has {len(data)} bytes")
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"keyspace.json is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Corrupt("keyspace.json is not an object")
    # The version first: a newer one may have other fields.
    version = found.get("format_version")
    if type(version) is not int or version < 1:
        raise Corrupt(f"keyspace.json with format_version {version!r}")
    if version > FORMAT_VERSION:
        raise NewerFormat(f"keyspace.json of format version {version}, and this reader knows {FORMAT_VERSION}")
    if found.get("layout") != "list":
        raise NewerFormat(f"keyspace.json of layout {found.get('layout')!r}, and this reader knows only lists")
    id, created_timestamp = found.get("id"), found.get("created_timestamp")
    if found.get("keyspace") != name:
        raise Corrupt(f"keyspace.json of {found.get('keyspace')!r} instead of {name!r}")
    if type(id) is not str or not re.fullmatch("[0-9a-f]{32}", id) or type(created_timestamp) is not int:
        raise Corrupt(f"keyspace.json with id {id!r}, created_timestamp {created_timestamp!r}")
    return Keyspace(name, id, created_timestamp)
