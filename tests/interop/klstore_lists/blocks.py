"""Section 5: blocks, which hold the items."""

import hashlib
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import lz4.block
import zstandard
from google_crc32c import value as crc32c

from . import limits
from .errors import Corrupt, NewerFormat
from .names import ObjectId
from .numbers import U64, U128, Cursor, unfolded, wrapping
from .runs import Block

_FRAME_BYTES = 37


class Item(NamedTuple):
    offset: int
    timestamp: int
    nonce: int | None
    value: bytes


def owner_of_commit(list_hash: bytes, seq: int, session: int, put_id: int) -> bytes:
    named = seq.to_bytes(8, "little") + session.to_bytes(16, "little") + put_id.to_bytes(8, "little")
    return hashlib.sha256(b"klstore commit" + list_hash + named).digest()[:8]


def owner_of_segment(list_hash: bytes, id: ObjectId) -> bytes:
    named = id.x.to_bytes(8, "little") + id.id.to_bytes(16, "little")
    return hashlib.sha256(b"klstore segment" + list_hash + named).digest()[:8]


def read_block(data: bytes, owner: bytes, block: Block) -> list[Item]:
    """The items of exactly these bytes, which must be the block that a directory tells of."""
    frame = Cursor(data)
    length, crc, found_owner, codec = frame.u32(), frame.u32(), frame.bytes(8), frame.u8()
    first, count, plain_length = frame.u64(), frame.u32(), frame.u32()
    if not _FRAME_BYTES <= length == len(data) == block.length:
        raise Corrupt(f"a block says that it has {length} bytes, and has {len(data)}")
    if int.from_bytes(data[-4:], "little") != length or crc32c(data[8:-4]) != crc:
        raise Corrupt("a block's checksum is wrong")
    if found_owner != owner:
        raise Corrupt("a block of another object")
    if (first, count) != (block.first, block.count):
        raise Corrupt(f"a block of {count} items from {first} instead of {block.count} from {block.first}")
    if plain_length > limits.PLAIN_BYTES or not 1 <= count <= min(limits.BLOCK_ITEMS, plain_length // 2):
        raise Corrupt(f"a block of {count} items in {plain_length} bytes")
    return _items(_plain(codec, data[33:-4], plain_length), first, count)


def _plain(codec: int, stored: bytes, length: int) -> bytes:
    if codec == 0:
        plain = stored
    elif codec > 2:
        raise NewerFormat(f"codec {codec} is not known: it needs a newer reader")
    elif len(stored) >= length:
        raise Corrupt("a compressed block that is no smaller")
    elif codec == 1:
        try:
            plain = lz4.block.decompress(stored, uncompressed_size=length)
        except lz4.block.LZ4BlockError as error:
            raise Corrupt(f"a block that LZ4 refuses: {error}") from error
    else:
        plain = _zstandard(stored, length)
    if len(plain) != length:
        raise Corrupt(f"a block of {len(plain)} plain bytes, which should be {length}")
    return plain


def _zstandard(stored: bytes, length: int) -> bytes:
    """One byte more than expected at most, however much the frames would make."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True) as reader:
            return reader.read(length + 1)
    except zstandard.ZstdError as error:
        raise Corrupt(f"a block that Zstandard refuses: {error}") from error


def _items(plain: bytes, first: int, count: int) -> list[Item]:
    columns = Cursor(plain)
    sizes = [columns.varint() for _ in range(3)]
    timestamp_column, nonce_column, length_column = (columns.bytes(size) for size in sizes)
    timestamps = accumulate(map(unfolded, _varints(timestamp_column, count, U64)), lambda a, b: wrapping(a + b))
    lengths = _varints(length_column, count, limits.VALUE_BYTES + 1)
    if sum(lengths) != columns.left:
        raise Corrupt(f"{columns.left} bytes of values whose lengths add up to {sum(lengths)}")
    values = map(columns.bytes, lengths)
    nonces = _nonces(nonce_column, count)
    return list(map(Item._make, zip(range(first, first + count), timestamps, nonces, values, strict=True)))


def _nonces(column: bytes, count: int) -> list[int | None]:
    if not column:
        return [None] * count
    if column[0] == 1:
        return list(_nonce_values(column[1:], count))
    if column[0] != 2:
        raise NewerFormat(f"a nonce column of kind {column[0]}: it needs a newer reader")
    bitmap_bytes = (count + 7) // 8
    bitmap = int.from_bytes(column[1 : 1 + bitmap_bytes], "little")
    if len(column) < 1 + bitmap_bytes or bitmap >> count:
        raise Corrupt("a bitmap of nonces that does not fit the items")
    values = _nonce_values(column[1 + bitmap_bytes :], bitmap.bit_count())
    return [next(values) if bitmap >> i & 1 else None for i in range(count)]


def _nonce_values(column: bytes, count: int) -> Iterator[int]:
    varints = _varints(column, count, U128)
    nonces = list(accumulate(varints, lambda before, step: before + 1 + step))
    if nonces and nonces[-1] >= U128 - 1:
        raise Corrupt("a nonce beyond 128 bits")
    return iter(nonces)


def _varints(column: bytes, count: int, below: int) -> list[int]:
    """Exactly so many to exactly the column's end: what `Cursor.varint` does, in one loop for speed."""
    numbers = []
    number = shift = 0
    for byte in column:
        if byte >= 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift >= 133:
                raise Corrupt("a varint without an end")
        else:
            number |= byte << shift
            if number >= below or (shift and not byte):
                raise Corrupt("a varint too large, or longer than it has to be")
            numbers.append(number)
            number = shift = 0
    if shift or len(numbers) != count:
        raise Corrupt(f"a column of {len(numbers)} numbers, for {count} items")
    return numbers
