"""Section 3: the header that every object begins with."""

import enum

from google_crc32c import extend, value

from . import limits
from .errors import Corrupt, NewerFormat
from .numbers import Cursor

FORMAT_VERSION = 1
OPTIONAL = 1 << 15  # sections of this type and above may be skipped


class Kind(enum.IntEnum):
    COMMIT = 1
    SEGMENT = 2
    HEAD = 3
    LEAF = 4
    LEDGER = 5


_HEADER_BYTES = {Kind.COMMIT: limits.COMMIT_HEADER_BYTES, Kind.SEGMENT: limits.SEGMENT_HEADER_BYTES}


class Header:
    """The sections that are known by number; each is taken once and read to its end."""

    def __init__(self, data: bytes, kind: Kind, list_hash: bytes, known: frozenset[int]) -> None:
        fixed = Cursor(data)
        if fixed.bytes(4) != b"KLST":
            raise Corrupt("not an object of klstore: it begins otherwise")
        version = fixed.u8()
        if version > FORMAT_VERSION:
            raise NewerFormat(f"of format version {version}, and this reader knows {FORMAT_VERSION}: it needs a newer one")
        found_kind, flags, self.length, crc = fixed.u8(), fixed.u16(), fixed.u32(), fixed.u32()
        if version == 0 or not 32 <= self.length <= min(len(data), _HEADER_BYTES.get(kind, limits.PAGE_BYTES)):
            raise Corrupt(f"version {version}, header length {self.length} in {len(data)} bytes")
        if extend(value(data[:12]), data[16 : self.length]) != crc:
            raise Corrupt("the header's checksum is wrong")
        if flags:
            raise NewerFormat(f"flags {flags:#x} of a newer writer")
        if found_kind != kind:
            raise Corrupt(f"of kind {found_kind} instead of {kind.name.lower()}")
        if fixed.bytes(16) != list_hash:
            raise Corrupt("of another list")
        self._sections = _sections(Cursor(data, 32, self.length), known)

    def __contains__(self, number: int) -> bool:
        return number in self._sections

    def __getitem__(self, number: int) -> Cursor:
        if number not in self._sections:
            raise Corrupt(f"section {number} is missing")
        return self._sections[number]

    def ends(self) -> None:
        """To be called when every section has been read."""
        for number, section in self._sections.items():
            section.ends(f"section {number}")


def _sections(cursor: Cursor, known: frozenset[int]) -> dict[int, Cursor]:
    sections: dict[int, Cursor] = {}
    last = -1
    count = 0
    while cursor.left:
        number, length = cursor.u16(), cursor.varint()
        count += 1
        if number <= last or count > limits.SECTIONS:
            raise Corrupt(f"section {number} after {last}, of {count} sections")
        last = number
        section = Cursor(cursor.bytes(length))
        if number in known:
            sections[number] = section
        elif number < OPTIONAL:
            raise NewerFormat(f"section {number} is not known: it needs a newer reader")
    return sections
