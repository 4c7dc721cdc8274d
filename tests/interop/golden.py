"""The golden lists of each released format version, with the items that they hold."""

from pathlib import Path
from typing import NamedTuple

from google_crc32c import extend, value
from klstore_lists.names import ListName
from klstore_lists.numbers import Cursor
from klstore_lists.store import Part

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "format/tests/golden"


class GoldenList(NamedTuple):
    version: str
    keyspace: str
    key: str
    items_file: str

    @property
    def name(self) -> ListName:
        return ListName(self.keyspace, self.key)

    @property
    def folder(self) -> Path:
        return FOLDER / self.version

    @property
    def items(self) -> list[str]:
        return (self.folder / self.items_file).read_text().splitlines()

    def objects(self) -> dict[str, bytes]:
        files = [self.folder / self.name.keyspace_object, *sorted((self.folder / self.name.folder).rglob("*"))]
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files if file.is_file()}


LISTS = [
    GoldenList("v1", "flights", "N14228/é", "items.ndjson"),
    GoldenList("v1", "sensors", "kitchen", "sensors.kitchen.ndjson"),
    GoldenList("v1", "sensors", "cellar", "sensors.cellar.ndjson"),
]


class Memory:
    """Objects that a test changes, and what has been read of them."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.was_read: dict[str, set[int]] = {}

    def first(self, prefix: str) -> tuple[str, str] | None:
        names = [name for name in self.objects if name.startswith(prefix)]
        return (min(names), "etag") if names else None

    def read(self, name: str, begin: int, length: int) -> Part | None:
        data = self.objects.get(name)
        self.was_read.setdefault(name, set()).update(range(begin, min(begin + length, len(data or b""))))
        return None if data is None else Part(data[begin : begin + length], "etag")

    def folders(self, prefix: str) -> list[str]:
        return sorted({prefix + name[len(prefix) :].split("/")[0] + "/" for name in self.objects if name.startswith(prefix)})


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def sealed(data: bytes) -> bytes:
    """With the checksum that its header would have."""
    length = int.from_bytes(data[8:12], "little")
    return data[:12] + extend(value(data[:12]), data[16:length]).to_bytes(4, "little") + data[16:]


def with_section(data: bytes, number: int) -> bytes:
    """With one more section of one byte, of a type above those that there are."""
    length = int.from_bytes(data[8:12], "little")
    section = number.to_bytes(2, "little") + b"\x01\xff"
    return sealed(data[:8] + (length + len(section)).to_bytes(4, "little") + data[12:length] + section) + data[length:]


def with_last_section_as(data: bytes, number: int) -> bytes:
    """As long as before, with another type for the last section."""
    sections = Cursor(data, 32, int.from_bytes(data[8:12], "little"))
    while sections.left:
        at = sections.at
        sections.u16()
        sections.bytes(sections.varint())
    return sealed(data[:at] + number.to_bytes(2, "little") + data[at + 2 :])
