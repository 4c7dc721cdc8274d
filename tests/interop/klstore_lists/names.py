"""Section 1: the names of objects, and the list hash."""

import hashlib
import re
from dataclasses import dataclass

from . import limits
from .errors import Corrupt

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_.-]+/)*")


def escape(text: str) -> str:
    if text in (".", ".."):
        return text.replace(".", "~2E")
    escaped = "".join(chr(byte) if byte in _PLAIN else f"~{byte:02X}" for byte in text.encode())
    if not 1 <= len(escaped) <= limits.NAME_BYTES:
        raise ValueError(f"a name of {len(escaped)} bytes once escaped: {escaped[:40]!r}")
    return escaped


def unescape(escaped: str) -> str:
    try:
        text = re.sub(rb"~(..)", lambda hexes: bytes.fromhex(hexes[1].decode()), escaped.encode("ascii")).decode()
        if escape(text) == escaped:
            return text
    except ValueError:
        pass
    raise Corrupt(f"{escaped!r} is not a name that klstore writes")


@dataclass(frozen=True)
class ObjectId:
    """X, below which every commit is covered by the index that the object was made for, and 128 random bits."""

    x: int
    id: int

    def __str__(self) -> str:
        return f"{self.x:016x}{self.id:032x}"


class ListName:
    def __init__(self, keyspace: str, key: str, prefix: str = "") -> None:
        if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
            raise ValueError(f"{prefix!r} is not a prefix of names")
        self.keyspace_object = keyspace_object(keyspace, prefix)
        self.folder = f"{lists_folder(keyspace, prefix)}{escape(key)}/"
        plain = keyspace.encode()
        self.hash = hashlib.sha256(len(plain).to_bytes(4, "little") + plain + key.encode()).digest()[:16]

    @property
    def log(self) -> str:
        return f"{self.folder}log/"

    def commit(self, seq: int) -> str:
        return f"{self.log}{2**64 - 1 - seq:016x}"

    def seq_of(self, name: str) -> int:
        inverted = name.removeprefix(self.log)
        if not re.fullmatch("[0-9a-f]{16}", inverted):
            raise Corrupt(f"{name} is not the name of a commit")
        return 2**64 - 1 - int(inverted, 16)

    def segment(self, id: ObjectId) -> str:
        return f"{self.folder}seg/{id}"

    def page(self, id: ObjectId) -> str:
        return f"{self.folder}idx/{id}"


def keyspace_object(keyspace: str, prefix: str = "") -> str:
    return f"{prefix}{escape(keyspace)}/keyspace.json"


def lists_folder(keyspace: str, prefix: str = "") -> str:
    return f"{prefix}{escape(keyspace)}/lists/"
