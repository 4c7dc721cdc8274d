"""Section 2: numbers, read from bytes that nobody vouches for. Every method of `Cursor` stays within its bytes."""

from .errors import Corrupt, NewerFormat
from .names import ObjectId

U64, U128 = 1 << 64, 1 << 128


def wrapping(number: int) -> int:
    """Modulo 2^64, read as a signed number."""
    return (number + U64 // 2) % U64 - U64 // 2


def unfolded(number: int) -> int:
    """0, 1, 2, 3, 4 ... are 0, -1, 1, -2, 2 ..."""
    return number >> 1 ^ -(number & 1)


class Cursor:
    def __init__(self, data: bytes, begin: int = 0, end: int | None = None) -> None:
        self.data, self.at, self.end = data, begin, len(data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.at

    def bytes(self, count: int) -> bytes:
        if count > self.left:
            raise Corrupt(f"{count} bytes are expected where {self.left} are left")
        begin, self.at = self.at, self.at + count
        return self.data[begin : self.at]

    def _fixed(self, size: int) -> int:
        return int.from_bytes(self.bytes(size), "little")

    def u8(self) -> int:
        return self._fixed(1)

    def u16(self) -> int:
        return self._fixed(2)

    def u32(self) -> int:
        return self._fixed(4)

    def u64(self) -> int:
        return self._fixed(8)

    def u128(self) -> int:
        return self._fixed(16)

    def varint(self, below: int = U64) -> int:
        number = shift = 0
        while True:
            byte = self.u8()
            number |= (byte & 0x7F) << shift
            if number >= below or (byte == 0 and shift):
                raise Corrupt("a varint too large, or longer than it has to be")
            if byte < 0x80:
                return number
            shift += 7
            if shift >= 133:
                raise Corrupt("a varint without an end")

    def wide(self) -> int:
        return self.varint(U128)

    def signed(self) -> int:
        return unfolded(self.varint())

    def number_of(self, what: str, at_most: int) -> int:
        """How many of them follow."""
        count = self.varint()
        if count > at_most:
            raise Corrupt(f"{count} {what}, of which there are at most {at_most}")
        return count

    def flags(self, known: int) -> int:
        flags = self.u8()
        if flags & ~known:
            raise NewerFormat(f"flags {flags:#x}, of which only {known:#x} are known: it needs a newer reader")
        return flags

    def object_id(self) -> ObjectId:
        return ObjectId(self.varint(), self.u128())

    def ends(self, what: str) -> None:
        if self.left:
            raise Corrupt(f"{self.left} bytes are left over at the end of {what}")
