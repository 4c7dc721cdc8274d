"""Section 7: segments. A reader comes from the index, which says the same; this is for those who look into one."""

from dataclasses import dataclass

from .errors import Corrupt
from .header import Header, Kind
from .names import ObjectId
from .runs import Block, Run, State, read_directory, total_length

COMPLETE = 1


@dataclass(frozen=True)
class Segment:
    id: ObjectId
    flags: int
    run: Run
    blocks: list[Block]
    header_length: int

    @property
    def length(self) -> int:
        return self.header_length + total_length(self.blocks)


def read_segment(data: bytes, list_hash: bytes, id: ObjectId) -> Segment:
    header = Header(data, Kind.SEGMENT, list_hash, frozenset({1, 2}))
    found, flags = header[1].object_id(), header[1].flags(COMPLETE)
    if found != id:
        raise Corrupt(f"segment {found} under the name of {id}")
    reference = State.read(header[2])
    run = Run.read(header[2], reference, at_least=1)
    blocks = read_directory(header[2], reference, run, header.length)
    header.ends()
    return Segment(id, flags, run, blocks, header.length)
