"""Section 4: runs of items, and the directories of their blocks."""

from dataclasses import dataclass

from . import limits
from .errors import Corrupt
from .numbers import U64, U128, Cursor, wrapping

NO_TIMESTAMP = -(1 << 63)


@dataclass(frozen=True)
class State:
    """Where a run may begin: an offset, and what is known of the items before it."""

    offset: int
    running_maximum: int
    next_nonce: int

    @classmethod
    def read(cls, cursor: Cursor) -> "State":
        return cls(cursor.varint(), cursor.signed(), cursor.wide())


EMPTY = State(0, NO_TIMESTAMP, 0)


@dataclass(frozen=True)
class Run:
    first: int
    count: int
    value_bytes: int
    lowest: int
    highest: int
    end: State

    @classmethod
    def read(cls, cursor: Cursor, before: State, at_least: int = 0) -> "Run":
        count = cursor.varint()
        if count < at_least:
            raise Corrupt(f"a run of {count} items")
        if count == 0:
            return cls(before.offset, 0, 0, 0, 0, before)
        value_bytes = cursor.varint()
        lowest = wrapping(before.running_maximum + cursor.signed())
        highest = wrapping(lowest + cursor.varint())
        next_nonce = before.next_nonce + cursor.wide()
        if highest < lowest or before.offset + count >= U64 or next_nonce >= U128:
            raise Corrupt("a run's numbers exceed what they can be")
        end = State(before.offset + count, max(before.running_maximum, highest), next_nonce)
        return cls(before.offset, count, value_bytes, lowest, highest, end)


def joined(runs: list[Run]) -> Run:
    """What a run of all of them says, which follow one another and are not empty."""
    first, last = runs[0], runs[-1]
    return Run(
        first.first,
        last.end.offset - first.first,
        sum(run.value_bytes for run in runs),
        min(run.lowest for run in runs),
        max(run.highest for run in runs),
        last.end,
    )


@dataclass(frozen=True)
class Block:
    """What a directory says of a block, its position computed."""

    at: int
    length: int
    first: int
    count: int
    end: State


def read_directory(cursor: Cursor, before: State, run: Run, at: int = 0) -> list[Block]:
    """`at` is where the first block begins."""
    number = cursor.number_of("blocks", limits.BLOCKS)
    if (number == 0) != (run.count == 0):
        raise Corrupt(f"{number} blocks for {run.count} items")
    blocks = []
    state = before
    for left in reversed(range(number)):
        length = cursor.varint()
        if left:
            count, more_maximum, more_nonce = cursor.varint(), cursor.varint(), cursor.wide()
            end = State(
                state.offset + count, wrapping(state.running_maximum + more_maximum), state.next_nonce + more_nonce
            )
        else:
            count, end = run.end.offset - state.offset, run.end
        possible = (
            max(state.running_maximum, run.lowest) <= end.running_maximum <= run.end.running_maximum
            and state.next_nonce <= end.next_nonce <= run.end.next_nonce
        )
        if not 1 <= count <= limits.BLOCK_ITEMS or end.offset > run.end.offset or not possible:
            raise Corrupt(f"a block of {count} items, which ends in {end} after {state}")
        blocks.append(Block(at, length, state.offset, count, end))
        at, state = at + length, end
    return blocks


def total_length(blocks: list[Block]) -> int:
    return sum(block.length for block in blocks)
